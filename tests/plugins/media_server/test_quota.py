"""What accounts have and may have: exact, whoever does what at the same time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import anyio
import pytest
from objectkernel_media_server.contracts import MediaError, MediaMissing, QuotaExceeded
from objectkernel_media_server.entities import USAGE
from objectkernel_media_server.quota import NOTHING, Usage
from objectkernel_media_server.testing import MemoryDriver

from tests.plugins.media_server.databases import BASE, KINDS, House, furnish, opened, place_of, webm
from tests.plugins.system_dialect.databases import mariadb_database, mariadb_url, postgres_database, postgres_url

__all__ = ["mariadb_database", "mariadb_url", "postgres_database", "postgres_url"]  # fixtures

pytestmark = pytest.mark.anyio

SIZE = 100
HOSTS = 3


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The drivers of the servers know asyncio alone."""
    return "asyncio"


@pytest.fixture(params=KINDS)
async def hosts(
    anyio_backend: str, request: pytest.FixtureRequest, tmp_path: Any
) -> AsyncIterator[Callable[..., Awaitable[list[House]]]]:
    """Hosts on one database and one store, each with connections of its own."""
    place, store = place_of(request.param, request, tmp_path), MemoryDriver(BASE)
    async with AsyncExitStack() as stack:

        async def make(count: int = HOSTS, **settings: Any) -> list[House]:
            made = []
            for _ in range(count):
                dialect = await opened(request.param, place)
                stack.push_async_callback(dialect.aclose)
                made.append(furnish(dialect, store, **settings))
            return made

        yield make


async def at_once(calls: list[Callable[[], Awaitable[Any]]]) -> list[Any]:
    """What calls that run at once gave, or were refused with."""
    found: list[Any] = []

    async def one(call: Callable[[], Awaitable[Any]]) -> None:
        try:
            found.append(await call())
        except MediaError as error:
            found.append(error)

    async with anyio.create_task_group() as tasks:
        for call in calls:
            tasks.start_soon(one, call)
    return found


@pytest.mark.parametrize(
    ("settings", "taken", "what"),
    [({"account_bytes": 37 * SIZE + 50}, 37, "bytes"), ({"account_recordings": 37}, 37, "recordings")],
)
async def test_at_the_limit(hosts: Any, settings: dict[str, Any], taken: int, what: str) -> None:
    """Of 100 recordings that begin at once on three hosts as many are taken as there is room for, and not one more."""
    houses = await hosts(**settings)

    def begin(number: int) -> Callable[[], Awaitable[Any]]:
        return lambda: houses[number % HOSTS].media.begin_recording("acc", size=SIZE)

    found = await at_once([begin(number) for number in range(100)])
    refused = [one for one in found if isinstance(one, QuotaExceeded)]
    rows = [one for one in found if not isinstance(one, MediaError)]
    assert (len(rows), len(refused)) == (taken, 100 - taken)
    assert {error.facts["what_is"] for error in refused} == {what}
    assert await houses[0].statuses() == ["uploading"] * taken
    quota = houses[0].media.quota
    assert await quota.usage("acc") == Usage(reserved_bytes=taken * SIZE, reserved_count=taken)
    # all end at once: some are stored, some fail, some are deleted; some of them twice
    ends: list[Callable[[], Awaitable[Any]]] = []
    for number, row in enumerate(rows):
        media = houses[number % HOSTS].media
        other = houses[(number + 1) % HOSTS].media
        ends.append([finishing(media, row), failing(media, row), deleting(media, row)][number % 3])
        ends.append([deleting(other, row), finishing(other, row), failing(other, row)][number % 3])
    await at_once(ends)
    assert await quota.recount("acc", mend=False) == NOTHING
    usage = await quota.usage("acc")
    assert (usage.reserved_bytes, usage.reserved_count) == (0, 0)
    assert usage.count == (await houses[0].statuses()).count("ready")


def finishing(media: Any, row: Any) -> Callable[[], Awaitable[Any]]:
    async def finish() -> Any:
        async def body() -> AsyncIterator[bytes]:
            yield webm(60)

        try:
            stored = await media.recordings.storage.put_stream(row.bucket, row.key, body())
        except MediaError:  # the other one was quicker
            raise MediaMissing("there is one") from None
        return await media.finish_recording("acc", row.id, stored)

    return finish


