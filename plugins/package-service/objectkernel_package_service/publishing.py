"""Publishing a version."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import attrs
from objectkernel_system_dialect.contracts import Row, RowDamaged

from objectkernel_package_service.calling import Caller
from objectkernel_package_service.changing import Change, Changes, Entry, Step, nothing_but
from objectkernel_package_service.contracts import (
    PackageConflict,
    PackageDamaged,
    PackageRecord,
    Policy,
    Visibility,
)
from objectkernel_package_service.curating import stays_immutable
from objectkernel_package_service.integrity import log
from objectkernel_package_service.package import Canonical
from objectkernel_package_service.rows import illegible, record
from objectkernel_package_service.state import Kept, State
from objectkernel_package_service.table import LONGEST_NAME
from objectkernel_package_service.tagging import with_tag

NEW: Final = Kept(created_at=None, hash=None, deprecated=None, yanked=False)
"""A version that was not there."""


@attrs.frozen(kw_only=True)
class Wishes:
    """What `publish` was asked for beside the package; None: as it is."""

    tag: str | None = None
    visibility: Visibility | None = None
    policy: Policy | None = None

    def details(self) -> dict[str, Any]:
        """Those that were given."""
        given = {"tag": self.tag, "visibility": self.visibility, "policy": self.policy}
        return {name: value for name, value in given.items() if value is not None}

    def of_head(self, state: State, version: str) -> dict[str, Any]:
        """What they make of the package's head."""
        columns = self.details()
        if (tag := columns.pop("tag", None)) is not None:
            columns["tags"] = with_tag({} if state.head is None else state.head.tags, tag, version)
        return columns


class Publisher:
    """Puts versions into the registry."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._execute = changes.dialect.execute
        self._queries = changes.queries

    async def publish(self, package: Canonical, caller: Caller, wishes: Wishes) -> PackageRecord:
        """Insert a version, or replace its content where it is; its `sequence` and `created_at` stay.

        Raises:
            PackageConflict: the package is immutable, and the version was published with other content.
            PackageForeign: the package belongs to another account.
        """

        async def plan(state: State) -> Change[PackageRecord]:
            if (state.head is not None or state.exists) and not state.is_for(caller.account):
                raise state.foreign()
            stays_immutable(state, wishes.policy, caller)
            if state.head is not None and state.head.policy == "immutable":
                await self._refuse_other_content(state, package)
                if wishes == Wishes() and (sound := await self._stored(package)) is not None:
                    return nothing_but(attrs.evolve(sound, previous_hash=sound.hash))
            return self._change(package, state, caller, wishes)

        doing = f"publishing {package.id}@{package.version}"
        return await self._changes.make(doing, package.id, package.version, caller, plan)

    async def _refuse_other_content(self, state: State, package: Canonical) -> None:
        """An immutable version is never anything but what it was published with, also once it was deleted."""
        known = None if state.version is None else state.version.hash
        if known is None:
            rows = await self._execute(self._queries.published, _key(package))
            known = rows[0]["hash"] if rows else None
        if known not in (None, package.hash):
            raise PackageConflict(
                f"{package.id}@{package.version} was published with other content, and the package is immutable",
                why=f"its hash is {known}, that of this one {package.hash}",
                fix="publish it under a new version",
                id=package.id,
                version=package.version,
                hash=known,
            )

    async def _stored(self, package: Canonical) -> PackageRecord | None:
        """The version as it is stored, where it is there and sound."""
        try:
            return next(map(record, await self._execute(self._queries.exact.of_host, _key(package))), None)
        except PackageDamaged as error:
            self._changes.integrity.noted(error)
        except RowDamaged as error:
            self._changes.integrity.noted(illegible(package.id, package.version, error))
        return None

    def _change(self, package: Canonical, state: State, caller: Caller, wishes: Wishes) -> Change[PackageRecord]:
        now = datetime.now(UTC)
        kept = state.version or NEW
        created_at = kept.created_at or now
        previous_hash = None if state.version is None else kept.hash or package.hash
        content = {
            "hash": package.hash,
            "previous_hash": previous_hash,
            "created_at": created_at,
            "updated_at": now,
            "size": len(package.content),
            "deprecated": kept.deprecated,
            "yanked": kept.yanked,
            "manifest": package.manifest.decode(),
            "metadata": package.metadata.decode(),
        }
        manifest = json.loads(package.manifest)
        columns = {"words": words(manifest), **wishes.of_head(state, package.version)}
        head, head_step = self._changes.head(state, columns, new_owner=caller.account)

        def answer(rows: Sequence[Row]) -> PackageRecord:
            _tell_overwrite(package, previous_hash)
            return PackageRecord(
                id=package.id,
                version=package.version,
                hash=package.hash,
                previous_hash=previous_hash,
                created_at=created_at,
                updated_at=now,
                sequence=rows[0]["sequence"],
                size=len(package.content),
                owner=head.owner,
                visibility=head.visibility,
                policy=head.policy,
                tags=head.tags_of(package.version),
                deprecated=kept.deprecated,
                yanked=kept.yanked,
                content=package.content,
            )

        return Change(
            action="publish",
            entries=(Entry(version=package.version, hash=package.hash),),
            details=wishes.details(),
            steps=[
                self._content_step(package, content, is_new=state.version is None),
                *self._needs_steps(package, manifest, is_new=state.version is None),
                head_step,
                (self._queries.placed, _key(package)),
            ],
            answer=answer,
        )

    def _content_step(self, package: Canonical, content: Mapping[str, Any], *, is_new: bool) -> Step:
        if is_new:
            return self._queries.insert, {"id": package.id, "version": package.version, **content}
        return self._queries.update, {**_key(package), **content}

    def _needs_steps(self, package: Canonical, manifest: Mapping[str, Any], *, is_new: bool) -> Iterator[Step]:
        wanted = manifest.get("dependencies") or {}
        if wanted or not is_new:
            yield self._queries.forget_needs, _key(package)
        for id, range in wanted.items():
            row = {"id": package.id, "version": package.version, "needs": id, "range": range}
            yield self._queries.need, row


def words(manifest: Mapping[str, Any]) -> str:
    """What a search looks at: the id and the name, in lower case."""
    name = manifest.get("name")
    name = name.casefold().replace("\0", "")[:LONGEST_NAME] if isinstance(name, str) else ""
    return f"{manifest['id']}\n{name}"


def _key(package: Canonical) -> dict[str, str]:
    return {"package": package.id, "this": package.version}


def _tell_overwrite(package: Canonical, previous_hash: str | None) -> None:
    if previous_hash not in (None, package.hash):
        log.warning(
            "package %s@%s was overwritten with other content: its hash was %s and is %s",
            *(package.id, package.version, previous_hash, package.hash),
        )
