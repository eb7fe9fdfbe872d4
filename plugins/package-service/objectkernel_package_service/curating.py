"""What is said of what is published: tags, deprecations, yanks, and who sees and may overwrite it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from objectkernel_package_service.calling import Caller
from objectkernel_package_service.changing import Change, Changes, Entry, Step, nothing_but
from objectkernel_package_service.contracts import (
    HistoryAction,
    PackageConflict,
    PackageMissing,
    Policy,
    Problem,
    Visibility,
)
from objectkernel_package_service.state import State
from objectkernel_package_service.table import LONGEST_MESSAGE
from objectkernel_package_service.tagging import with_tag


class Curator:
    """Changes what is said of packages, and not their content."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._queries = changes.queries

    async def tag(self, id: str, tag: str, version: str, caller: Caller) -> None:
        """Let a tag name a version."""

        async def plan(state: State) -> Change[None]:
            _expect(state, version, caller)
            tags = {} if state.head is None else state.head.tags
            if tags.get(tag) == version and not state.illegible:
                return nothing_but(None)
            steps = [self._head(state, tags=with_tag(tags, tag, version))]
            return _said("tag", version, {"tag": tag}, steps)

        await self._changes.make(f"tagging {id}@{version}", id, version, caller, plan)

    async def untag(self, id: str, tag: str, caller: Caller) -> bool:
        """Remove a tag; whether there was one."""

        async def plan(state: State) -> Change[bool]:
            if not state.is_for(caller.account) or state.head is None or tag not in state.head.tags:
                return nothing_but(False)
            tags = {name: named for name, named in state.head.tags.items() if name != tag}
            return Change(
                action="untag",
                entries=(Entry(version=state.head.tags[tag]),),
                details={"tag": tag},
                steps=[self._head(state, tags=tags)],
                answer=lambda _: True,
            )

        return await self._changes.make(f"untagging {id}", id, None, caller, plan)

    async def deprecate(self, id: str, version: str | None, message: str | None, caller: Caller) -> None:
        """Set or remove the message of one version, or of all."""
        if version is None:
            step: Step = self._queries.update_all, {"package": id, "deprecated": message}
        else:
            step = self._queries.update, {"package": id, "this": version, "deprecated": message}

        async def plan(state: State) -> Change[None]:
            _expect(state, version, caller)
            return _said("deprecate", version, {"message": message}, [step])

        await self._changes.make(f"deprecating {_spelled(id, version)}", id, version, caller, plan)

    async def yank(self, id: str, version: str, yanked: bool, caller: Caller) -> None:
        """Take a version out of what is found by anything but its exact version, or put it back."""

        async def plan(state: State) -> Change[None]:
            _expect(state, version, caller)
            if state.version is not None and state.version.yanked is yanked and not state.illegible:
                return nothing_but(None)
            mark: Step = self._queries.update, {"package": id, "this": version, "yanked": yanked}
            return _said("yank" if yanked else "unyank", version, {}, [mark, self._head(state)])

        await self._changes.make(f"yanking {id}@{version}", id, version, caller, plan)

    async def configure(self, id: str, visibility: Visibility | None, policy: Policy | None, caller: Caller) -> None:
        """Change who sees a package, and whether its versions may be overwritten."""
        asked = {"visibility": visibility, "policy": policy}
        columns = {name: value for name, value in asked.items() if value is not None}

        async def plan(state: State) -> Change[None]:
            _expect(state, None, caller)
            stays_immutable(state, policy, caller)
            same = all(getattr(state.head, name, None) == value for name, value in columns.items())
            if same and not state.illegible:
                return nothing_but(None)
            return _said("configure", None, columns, [self._head(state, **columns)])

        await self._changes.make(f"configuring {id}", id, None, caller, plan)

    def _head(self, state: State, **columns: Any) -> Step:
        return self._changes.head(state, columns)[1]


def stays_immutable(state: State, policy: Policy | None, caller: Caller) -> None:
    """Expect an account not to take back that a package is immutable: others keep its versions for ever.

    Raises:
        PackageConflict: it asks for that.
    """
    immutable = state.head is not None and state.head.policy == "immutable"
    if immutable and policy == "mutable" and caller.account is not None:
        raise PackageConflict(
            f"{state.id} is immutable, and stays so",
            why="whoever has read a version may keep it for ever",
            fix="publish a new version; only the host itself can make the package mutable",
            id=state.id,
            version=None,
            hash=None,
        )


def message_problems(value: Any, path: str) -> Iterator[Problem]:
    """What keeps `value` from being the reason of a deprecation; None takes one back."""
    if value is None:
        return
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST_MESSAGE or "\0" in value:
        yield Problem(path, f"a text of 1 to {LONGEST_MESSAGE} characters is wanted, or None")


def _said(action: HistoryAction, version: str | None, details: dict[str, Any], steps: list[Step]) -> Change[None]:
    return Change(action=action, entries=(Entry(version=version),), details=details, steps=steps, answer=lambda _: None)


def _expect(state: State, version: str | None, caller: Caller) -> None:
    """Expect the package, or the version where one is named, to be there for this caller.

    Raises:
        PackageMissing: it is not.
    """
    there = state.exists if version is None else state.version is not None
    if not state.is_for(caller.account) or not there:
        raise missing(state.id, version)


def missing(id: str, version: str | None) -> PackageMissing:
    """The error for what is not published, as far as the caller can see."""
    return PackageMissing(
        f"{_spelled(id, version)} is not published",
        fix="`objectkernel packages list` names what is",
        id=id,
        version=version,
    )


def _spelled(id: str, version: str | None) -> str:
    return id if version is None else f"{id}@{version}"
