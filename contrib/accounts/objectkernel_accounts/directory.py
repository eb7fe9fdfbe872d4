"""Looking accounts and people up, and who may change what of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from objectkernel_contracts import OPERATE, ROLES, Principal, Role
from objectkernel_system_dialect.contracts import Dialect, Row

from objectkernel_accounts.errors import AccountMissing, AccountStateInvalid, RoleRefused, UserMissing
from objectkernel_accounts.storage import ACCOUNT, MEMBERSHIP, USER

RANKS: Final = {role: rank for rank, role in enumerate(ROLES)}
OF_A_KEY: Final[Role] = "admin"
"""What a program may at most that shows a key of the account."""


class Directory:
    """The rows of accounts, people and memberships. What is asked for and missing is an error."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect

    async def account(self, account_id: str) -> Row:
        """The row of an account that has not been deleted.

        Raises:
            AccountMissing
        """
        row = await self._dialect.find_one(ACCOUNT, {"id": account_id, "state": {"$ne": "deleted"}})
        if row is None:
            raise _no_account(account_id)
        return row

    async def user(self, user_id: str) -> Row:
        """The row of a person.

        Raises:
            UserMissing
        """
        row = await self._dialect.find_by_id(USER, user_id)
        if row is None:
            raise _no_user(user_id)
        return row

    async def member(self, account_id: str, user_id: str) -> Row:
        """The row of a membership, with both its relations.

        Raises:
            UserMissing: nobody in this account has this id.
        """
        row = await self._dialect.find_one(
            MEMBERSHIP, {"account": account_id, "user": user_id}, include=("account", "user")
        )
        if row is None:
            raise _no_user(user_id)
        return row

    async def hold(self, account_id: str) -> Row:
        """The row of an active account; within a transaction, others who ask for the same wait for its end.

        Raises:
            AccountMissing, AccountStateInvalid
        """
        row = await self._dialect.increment(ACCOUNT, account_id, "changes")
        if row is None or row["state"] == "deleted":
            raise _no_account(account_id)
        if row["state"] != "active":
            raise AccountStateInvalid(
                f"the account is {'disabled' if row['state'] == 'disabled' else 'being deleted'}",
                why="nothing about its people is changed meanwhile",
                fix="enable it before" if row["state"] == "disabled" else "take another account",
                account_id=account_id,
                state=row["state"],
            )
        return row

    async def expect_owner_beside(self, account_id: str, user_id: str) -> None:
        """Refuse to take the last owner from an account.

        Raises:
            RoleRefused
        """
        others = {"account": account_id, "role": "owner", "user": {"$ne": user_id}}
        if not await self._dialect.exists(MEMBERSHIP, others):
            raise RoleRefused(
                "the account would have no owner",
                why="this is the last one",
                fix="make somebody else an owner before",
            )

    @asynccontextmanager
    async def keeping_an_operator(self, *, if_: bool) -> AsyncIterator[None]:
        """Within a transaction: refuse what is done in the block if nobody can sign in after it who runs the host.

        Others who would do such a thing wait for the transaction's end: the rows of all who run the host are written,
        one after the other in the same order, so that no two wait for each other.

        Args:
            if_: whether it concerns one of them.

        Raises:
            RoleRefused
        """
        if if_:
            for row in await self._dialect.find(USER, {"operator": True}, sort={"id": 1}, select=("id",)):
                await self._dialect.update_many(USER, {"id": row["id"], "operator": True}, {"operator": True})
        yield
        left = {"user.operator": True, "user.state": "active", "account.state": "active"}
        if if_ and not await self._dialect.exists(MEMBERSHIP, left):
            raise RoleRefused(
                "nobody would be left who runs the host",
                why="this is the last administrator who can sign in",
                fix="make another one before: `objectkernel accounts create-admin --another`",
            )

    async def has_operator(self, account_id: str) -> bool:
        """Whether somebody is in an account who runs the host."""
        return await self._dialect.exists(MEMBERSHIP, {"account": account_id, "user.operator": True})

    # --- who may -------------------------------------------------------------------------------------

    async def expect_rank(self, by: Principal | None, account_id: str, *roles: Role) -> None:
        """Refuse what somebody may not do who is less than an admin, or less than one of these roles.

        Raises:
            RoleRefused
            AccountMissing: it is not theirs.
        """
        if is_host(by):
            return
        assert by is not None
        if by.account_id != account_id:
            raise _no_account(account_id)
        rank = RANKS[await self._role(by)]
        if rank < max(RANKS[role] for role in (*roles, OF_A_KEY)):
            raise RoleRefused(
                "this is for somebody with a higher role",
                why="people are managed by admins and owners, owners by owners alone",
                fix="ask an owner of the account",
            )

    async def _role(self, by: Principal) -> Role:
        if by.user_id is None:
            return OF_A_KEY
        role: Role = (await self.member(by.account_id, by.user_id))["role"]
        return role


def expect_host(by: Principal | None) -> None:
    """Refuse what only those may who run the host.

    Raises:
        RoleRefused
    """
    if not is_host(by):
        raise RoleRefused(
            "this is for those who run the host",
            why="it concerns more than one account",
            fix="ask an administrator of the host",
        )


def is_host(by: Principal | None) -> bool:
    """Whether it is the host itself, or one of those who run it."""
    return by is None or OPERATE in by.scopes


def _no_account(account_id: str) -> AccountMissing:
    return AccountMissing(
        "there is no such account", why="it was never there, or has been deleted", account_id=account_id
    )


def _no_user(user: str) -> UserMissing:
    return UserMissing("there is no such person", why="they were never there, or have been removed", user=user)
