"""``Idempotency-Key``: a write that is asked for twice is made once, and answered twice with the same."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import anyio
import anyio.lowlevel
import attrs

from objectkernel_system_dialect.dialect import Dialect, Filter, Row
from objectkernel_system_dialect.errors import (
    DataError,
    DuplicateKey,
    IdempotencyKeyBusy,
    IdempotencyKeyReused,
    RequestInvalid,
)
from objectkernel_system_dialect.idempotency_record import IDEMPOTENCY

LOG: Final = logging.getLogger("objectkernel.plugin.system-dialect")
LIFETIME: Final = timedelta(hours=24)
LONGEST_KEY: Final = 255
BATCH: Final = 500
"""Expired records that are removed at a time."""
PAUSE: Final = timedelta(minutes=1)
"""Between two removals."""


@attrs.frozen
class Answer:
    """What a write is answered with."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = attrs.field(factory=dict)


def fingerprint(*parts: str | bytes) -> str:
    """One short name for several texts together, whatever is in them."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


class Idempotency:
    """Makes writes once. Where the dialect has transactions, the record is made together with the write."""

    def __init__(self, dialect: Dialect, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._dialect = dialect
        self._clock = clock

    async def once(self, account: str, key: str, request: str, run: Callable[[], Awaitable[Answer]]) -> Answer:
        """What `run` answers, or answered when this key came before.

        An error is no answer: nothing was written, and the next one with this key runs.

        Args:
            account: whose key it is.
            request: the fingerprint of what is asked for.

        Raises:
            RequestInvalid: the key is none.
            IdempotencyKeyReused: it came with another request before.
            IdempotencyKeyBusy: the write that it came with is under way, or was cut off.
        """
        if not 0 < len(key) <= LONGEST_KEY or not key.isascii() or not key.isprintable():
            why = f"it is 1 to {LONGEST_KEY} printable ASCII characters"
            raise RequestInvalid("the Idempotency-Key cannot be used", why=why, fix="send a UUID", problems=(why,))
        if IDEMPOTENCY not in self._dialect.schemas():
            await self._dialect.register(IDEMPOTENCY)
        id = fingerprint(account, key)
        for _ in range(2):
            try:
                return await self._first(id, request, run)
            except DuplicateKey as error:
                if error.facts.get("entity") != IDEMPOTENCY.name:
                    raise
            record = await self._dialect.find_by_id(IDEMPOTENCY, id)
            if record is not None and record["made_at"] > self._clock() - LIFETIME:
                return self._again(record, request)
            await self._dialect.delete_many(IDEMPOTENCY, {"id": id, **self._expired()})
        raise self._busy()

    async def _first(self, id: str, request: str, run: Callable[[], Awaitable[Answer]]) -> Answer:
        atomic = "transaction" in self._dialect.capabilities
        together: AbstractAsyncContextManager[Any] = self._dialect.transaction() if atomic else nullcontext()
        async with together:
            await self._dialect.create(IDEMPOTENCY, {"id": id, "request": request, "made_at": self._clock()})
            try:
                answer = await run()
            except Exception:
                if not atomic:
                    with anyio.CancelScope(shield=True):
                        await self._dialect.delete(IDEMPOTENCY, id)
                raise
            told = {"status": answer.status, "headers": dict(answer.headers), "body": answer.body.decode()}
            await self._dialect.update(IDEMPOTENCY, id, told)
        return answer

    def _again(self, record: Row, request: str) -> Answer:
        if record["request"] != request:
            raise IdempotencyKeyReused(
                "this Idempotency-Key came with another request before",
                why="a key belongs to one method, path and body",
                fix="make a new key for each write; use one again only to send the same again",
            )
        if record["status"] is None:
            raise self._busy()
        return Answer(record["status"], record["body"].encode(), record["headers"])

    def _busy(self) -> IdempotencyKeyBusy:
        return IdempotencyKeyBusy(
            "the first request with this Idempotency-Key has no answer yet",
            why="it is under way, or was cut off",
            fix="send the same again in a while",
        )

    def _expired(self) -> Filter:
        """Which records nobody may ask for any more; one that was made anew meanwhile is none of them."""
        return {"made_at": {"$lte": self._clock() - LIFETIME}}

    async def sweep(self, batches: int | None = None) -> None:
        """Remove the records that nobody may ask for any more, in batches, between which others write.

        Args:
            batches: the most; None: until none is left.
        """
        try:
            if IDEMPOTENCY not in self._dialect.schemas():
                await self._dialect.register(IDEMPOTENCY)
            while await self._sweep_batch() == BATCH:
                if batches is not None and (batches := batches - 1) < 1:
                    return
                await anyio.lowlevel.checkpoint()
        except DataError as error:
            LOG.warning("records of Idempotency-Key that have come of age stay for now: %s", error.what)

    async def _sweep_batch(self) -> int:
        expired = self._expired()
        rows = await self._dialect.find(IDEMPOTENCY, expired, sort={"made_at": 1}, limit=BATCH, select=["id"])
        if rows:
            await self._dialect.delete_many(IDEMPOTENCY, {"id": {"$in": [row["id"] for row in rows]}, **expired})
        return len(rows)
