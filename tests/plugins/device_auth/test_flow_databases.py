"""The device flow on every kind of database, and by several hosts at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import anyio
import pytest
from objectkernel_device_auth.contracts import Asker, OAuthError, TokenAnswer, TooManyTries
from objectkernel_device_auth.guessing import TRIES
from objectkernel_device_auth.storage_codes import BUDGET, DEVICE_CODE, FAMILY, REFRESH_TOKEN, SCHEMAS
from objectkernel_device_auth.storage_keys import KEY
from objectkernel_device_auth.sweeping import sweep
from objectkernel_system_dialect.contracts import Dialect
from objectkernel_system_dialect.mariadb_engine import MariadbEngine
from objectkernel_system_dialect.postgres_engine import PostgresEngine
from objectkernel_system_dialect.sql_dialect import SqlDialect
from objectkernel_system_dialect.sqlite_dialect import open_sqlite

from tests.plugins.device_auth.flows import CLI, PHONE, READ, WRITE, Desk, furnish, person, refused
from tests.plugins.system_dialect.databases import mariadb_database, mariadb_url, postgres_database, postgres_url

__all__ = ["mariadb_database", "mariadb_url", "postgres_database", "postgres_url"]  # fixtures

pytestmark = pytest.mark.anyio

HOSTS = 3


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The drivers of the servers know asyncio alone."""
    return "asyncio"


async def opened(kind: str, place: str) -> Dialect:
    if kind == "sqlite":
        return await open_sqlite(place)
    engine = PostgresEngine if kind == "postgres" else MariadbEngine
    return SqlDialect(await engine.open(place))


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("mariadb", marks=pytest.mark.mariadb),
    ]
)
async def desks(request: pytest.FixtureRequest, tmp_path: Any) -> AsyncIterator[list[Desk]]:
    """Several hosts on one database, each with connections of its own."""
    kind = request.param
    place = str(tmp_path / "system.db") if kind == "sqlite" else request.getfixturevalue(f"{kind}_url")
    async with AsyncExitStack() as stack:
        made = []
        for _ in range(HOSTS):
            dialect = await opened(kind, place)
            stack.push_async_callback(dialect.aclose)
            made.append(await furnish(dialect, live_codes_per_address=1000))
        yield made


async def at_once(count: int, call: Callable[[int], Awaitable[Any]]) -> list[Any]:
    """What calls that run at once gave, or what they were refused with."""
    found: list[Any] = []

    async def one(number: int) -> None:
        try:
            found.append(await call(number))
        except OAuthError as error:
            found.append(error.error)
        except TooManyTries:
            found.append("too many")

    async with anyio.create_task_group() as tasks:
        for number in range(count):
            tasks.start_soon(one, number)
    assert len(found) == count
    return found


async def test_a_whole_flow(desks: list[Desk]) -> None:
    """Each step at another host."""
    one, two, three = desks
    asked = await one.ask(scope=f"{READ} {WRITE}")
    code = asked.device_code.reveal()
    assert await refused(two.redeem(code)) == "authorization_pending"
    assert await refused(three.redeem(code)) == "slow_down"
    await three.approve(asked, scopes=[READ])
    first = await two.redeem(code)
    assert first.scope == READ
    second = await one.refresh(first.refresh_token)
    assert (await three.refresh(first.refresh_token)).refresh_token == second.refresh_token
    await three.flow.revoke(second.access_token.reveal(), CLI)
    for answer in (first, second):
        assert not await one.is_good(answer.access_token)
        assert await refused(two.refresh(answer.refresh_token)) == "invalid_grant"
    await sweep(one.dialect)


async def test_item_11_the_pace_is_kept_in_the_database(desks: list[Desk]) -> None:
    """The time of the last poll in order, exactly, and the interval."""
    code = (await desks[0].ask()).device_code.reveal()
    assert await refused(desks[0].redeem(code)) == "authorization_pending"
    row = await desks[1].code_row(code)
    before = row["polled_at"] - timedelta(seconds=9, microseconds=123)
    await desks[1].dialect.update_many(DEVICE_CODE, {"id": row["id"]}, {"polled_at": before, "interval": 10})
    found = await at_once(9, lambda number: desks[number % HOSTS].redeem(code))
    assert found.count("authorization_pending") == 1
    row = await desks[2].code_row(code)
    assert row["interval"] == 10 + 8 * 5
    assert row["polled_at"] > before


async def test_item_13_fifty_redemptions_at_once(desks: list[Desk]) -> None:
    """One succeeds, and its key is good; nothing is left of the others."""
    code = await desks[0].approved()
    found = await at_once(50, lambda number: desks[number % HOSTS].redeem(code))
    assert found.count("invalid_grant") == 49
    (answer,) = [one for one in found if isinstance(one, TokenAnswer)]
    assert await desks[1].is_good(answer.access_token)
    for schema in (KEY, FAMILY, REFRESH_TOKEN):
        assert await desks[0].dialect.count(schema) == 1


