"""Signing in and out, and what somebody does about their own sessions and password."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Final

import attrs
from objectkernel.secret import Secret
from objectkernel_contracts import Principal
from objectkernel_system_dialect.contracts import Dialect, Row

from objectkernel_accounts.directory import Directory
from objectkernel_accounts.errors import SignedOut, SignInBusy, SignInFailed
from objectkernel_accounts.links import Links
from objectkernel_accounts.naming import is_login, login_key
from objectkernel_accounts.password_rules import check_password
from objectkernel_accounts.passwords import Passwords
from objectkernel_accounts.sessions import Client, Session, Sessions, Started
from objectkernel_accounts.signatures import Signer
from objectkernel_accounts.storage import MEMBERSHIP, SESSION, USER
from objectkernel_accounts.throttle import Budget, Throttle, network_of
from objectkernel_accounts.trail import Trail

LOG: Final = logging.getLogger("objectkernel.plugin.accounts")
FREE_OF_LOGIN: Final = 5
FREE_OF_ADDRESS: Final = 30
"""Many people may have one address."""
FREE_OF_KNOWN: Final = 10


@attrs.frozen(kw_only=True)
class SignedIn:
    """Somebody who has just signed in.

    Attributes:
        device: what lets the device have attempts of its own next time; it lets nobody in.
    """

    user_id: str
    account_id: str
    session: Started
    device: Secret[str]


class SignIn:
    """Lets people in with their password.

    Args:
        devices: signs what known devices show.
    """

    def __init__(
        self, dialect: Dialect, trail: Trail, sessions: Sessions, passwords: Passwords, devices: Signer
    ) -> None:
        self._dialect = dialect
        self._trail = trail
        self._sessions = sessions
        self._passwords = passwords
        self._devices = devices
        self._directory = Directory(dialect)
        self._links = Links(dialect)
        self._throttle = Throttle(dialect)

    async def sign_in(
        self, login: str, password: str, client: Client, *, device: str = "", before: str | None = None
    ) -> SignedIn:
        """Begin a session.

        Args:
            device: what the device was given before, if anything.
            before: the id of a session that the same browser has, which ends.

        Raises:
            SignInFailed, TooManyAttempts, SignInBusy
        """
        key = login_key(login)
        user = await self._dialect.find_one(USER, {"login_key": key}) if is_login(login) else None
        own, shared = await self._budgets(key, user, client.address, device)
        await self._throttle.take((own, *shared))
        kept = None if user is None or user["state"] != "active" else user["password"]
        if not await self._is_right(password, kept, (own, *shared)) or user is None:
            LOG.info("a sign-in failed, from %s", client.address or "an unknown address")
            raise _failed()
        signed_in = await self._let_in(user, password, client, before)
        await self._throttle.give_back(all=(own,), one=shared)
        return signed_in

    async def _is_right(self, password: str, kept: str | None, taken: tuple[Budget, ...]) -> bool:
        """Look at a password; where nobody has time for that, nothing was taken for it."""
        try:
            return await self._passwords.matches(password, kept)
        except SignInBusy:
            await self._throttle.give_back(one=taken)
            raise

    async def _budgets(
        self, key: str, user: Row | None, address: str, device: str
    ) -> tuple[Budget, tuple[Budget, ...]]:
        """What an attempt is taken from: its own budget, and those that it shares with others.

        A device or an address that is known to be the person's has a budget apart: what strangers try does not touch
        it, and what is tried with it touches nobody else.
        """
        nonce = self._devices.nonce_of(device, key)
        network = network_of(address)
        if nonce is not None:
            return Budget.of("device", key, nonce, free=FREE_OF_KNOWN), ()
        is_known = await self._sessions.is_known("" if user is None else user["id"], address)
        if is_known and address:
            return Budget.of("known", key, network, free=FREE_OF_KNOWN), ()
        shared = (Budget.of("address", network, free=FREE_OF_ADDRESS),) if address else ()
        return Budget.of("login", key, free=FREE_OF_LOGIN), shared

    async def _let_in(self, user: Row, password: str, client: Client, before: str | None) -> SignedIn:
        """Begin the session, unless the password or the person has changed since it was checked."""
        changes: dict[str, object] = {"signed_in_at": datetime.now(UTC)}
        if self._passwords.is_outdated(user["password"]):
            changes["password"] = await self._passwords.hash(password)
        async with self._trail.changing():
            still = {"id": user["id"], "state": "active", "password": user["password"]}
            if not await self._dialect.update_many(USER, still, changes):
                raise _failed()
            account_id = await self._account(user["id"])
            if before is not None:
                await self._dialect.delete(SESSION, before)
            started = await self._sessions.start(user["id"], account_id, client)
            by = _self(account_id, user["id"])
            await self._trail.note("session.start", started.id, by=by, address=client.address or None)
        device = Secret(self._devices.sign(user["login_key"]))
        return SignedIn(user_id=user["id"], account_id=account_id, session=started, device=device)

    async def _account(self, user_id: str) -> str:
        """The account that somebody comes into: the one that they were in first.

        Raises:
            SignInFailed: they are in none that is active.
        """
        which = {"user": user_id, "account.state": "active"}
        row = await self._dialect.find_one(MEMBERSHIP, which, sort={"created_at": 1}, select=("account",))
        if row is None:
            raise _failed()
        account_id: str = row["account"]
        return account_id

    # --- what somebody does about themselves ----------------------------------------------------------

    async def sign_out(self, session: Session) -> None:
        """End a session."""
        async with self._trail.changing():
            if await self._sessions.end(session.id, session.user.id):
                await self._trail.note("session.end", session.id, by=_by(session))

    async def end(self, session: Session, other_id: str) -> bool:
        """End one of one's own sessions; whether there was one."""
        async with self._trail.changing():
            ended = await self._sessions.end(other_id, session.user.id)
            if ended:
                await self._trail.note("session.end", other_id, by=_by(session))
        return ended

    async def sign_out_everywhere(self, session: Session) -> int:
        """End all of one's sessions, this one too, and tell how many."""
        async with self._trail.changing():
            count = await self._sessions.end_all(session.user.id)
            await self._trail.note("session.end-all", session.user.id, by=_by(session), count=count)
        return count

    async def switch(self, session: Session, account_id: str, client: Client) -> Started:
        """Go on in another account of one's own, with a session that takes the place of this one.

        Raises:
            UserMissing: one is not in that account.
            AccountMissing, AccountStateInvalid
        """
        async with self._trail.changing():
            await self._directory.member(account_id, session.user.id)
            await self._directory.hold(account_id)
            return await self._replace(session, account_id, client, "session.switch")

    async def change_password(self, session: Session, current: str, new: str, client: Client) -> Started:
        """Change one's own password: every session ends, and a new one takes the place of this one.

        Raises:
            SignInFailed: `current` is not the password.
            PasswordRefused, TooManyAttempts, SignInBusy
        """
        user = await self._directory.user(session.user.id)
        check_password(new, user["login"])
        own = Budget.of("change", user["id"], free=FREE_OF_KNOWN)
        await self._throttle.take((own,))
        if not await self._is_right(current, user["password"], (own,)):
            raise _failed()
        await self._throttle.give_back(all=(own,))
        kept = await self._passwords.hash(new)
        async with self._trail.changing():
            still = {"id": user["id"], "state": "active", "password": user["password"]}
            if not await self._dialect.update_many(USER, still, {"password": kept}):
                raise _failed()
            await self._sessions.end_all(user["id"], but=session.id)
            await self._links.void_resets(user["id"])
            await self._trail.note("user.change-password", user["id"], by=_by(session))
            return await self._replace(session, session.account.id, client, "session.rotate")

    async def _replace(self, session: Session, account_id: str, client: Client, action: str) -> Started:
        if not await self._sessions.end(session.id, session.user.id):
            raise SignedOut("the session is over", why="it has ended meanwhile", fix="sign in again")
        started = await self._sessions.start(session.user.id, account_id, client, ends_at=session.ends_at)
        await self._trail.note(action, started.id, by=_self(account_id, session.user.id))
        return started


def _by(session: Session) -> Principal:
    return _self(session.account.id, session.user.id)


def _self(account_id: str, user_id: str) -> Principal:
    """Somebody who acts for themselves, for the audit trail."""
    return Principal(account_id=account_id, user_id=user_id)


def _failed() -> SignInFailed:
    return SignInFailed(
        "the login or the password is wrong",
        why="nobody is told which",
        fix="try again, or ask an administrator for a link to choose a new password",
    )
