"""How often a password may be tried."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import anyio
import pytest
import time_machine
from objectkernel_accounts.errors import SignInFailed, TooManyAttempts
from objectkernel_accounts.sessions import Client
from objectkernel_accounts.sign_in import FREE_OF_ADDRESS, FREE_OF_LOGIN
from objectkernel_accounts.storage import ATTEMPTS
from objectkernel_accounts.sweeping import sweep
from objectkernel_accounts.throttle import Budget, Throttle, network_of

from tests.contrib.accounts.hosts import HOME, House

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def stranger(number: int) -> Client:
    """Somebody at another address each time."""
    return Client(address=f"203.0.113.{number}")


async def wrong(house: House, client: Client, login: str = "ada@example.org") -> int:
    """Try a wrong password; how long to wait, 0 when it was looked at."""
    try:
        await house.sign_in(login, "wrong password", client)
    except SignInFailed:
        return 0
    except TooManyAttempts as error:
        return error.retry_after
    raise AssertionError("let in")


async def test_a_login_that_is_guessed_at(house: House) -> None:
    """After the free ones each wrong password, from wherever, doubles the wait; a right one has to wait too."""
    await house.admin()
    with time_machine.travel(NOW, tick=False) as clock:
        for number in range(FREE_OF_LOGIN):
            assert await wrong(house, stranger(number)) == 0
        waits = []
        for number in range(4):
            assert await wrong(house, stranger(100 + number)) == 0
            waits.append(await wrong(house, stranger(50)))
            with pytest.raises(TooManyAttempts):
                await house.sign_in(client=stranger(51))
            clock.shift(timedelta(seconds=waits[-1]))
        assert waits == [1, 2, 4, 8]


async def test_the_wait_has_an_end(house: House) -> None:
    """Nobody waits longer than a quarter of an hour, and what was wrong is forgotten an hour later."""
    throttle, budget = Throttle(house.dialect), Budget.of("login", "ada", free=0)
    with time_machine.travel(NOW, tick=False) as clock:
        for _ in range(15):
            await throttle.take([budget])
            with pytest.raises(TooManyAttempts) as caught:
                await throttle.take([budget])
            clock.shift(timedelta(seconds=caught.value.retry_after))
        assert caught.value.retry_after == 900
        clock.shift(timedelta(hours=1))
        await throttle.take([budget])
        with pytest.raises(TooManyAttempts) as caught:
            await throttle.take([budget])
        assert caught.value.retry_after == 1


async def test_an_unknown_login_is_no_other(house: House) -> None:
    """A login that nobody has is throttled as one that somebody has."""
    await house.admin()
    with time_machine.travel(NOW, tick=False):
        found = [
            [await wrong(house, stranger(number), login) for number in range(FREE_OF_LOGIN + 3)]
            for login in ("ada@example.org", "nobody@example.org")
        ]
    assert found[0] == found[1]
    assert found[0][-1] > 0


async def test_strangers_lock_nobody_out(house: House) -> None:
    """However often strangers try, a device that has signed in before gets in at once; and so does its address."""
    await house.admin()
    device = (await house.sign_in()).device.reveal()
    with time_machine.travel(datetime.now(UTC), tick=False):
        for number in range(FREE_OF_LOGIN + 10):
            await wrong(house, stranger(number))
        with pytest.raises(TooManyAttempts):
            await house.sign_in(client=stranger(99))
        await house.sign_in(client=stranger(98), device=device)
        await house.sign_in(client=HOME)


async def test_a_device_is_known_for_its_login_only(house: House) -> None:
    """What a device shows gives it no attempts at somebody else's password; nor does what nobody gave it."""
    admin = await house.admin()
    await house.member(admin.account.id, "bob")
    device = (await house.sign_in("bob")).device.reveal()
    for number in range(FREE_OF_LOGIN + 1):
        await wrong(house, stranger(number))
    for shown in (device, "a.first.b", ""):
        with pytest.raises(TooManyAttempts):
            await house.sign_in(client=stranger(99), device=shown)


async def test_a_known_device_has_a_budget_too(house: House) -> None:
    """A stolen device guesses no faster, and takes no attempts from others."""
    await house.admin()
    device = (await house.sign_in()).device.reveal()
    with pytest.raises(TooManyAttempts):
        for _ in range(20):
            with pytest.raises(SignInFailed):
                await house.sign_in(password="wrong password", client=stranger(1), device=device)
    await house.sign_in(client=stranger(2))


async def test_one_address_that_tries_many_logins(house: House) -> None:
    """Guessing one password for many logins is throttled by the address; signing in does not undo that."""
    await house.admin()
    with time_machine.travel(NOW, tick=False):
        for number in range(FREE_OF_ADDRESS):
            assert await wrong(house, stranger(1), f"login-{number}") == 0
        await house.sign_in(client=stranger(1))
        assert await wrong(house, stranger(1), "one more") > 0
        assert await wrong(house, stranger(2), "one more") == 0


async def test_a_right_one_takes_nothing(house: House) -> None:
    """Signing in forgets the wrong ones of its login, and counts for nothing at its address."""
    await house.admin()
    for _ in range(2):
        for _ in range(FREE_OF_LOGIN - 1):
            await wrong(house, stranger(1))
        await house.sign_in(client=stranger(1))
        await house.parts.sessions.end_all((await house.signed_in(client=stranger(3))).user.id)
    counts = [row["count"] for row in await house.dialect.find(ATTEMPTS)]
    assert sorted(counts) == [0, 2 * (FREE_OF_LOGIN - 1)]


async def test_many_at_once_are_counted(house: House) -> None:
    """Guesses that come together get no more attempts than those that come one after another."""
    await house.admin()
    looked_at = 0

    async def guess(number: int) -> None:
        nonlocal looked_at
        if await wrong(house, stranger(number)) == 0:
            looked_at += 1

    async with anyio.create_task_group() as tasks:
        for number in range(25):
            tasks.start_soon(guess, number)
    assert looked_at <= FREE_OF_LOGIN + 1


async def test_rows_are_bounded(house: House) -> None:
    """What is waiting costs no row, and rows go when their hour is over."""
    await house.admin()
    with time_machine.travel(NOW, tick=False) as clock:
        for _ in range(3):
            for number in range(20):
                await wrong(house, stranger(1), f"login-{number}")
        assert await house.dialect.count(ATTEMPTS) <= FREE_OF_ADDRESS + 2
        clock.shift(timedelta(hours=2))
        await sweep(house.dialect)
        assert await house.dialect.count(ATTEMPTS) == 0


async def test_no_row_tells_a_login(house: House) -> None:
    """The database tells neither which logins nor which addresses are tried."""
    await wrong(house, stranger(7), "ada@example.org")
    rows = repr(await house.dialect.find(ATTEMPTS))
    assert "ada" not in rows and "203.0.113" not in rows


@pytest.mark.parametrize(
    "address, network",
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", ""),
        ("unix", "unix"),
    ],
    ids=ascii,
)
def test_networks(address: str, network: str) -> None:
    """Of IPv6 one customer has 64 bits of addresses, which count as one."""
    assert network_of(address) == network
