"""Events of recordings: kept in the transaction of what they tell of, delivered afterwards.

Each is delivered at least once, and those of one recording one after another: the next one's turn comes when the one
before has been handled. Several hosts share the work. Whoever is about to deliver an event puts its `due_at` ahead
first, in one statement that only one of them can make; when he dies, the event is due again at that time.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

import anyio
from objectkernel_contracts import Figure
from objectkernel_system_dialect.contracts import DataError, Dialect

from objectkernel_media_server.contracts import MediaDeleted, MediaEvent, MediaFailed, MediaReady, MediaUploaded
from objectkernel_media_server.entities import OUTBOX
from objectkernel_media_server.rows import as_json, from_json

Notify: TypeAlias = Callable[[object], Awaitable[Sequence[Exception]]]
"""Tells an event to whoever subscribed to its class; the errors that they raised."""

KINDS: Final[Mapping[str, type[MediaEvent]]] = {
    kind.__name__: kind for kind in (MediaUploaded, MediaReady, MediaFailed, MediaDeleted)
}
BATCH: Final = 100
AT_ONCE: Final = 8
"""Events that one host delivers at a time, each of another recording."""
PATIENCE: Final = 60.0
"""Seconds that the handlers of an event may take together; then it counts as failed, and they are cancelled."""
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 600.0
"""Seconds before an event is tried again whose handler failed; each time twice as many."""

log = logging.getLogger("objectkernel.media-server")


class Outbox:
    """Events that were not delivered yet, on a dialect that has the tables of `entities`.

    Attributes:
        waiting: how many were due and not delivered when it was last looked at.
        delivered: how many this host has delivered.
        refused: how often a handler has failed.
    """

    def __init__(self, dialect: Dialect, patience: float = PATIENCE) -> None:
        self._dialect = dialect
        self._patience = patience
        self._added = anyio.Event()
        self.waiting = 0
        self.delivered = 0
        self.refused = 0

    async def add(self, events: Iterable[MediaEvent]) -> None:
        """Keep events, within the caller's transaction; `wake` when that has ended."""
        rows = [
            {
                "event_id": event.id,
                "media_id": event.row.id,
                "account_id": event.row.account_id,
                "type": type(event).__name__,
                "reason": event.reason if isinstance(event, MediaFailed) else None,
                "row": as_json(event.row),
                "at": event.at,
                "due_at": event.at,
            }
            for event in events
        ]
        if rows:
            await self._dialect.create_many(OUTBOX, rows)

    def wake(self) -> None:
        """There is something to deliver."""
        self._added.set()

    def figures(self) -> Iterable[Figure]:
        """See `METRICS`."""
        yield Figure(name="media_events_waiting", help="Events of recordings that are due", value=self.waiting)
        for name, help, value in (
            ("media_events_delivered", "Events of recordings that were handled", self.delivered),
            ("media_events_refused", "Deliveries of events whose handlers failed", self.refused),
        ):
            yield Figure(name=name, help=help, value=value, kind="counter")

    async def run(self, notify: Notify, every: float) -> None:
        """Deliver events as they come, for ever.

        Args:
            every: seconds after which it is looked for those of other hosts, and for those that failed.
        """
        while True:
            self._added = anyio.Event()
            try:
                while await self.deliver(notify):
                    pass
            except DataError as error:
                log.warning("events of recordings have to wait: %s", error)
            with anyio.move_on_after(every):
                await self._added.wait()

    async def deliver(self, notify: Notify) -> int:
        """Deliver what is due, the next of each recording; how many there were to try or to put off."""
        now = datetime.now(UTC)
        due = {"due_at": {"$lte": now}}
        rows = await self._dialect.find(OUTBOX, due, sort={"due_at": 1, "number": 1}, limit=BATCH)
        self.waiting = len(rows) if len(rows) < BATCH else await self._dialect.count(OUTBOX, due)
        turns: list[dict[str, Any]] = []
        moved = 0
        for row in rows:
            first = await self._first(row["media_id"])
            if first is not None and first["number"] == row["number"]:
                turns.append(row)
            elif first is not None and first["due_at"] > now:  # it is not to stand in the way of other recordings
                moved += await self._move(row, first["due_at"])
        return moved + await self._try_all(turns, notify)

    async def _try_all(self, turns: Sequence[dict[str, Any]], notify: Notify) -> int:
        limiter = anyio.CapacityLimiter(AT_ONCE)
        tried: list[bool] = []
        failures: list[DataError] = []

        async def attempt(row: dict[str, Any]) -> None:
            async with limiter:
                try:
                    tried.append(await self._try(row, notify))
                except DataError as error:
                    failures.append(error)

        async with anyio.create_task_group() as tasks:
            for row in turns:
                tasks.start_soon(attempt, row)
        if failures:
            raise failures[0]
        return sum(tried)

    async def _first(self, media_id: str) -> dict[str, Any] | None:
        """The event of a recording whose turn it is."""
        return await self._dialect.find_one(
            OUTBOX, {"media_id": media_id}, sort={"number": 1}, select=("event_id", "number", "due_at")
        )

    async def _move(self, row: Mapping[str, Any], due_at: datetime, *, tries: int | None = None) -> bool:
        """Put an event off, if nobody else has."""
        changes = {"due_at": due_at, **({} if tries is None else {"tries": tries})}
        return await self._dialect.update_many(OUTBOX, _this(row), changes) == 1

    async def _try(self, row: Mapping[str, Any], notify: Notify) -> bool:
        """Deliver an event whose turn it is; False where another host does."""
        tries = row["tries"] + 1
        until = datetime.now(UTC) + timedelta(seconds=1.5 * self._patience)
        if not await self._move(row, until, tries=tries):
            return False
        errors: Sequence[Exception] = (TimeoutError(),)
        with anyio.move_on_after(self._patience):
            errors = await notify(_event(row))
        mine = {**row, "due_at": until}
        if not errors:
            removed = await self._dialect.delete_many(OUTBOX, _this(mine))
            self.delivered += removed
            return True
        self.refused += 1
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(tries - 1, 20))
        await self._move(mine, datetime.now(UTC) + timedelta(seconds=pause))
        return True


def _this(row: Mapping[str, Any]) -> dict[str, Any]:
    """An event as long as nobody else has put it off."""
    return {"event_id": row["event_id"], "due_at": row["due_at"]}


def _event(row: Mapping[str, Any]) -> MediaEvent:
    kind = KINDS[row["type"]]
    told = {"reason": row["reason"]} if kind is MediaFailed else {}
    return kind(id=row["event_id"], row=from_json(row["row"]), at=row["at"], **told)
