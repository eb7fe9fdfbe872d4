"""People, their passwords, and the links that let them in: the service `people`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from objectkernel_contracts import Principal, Role
from objectkernel_system_dialect.contracts import Dialect, DuplicateKey, Row

from objectkernel_accounts.config import AccountsConfig
from objectkernel_accounts.contracts import Link, Membership, People, User, UserState
from objectkernel_accounts.directory import RANKS, Directory, expect_host
from objectkernel_accounts.errors import AdministratorExists, LinkInvalid, LoginTaken
from objectkernel_accounts.links import Links, link_of
from objectkernel_accounts.naming import LONGEST_NAME, is_login, login_key, login_of, name_of
from objectkernel_accounts.password_rules import check_password
from objectkernel_accounts.passwords import Passwords
from objectkernel_accounts.sessions import Sessions
from objectkernel_accounts.storage import ACCOUNT, MEMBERSHIP, USER
from objectkernel_accounts.trail import Trail
from objectkernel_accounts.values import membership_of, user_of


class HostPeople:
    """The people of a host, in its system database. No password is hashed within a transaction: it takes long."""

    def __init__(
        self, dialect: Dialect, trail: Trail, sessions: Sessions, passwords: Passwords, config: AccountsConfig
    ) -> None:
        self._dialect = dialect
        self._trail = trail
        self._sessions = sessions
        self._passwords = passwords
        self._config = config
        self._links = Links(dialect)
        self._directory = Directory(dialect)

    async def create_admin(
        self, login: str, password: str, *, name: str = "", account: str = "", another: bool = False
    ) -> Membership:
        login = login_of(login)
        check_password(password, login)
        kept = await self._passwords.hash(password)
        who = {"login": login, "name": name_of(name), "password": kept, "operator": True}
        async with self._joining(login), self._trail.changing():
            if not another:
                await self._expect_no_operator()
                who["founder"] = 1
            row = await self._dialect.create(ACCOUNT, {"name": name_of(account or login)[:LONGEST_NAME]})
            await self._trail.note("account.create", row["id"], by=None, account_id=row["id"])
            return await self._new_member(row["id"], "owner", None, **who)

    async def get(self, user_id: str) -> User | None:
        row = await self._dialect.find_by_id(USER, user_id)
        return None if row is None else user_of(row)

    async def find(self, login: str) -> User | None:
        key = login_key(login)
        row = await self._dialect.find_one(USER, {"login_key": key}) if is_login(login) else None
        return None if row is None else user_of(row)

    async def list(self, limit: int = 50, after: str | None = None) -> tuple[tuple[User, ...], str | None]:
        page = await self._dialect.find_page(USER, sort={"created_at": 1}, limit=limit, after=after)
        return tuple(map(user_of, page.rows)), page.next

    async def rename(self, user_id: str, name: str, *, by: Principal | None = None) -> User:
        name = name_of(name)
        if by is not None and by.user_id != user_id:
            expect_host(by)
        async with self._trail.changing():
            user = await self._dialect.update(USER, user_id, {"name": name})
            if user is None:
                user = await self._directory.user(user_id)
            await self._trail.note("user.rename", user_id, by=by)
        return user_of(user)

    # --- invitations ---------------------------------------------------------------------------------

    async def invite(
        self, login: str, account_id: str, role: Role = "member", *, operator: bool = False, by: Principal | None = None
    ) -> Link:
        login = login_of(login)
        if operator:
            expect_host(by)
        async with self._trail.changing():
            await self._directory.expect_rank(by, account_id)
            await self._directory.hold(account_id)
            await self._directory.expect_rank(by, account_id, role)
            token = await self._links.make(
                "invitation",
                self._config.invitation_lifetime,
                by,
                login=login,
                account=account_id,
                role=role,
                operator=operator,
            )
            await self._trail.note(
                "user.invite", login, by=by, account_id=account_id, role=role, operator=operator or None
            )
        return await self.invitation(token)

    async def invitation(self, token: str) -> Link:
        row = await self._links.row("invitation", token)
        return link_of(row, token, is_known=await self.find(row["login"]) is not None)

    async def accept(self, token: str, password: str, *, name: str = "") -> Membership:
        row = await self._links.row("invitation", token)
        check_password(password, row["login"])
        kept = await self._passwords.hash(password)
        who = {"login": row["login"], "name": name_of(name), "password": kept, "operator": row["operator"]}
        async with self._joining(row["login"]), self._trail.changing():
            await self._directory.hold(row["account"]["id"])  # first, as whoever deletes it does: else both would wait
            await self._links.use(row)
            return await self._new_member(row["account"]["id"], row["role"], None, **who)

    async def join(self, token: str, user_id: str) -> Membership:
        row = await self._links.row("invitation", token)
        account_id = row["account"]["id"]
        async with self._trail.changing():
            await self._directory.hold(account_id)
            await self._links.use(row)
            user = await self._directory.user(user_id)
            if user["login_key"] != login_key(row["login"]):
                raise LinkInvalid(
                    "this invitation is for somebody else",
                    why="it names the login that it is for",
                    fix="sign in with that login",
                )
            if row["operator"]:
                await self._dialect.update(USER, user_id, {"operator": True})
            await self._admit(account_id, user_id, row["role"])
            await self._sessions.end_all(user_id, account_id=account_id)
            await self._trail.note("member.join", user_id, by=None, account_id=account_id, role=row["role"])
            return membership_of(await self._directory.member(account_id, user_id))

    # --- passwords -----------------------------------------------------------------------------------

    async def reset_link(self, user_id: str, *, by: Principal | None = None) -> Link:
        expect_host(by)
        async with self._trail.changing():
            user = await self._directory.user(user_id)
            await self._links.void_resets(user_id)
            token = await self._links.make("reset", self._config.reset_lifetime, by, login=user["login"], user=user_id)
            await self._trail.note("user.reset-link", user_id, by=by)
        return await self.reset(token)

    async def reset(self, token: str) -> Link:
        return link_of(await self._links.row("reset", token), token, is_known=True)

    async def reset_password(self, token: str, password: str) -> User:
        row = await self._links.row("reset", token)
        check_password(password, row["login"])
        kept = await self._passwords.hash(password)
        async with self._trail.changing():
            await self._links.use(row)
            user = await self._dialect.update(USER, row["user"]["id"], {"password": kept})
            if user is None:
                raise LinkInvalid("this link cannot be used", why="the person has been removed")
            await self._links.void_resets(user["id"])
            await self._sessions.end_all(user["id"])
            await self._trail.note("user.reset-password", user["id"], by=None)
        return user_of(user)

    async def disable(self, user_id: str, *, by: Principal | None = None) -> User:
        expect_host(by)
        return await self._set_state(user_id, "disabled", "user.disable", by)

    async def enable(self, user_id: str, *, by: Principal | None = None) -> User:
        expect_host(by)
        return await self._set_state(user_id, "active", "user.enable", by)

    async def _set_state(self, user_id: str, state: UserState, action: str, by: Principal | None) -> User:
        """Change a state, unless it is so already."""
        async with self._trail.changing():
            user = await self._directory.user(user_id)
            async with self._directory.keeping_an_operator(if_=state == "disabled" and user["operator"]):
                which = {"id": user_id, "state": {"$ne": state}}
                changed = await self._dialect.update_many(USER, which, {"state": state})
            if changed:
                await self._sessions.end_all(user_id)
                await self._links.void_resets(user_id)
                await self._links.void_made_by(user_id)
                await self._trail.note(action, user_id, by=by)
        return user_of(user | {"state": state})

    # --- who joins -----------------------------------------------------------------------------------

    async def _new_member(self, account_id: str, role: Role, by: Principal | None, **who: Any) -> Membership:
        user = await self._dialect.create(USER, who | {"login_key": login_key(who["login"])})
        await self._dialect.create(MEMBERSHIP, {"account": account_id, "user": user["id"], "role": role})
        operator = user["operator"] or None
        await self._trail.note("user.create", user["id"], by=by, account_id=account_id, role=role, operator=operator)
        return membership_of(await self._directory.member(account_id, user["id"]))

    async def _admit(self, account_id: str, user_id: str, role: Role) -> None:
        """Let somebody be at least this in an account."""
        there: Row | None = await self._dialect.find_one(MEMBERSHIP, {"account": account_id, "user": user_id})
        if there is None:
            await self._dialect.create(MEMBERSHIP, {"account": account_id, "user": user_id, "role": role})
        elif RANKS[there["role"]] < RANKS[role]:
            await self._dialect.update(MEMBERSHIP, there["id"], {"role": role})

    async def _expect_no_operator(self) -> None:
        if await self._dialect.exists(USER, {"operator": True}):
            raise _administrator_exists()

    @asynccontextmanager
    async def _joining(self, login: str) -> AsyncIterator[None]:
        """Tell in our words that somebody else has been faster."""
        try:
            yield
        except DuplicateKey as error:
            if "founder" in error.facts.get("fields", ()):
                raise _administrator_exists() from None
            raise LoginTaken(
                f"somebody signs in as {login} already",
                why="logins are one whether in capitals or not",
                fix="take another one, or let them sign in",
            ) from None


def _administrator_exists() -> AdministratorExists:
    return AdministratorExists(
        "the host has an administrator already",
        why="the first one is made once",
        fix="let them invite others, or give --another at the command line",
    )


if TYPE_CHECKING:
    _are_people: type[People] = HostPeople
