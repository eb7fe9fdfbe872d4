"""Sessions: how long they last, who they belong to, how fast an end is seen."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import attrs
import pytest
import time_machine
from objectkernel_accounts.config import AccountsConfig
from objectkernel_accounts.sessions import Client
from objectkernel_accounts.storage import SESSION

from tests.contrib.accounts.hosts import AWAY, HOME, PASSWORD, House, housed, rooms

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
CONFIG = AccountsConfig(session_idle=3600.0, session_lifetime=3 * 3600.0, session_cache=0.0)
CACHED = attrs.evolve(CONFIG, session_cache=10.0)


@pytest.fixture
async def short(anyio_backend: str) -> AsyncIterator[House]:
    """Sessions that end after an hour without use, and after three hours."""
    async with housed(CONFIG) as made:
        yield made


async def test_a_token_leads_to_its_session(house: House) -> None:
    """What was given at sign-in leads to the person, the account and the role; anything else to nobody."""
    admin = await house.admin()
    signed_in = await house.sign_in()
    session = await house.session(signed_in)
    assert session is not None
    assert (session.user.id, session.account.id, session.role) == (admin.user.id, admin.account.id, "owner")
    assert (session.address, session.agent) == (HOME.address, HOME.agent)
    for token in ("", "x", signed_in.session.token.reveal() + "x", "x" * 10_000, "\ud800"):
        assert await house.parts.sessions.find(token, secure=True) is None


async def test_the_database_has_a_digest(house: House) -> None:
    """A token has 256 bits or more, and the database cannot tell it."""
    await house.admin()
    token = (await house.sign_in()).session.token.reveal()
    assert len(token) >= 43
    (row,) = await house.dialect.find(SESSION)
    assert token not in repr(row)
    assert len(row["digest"]) == 64


async def test_a_plain_token_is_no_secure_one(house: House) -> None:
    """A token that was sent where others can listen is worth nothing on a secure connection, nor the other way."""
    await house.admin()
    for secure in (True, False):
        token = (await house.sign_in(client=Client(secure=secure))).session.token.reveal()
        assert await house.parts.sessions.find(token, secure=secure)
        assert await house.parts.sessions.find(token, secure=not secure) is None


async def test_use_keeps_it_going(short: House) -> None:
    """A session that is used goes on beyond its idle time."""
    with time_machine.travel(NOW, tick=False) as clock:
        await short.admin()
        signed_in = await short.sign_in()
        for _ in range(3):
            clock.shift(timedelta(minutes=50))
            assert await short.session(signed_in)


@pytest.mark.parametrize("config", [CONFIG, CACHED], ids=["read", "in memory"])
async def test_idle(short: House, config: AccountsConfig) -> None:
    """At the end of its idle time a session is over, also for whoever has it in memory."""
    with time_machine.travel(NOW, tick=False) as clock:
        await short.admin()
        token = (await short.sign_in()).session.token.reveal()
        sessions = rooms(short, config).sessions
        assert await sessions.find(token, secure=True)
        clock.shift(HOUR - timedelta(microseconds=1))
        if config is CACHED:
            assert await sessions.find(token, secure=True)
        clock.shift(timedelta(microseconds=1))
        assert await sessions.find(token, secure=True) is None


async def test_over_however_much_it_is_used(short: House) -> None:
    """After its whole lifetime a session is over, and what took its place in between ends no later."""
    with time_machine.travel(NOW, tick=False) as clock:
        await short.admin()
        signed_in = await short.sign_in()
        for _ in range(3):
            clock.shift(timedelta(minutes=50))
            session = await short.session(signed_in)
            assert session is not None and session.ends_at == NOW + 3 * HOUR
        started = await short.parts.sign_in.change_password(session, PASSWORD, "another long phrase", HOME)
        assert started.ends_at == NOW + 3 * HOUR
        clock.move_to(NOW + 3 * HOUR)
        assert await short.parts.sessions.find(started.token.reveal(), secure=True) is None


async def test_own_sessions(house: House) -> None:
    """Somebody sees what they are signed in with, the last used first, and nobody else's."""
    ada = await house.admin()
    await house.member(ada.account.id, "bob")
    with time_machine.travel(NOW, tick=False) as clock:
        await house.sign_in()
        clock.shift(HOUR)
        await house.sign_in(client=AWAY)
        await house.sign_in("bob")
        listed = await house.parts.sessions.of(ada.user.id)
    assert [one.agent for one in listed] == [AWAY.agent, HOME.agent]


