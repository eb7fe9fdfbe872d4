"""Deleting accounts: nobody gets in at once, plugins let go, and then it is gone; whatever happens in between."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

import anyio
from objectkernel_contracts import AccountDeleting, Principal
from objectkernel_system_dialect.contracts import Dialect, Row

from objectkernel_accounts.contracts import Account
from objectkernel_accounts.directory import Directory
from objectkernel_accounts.errors import AccountMissing, AccountStateInvalid, DeletionUnfinished
from objectkernel_accounts.sessions import Sessions
from objectkernel_accounts.storage import ACCOUNT, LINK, MEMBERSHIP, USER
from objectkernel_accounts.trail import Trail
from objectkernel_accounts.values import account_of

LOG: Final = logging.getLogger("objectkernel.plugin.accounts")


class Deletions:
    """Deletes accounts. How far it has come is in the account's row, so that anybody can go on with it.

    Args:
        emit: tells plugins, and waits for them.
    """

    def __init__(
        self, dialect: Dialect, trail: Trail, sessions: Sessions, emit: Callable[[Any], Awaitable[None]]
    ) -> None:
        self._dialect = dialect
        self._trail = trail
        self._sessions = sessions
        self._emit = emit
        self._directory = Directory(dialect)
        self._lock = anyio.Lock()

    async def delete(self, account_id: str, successor_id: str | None, by: Principal | None) -> Account:
        """See `Accounts.delete`."""
        await self._begin(account_id, successor_id, by)
        return await self._go_on(account_id, by)

    async def resume(self) -> None:
        """Go on with every deletion that was left; one that fails again is logged, and left again."""
        for row in await self._dialect.find(ACCOUNT, {"state": "deleting"}, sort={"updated_at": 1}, limit=100):
            try:
                await self._go_on(row["id"], None)
            except DeletionUnfinished as error:
                LOG.error("%s", error, exc_info=error.__cause__)

    async def _begin(self, account_id: str, successor_id: str | None, by: Principal | None) -> None:
        """Let nobody in any more; nothing, where that has been done already."""
        async with self._trail.changing():
            row = await self._dialect.increment(ACCOUNT, account_id, "changes")
            if row is None:
                raise AccountMissing("there is no such account", why="it was never there", account_id=account_id)
            if row["state"] in ("deleting", "deleted"):
                self._expect_same(row, successor_id)
                return
            if successor_id is not None:
                await self._expect_successor(row, successor_id)
            await self._expect_no_heir(account_id)
            concerns = await self._directory.has_operator(account_id)
            async with self._directory.keeping_an_operator(if_=concerns):
                await self._dialect.update(ACCOUNT, account_id, {"state": "deleting", "successor": successor_id})
            await self._sessions.end_in(account_id)
            await self._dialect.delete_many(LINK, {"account": account_id})
            await self._trail.note(
                "account.delete-begin", account_id, by=by, account_id=account_id, successor=successor_id
            )

    async def _go_on(self, account_id: str, by: Principal | None) -> Account:
        async with self._lock:  # one at a time: in one process nobody is told twice at once
            row = await self._row(account_id)
            if row["state"] == "deleted":
                return account_of(row)
            try:
                await self._emit(AccountDeleting(account_id=account_id, successor_id=row["successor"]))
            except Exception as error:
                raise DeletionUnfinished(
                    f"the account {account_id} is not wholly deleted yet",
                    why=f"a plugin could not let go of what it holds: {type(error).__name__}",
                    fix="mend what the log tells, and delete it again; nobody gets into it meanwhile",
                    account_id=account_id,
                ) from error
            return await self._end(account_id, by)

    async def _end(self, account_id: str, by: Principal | None) -> Account:
        async with self._trail.changing():
            await self._dialect.increment(ACCOUNT, account_id, "changes")  # others wait here
            done = await self._dialect.update_many(
                ACCOUNT, {"id": account_id, "state": "deleting"}, {"state": "deleted", "name": "deleted"}
            )
            if done:
                await self._remove_people(account_id)
                await self._trail.note("account.delete", account_id, by=by, account_id=account_id)
        return account_of(await self._row(account_id))

    async def _row(self, account_id: str) -> Row:
        """What stays of an account for ever, without its name."""
        row = await self._dialect.find_by_id(ACCOUNT, account_id)
        assert row is not None, "a row of an account is never removed"
        return row

    async def _remove_people(self, account_id: str) -> None:
        """Remove everybody who is in no other account; their sessions and links go with them."""
        only_here = await self._only_in(account_id)
        await self._dialect.delete_many(MEMBERSHIP, {"account": account_id})
        for user_id in only_here:
            await self._dialect.delete(USER, user_id)

    async def _only_in(self, account_id: str) -> list[str]:
        """Who is in this account and in no other."""
        members = await self._dialect.find(MEMBERSHIP, {"account": account_id}, select=("user",))
        others = {"account": {"$ne": account_id}}
        return [
            row["user"]
            for row in members
            if not await self._dialect.exists(MEMBERSHIP, {"user": row["user"], **others})
        ]

    async def _expect_no_heir(self, account_id: str) -> None:
        """Refuse to delete what plugins hand over to at this time."""
        left = await self._dialect.find_one(ACCOUNT, {"state": "deleting", "successor": account_id})
        if left is not None:
            raise AccountStateInvalid(
                "the account takes over what another one leaves",
                why=f"the account {left['id']} is being deleted, and this is its successor",
                fix="go on with that deletion first",
                account_id=account_id,
                state="active",
            )

    async def _expect_successor(self, row: Row, successor_id: str) -> None:
        if successor_id == row["id"]:
            raise AccountMissing("an account cannot be its own successor", account_id=successor_id)
        await self._directory.hold(successor_id)

    def _expect_same(self, row: Row, successor_id: str | None) -> None:
        if successor_id not in (None, row["successor"]):
            raise AccountStateInvalid(
                "the account is being deleted already, with another successor",
                why="plugins may have handed over part of it",
                fix="leave the successor out, to go on as it began",
                account_id=row["id"],
                state=row["state"],
            )
