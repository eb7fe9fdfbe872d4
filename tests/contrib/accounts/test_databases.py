"""The core on every kind of database: from the first administrator to a deleted account, also many at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import pytest
from objectkernel_accounts.errors import (
    AccountStateInvalid,
    AdministratorExists,
    LinkInvalid,
    LoginTaken,
    RoleRefused,
    SignInFailed,
    TooManyAttempts,
)
from objectkernel_accounts.sessions import Client
from objectkernel_accounts.sign_in import FREE_OF_LOGIN
from objectkernel_accounts.storage import ACCOUNT, MEMBERSHIP, SESSION, USER
from objectkernel_accounts.sweeping import sweep
from objectkernel_system_dialect.mariadb_engine import MariadbEngine
from objectkernel_system_dialect.postgres_engine import PostgresEngine
from objectkernel_system_dialect.sql_dialect import SqlDialect
from objectkernel_system_dialect.sqlite_dialect import open_sqlite

from tests.contrib.accounts.hosts import OTHER, PASSWORD, House, furnish, rooms
from tests.plugins.system_dialect.databases import mariadb_database, mariadb_url, postgres_database, postgres_url

__all__ = ["mariadb_database", "mariadb_url", "postgres_database", "postgres_url"]  # fixtures

pytestmark = pytest.mark.anyio


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
async def house(request: pytest.FixtureRequest, tmp_path: Any) -> AsyncIterator[House]:
    """Accounts on a database of each kind."""
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


async def at_once(count: int, call: Callable[[int], Awaitable[Any]], *expected: type[Exception]) -> list[Any]:
    """What calls that run at once gave, without those that raised what is expected."""
    found: list[Any] = []

    async def one(number: int) -> None:
        try:
            found.append(await call(number))
        except expected:
            return

    async with anyio.create_task_group() as tasks:
        for number in range(count):
            tasks.start_soon(one, number)
    return found


async def test_a_life(house: House) -> None:
    """Invited, joined, signed in, promoted, given a new password, and deleted with the account."""
    ada = await house.admin()
    account = await house.parts.accounts.create("Acme")
    bob = await house.member(account.id, "Bob@Example.org", "owner")
    signed_in = await house.sign_in("bob@example.ORG")
    assert await house.session(signed_in)
    await house.member(account.id, "carol", "owner")
    await house.parts.accounts.set_role(account.id, bob.user.id, "admin")
    assert await house.session(signed_in) is None
    link = await house.parts.people.reset_link(bob.user.id)
    await house.parts.people.reset_password(link.token.reveal(), OTHER)
    session = await house.signed_in("bob@example.org", password=OTHER)
    assert (session.role, session.account.name) == ("admin", "Acme")
    assert len(await house.parts.sessions.of(bob.user.id)) == 1
    assert (await house.parts.accounts.delete(account.id, successor_id=ada.account.id)).state == "deleted"
    assert [one.login for one in (await house.parts.people.list())[0]] == ["ada@example.org"]
    assert await house.dialect.count(MEMBERSHIP) == 1
    await sweep(house.dialect)


async def test_the_first_administrator_twice_at_once(house: House) -> None:
    """However many make the first administrator at once, there is one; nothing is left of the others."""
    made = await at_once(5, lambda number: house.admin(f"admin-{number}"), AdministratorExists)
    assert len(made) == 1
    assert await house.dialect.count(USER) == await house.dialect.count(ACCOUNT) == 1


async def test_one_login_twice_at_once(house: House) -> None:
    """Two invitations for one login make one person."""
    ada = await house.admin()
    links = [await house.parts.people.invite(login, ada.account.id) for login in ("Bob", "bob", "BOB")]
    joined = await at_once(
        3, lambda number: house.parts.people.accept(links[number].token.reveal(), PASSWORD), LoginTaken
    )
    assert len(joined) == 1
    assert await house.dialect.count(USER) == 2


async def test_one_link_twice_at_once(house: House) -> None:
    """A link is used once, however many use it."""
    ada = await house.admin()
    token = (await house.parts.people.reset_link(ada.user.id)).token.reveal()
    passwords = [f"{OTHER} {number}" for number in range(4)]

    async def reset(number: int) -> int:
        await house.parts.people.reset_password(token, passwords[number])
        return number

    (number,) = await at_once(4, reset, LinkInvalid)
    await house.sign_in(password=passwords[number])


async def test_signing_in_at_once(house: House) -> None:
    """Everybody who signs in at once gets a session of their own."""
    await house.admin()
    found = await at_once(6, lambda number: house.sign_in())
    assert len({one.session.token.reveal() for one in found}) == 6
    assert await house.dialect.count(SESSION) == 6


async def test_guessing_at_once(house: House) -> None:
    """From many addresses at once nobody gets more guesses than one after another."""
    await house.admin()
    looked_at = 0

    async def guess(number: int) -> None:
        nonlocal looked_at
        try:
            await house.sign_in(password="wrong password", client=Client(address=f"203.0.113.{number}"))
        except SignInFailed:
            looked_at += 1

    await at_once(20, guess, TooManyAttempts)
    assert 1 <= looked_at <= FREE_OF_LOGIN + 1


async def test_owners_who_leave_at_once(house: House) -> None:
    """Of two owners who take each other's role away at once one stays."""
    ada = await house.admin()
    bob = await house.member(ada.account.id, "bob", "owner")
    users = (ada.user.id, bob.user.id)
    await at_once(2, lambda number: house.parts.accounts.set_role(ada.account.id, users[number], "viewer"), RoleRefused)
    roles = [one.role for one in await house.parts.accounts.members(ada.account.id)]
    assert sorted(roles) == ["owner", "viewer"]


async def test_those_who_run_the_host_leave_at_once(house: House) -> None:
    """Of several who run the host and are disabled, removed or deleted all at once, one stays who can sign in."""
    admins = [await house.admin(f"admin-{number}", another=True) for number in range(4)]
    people, accounts = house.parts.people, house.parts.accounts

    async def end(number: int) -> None:
        one = admins[number]
        if number == 3:
            await accounts.delete(one.account.id)
        elif number == 2:
            await accounts.disable(one.account.id)
        else:
            await people.disable(one.user.id)

    await at_once(4, end, RoleRefused)
    left = 0
    for number in range(4):
        try:
            await house.sign_in(f"admin-{number}")
        except SignInFailed:
            continue
        left += 1
    assert left == 1


async def test_two_hosts_delete_at_once(house: House) -> None:
    """Two hosts that delete one account agree; the trail has it once."""
    await house.admin()
    account = await house.parts.accounts.create("Doomed")
    await house.member(account.id, "bob")
    hosts = (house.parts, rooms(house))
    states = await at_once(4, lambda number: hosts[number % 2].accounts.delete(account.id))
    assert {one.state for one in states} == {"deleted"}
    assert house.audit.actions.count("account.delete") == 1
    assert await house.parts.people.find("bob") is None


async def test_joining_while_it_is_deleted(house: House) -> None:
    """Whoever joins an account while it is deleted is in it and gone with it, or not let in."""
    await house.admin()
    account = await house.parts.accounts.create("Doomed")
    tokens = [(await house.parts.people.invite(f"late-{number}", account.id)).token.reveal() for number in range(3)]

    async def act(number: int) -> None:
        if number == 3:
            await house.parts.accounts.delete(account.id)
        else:
            await house.parts.people.accept(tokens[number], PASSWORD)

    await at_once(4, act, AccountStateInvalid, LinkInvalid)
    assert await house.dialect.count(MEMBERSHIP, {"account": account.id}) == 0
    assert await house.dialect.count(USER) == 1
