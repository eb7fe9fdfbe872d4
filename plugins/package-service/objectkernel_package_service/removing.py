"""Deleting versions, and packages whose account goes."""

from __future__ import annotations

from typing import Any, Final

from objectkernel_system_dialect.contracts import Repository, Row, RowDamaged

from objectkernel_package_service.answering import answering
from objectkernel_package_service.calling import HOST, Caller
from objectkernel_package_service.changing import Change, Changes, Entry, Step, nothing_but
from objectkernel_package_service.dependents import Dependents
from objectkernel_package_service.state import State
from objectkernel_package_service.table import HEAD
from objectkernel_package_service.tagging import without_version

BATCH: Final = 100
"""Packages of an account that are looked up at once."""


class Remover:
    """Takes versions out of the registry; the history keeps that they were there."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._queries = changes.queries
        self._dependents = Dependents(changes.dialect, changes.queries)
        self._heads = Repository(changes.dialect, HEAD)

    async def remove(self, id: str, version: str, caller: Caller, *, force: bool) -> bool:
        """Remove one version and the tags that name it; whether it was there."""

        async def plan(state: State) -> Change[bool]:
            if not state.is_for(caller.account) or state.version is None:
                return nothing_but(False)
            if not force:
                await self._dependents.refuse_loss(id, version, caller)
            key = {"package": id, "this": version}
            tags = {} if state.head is None else without_version(state.head.tags, version)
            return Change(
                action="delete",
                entries=(Entry(version=version, hash=state.version.hash),),
                details=_forced(force),
                steps=[
                    (self._queries.remove, key),
                    (self._queries.forget_needs, key),
                    self._changes.head(state, {"tags": tags})[1],
                ],
                answer=lambda _: True,
            )

        return await self._changes.make(f"deleting {id}@{version}", id, version, caller, plan)

    async def remove_all(self, id: str, caller: Caller, *, force: bool) -> bool:
        """Remove every version of a package; whether there was one."""

        async def plan(state: State) -> Change[bool]:
            if not state.is_for(caller.account) or not state.exists:
                return nothing_but(False)
            if not force:
                await self._dependents.refuse_loss(id, None, caller)
            return Change(
                action="delete",
                entries=await self._entries(id),
                details=_forced(force),
                steps=[*self._all_of(id), self._changes.head(state, {"tags": {}})[1]],
                answer=lambda _: True,
            )

        return await self._changes.make(f"deleting all versions of {id}", id, None, caller, plan)

    async def leave(self, account: str, successor: str | None) -> None:
        """Hand the packages of an account over, or remove them and let go of their ids."""
        with answering(f"looking for the packages of {account}"):
            while ids := await self._owned(account):
                for id in ids:
                    await self._leave(id, account, successor)

    async def _owned(self, account: str) -> list[str]:
        rows = await self._heads.find_all({"owner": account}, limit=BATCH, select=("id",))
        return [row["id"] for row in rows]

    async def _leave(self, id: str, account: str, successor: str | None) -> None:
        async def plan(state: State) -> Change[None]:
            if state.head is None or state.head.owner != account:
                return nothing_but(None)
            if successor is None:
                steps = [*self._all_of(id), (self._queries.remove_head, {"package": id})]
                entries = await self._entries(id)
                if state.head.visibility == "private":
                    entries += (Entry(version=None, action="seal"),)
                return Change(action="delete", entries=entries, steps=steps, answer=lambda _: None)
            return Change(
                action="transfer",
                entries=(Entry(version=None),),
                details={"from": account, "to": successor},
                steps=[self._changes.head(state, {"owner": successor})[1]],
                answer=lambda _: None,
            )

        await self._changes.make(f"letting {account} leave {id}", id, None, HOST, plan)

    def _all_of(self, id: str) -> list[Step]:
        return [(self._queries.remove_all, {"package": id}), (self._queries.forget_all_needs, {"package": id})]

    async def _entries(self, id: str) -> tuple[Entry, ...]:
        """One for each version that goes; where one of them cannot be read, or there is none, one for the package."""
        try:
            rows: list[Row] = await self._changes.dialect.execute(self._queries.hashes, {"package": id})
        except RowDamaged:
            rows = []
        return tuple(Entry(version=row["version"], hash=row["hash"]) for row in rows) or (Entry(version=None),)


def _forced(force: bool) -> dict[str, Any]:
    return {"force": True} if force else {}
