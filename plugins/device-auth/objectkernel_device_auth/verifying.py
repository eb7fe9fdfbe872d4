"""Telling whose key this is: from memory while it is fresh, else from the database.

A key that is good, and one that is not there, are remembered for `verified_for`; so that is how far an answer is behind
the database at most, whoever changed it. What is remembered is bounded: keys that were used, and, apart from them, ids
that nobody has, which a stranger can make up as many as they like of. However many they send, the database gets one
query at a time for all of them (see `loading`).
"""

from __future__ import annotations

import hmac
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import anyio
import attrs
from objectkernel_contracts import Credentials, CredentialVerifier, Figure, Principal, Standing
from objectkernel_system_dialect.contracts import Dialect

from objectkernel_device_auth.contracts import ApiKey
from objectkernel_device_auth.key_format import ID_AT, digest_of, key_id_of
from objectkernel_device_auth.key_use import KeyUse
from objectkernel_device_auth.loading import Loader
from objectkernel_device_auth.storage_keys import KEY, key_of

KEPT: Final = 10_000
"""Keys that are remembered, and as many ids that nobody has."""
AT_ONCE: Final = 8
"""People whose standing is looked up at once."""


@attrs.frozen
class Checked:
    """A key that is good, and who shows it."""

    key: ApiKey
    principal: Principal


@attrs.frozen
class _Known:
    """A key as it was read.

    Attributes:
        checked: None: it is of no use now, since the person or the account is not.
        until: when it is read again, on the clock of `KeyChecks`.
    """

    digest: str = attrs.field(repr=False)
    ends_at: datetime | None
    checked: Checked | None
    until: float = 0.0


class KeyChecks:
    """Checks keys.

    Args:
        standing: what people may now; None: as it was granted.
        verified_for: how long what was read is believed, in seconds.
        clock: seconds that only go up.
    """

    def __init__(
        self,
        dialect: Dialect,
        standing: Standing | None,
        use: KeyUse,
        verified_for: float,
        clock: Callable[[], float] = time.monotonic,
        kept: int = KEPT,
    ) -> None:
        self._dialect = dialect
        self._standing = standing
        self._use = use
        self._verified_for = verified_for
        self._clock = clock
        self._kept = kept
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._unknown: OrderedDict[str, float] = OrderedDict()
        self._loader: Loader[str, _Known] = Loader(self._read)
        self._generation = 0
        self._good = self._bad = self._malformed = 0

    async def check(self, token: str) -> Checked | None:
        """Whose key this is; None when it is none, or no longer good."""
        id = token[ID_AT]
        known = self._known.get(id)
        if known is not None and known.until > self._clock():
            self._known.move_to_end(id)  # the digest tells of all of the token, the checksum too
        elif key_id_of(token) is not None:
            known = await self._look_up(id)
        else:
            self._malformed += 1
            return None
        checked = None if known is None else _matching(known, token)
        if checked is None:
            self._bad += 1
            return None
        self._good += 1
        self._use.note(id)
        return checked

    def forget(self) -> None:
        """Look every key up anew: something has changed."""
        self._generation += 1
        self._known.clear()
        self._unknown.clear()

    def figures(self) -> tuple[Figure, ...]:
        """How many keys were shown, and how many queries that took."""
        told = "keys that requests have shown"
        results = {"good": self._good, "bad": self._bad, "malformed": self._malformed}
        return (
            *(
                Figure(name="api_keys_shown", help=told, value=value, labels={"result": result}, kind="counter")
                for result, value in results.items()
            ),
            Figure(
                name="api_key_queries",
                help="queries that looked keys up",
                value=self._loader.queries,
                kind="counter",
            ),
            Figure(name="api_keys_remembered", help="keys in memory", value=len(self._known)),
        )

    async def _look_up(self, id: str) -> _Known | None:
        if self._unknown.get(id, 0.0) > self._clock():
            return None
        generation, asked_at = self._generation, self._clock()
        known = await self._loader.load(id)
        if generation == self._generation:
            self._keep(id, known, asked_at + self._verified_for)
        return known

    def _keep(self, id: str, known: _Known | None, until: float) -> None:
        if known is None:
            self._known.pop(id, None)
            self._unknown[id] = until
            self._unknown.move_to_end(id)
            if len(self._unknown) > self._kept:
                self._unknown.popitem(last=False)
            return
        self._known[id] = attrs.evolve(known, until=until)
        self._known.move_to_end(id)
        if len(self._known) > self._kept:
            self._known.popitem(last=False)

    async def _read(self, ids: Sequence[str]) -> Mapping[str, _Known]:
        now = datetime.now(UTC)
        rows = await self._dialect.find(KEY, {"id": {"$in": list(ids)}, "revoked_at": None})
        good = [row for row in rows if row["expires_at"] is None or row["expires_at"] > now]
        may = await self._standings({(row["account_id"], row["user_id"]) for row in good})
        found: dict[str, _Known] = {}
        for row in good:
            key = key_of(row)
            scopes = may.get((key.account_id, key.user_id), key.scopes)
            found[key.id] = _Known(
                row["digest"], key.expires_at, None if scopes is None else Checked(key, principal_of(key, scopes))
            )
        return found

    async def _standings(
        self, whose: set[tuple[str, str | None]]
    ) -> Mapping[tuple[str, str | None], frozenset[str] | None]:
        """What they may now; empty where nobody tells."""
        standing = self._standing
        if standing is None:
            return {}
        found: dict[tuple[str, str | None], frozenset[str] | None] = {}
        waiting = list(whose)

        async def ask() -> None:
            while waiting:
                account_id, user_id = waiting.pop()
                found[account_id, user_id] = await standing.scopes(account_id, user_id)

        if len(waiting) == 1:
            await ask()
            return found
        async with anyio.create_task_group() as group:
            for _ in range(min(AT_ONCE, len(waiting))):
                group.start_soon(ask)
        return found


class KeyVerifier:
    """Knows API keys that are sent as bearer tokens (RFC 6750)."""

    def __init__(self, checks: KeyChecks) -> None:
        self._checks = checks

    async def principal(self, credentials: Credentials) -> Principal | None:
        if credentials.bearer is None:
            return None
        checked = await self._checks.check(credentials.bearer)
        return None if checked is None else checked.principal


def principal_of(key: ApiKey, may: frozenset[str]) -> Principal:
    """Who shows a key: with what was granted to it, as far as its owner may do that."""
    return Principal(account_id=key.account_id, user_id=key.user_id, scopes=key.scopes & may, key_id=key.id)


def _matching(known: _Known, token: str) -> Checked | None:
    if not hmac.compare_digest(known.digest, digest_of(token)):
        return None
    if known.ends_at is not None and known.ends_at <= datetime.now(UTC):
        return None
    return known.checked


if TYPE_CHECKING:
    _is_a_verifier: type[CredentialVerifier] = KeyVerifier
