"""How many codes may be tried: hopeless for strangers, no lock-out for whoever has one, few rows."""

from __future__ import annotations

import gc
import secrets
import sys
from datetime import UTC, datetime

import anyio
import pytest
import time_machine
from objectkernel_device_auth.budgets import network_of
from objectkernel_device_auth.codes import ALPHABET
from objectkernel_device_auth.contracts import Asker, TooManyTries
from objectkernel_device_auth.guessing import TRIES
from objectkernel_device_auth.storage_codes import BUDGET, DEVICE_CODE

from tests.plugins.device_auth.flows import PHONE, Desk, person

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
WRONG = "BBBB-BBBB"


async def tried(desk: Desk, name: str, code: str = WRONG, asker: Asker = PHONE, session: str | None = None) -> int:
    """Try a code; how long to wait, 0 when it was looked at and wrong, -1 when it was right."""
    try:
        found = await desk.flow.claim(code, person(name, session=session), asker=asker)
    except TooManyTries as error:
        return error.retry_after
    return 0 if found is None else -1


def from_network(number: int) -> Asker:
    return Asker(address=f"198.51.{number // 250 % 250}.{number % 250 + 1}")


async def test_item_21_five_tries_in_the_lifetime_of_a_code(desk: Desk) -> None:
    """With waits that grow, whatever session or address they come from; then it begins anew."""
    with time_machine.travel(NOW, tick=False) as clock:
        found = []
        for number in range(600):
            looked_at = await tried(desk, "eve", session=str(number), asker=from_network(number)) == 0
            found += [number] * looked_at
            clock.shift(1)
        assert found == [0, 1, 2, 6, 22]
        assert await tried(desk, "eve") == 22
        clock.shift(22)
        assert await tried(desk, "eve") == 0


async def test_item_21_trying_at_once_gains_nothing(desk: Desk) -> None:
    """What is tried is counted before it is looked at."""
    found: list[int] = []

    async def attempt(number: int) -> None:
        found.append(await tried(desk, "eve", asker=from_network(number)))

    async with anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(attempt, number)
    assert found.count(0) <= TRIES


async def test_item_21_one_network(desk: Desk) -> None:
    """After five wrong ones from it each further person there has one try, and then waits."""
    asker = Asker(address="2001:db8::1")
    for number in range(TRIES):
        assert await tried(desk, f"person-{number}", asker=asker) == 0
    beside = Asker(address="2001:db8::99")
    assert await tried(desk, "honest", asker=beside) == 0
    assert await tried(desk, "honest", asker=beside) > 500
    assert await tried(desk, "honest", asker=PHONE) == 0


