"""Signing in and out, and what somebody does about themselves."""

from __future__ import annotations

import logging

import anyio
import pytest
from objectkernel_accounts.errors import (
    LinkInvalid,
    PasswordRefused,
    SignedOut,
    SignInBusy,
    SignInFailed,
    UserMissing,
)
from objectkernel_accounts.parts import assemble
from objectkernel_accounts.passwords import Hardness
from objectkernel_accounts.sign_in import FREE_OF_LOGIN
from objectkernel_accounts.storage import SESSION, USER

from tests.contrib.accounts.hosts import AWAY, HOME, OTHER, PASSWORD, House

pytestmark = pytest.mark.anyio


async def test_the_right_password_lets_in(house: House) -> None:
    """Whoever knows the password gets a session, however the login is written; and it is in the audit trail."""
    admin = await house.admin("Ada@Example.org")
    signed_in = await house.sign_in(" ada@EXAMPLE.org ")
    assert (signed_in.user_id, signed_in.account_id) == (admin.user.id, admin.account.id)
    assert house.audit.entries[-1].action == "session.start"
    assert house.audit.entries[-1].by == admin.user.id
    assert (await house.parts.people.get(admin.user.id)).signed_in_at is not None  # type: ignore[union-attr]


async def test_nothing_tells_logins_apart(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """Unknown, wrong, disabled and in no account: one error, without the login; the log has it not either."""
    caplog.set_level(logging.DEBUG)
    ada = await house.admin()
    bob = await house.member(ada.account.id, "bob@example.org")
    eve = await house.member(ada.account.id, "eve@example.org")
    await house.parts.people.disable(bob.user.id)
    await house.parts.accounts.remove_member(ada.account.id, eve.user.id)
    told = set()
    for login, password in (
        ("nobody@example.org", PASSWORD),
        ("ada@example.org", OTHER),
        ("bob@example.org", PASSWORD),
        ("eve@example.org", PASSWORD),
        ("a\x00b", PASSWORD),
        ("\ud800", PASSWORD),
        ("x" * 5000, PASSWORD),
        ("", ""),
    ):
        with pytest.raises(SignInFailed) as caught:
            await house.sign_in(login, password)
        told.add(str(caught.value))
    assert len(told) == 1
    assert "example.org" not in caplog.text


async def test_a_session_before_is_over(house: House) -> None:
    """Signing in again gives another token, and ends the one that the browser had."""
    await house.admin()
    first = await house.sign_in()
    second = await house.sign_in(before=first.session.id)
    assert await house.session(first) is None
    assert await house.session(second)
    assert first.session.token != second.session.token


async def test_signing_out(house: House) -> None:
    """Who signs out ends this session and no other; everywhere ends all."""
    await house.admin()
    here, there = await house.signed_in(), await house.sign_in(client=AWAY)
    await house.parts.sign_in.sign_out(here)
    await house.parts.sign_in.sign_out(here)
    assert house.audit.actions.count("session.end") == 1
    assert await house.session(there, AWAY)
    again = await house.signed_in()
    assert await house.parts.sign_in.sign_out_everywhere(again) == 2
    assert await house.dialect.count(SESSION) == 0


async def test_others_sessions_are_not_ones_own(house: House) -> None:
    """Nobody ends a session of somebody else by its id."""
    ada = await house.admin()
    await house.member(ada.account.id, "bob")
    hers, his = await house.signed_in(), await house.signed_in("bob")
    assert not await house.parts.sign_in.end(his, hers.id)
    assert await house.dialect.count(SESSION) == 2


async def test_changing_ones_password(house: House) -> None:
    """The new password counts, the old one does not; other sessions end and this one gets a new token."""
    await house.admin()
    signed_in, elsewhere = await house.sign_in(), await house.sign_in(client=AWAY)
    session = await house.session(signed_in)
    assert session is not None
    started = await house.parts.sign_in.change_password(session, PASSWORD, OTHER, HOME)
    assert await house.session(elsewhere, AWAY) is None
    assert await house.session(signed_in) is None
    assert await house.parts.sessions.find(started.token.reveal(), secure=True)
    with pytest.raises(SignInFailed):
        await house.sign_in()
    await house.sign_in(password=OTHER)
    assert "user.change-password" in house.audit.actions


async def test_a_changed_password_voids_links(house: House) -> None:
    """A link for a new password that somebody else may have is worth nothing after the password was changed."""
    ada = await house.admin()
    link = await house.parts.people.reset_link(ada.user.id)
    await house.parts.sign_in.change_password(await house.signed_in(), PASSWORD, OTHER, HOME)
    with pytest.raises(LinkInvalid):
        await house.parts.people.reset(link.token.reveal())


async def test_a_host_without_time_locks_nobody_out(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password that nobody had time to look at was not a wrong one, at sign-in and at its change."""
    await house.admin()
    session = await house.signed_in()
    with monkeypatch.context() as busy:
        busy.setattr("objectkernel_accounts.passwords.WAITING", 0)
        for _ in range(3 * FREE_OF_LOGIN):
            with pytest.raises(SignInBusy):
                await house.sign_in(client=AWAY)
            with pytest.raises(SignInBusy):
                await house.parts.sign_in.change_password(session, PASSWORD, OTHER, HOME)
    await house.sign_in(client=AWAY)
    await house.parts.sign_in.change_password(session, PASSWORD, OTHER, HOME)


async def test_a_change_that_is_refused_changes_nothing(house: House) -> None:
    """A wrong current password, or a new one that is none, leaves everything as it is."""
    await house.admin()
    session = await house.signed_in()
    with pytest.raises(SignInFailed):
        await house.parts.sign_in.change_password(session, "wrong password", OTHER, HOME)
    with pytest.raises(PasswordRefused):
        await house.parts.sign_in.change_password(session, PASSWORD, "short", HOME)
    await house.sign_in()


async def test_two_changes_at_once(house: House) -> None:
    """Of two changes from one old password one is made."""
    await house.admin()
    session = await house.signed_in()
    made: list[str] = []

    async def change(new: str) -> None:
        try:
            await house.parts.sign_in.change_password(session, PASSWORD, new, HOME)
        except (SignInFailed, SignedOut):
            return
        made.append(new)

    async with anyio.create_task_group() as tasks:
        for new in (OTHER, OTHER + "s"):
            tasks.start_soon(change, new)
    assert len(made) == 1
    await house.sign_in(password=made[0])


async def test_a_change_while_somebody_signs_in(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password that was changed while it was being checked lets nobody in."""
    ada = await house.admin()
    passwords = house.parts.sign_in._passwords
    matches = passwords.matches

    async def slowly(password: str, kept: str | None) -> bool:
        found = await matches(password, kept)
        await house.dialect.update(USER, ada.user.id, {"password": "another hash"})
        return found

    monkeypatch.setattr(passwords, "matches", slowly)
    with pytest.raises(SignInFailed):
        await house.sign_in()
    assert await house.dialect.count(SESSION) == 0


async def test_hashes_become_harder(house: House) -> None:
    """A password that was hashed with less is hashed again at sign-in."""
    await house.admin()
    harder = Hardness(memory=128, iterations=1)
    parts = assemble(house.dialect, house.ring, house.audit, house.emit, house.parts.config, harder)
    await parts.sign_in.sign_in("ada@example.org", PASSWORD, HOME)
    (row,) = await house.dialect.find(USER)
    assert row["password"].startswith(harder.mark)
    await parts.sign_in.sign_in("ada@example.org", PASSWORD, HOME)


async def test_several_accounts(house: House) -> None:
    """Somebody comes into the account that they were in first, and goes on in another with a new token."""
    ada = await house.admin()
    other = await house.parts.accounts.create("Other")
    link = await house.parts.people.invite("ada@example.org", other.id, "viewer")
    await house.parts.people.join(link.token.reveal(), ada.user.id)
    signed_in = await house.sign_in()
    assert signed_in.account_id == ada.account.id
    session = await house.session(signed_in)
    assert session is not None
    started = await house.parts.sign_in.switch(session, other.id, HOME)
    assert await house.session(signed_in) is None
    now = await house.parts.sessions.find(started.token.reveal(), secure=True)
    assert now is not None and (now.account.id, now.role) == (other.id, "viewer")


async def test_accounts_of_others(house: House) -> None:
    """Nobody goes on in an account that is not theirs; it is as one that is not there."""
    await house.admin()
    session = await house.signed_in()
    foreign = await house.parts.accounts.create("Foreign")
    for account_id in (foreign.id, "missing"):
        with pytest.raises(UserMissing):
            await house.parts.sign_in.switch(session, account_id, HOME)
    assert await house.parts.sessions.of(session.user.id)
