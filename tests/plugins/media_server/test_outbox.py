"""Events of recordings: at least once, in order for each recording, whoever fails, crashes or shares the work."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import attrs
import pytest
from objectkernel_media_server import outbox
from objectkernel_media_server.contracts import ChecksumMismatch, MediaEvent, MediaFailed, MediaReady, MediaUploaded
from objectkernel_media_server.entities import OUTBOX
from objectkernel_media_server.media_ids import new_id
from objectkernel_media_server.outbox import AT_ONCE, Outbox
from objectkernel_media_server.testing import MemoryDriver
from objectkernel_system_dialect.contracts import DatabaseUnavailable

from tests.plugins.media_server.databases import BASE, KINDS, House, furnish, housed, opened, place_of, webm
from tests.plugins.system_dialect.databases import mariadb_database, mariadb_url, postgres_database, postgres_url

__all__ = ["mariadb_database", "mariadb_url", "postgres_database", "postgres_url"]  # fixtures

pytestmark = pytest.mark.anyio

Notify = Callable[[Any], Awaitable[Sequence[Exception]]]


class Listener:
    """Whoever subscribed.

    Attributes:
        told: the events, in order; failing ones too.
        refusing: which are refused.
    """

    def __init__(self, refusing: Callable[[MediaEvent], bool] = lambda _: False) -> None:
        self.told: list[MediaEvent] = []
        self.refusing = refusing

    async def __call__(self, event: Any) -> Sequence[Exception]:
        self.told.append(event)
        return (RuntimeError("no"),) if self.refusing(event) else ()

    def names(self, id: str) -> list[str]:
        """What was told of a recording."""
        return [type(event).__name__ for event in self.told if event.row.id == id]


@pytest.fixture
async def house(anyio_backend: str) -> AsyncIterator[House]:
    async with housed() as house:
        yield house


@pytest.fixture
def long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was refused is not due again while the test runs, however busy the machine is."""
    monkeypatch.setattr(outbox, "FIRST_PAUSE", outbox.LONGEST_PAUSE)


async def drained(house: House, notify: Notify) -> None:
    """Deliver until nothing is due."""
    while await house.parts.outbox.deliver(notify):
        pass


async def sooner(house: House) -> None:
    """The time has come for all that waits."""
    await house.dialect.update_many(OUTBOX, {}, {"due_at": datetime.now(UTC) - timedelta(seconds=1)}, all=True)


async def waiting(house: House) -> int:
    return await house.dialect.count(OUTBOX)


async def lived(house: House) -> str:
    """A recording that was stored and deleted."""
    row = (await house.media.create_recording("acc", webm(), metadata={"a": [1]}, session_id="s", take_index=1)).row
    await house.media.delete_media("acc", row.id)
    return str(row.id)


WHOLE_LIFE = ["MediaUploaded", "MediaReady", "MediaDeleted"]


async def test_a_life(house: House) -> None:
    """Each event tells the row as it was then; what was delivered is not kept."""
    listener = Listener()
    id = await lived(house)
    await drained(house, listener)
    assert listener.names(id) == WHOLE_LIFE
    assert [event.row.status for event in listener.told] == ["ready", "ready", "deleted"]
    ready = listener.told[1].row
    assert (ready.size_bytes, ready.take_index, ready.metadata) == (100, 1, {"a": [1]})
    assert ready.created_at.tzinfo is not None and listener.told[1].at == ready.updated_at
    assert len({event.id for event in listener.told}) == 3
    assert await waiting(house) == 0
    await drained(house, listener)
    assert len(listener.told) == 3


async def test_failed_tells_why(house: House) -> None:
    """A recording that failed is told once, with the reason."""
    listener = Listener()
    with pytest.raises(ChecksumMismatch):
        await house.media.create_recording("acc", webm(), sha256="0" * 64)
    await drained(house, listener)
    (event,) = listener.told
    assert isinstance(event, MediaFailed) and event.reason == "M106 the content is not what its sender has hashed"
    assert event.row.status == "failed"


