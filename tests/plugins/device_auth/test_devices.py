"""What can act in somebody's name, on every kind of database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from objectkernel_device_auth.contracts import Client
from objectkernel_device_auth.devices import HostDevices
from objectkernel_device_auth.sweeping import sweep
from objectkernel_system_dialect.mariadb_engine import MariadbEngine
from objectkernel_system_dialect.postgres_engine import PostgresEngine
from objectkernel_system_dialect.sql_dialect import SqlDialect
from objectkernel_system_dialect.sqlite_dialect import open_sqlite

from tests.plugins.device_auth.flows import CLI, READ, Desk, furnish, person, refused
from tests.plugins.system_dialect.databases import mariadb_database, mariadb_url, postgres_database, postgres_url

__all__ = ["mariadb_database", "mariadb_url", "postgres_database", "postgres_url"]  # fixtures

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ADA, BOB = person("ada"), person("bob")


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
    """The flow on a database of each kind."""
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


def devices_of(desk: Desk) -> HostDevices:
    parts = desk.parts
    return HostDevices(desk.dialect, parts.keys, parts.endings, parts.checks.forget)


async def names(desk: Desk, **options: Any) -> list[str]:
    """What Ada is shown."""
    return [one.name for one in (await devices_of(desk).list(ADA, **options))[0]]


async def test_a_device_is_one_however_often_it_was_refreshed(desk: Desk) -> None:
    """It is there from the approval on, under its name, until the last of its refresh tokens has ended."""
    with time_machine.travel(NOW, tick=False) as clock:
        asked = await desk.ask()
        await desk.approve(asked, ADA, name="laptop")
        answer = await desk.redeem(asked.device_code.reveal())
        for _ in range(3):
            clock.shift(timedelta(days=2))
            answer = await desk.refresh(answer.refresh_token)
        ((device,), more) = await devices_of(desk).list(ADA)
        assert (device.name, device.client_id, device.scopes) == ("laptop", CLI, frozenset({READ}))
        assert device.created_at == NOW
        assert device.last_used_at == NOW + timedelta(days=6)
        assert device.ends_at == NOW + timedelta(days=96)
        assert not more
        clock.move_to(NOW + timedelta(days=96) - timedelta(seconds=1))
        await sweep(desk.dialect)
        assert await names(desk) == ["laptop"]
        clock.shift(1)
        assert await names(desk) == []


async def test_what_was_refreshed_often_costs_no_more_to_look_at(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its former keys are remembered, but not read."""
    answer = await desk.tokens()
    for _ in range(5):
        answer = await desk.refresh(answer.refresh_token)
    read, find = [], type(desk.dialect).find

    async def counting(self: Any, schema: Any, *args: Any, **options: Any) -> Any:
        found = await find(self, schema, *args, **options)
        read.extend([schema.name] * ("$in" in str(args)) * len(found))
        return found

    monkeypatch.setattr(type(desk.dialect), "find", counting)
    (device,), _ = await devices_of(desk).list(ADA)
    assert device.last_used_at is not None
    assert sorted(read) == ["DeviceAuthKey", "DeviceAuthRefreshToken"]


async def test_one_that_is_ended_gets_nothing_any_more(desk: Desk) -> None:
    """Its key, its refresh token, and also where nothing is known of its keys any more."""
    with time_machine.travel(NOW, tick=False) as clock:
        answer = await desk.tokens()
        clock.shift(timedelta(days=50))
        await sweep(desk.dialect)  # the key has ended so long ago that it is forgotten
        ((device,), _) = await devices_of(desk).list(ADA)
        assert not await devices_of(desk).end(BOB, device.id)
        assert await devices_of(desk).end(ADA, device.id)
        assert not await devices_of(desk).end(ADA, device.id)
        assert await names(desk) == []
        assert await refused(desk.refresh(answer.refresh_token)) == "invalid_grant"
    assert [(entry.action, entry.subject, entry.by) for entry in desk.audit.entries][-1] == (
        "device.revoke",
        device.id,
        "ada",
    )


async def test_keys_and_devices_of_others_are_not_there(desk: Desk) -> None:
    """Those of another person, of another account, and of the account itself."""
    asked = await desk.ask()
    await desk.approve(asked, BOB)
    await desk.redeem(asked.device_code.reveal())
    keys = desk.parts.keys
    for account, user in (("acme", "bob"), ("acme", None), ("other", "ada")):
        issued = await keys.issue(account, "x", [READ], user_id=user)
        assert await devices_of(desk).get(ADA, issued.key.id) is None
        assert not await devices_of(desk).end(ADA, issued.key.id)
        assert await desk.is_good(issued.secret)
    assert await names(desk) == []
    ((bobs, _), _) = await devices_of(desk).list(BOB)
    assert await devices_of(desk).get(ADA, bobs.id) is None


async def test_a_key_that_outlives_its_device_is_listed(desk: Desk) -> None:
    """Where keys last longer than refresh tokens, the key is all that is left, and can be ended."""
    long, short = timedelta(days=9), timedelta(days=2)
    await desk.parts.clients.register(Client(id="tv", name="TV", access_lifetime=long, refresh_lifetime=short))
    with time_machine.travel(NOW, tick=False) as clock:
        asked = await desk.ask("tv")
        await desk.approve(asked, ADA, name="tv")
        answer = await desk.redeem(asked.device_code.reveal(), "tv")
        clock.shift(timedelta(days=3))
        await sweep(desk.dialect)
        ((left,), _) = await devices_of(desk).list(ADA)
        assert (left.name, left.client_id, left.ends_at) == ("tv", "tv", NOW + long)
        assert await desk.is_good(answer.access_token)
        assert await devices_of(desk).end(ADA, left.id)
        assert not await desk.is_good(answer.access_token)


async def test_pages_go_through_both_kinds(desk: Desk) -> None:
    """The newest first, each once, and whether there are more."""
    with time_machine.travel(NOW, tick=False) as clock:
        for number in range(3):
            await desk.parts.keys.issue("acme", f"key {number}", [READ], user_id="ada")
            clock.shift(1)
            asked = await desk.ask()
            await desk.approve(asked, ADA, name=f"device {number}")
            await desk.redeem(asked.device_code.reveal())
            clock.shift(1)
        pages = [await devices_of(desk).list(ADA, page=page, size=4) for page in range(3)]
    assert [[one.name for one in shown] for shown, _ in pages] == [
        ["device 2", "key 2", "device 1", "key 1"],
        ["device 0", "key 0"],
        [],
    ]
    assert [more for _, more in pages] == [True, False, False]
