"""Accounts, and who is what in them: the service `accounts`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from objectkernel_contracts import Principal, Role
from objectkernel_system_dialect.contracts import Dialect

from objectkernel_accounts.contracts import Account, Accounts, AccountState, Membership
from objectkernel_accounts.deletion import Deletions
from objectkernel_accounts.directory import RANKS, Directory, expect_host
from objectkernel_accounts.errors import AccountStateInvalid
from objectkernel_accounts.links import Links
from objectkernel_accounts.naming import name_of
from objectkernel_accounts.sessions import Sessions
from objectkernel_accounts.storage import ACCOUNT, MEMBERSHIP
from objectkernel_accounts.trail import Trail
from objectkernel_accounts.values import account_of, membership_of

WITH_BOTH = ("account", "user")


class HostAccounts:
    """The accounts of a host, in its system database."""

    def __init__(self, dialect: Dialect, trail: Trail, sessions: Sessions, deletions: Deletions) -> None:
        self._dialect = dialect
        self._trail = trail
        self._sessions = sessions
        self._deletions = deletions
        self._directory = Directory(dialect)
        self._links = Links(dialect)

    async def create(self, name: str, *, by: Principal | None = None) -> Account:
        expect_host(by)
        async with self._trail.changing():
            row = await self._dialect.create(ACCOUNT, {"name": name_of(name, required=True)})
            await self._trail.note("account.create", row["id"], by=by, account_id=row["id"])
        return account_of(row)

    async def get(self, account_id: str) -> Account | None:
        row = await self._dialect.find_one(ACCOUNT, {"id": account_id, "state": {"$ne": "deleted"}})
        return None if row is None else account_of(row)

    async def list(self, limit: int = 50, after: str | None = None) -> tuple[tuple[Account, ...], str | None]:
        page = await self._dialect.find_page(
            ACCOUNT, {"state": {"$ne": "deleted"}}, sort={"created_at": 1}, limit=limit, after=after
        )
        return tuple(map(account_of, page.rows)), page.next

    async def members(self, account_id: str) -> tuple[Membership, ...]:
        rows = await self._dialect.find(MEMBERSHIP, {"account": account_id}, include=WITH_BOTH)
        return tuple(sorted(map(membership_of, rows), key=lambda one: one.user.login))

    async def memberships(self, user_id: str) -> tuple[Membership, ...]:
        rows = await self._dialect.find(MEMBERSHIP, {"user": user_id, "account.state": "active"}, include=WITH_BOTH)
        return tuple(sorted(map(membership_of, rows), key=lambda one: (one.account.name, one.account.id)))

    async def set_role(self, account_id: str, user_id: str, role: Role, *, by: Principal | None = None) -> Membership:
        async with self._trail.changing():
            await self._directory.expect_rank(by, account_id)
            await self._directory.hold(account_id)
            member = await self._directory.member(account_id, user_id)
            await self._directory.expect_rank(by, account_id, role, member["role"])
            if member["role"] == role:
                return membership_of(member)
            if member["role"] == "owner":
                await self._directory.expect_owner_beside(account_id, user_id)
            await self._dialect.update(MEMBERSHIP, member["id"], {"role": role})
            if RANKS[role] < RANKS[member["role"]]:
                await self._links.void_made_by(user_id, account_id)
            await self._sessions.end_all(user_id, account_id=account_id)
            await self._trail.note(
                "member.role", user_id, by=by, account_id=account_id, role=role, before=member["role"]
            )
        return membership_of(member | {"role": role})

    async def remove_member(self, account_id: str, user_id: str, *, by: Principal | None = None) -> None:
        async with self._trail.changing():
            await self._directory.expect_rank(by, account_id)
            await self._directory.hold(account_id)
            member = await self._directory.member(account_id, user_id)
            await self._directory.expect_rank(by, account_id, member["role"])
            if member["role"] == "owner":
                await self._directory.expect_owner_beside(account_id, user_id)
            async with self._directory.keeping_an_operator(if_=member["user"]["operator"]):
                await self._dialect.delete(MEMBERSHIP, member["id"])
            await self._links.void_made_by(user_id, account_id)
            await self._sessions.end_all(user_id, account_id=account_id)
            await self._trail.note("member.remove", user_id, by=by, account_id=account_id)

    async def disable(self, account_id: str, *, by: Principal | None = None) -> Account:
        expect_host(by)
        return await self._set_state(account_id, "active", "disabled", "account.disable", by)

    async def enable(self, account_id: str, *, by: Principal | None = None) -> Account:
        expect_host(by)
        return await self._set_state(account_id, "disabled", "active", "account.enable", by)

    async def delete(self, account_id: str, *, successor_id: str | None = None, by: Principal | None = None) -> Account:
        expect_host(by)
        return await self._deletions.delete(account_id, successor_id, by)

    async def _set_state(
        self, account_id: str, old: AccountState, new: AccountState, action: str, by: Principal | None
    ) -> Account:
        """Change a state, unless it is so already."""
        async with self._trail.changing():
            concerns = new == "disabled" and await self._directory.has_operator(account_id)
            async with self._directory.keeping_an_operator(if_=concerns):
                changed = await self._dialect.update_many(ACCOUNT, {"id": account_id, "state": old}, {"state": new})
            row = await self._directory.account(account_id)
            if changed:
                await self._sessions.end_in(account_id)
                await self._trail.note(action, account_id, by=by, account_id=account_id)
            elif row["state"] != new:
                raise AccountStateInvalid(
                    "the account is being deleted",
                    why="that cannot be undone",
                    fix="go on with it: `objectkernel accounts delete`",
                    account_id=account_id,
                    state=row["state"],
                )
        return account_of(row)


if TYPE_CHECKING:
    _are_accounts: type[Accounts] = HostAccounts