async def test_undone_with_the_row(house: House) -> None:
    """A change that is undone has told nothing."""

    async def change() -> None:
        async with house.dialect.transaction():
            await house.media.create_recording("acc", webm())
            raise LookupError

    with pytest.raises(LookupError):
        await change()
    assert await house.statuses() == [] and await waiting(house) == 0


async def test_no_change_without_its_event(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change whose event cannot be kept is not made: they are in one transaction, and no crash comes between."""
    ready = (await house.media.create_recording("acc", webm())).row
    coming = await house.media.begin_recording("acc", size=10)
    usage, kept = await house.media.quota.usage("acc"), await waiting(house)

    async def add(events: Iterable[MediaEvent]) -> None:
        if list(events):
            raise LookupError

    monkeypatch.setattr(house.parts.outbox, "add", add)
    with pytest.raises(LookupError):
        await house.media.delete_media("acc", ready.id)
    await house.media.fail_recording("acc", coming.id, "no reason")
    new = attrs.evolve(coming, id=new_id(), key=f"{coming.key}.new")
    with pytest.raises(LookupError):
        await house.parts.repo.insert("acc", new, event=MediaUploaded(id=new_id(), row=new, at=new.created_at))
    assert await house.statuses() == ["ready", "uploading"]
    assert (await house.media.quota.usage("acc"), await waiting(house)) == (usage, kept)


async def test_a_handler_that_fails(house: House, long_pauses: None) -> None:
    """It is tried again later; what is of the same recording waits behind it, other recordings do not."""
    listener = Listener(refusing=lambda event: isinstance(event, MediaReady) and event.row.id == first)
    first = ""
    first, second = await lived(house), await lived(house)
    await drained(house, listener)
    assert listener.names(first) == ["MediaUploaded", "MediaReady"]
    assert listener.names(second) == WHOLE_LIFE
    await drained(house, listener)  # not before its time
    assert listener.names(first) == ["MediaUploaded", "MediaReady"]
    await sooner(house)
    await drained(house, listener)
    assert listener.names(first) == ["MediaUploaded", "MediaReady", "MediaReady"]
    assert len({event.id for event in listener.told if event.row.id == first}) == 2
    listener.refusing = lambda _: False
    await sooner(house)
    await drained(house, listener)
    assert listener.names(first) == ["MediaUploaded", "MediaReady", "MediaReady", "MediaReady", "MediaDeleted"]
    assert await waiting(house) == 0
    figures = {figure.name: figure.value for figure in house.parts.outbox.figures()}
    assert figures == {"media_events_waiting": 0, "media_events_delivered": 6, "media_events_refused": 2}


async def test_pauses_grow(house: House) -> None:
    """Each time it is refused it waits twice as long, up to ten minutes."""
    listener = Listener(refusing=lambda _: True)
    await house.media.create_recording("acc", webm())
    pauses = []
    for _ in range(12):
        await sooner(house)
        before = datetime.now(UTC)
        await house.parts.outbox.deliver(listener)
        (row,) = await house.dialect.find(OUTBOX, {"type": "MediaUploaded"})
        pauses.append(row["due_at"] - before)
    assert all(timedelta(seconds=2**n) <= pause for n, pause in enumerate(pauses[:9]))
    assert timedelta(minutes=10) <= pauses[-1] < timedelta(minutes=11)


async def test_refused_ones_stand_in_nobodys_way(
    house: House, monkeypatch: pytest.MonkeyPatch, long_pauses: None
) -> None:
    """However many events wait behind one that is refused, others are delivered."""
    monkeypatch.setattr(outbox, "BATCH", 10)
    refused = {await lived(house) for _ in range(6)}
    listener = Listener(refusing=lambda event: event.row.id in refused)
    await drained(house, listener)
    good = await lived(house)
    await drained(house, listener)
    assert listener.names(good) == WHOLE_LIFE
    assert all(listener.names(id) == ["MediaUploaded"] for id in refused)


async def test_a_slow_handler(house: House) -> None:
    """Several recordings' events are handled at once; one that takes too long counts as refused."""
    house = furnish(house.dialect, house.storage, events_patience=0.2)
    ids = [await lived(house) for _ in range(AT_ONCE + 2)]
    listener, now = Listener(), 0
    most = 0

    async def slow(event: Any) -> Sequence[Exception]:
        nonlocal now, most
        now += 1
        most = max(most, now)
        try:
            await anyio.sleep(0.01)
            if event.row.id == ids[0]:
                await anyio.sleep_forever()
        finally:
            now -= 1
        return await listener(event)

    await drained(house, slow)
    assert most == AT_ONCE
    assert listener.names(ids[0]) == []
    assert all(listener.names(id) == WHOLE_LIFE for id in ids[1:])
    await sooner(house)
    await drained(house, listener)
    assert listener.names(ids[0]) == WHOLE_LIFE


async def test_a_host_dies_while_it_delivers(house: House) -> None:
    """What was being handled then is delivered again, when its host has been silent for long enough."""
    id = await lived(house)
    listener = Listener()

    class Killed(BaseException):
        pass

    async def dying(event: Any) -> Sequence[Exception]:
        await listener(event)
        raise Killed

    with pytest.raises(BaseExceptionGroup):
        await house.parts.outbox.deliver(dying)
    other = furnish(house.dialect, house.storage)
    await drained(other, listener)
    assert listener.names(id) == ["MediaUploaded"]  # it may still be at it
    await sooner(house)
    await drained(other, listener)
    assert listener.names(id) == ["MediaUploaded", *WHOLE_LIFE]


async def test_it_runs(house: House) -> None:
    """What is added is delivered at once, also after the database was away."""
    real, listener, told = house.parts.outbox, Listener(), anyio.Event()
    failures = 0

    async def notify(event: Any) -> Sequence[Exception]:
        await listener(event)
        if isinstance(event, MediaReady):
            told.set()
        return ()

    class Away(Outbox):
        async def deliver(self, notify: Any) -> int:
            nonlocal failures
            failures += 1
            if failures == 1:
                raise DatabaseUnavailable("away", database="x", reason="test")
            return await real.deliver(notify)

    away = Away(house.dialect)
    house.parts.outbox.wake = away.wake  # type: ignore[method-assign]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(away.run, notify, 3600.0)
        while failures < 1:
            await anyio.sleep(0.001)
        row = (await house.media.create_recording("acc", webm())).row
        with anyio.fail_after(30):
            await told.wait()
        tasks.cancel_scope.cancel()
    assert listener.names(row.id) == ["MediaUploaded", "MediaReady"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("kind", KINDS)
async def test_several_hosts(anyio_backend: str, kind: str, request: pytest.FixtureRequest, tmp_path: Any) -> None:
    """Hosts that share the work: each event is told, those of a recording in order, never two of them at once."""
    place, store, chance = place_of(kind, request, tmp_path), MemoryDriver(BASE), random.Random(7)
    told: dict[str, list[str]] = {}
    busy: set[str] = set()
    clashes: list[str] = []

    async def notify(event: Any) -> Sequence[Exception]:
        id = event.row.id
        clashes.extend([id] if id in busy else [])
        busy.add(id)
        await anyio.sleep(chance.random() / 200)
        busy.discard(id)
        if chance.random() < 0.2:
            return (RuntimeError("no"),)
        told.setdefault(id, []).append(type(event).__name__)
        return ()

    async with AsyncExitStack() as stack:
        houses = []
        for _ in range(3):
            dialect = await opened(kind, place)
            stack.push_async_callback(dialect.aclose)
            houses.append(furnish(dialect, store))
        ids: list[str] = []

        async def live(house: House) -> None:
            for _ in range(4):
                ids.append(await lived(house))

        async with anyio.create_task_group() as tasks:
            for house in houses:
                tasks.start_soon(live, house)
        while await waiting(houses[0]):
            async with anyio.create_task_group() as tasks:
                for house in houses:
                    tasks.start_soon(drained, house, notify)
            await sooner(houses[0])
    assert clashes == []
    assert {id: told[id] for id in ids} == dict.fromkeys(ids, WHOLE_LIFE)