async def test_item_31_sixteen_refreshes_at_once(desks: list[Desk]) -> None:
    """One rotation, one answer."""
    first = await desks[0].tokens()
    found = await at_once(16, lambda number: desks[number % HOSTS].refresh(first.refresh_token))
    assert len({(one.access_token.reveal(), one.refresh_token.reveal()) for one in found}) == 1
    assert await desks[0].dialect.count(KEY) == await desks[0].dialect.count(REFRESH_TOKEN) == 2
    assert await desks[1].is_good(found[0].access_token)


async def test_item_18_two_sessions_claim_at_once(desks: list[Desk]) -> None:
    """One of them has it."""
    asked = await desks[0].ask()
    found = await at_once(
        9, lambda number: desks[number % HOSTS].flow.claim(asked.user_code, person(f"p{number}"), asker=PHONE)
    )
    assert len([one for one in found if one is not None]) == 1


async def test_it_is_decided_once(desks: list[Desk]) -> None:
    """Approved and denied at once: what was told to have won has."""
    for _ in range(5):
        asked = await desks[0].ask()
        request = await desks[0].flow.claim(asked.user_code, person(), asker=PHONE)

        async def decide(number: int, id: str = request.id) -> str:
            decision = ("approved", "denied")[number % 2]
            return decision if await desks[number % HOSTS].flow.decide(id, decision, person()) else "late"

        found = await at_once(6, decide)
        (won,) = [one for one in found if one != "late"]
        assert (await desks[0].code_row(asked.device_code.reveal()))["state"] == won


async def test_item_21_guessing_at_once(desks: list[Desk]) -> None:
    """At several hosts, from many addresses: no more tries than one after another."""

    async def guess(number: int) -> Any:
        where = Asker(address=f"203.0.113.{number}")
        return await desks[number % HOSTS].flow.claim("BBBB-BBBB", person("eve"), asker=where)

    found = await at_once(30, guess)
    assert 1 <= found.count(None) <= TRIES


async def test_item_24_codes_of_one_address_at_once(desks: list[Desk]) -> None:
    """It is given as many as it may, and no more, in the lifetime of a code."""
    found = await at_once(150, lambda number: desks[number % HOSTS].ask())
    assert len([one for one in found if one != "temporarily_unavailable"]) == desks[0].config.codes_per_address
    assert await desks[0].dialect.count(BUDGET) == 1
    (row,) = await desks[0].dialect.find(BUDGET)
    assert row["count"] == 150


async def test_revoked_while_it_is_refreshed(desks: list[Desk]) -> None:
    """However the two fall together, nothing of the family is good afterwards."""
    for _ in range(5):
        first = await desks[0].tokens()

        async def act(number: int, first: TokenAnswer = first) -> Any:
            if number == 3:
                return await desks[0].flow.revoke(first.access_token.reveal(), CLI)
            return await desks[number % HOSTS].refresh(first.refresh_token)

        found = await at_once(6, act)
        for answer in (first, *found):
            if isinstance(answer, TokenAnswer):
                assert not await desks[2].is_good(answer.access_token)
                assert await refused(desks[1].refresh(answer.refresh_token)) == "invalid_grant"


async def test_a_key_that_is_revoked_by_hand_while_it_is_refreshed(desks: list[Desk]) -> None:
    """The same by way of the key."""
    for _ in range(5):
        first = await desks[0].tokens()
        key = await desks[0].parts.keys.verify(first.access_token.reveal())
        assert key is not None

        async def act(number: int, first: TokenAnswer = first, id: str = key.id) -> Any:
            if number == 1:
                return await desks[0].parts.keys.revoke("acme", id)
            return await desks[number].refresh(first.refresh_token)

        found = await at_once(3, act)
        for answer in (first, *found):
            if isinstance(answer, TokenAnswer):
                assert not await desks[2].is_good(answer.access_token)


async def test_what_is_over_is_removed(desks: list[Desk]) -> None:
    """Every table is swept."""
    await desks[0].tokens()
    await refused(desks[0].flow.redeem("x", CLI))
    await desks[0].flow.claim("BBBB-BBBB", person("eve"), asker=PHONE)
    for schema in SCHEMAS:
        assert await desks[0].dialect.count(schema) > 0
        (row, *_) = await desks[0].dialect.find(schema, limit=1)
        await desks[0].dialect.update_many(
            schema, {"id": row["id"]}, {"remove_at": row["remove_at"].replace(year=2001)}
        )
    found = [await desks[0].dialect.count(schema) for schema in SCHEMAS]
    assert await sweep(desks[1].dialect) == len(SCHEMAS)
    assert [await desks[0].dialect.count(schema) for schema in SCHEMAS] == [one - 1 for one in found]
