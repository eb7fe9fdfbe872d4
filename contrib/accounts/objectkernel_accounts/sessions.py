"""Sessions: somebody has signed in, until they sign out, stay away too long, or their time is over."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from typing import Final

import attrs
from objectkernel.secret import Secret
from objectkernel_contracts import Role
from objectkernel_system_dialect.contracts import Dialect, Row

from objectkernel_accounts.config import AccountsConfig
from objectkernel_accounts.contracts import Account, User
from objectkernel_accounts.storage import MEMBERSHIP, SESSION
from objectkernel_accounts.values import account_of, user_of

SEEN_EVERY: Final = timedelta(minutes=1)
"""How exactly it is known when a session was used last."""
CACHED: Final = 10_000
"""Sessions that are kept in memory."""
LONGEST_TOKEN: Final = 100
MOST: Final = 100
"""Sessions of one person; with one more the one that was used least lately ends."""


@attrs.frozen(kw_only=True)
class Session:
    """Somebody who is signed in.

    Attributes:
        account: the one that they work in now, in which they are `role`.
        expires_at: when it is over unless it is used before; never later than `ends_at`.
        address, agent: from where and with what they signed in.
    """

    id: str
    user: User
    account: Account
    role: Role
    started_at: datetime
    seen_at: datetime
    expires_at: datetime
    ends_at: datetime
    address: str
    agent: str


@attrs.frozen(kw_only=True)
class Started:
    """A new session, and what its holder shows."""

    id: str
    token: Secret[str]
    ends_at: datetime


@attrs.frozen(kw_only=True)
class Client:
    """Who signs in, as far as the connection tells.

    Attributes:
        secure: nobody else can read the connection. A token that was given on such a one counts on such ones only.
    """

    address: str = ""
    agent: str = ""
    secure: bool = True


class Sessions:
    """The sessions of a host; their tokens are 256 random bits, of which the database has a digest."""

    def __init__(self, dialect: Dialect, config: AccountsConfig) -> None:
        self._dialect = dialect
        self._idle = timedelta(seconds=config.session_idle)
        self._lifetime = timedelta(seconds=config.session_lifetime)
        self._cache_seconds = config.session_cache
        self._cache: OrderedDict[str, tuple[float, Session]] = OrderedDict()
        self._generation = 0

    async def start(self, user_id: str, account_id: str, client: Client, *, ends_at: datetime | None = None) -> Started:
        """Begin a session.

        Args:
            ends_at: of a session that takes the place of another one.
        """
        token, now = secrets.token_urlsafe(32), datetime.now(UTC)
        ends_at = ends_at or now + self._lifetime
        row = await self._dialect.create(
            SESSION,
            {
                "digest": _digest(token, client.secure),
                "user": user_id,
                "account": account_id,
                "started_at": now,
                "seen_at": now,
                "expires_at": min(now + self._idle, ends_at),
                "ends_at": ends_at,
                "address": client.address[:64],
                "agent": "".join(filter(str.isprintable, client.agent))[:200],
            },
        )
        await self._end_surplus(user_id)
        return Started(id=row["id"], token=Secret(token), ends_at=ends_at)

    async def find(self, token: str, *, secure: bool) -> Session | None:
        """The session of this token; None when it is over, or when whoever has it may sign in no more.

        It may be that of `AccountsConfig.session_cache` seconds ago, unless something was changed in this process.
        """
        if len(token) > LONGEST_TOKEN:
            return None
        digest, now = _digest(token, secure), datetime.now(UTC)
        kept = self._cache.get(digest)
        if kept is not None and kept[0] > time.monotonic() and kept[1].expires_at > now:
            return kept[1]
        generation = self._generation
        session = await self._read(digest, now)
        if session is not None and generation == self._generation:
            self._keep(digest, session)
        return session

    async def of(self, user_id: str) -> tuple[Session, ...]:
        """Everything that somebody is signed in with, the last used first."""
        now = datetime.now(UTC)
        rows = await self._dialect.find(
            SESSION,
            {"user": user_id, "expires_at": {"$gt": now}},
            sort={"seen_at": -1},
            limit=MOST,
            include=("user", "account"),
        )
        roles = {row["account"]: row["role"] for row in await self._dialect.find(MEMBERSHIP, {"user": user_id})}
        return tuple(_session(row, roles[row["account"]["id"]]) for row in rows if row["account"]["id"] in roles)

    async def is_known(self, user_id: str, address: str) -> bool:
        """Whether somebody is signed in from this address."""
        now = datetime.now(UTC)
        return await self._dialect.exists(
            SESSION, {"user": user_id, "address": address[:64], "expires_at": {"$gt": now}}
        )

    async def end(self, session_id: str, user_id: str) -> bool:
        """End one session of somebody; whether there was one."""
        return await self._dialect.delete_many(SESSION, {"id": session_id, "user": user_id}) > 0

    async def end_all(self, user_id: str, *, but: str | None = None, account_id: str | None = None) -> int:
        """End the sessions of somebody, and tell how many.

        Args:
            but: the id of one that goes on.
            account_id: only those in this account.
        """
        which: dict[str, object] = {"user": user_id}
        if but is not None:
            which["id"] = {"$ne": but}
        if account_id is not None:
            which["account"] = account_id
        return await self._dialect.delete_many(SESSION, which)

    async def end_in(self, account_id: str) -> int:
        """End every session in an account, and tell how many."""
        return await self._dialect.delete_many(SESSION, {"account": account_id})

    def forget(self) -> None:
        """Look every session up anew: something has changed."""
        self._generation += 1
        self._cache.clear()

    async def _end_surplus(self, user_id: str) -> None:
        surplus = await self._dialect.find(
            SESSION, {"user": user_id}, sort={"seen_at": -1, "id": 1}, skip=MOST, limit=MOST, select=("id",)
        )
        if surplus:
            await self._dialect.delete_many(SESSION, {"id": {"$in": [row["id"] for row in surplus]}})

    async def _read(self, digest: str, now: datetime) -> Session | None:
        row = await self._dialect.find_one(
            SESSION, {"digest": digest, "expires_at": {"$gt": now}}, include=("user", "account")
        )
        if row is None or row["user"]["state"] != "active" or row["account"]["state"] != "active":
            return None
        member = await self._dialect.find_one(
            MEMBERSHIP, {"user": row["user"]["id"], "account": row["account"]["id"]}, select=("role",)
        )
        if member is None:
            return None
        if now - row["seen_at"] >= min(SEEN_EVERY, self._idle / 4):
            row |= {"seen_at": now, "expires_at": min(now + self._idle, row["ends_at"])}
            changes = {name: row[name] for name in ("seen_at", "expires_at")}
            await self._dialect.update_many(SESSION, {"digest": digest}, changes)
        return _session(row, member["role"])

    def _keep(self, digest: str, session: Session) -> None:
        self._cache[digest] = (time.monotonic() + self._cache_seconds, session)
        self._cache.move_to_end(digest)
        while len(self._cache) > CACHED:
            self._cache.popitem(last=False)


def _digest(token: str, secure: bool) -> str:
    """What the database has of a token: another digest for each kind of connection, so that none passes for both."""
    kind = "secure" if secure else "plain"
    return hashlib.sha256(f"{kind}:{token}".encode("utf-8", "surrogatepass")).hexdigest()


def _session(row: Row, role: Role) -> Session:
    return Session(
        id=row["id"],
        user=user_of(row["user"]),
        account=account_of(row["account"]),
        role=role,
        **{name: row[name] for name in ("started_at", "seen_at", "expires_at", "ends_at", "address", "agent")},
    )