async def test_item_21_the_whole_host(desk: Desk) -> None:
    """The more codes wait, the fewer wrong ones are looked at; everybody's first one always is."""
    now = datetime.now(UTC)
    live = [{"digest": f"{n:064}", "client_id": "tv", "scope": "x", "interval": 5} for n in range(500)]
    asked = {"address": "", "agent": "", "network": "", "requested_at": now}
    until = datetime(2100, 1, 1, tzinfo=UTC)
    await desk.dialect.create_many(
        DEVICE_CODE, [row | asked | {"expires_at": until, "remove_at": until} for row in live]
    )
    budget = 20**8 // 2**20 // 500
    looked_at = 0
    for number in range(40):
        for again in range(2):
            looked_at += await tried(desk, f"eve-{number}", asker=from_network(2 * number + again)) == 0
    assert looked_at == budget + (40 - budget // 2)
    asked_for = await desk.ask()
    assert await tried(desk, "honest", asked_for.user_code, asker=from_network(1)) == -1


async def test_right_ones_cost_nothing(desk: Desk) -> None:
    """Neither tries nor waits, also after some that were mistyped."""
    with time_machine.travel(NOW, tick=False) as clock:
        for _ in range(4):
            assert await tried(desk, "ada") == 0
            clock.shift(20)
            for _ in range(3):
                assert await tried(desk, "ada", (await desk.ask()).user_code) == -1
    assert await tried(desk, "bob", (await desk.ask()).user_code) == -1
    assert await desk.dialect.count(BUDGET) == 4, "of Ada, of her network, of all, and of codes: nothing of Bob"


async def test_item_21_a_code_of_ones_own_wipes_nothing_out(desk: Desk) -> None:
    """Whoever guesses can ask for one, and type it between the guesses, at once with them or in turn."""
    own, found, numbers = (await desk.ask()).user_code, [], iter(range(10_000))

    async def attempt(code: str, name: str) -> None:
        result = await tried(desk, name, code, from_network(next(numbers)))
        found.append(result)

    for _ in range(12):
        async with anyio.create_task_group() as tasks:
            for code in (WRONG, WRONG, WRONG, WRONG, own):
                tasks.start_soon(attempt, code, "eve")
    assert found.count(0) <= TRIES
    found.clear()
    for _ in range(12):
        await attempt(WRONG, "mallory")
        await attempt(own, "mallory")
    assert found.count(0) <= TRIES


async def test_item_21_the_tries_of_any_ten_minutes(desk: Desk) -> None:
    """Whoever waits between two of them has no more: what was wrong is remembered from the last one on."""
    with time_machine.travel(NOW, tick=False) as clock:
        assert await tried(desk, "eve") == 0
        clock.shift(590)
        found = []
        for second in range(60):
            found += [second] * (await tried(desk, "eve", asker=from_network(second)) == 0)
            clock.shift(1)
        assert len(found) == TRIES - 1


async def test_item_21_only_the_first_try_is_looked_at_in_any_case(desk: Desk) -> None:
    """Not whatever somebody has sent at once with it."""
    for number in range(TRIES):
        assert await tried(desk, f"person-{number}") == 0
    found: list[int] = []

    async def attempt() -> None:
        found.append(await tried(desk, "eve"))

    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(attempt)
    assert found.count(0) == 1


async def test_what_can_be_no_code_counts_for_nothing(desk: Desk) -> None:
    """It is told as a wrong one, and nothing is written."""
    for _ in range(20):
        assert await tried(desk, "ada", "BCD") == 0
    assert await desk.dialect.count(BUDGET) == 0


@pytest.mark.parametrize(
    ("address", "network"),
    [
        (None, ""),
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
        ("2001:db8:1:2ff:3:4:5:6", "2001:db8:1:200::"),
        ("fe80::1%eth0", "fe80::"),
        ("unix", "unix"),
        ("127.0.0.2", ""),
        ("::1", ""),
        ("::ffff:127.0.0.1", ""),
    ],
)
def test_whose_an_address_is(address: str | None, network: str) -> None:
    """Of IPv6 a customer has what comes after the first 56 bits."""
    assert network_of(address) == network


@pytest.mark.slow
@pytest.mark.parametrize("anyio_backend", ["asyncio"], scope="module")
async def test_item_21_a_hundred_thousand_guesses(desk: Desk) -> None:
    """Of 300 people in new sessions from 50,000 addresses, at once: no success, few rows, and no more memory.

    Whoever has a code gets in at their first try meanwhile, also from an address of the strangers.
    """
    for number in range(200):
        await desk.ask(asker=Asker(address=f"192.0.2.{number}"))
    looked_at, honest, before = 0, 0, _blocks()
    turns = iter(range(100_000))

    async def guess() -> None:
        nonlocal looked_at
        for number in turns:
            code = "".join(secrets.choice(ALPHABET) for _ in range(8))
            address = Asker(address=f"10.{number // 250 % 200}.{number % 250}.1")
            result = await tried(desk, f"eve-{number % 300}", code, address, session=str(number))
            assert result != -1
            looked_at += result == 0

    async def use() -> None:
        nonlocal honest
        for number in range(40):
            asked = await desk.ask(asker=Asker(address=f"192.0.2.{number}"))
            where = Asker(address=f"10.{number % 200}.{number % 250}.1")
            honest += await tried(desk, f"honest-{number}", asked.user_code, where) == -1
            await anyio.sleep(0.05)

    async with anyio.create_task_group() as tasks:
        for _ in range(32):
            tasks.start_soon(guess)
        tasks.start_soon(use)
    assert honest == 40
    assert looked_at <= 300 * TRIES
    assert await desk.dialect.count(BUDGET) <= 300 + looked_at + 250 + 1
    assert _blocks() - before < 20_000, "something is kept of each guess"


def _blocks() -> int:
    """How many pieces of memory Python's objects have."""
    gc.collect()
    return sys.getallocatedblocks()
