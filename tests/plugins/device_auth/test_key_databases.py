"""Keys and clients on every kind of database, also many at once and from several processes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
import time_machine
from objectkernel_device_auth.contracts import UNTIL_REVOKED, Client, IssuedKey
from objectkernel_device_auth.errors import InvalidRequest, KeyMissing
from objectkernel_device_auth.storage_keys import KEY
from objectkernel_device_auth.sweeping import sweep
from objectkernel_system_dialect.mariadb_engine import MariadbEngine
from objectkernel_system_dialect.postgres_engine import PostgresEngine
from objectkernel_system_dialect.sql_dialect import SqlDialect
from objectkernel_system_dialect.sqlite_dialect import open_sqlite

from tests.plugins.device_auth.key_hosts import ACCOUNT, ADA, Desk, furnish, neighbour, shown_by
from tests.plugins.system_dialect.databases import mariadb_database, mariadb_url, postgres_database, postgres_url

__all__ = ["mariadb_database", "mariadb_url", "postgres_database", "postgres_url"]  # fixtures

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The drivers of the servers know asyncio alone."""
    return "asyncio"


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("mariadb", marks=pytest.mark.mariadb),
    ]
)
async def desk(request: pytest.FixtureRequest, tmp_path: Any) -> AsyncIterator[Desk]:
    """Keys on a database of each kind."""
    if request.param == "sqlite":
        dialect = await open_sqlite(str(tmp_path / "system.db"))
    elif request.param == "postgres":
        dialect = SqlDialect(await PostgresEngine.open(request.getfixturevalue("postgres_url")))
    else:
        dialect = SqlDialect(await MariadbEngine.open(request.getfixturevalue("mariadb_url")))
    try:
        yield await furnish(dialect)
    finally:
        await dialect.aclose()


async def at_once(count: int, call: Callable[[], Awaitable[Any]], *expected: type[Exception]) -> list[Any]:
    """What calls that run at once gave, without those that raised what is expected."""
    found: list[Any] = []

    async def one() -> None:
        with suppress(*expected):
            found.append(await call())

    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(one)
    return found


async def test_the_life_of_a_key(desk: Desk) -> None:
    """Made, checked, seen, rotated, used, ended and forgotten."""
    keys = desk.parts.keys
    with time_machine.travel(NOW, tick=False) as clock:
        made = await desk.issue("data:read", "data:write", name="clé 🔑", expires_in=timedelta(days=10))
        assert await keys.verify(made.secret.reveal()) == made.key
        await desk.parts.use.write()
        told = await keys.get(ACCOUNT, made.key.id)
        assert told is not None and told.last_used_at == NOW
        new = await keys.rotate(ACCOUNT, made.key.id)
        assert await desk.is_good(made)
        clock.shift(timedelta(days=1))
        assert not await desk.is_good(made)
        assert await desk.is_good(new)
        assert [key.id for key in (await keys.list(ACCOUNT, user_id=ADA))[0]] == [new.key.id]
        assert await keys.revoke(ACCOUNT, new.key.id)
        assert not await desk.is_good(new)
        clock.shift(timedelta(days=31))
        assert await sweep(desk.dialect) == 2


async def test_ids_are_told_apart_by_case(desk: Desk) -> None:
    """On MariaDB too: an id in other letters is another id."""
    made = await desk.issue()
    swapped = made.key.id.swapcase()
    assert await desk.parts.keys.get(ACCOUNT, swapped) is None
    assert not await desk.parts.keys.revoke(ACCOUNT, swapped)
    assert await desk.is_good(made)


async def test_pages(desk: Desk) -> None:
    """Keys that were made in the same moment come once each."""
    with time_machine.travel(NOW, tick=False):
        made = {(await desk.issue(expires_in=UNTIL_REVOKED)).key.id for _ in range(7)}
        found, after = await desk.parts.keys.list(ACCOUNT, limit=3)
        seen = [key.id for key in found]
        while after is not None:
            found, after = await desk.parts.keys.list(ACCOUNT, limit=3, after=after)
            seen += [key.id for key in found]
    assert len(seen) == 7
    assert set(seen) == made


async def test_a_key_is_rotated_once(desk: Desk) -> None:
    """Of many processes that try at once, one does."""
    made = await desk.issue()
    got = await at_once(12, lambda: neighbour(desk).keys.rotate(ACCOUNT, made.key.id), KeyMissing)
    assert len(got) == 1
    assert await desk.dialect.count(KEY) == 2


async def test_a_key_that_is_revoked_while_it_makes_keys(desk: Desk) -> None:
    """Whatever comes first: nothing that it has made outlives it."""
    maker = await desk.issue("data:read", "keys:write")
    results: list[Any] = []

    async def make() -> None:
        with suppress(InvalidRequest):
            who = shown_by(maker)
            results.append(await neighbour(desk).keys.issue(ACCOUNT, "child", ["data:read"], user_id=ADA, by=who))

    async with anyio.create_task_group() as group:
        for number in range(16):
            group.start_soon(make)
            if number == 8:
                group.start_soon(neighbour(desk).keys.revoke, ACCOUNT, maker.key.id)
    assert not await desk.is_good(maker)
    assert [one.key.id for one in results if await desk.is_good(one)] == []


async def test_a_key_that_is_revoked_while_it_rotates_itself(desk: Desk) -> None:
    """Whatever comes first: what it has got in its place does not outlive it."""
    results: list[Any] = []

    async def rotate(key: IssuedKey) -> None:
        with suppress(InvalidRequest, KeyMissing):
            results.append(await neighbour(desk).keys.rotate(ACCOUNT, key.key.id, by=shown_by(key)))

    for _ in range(6):
        key = await desk.issue("data:read", "keys:write")
        async with anyio.create_task_group() as group:
            group.start_soon(rotate, key)
            group.start_soon(neighbour(desk).keys.revoke, ACCOUNT, key.key.id)
        assert not await desk.is_good(key)
    assert [one.key.id for one in results if await desk.is_good(one)] == []


async def test_revoked_by_many_at_once(desk: Desk) -> None:
    """It ends once: the trail has one entry of it, and one of them is told that there was a good one."""
    made = await desk.issue()
    got = await at_once(8, lambda: neighbour(desk).keys.revoke(ACCOUNT, made.key.id))
    assert got.count(True) == 1
    assert desk.audit.actions.count("key.revoke") == 1


async def test_a_client_is_registered_once(desk: Desk) -> None:
    """Of many at once one gets the secret, and that one is right."""
    robot = Client(id="robot", name="Robot", confidential=True)
    got = await at_once(8, lambda: neighbour(desk).clients.register(robot), InvalidRequest)
    secrets = [secret.reveal() for _, secret in got if secret is not None]
    assert len(secrets) == 1
    assert await desk.parts.clients.authenticate("robot", secrets[0]) is not None
    second = await desk.parts.clients.rotate_secret("robot")
    for good in (secrets[0], second.reveal()):
        assert await desk.parts.clients.authenticate("robot", good) is not None
    assert await desk.parts.clients.remove("robot")


async def test_use_is_written_once_by_all(desk: Desk) -> None:
    """Several processes that saw a key being used in the same minute write its row once."""
    with time_machine.travel(NOW, tick=False):
        made = await desk.issue()
        others = [neighbour(desk) for _ in range(5)]
        for other in others:
            await other.keys.verify(made.secret.reveal())
        written = [await other.use.write() for other in others]
    assert written == [1, 0, 0, 0, 0]