async def test_an_end_is_seen_at_once_here(house: House) -> None:
    """Whatever ends a session in this process ends it at once, in memory too."""
    await house.admin()
    session = await house.signed_in()
    signed_in = await house.sign_in(client=AWAY)
    assert await house.session(signed_in, AWAY)
    await house.parts.sign_in.end(session, signed_in.session.id)
    assert await house.session(signed_in, AWAY) is None


async def test_an_end_elsewhere_is_seen_after_the_cache(house: House) -> None:
    """What another process ends is seen here when `session_cache` seconds are over, at the latest."""
    admin = await house.admin()
    await house.admin("grace", another=True)
    signed_in = await house.sign_in()
    elsewhere, uncached = rooms(house), rooms(house, AccountsConfig(session_cache=0.0))
    assert await uncached.sessions.find(signed_in.session.token.reveal(), secure=True)
    assert await house.session(signed_in)
    await elsewhere.accounts.disable(admin.account.id)
    assert await house.session(signed_in)  # from memory, for two seconds
    assert await uncached.sessions.find(signed_in.session.token.reveal(), secure=True) is None


async def test_what_is_read_while_it_changes_is_not_kept(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that is read just before a change is not remembered after it."""
    admin = await house.admin()
    signed_in = await house.sign_in()
    sessions = house.parts.sessions
    read = sessions._read

    async def interrupted(digest: str, now: datetime):  # type: ignore[no-untyped-def]
        found = await read(digest, now)
        await house.parts.people.invite("x", admin.account.id)
        return found

    monkeypatch.setattr(sessions, "_read", interrupted)
    assert await house.session(signed_in)
    assert not sessions._cache


async def test_memory_is_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only so many sessions are kept in memory."""
    monkeypatch.setattr("objectkernel_accounts.sessions.CACHED", 2)
    await house.admin()
    for _ in range(4):
        assert await house.session(await house.sign_in())
    for signed_in in [await house.sign_in() for _ in range(3)]:
        assert await house.session(signed_in)
    assert len(house.parts.sessions._cache) == 2


async def test_somebody_has_so_many(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one session too many the one that was used least lately is over; those of others stay."""
    monkeypatch.setattr("objectkernel_accounts.sessions.MOST", 3)
    ada = await house.admin()
    await house.member(ada.account.id, "bob")
    with time_machine.travel(NOW, tick=False) as clock:
        his, hers = await house.sign_in("bob"), []
        for _ in range(5):
            hers.append(await house.sign_in())
            clock.shift(timedelta(minutes=5))
            assert await house.session(hers[0])  # it is in use
        assert [bool(await house.session(one)) for one in hers] == [True, False, False, True, True]
    assert await house.dialect.count(SESSION) == 4
    assert await house.dialect.exists(SESSION, {"user": his.user_id})


async def test_use_is_written_seldom(house: House) -> None:
    """That a session is used is written once a minute, not at each request."""
    await house.admin()
    with time_machine.travel(NOW, tick=False) as clock:
        signed_in = await house.sign_in()
        for seconds, written in ((30, 0), (31, 61)):
            clock.shift(timedelta(seconds=seconds))
            house.parts.sessions.forget()
            await house.session(signed_in)
            (row,) = await house.dialect.find(SESSION)
            assert row["seen_at"] == NOW + timedelta(seconds=written)


def test_tokens_do_not_show_themselves(caplog: pytest.LogCaptureFixture) -> None:
    """A new session prints without its token."""
    from objectkernel.secret import Secret
    from objectkernel_accounts.sessions import Started

    started = Started(id="1", token=Secret("hunter2"), ends_at=NOW)
    logging.getLogger("test").warning("%s %r", started, attrs.asdict(started))
    assert "hunter2" not in caplog.text