def failing(media: Any, row: Any) -> Callable[[], Awaitable[Any]]:
    return lambda: media.fail_recording("acc", row.id, "no reason")


def deleting(media: Any, row: Any) -> Callable[[], Awaitable[Any]]:
    return lambda: media.delete_media("acc", row.id)


async def test_sizes_nobody_has_said(hosts: Any) -> None:
    """What comes without a size is reserved as it comes, to the last byte that there is room for, and no more."""
    (house,) = await hosts(1, account_bytes=40_000)

    async def body(size: int) -> AsyncIterator[bytes]:
        yield webm(5000)
        for _ in range(size // 1000 - 5):
            yield bytes(1000)

    async def create(size: int) -> Any:
        return (await house.media.create_recording("acc", body(size))).row

    await create(30_000)
    with pytest.raises(QuotaExceeded) as caught:
        await create(11_000)
    assert caught.value.facts == {"what_is": "bytes", "limit": 40_000, "used": 40_000, "asked": 1000}
    assert await house.statuses() == ["ready", "failed"]
    assert await house.media.quota.usage("acc") == Usage(bytes=30_000, count=1)
    await create(10_000)
    assert await house.media.quota.usage("acc") == Usage(bytes=40_000, count=2)


async def test_of_others(hosts: Any) -> None:
    """One account's use is none of another's; what is reserved for no recording counts as well."""
    (house,) = await hosts(1, account_bytes=150)
    quota = house.media.quota
    await quota.reserve("acc", bytes=100)
    with pytest.raises(QuotaExceeded):
        await house.media.begin_recording("acc", size=51)
    await house.media.begin_recording("other", size=150)
    await quota.release("acc", bytes=60)
    row = await house.media.begin_recording("acc", size=51)
    with pytest.raises(QuotaExceeded):
        await house.media.grow_recording("acc", row.id, 111)
    await house.media.grow_recording("acc", row.id, 110)
    assert await quota.usage("acc") == Usage(reserved_bytes=150, reserved_count=1)
    assert (await house.media.find("acc", row.id)).size_bytes == 110


async def test_one_recording_grows_at_once(hosts: Any) -> None:
    """However several hosts reserve room for one recording, the account's usage is what its row says."""
    houses = await hosts()
    row = await houses[0].media.begin_recording("acc", size=SIZE)

    def grow(number: int) -> Callable[[], Awaitable[Any]]:
        return lambda: houses[number % HOSTS].media.grow_recording("acc", row.id, SIZE + number)

    await at_once([grow(number) for number in range(1, 31)])
    size = (await houses[0].media.find("acc", row.id)).size_bytes
    assert SIZE < size <= SIZE + 30
    assert await houses[0].media.quota.usage("acc") == Usage(reserved_bytes=size, reserved_count=1)


async def test_limit_that_went_down(hosts: Any) -> None:
    """An account with more than it may have by now takes nothing more; what it has is finished, and can go."""
    (before,) = await hosts(1)
    rows = [await before.media.begin_recording("acc", size=SIZE) for _ in range(3)]
    (house,) = await hosts(1, account_bytes=SIZE, account_recordings=1)
    with pytest.raises(QuotaExceeded):
        await house.media.begin_recording("acc", size=0)
    assert (await finishing(house.media, rows[0])()).status == "ready"
    await failing(house.media, rows[1])()
    assert await deleting(house.media, rows[2])()
    assert await house.statuses() == ["ready", "failed", "deleted"]
    assert await house.media.quota.usage("acc") == Usage(bytes=60, count=1)


async def test_recount_while_in_use(hosts: Any) -> None:
    """What was told wrongly is set right while others change it, and nothing of theirs is lost."""
    houses = await hosts()
    quota = houses[0].media.quota
    await quota.open("acc")
    await houses[0].dialect.update(USAGE, "acc", {"bytes": 7777, "count": -3})

    def create(number: int) -> Callable[[], Awaitable[Any]]:
        return lambda: houses[number % HOSTS].media.create_recording("acc", webm(SIZE))

    recounts = [lambda: quota.recount("acc")] * 10
    await at_once([*[create(number) for number in range(20)], *recounts])
    assert await quota.recount("acc") == NOTHING
    assert await quota.usage("acc") == Usage(bytes=20 * SIZE, count=20)
