"""Tokens are ended, and asked about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from objectkernel_contracts import Principal
from objectkernel_device_auth.contracts import Client

from tests.plugins.device_auth.flows import CLI, READ, WRITE, Desk, refused

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINE = Principal(account_id="acme", user_id="ada", key_id="k")


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
async def test_item_28_the_family_ends(desk: Desk, which: str) -> None:
    """With the key or with the refresh token everything of the family ends, and nothing of another."""
    other = await desk.tokens()
    first = await desk.tokens()
    answer = await desk.refresh(first.refresh_token)
    await desk.flow.revoke(getattr(answer, which).reveal(), CLI)
    for ended in (first, answer):
        assert not await desk.is_good(ended.access_token)
        assert await refused(desk.refresh(ended.refresh_token)) == "invalid_grant"
    assert await desk.is_good(other.access_token)
    await desk.refresh(other.refresh_token)
    assert desk.audit.actions.count("token.revoke") == 1


async def test_item_28_what_is_no_token(desk: Desk) -> None:
    """Unknown, ended before, or anything at all, is no error."""
    answer = await desk.tokens()
    for token in ("unknown", "\0", "\ud800", "x" * 100_000, answer.access_token.reveal(), answer.access_token.reveal()):
        await desk.flow.revoke(token, CLI)
    assert desk.audit.actions.count("token.revoke") == 1


async def test_item_28_only_the_client_itself(desk: Desk) -> None:
    """Another one ends nothing, and is not told whether there was something; nor does one that is not known."""
    await desk.parts.clients.register(Client(id="tv", name="TV"))
    answer = await desk.tokens()
    for token in (answer.access_token, answer.refresh_token):
        assert token is not None
        await desk.flow.revoke(token.reveal(), "tv")
        assert await refused(desk.flow.revoke(token.reveal(), "nobody")) == "invalid_client"
    assert await desk.is_good(answer.access_token)
    await desk.refresh(answer.refresh_token)


async def test_item_28_a_key_that_was_made_by_hand(desk: Desk) -> None:
    """It came from no client, so no client ends it."""
    made = await desk.parts.keys.issue("acme", "by hand", [READ], expires_in=timedelta(hours=1))
    await desk.flow.revoke(made.secret.reveal(), CLI)
    assert await desk.is_good(made.secret)


async def test_item_29_who_is_told(desk: Desk) -> None:
    """The client whose token it is, and whoever is of its account."""
    answer = await desk.tokens()
    token = answer.access_token.reveal()
    client = await desk.parts.clients.get(CLI)
    for caller in (client, MINE):
        key = await desk.flow.introspect(token, caller)
        assert (key.client_id, key.scopes, key.user_id) == (CLI, {READ}, "ada")
    for caller in (Client(id="tv", name="TV"), Principal(account_id="other", user_id="ada")):
        assert await desk.flow.introspect(token, caller) is None


async def test_item_29_what_is_not_active(desk: Desk) -> None:
    """Unknown, revoked, expired, a refresh token, and a key of somebody who may nothing any more."""
    with time_machine.travel(NOW, tick=False) as clock:
        old = await desk.tokens()
        assert await desk.flow.introspect(old.access_token.reveal(), MINE) is not None
        clock.shift(old.expires_in)
        assert await desk.flow.introspect(old.access_token.reveal(), MINE) is None
    answer = await desk.tokens()
    assert answer.refresh_token is not None
    for token in ("unknown", "\0", "\ud800", answer.refresh_token.reveal()):
        assert await desk.flow.introspect(token, MINE) is None
    token = answer.access_token.reveal()
    desk.roles.now["ada"] = None
    assert await desk.flow.introspect(token, MINE) is None
    del desk.roles.now["ada"]
    assert await desk.flow.introspect(token, MINE) is not None
    await desk.flow.revoke(token, CLI)
    assert await desk.flow.introspect(token, MINE) is None


async def test_item_29_what_it_may_now(desk: Desk) -> None:
    """Not what was granted, where the person may less since."""
    answer = await desk.tokens(scope=f"{READ} {WRITE}")
    desk.roles.now["ada"] = frozenset({READ})
    assert (await desk.flow.introspect(answer.access_token.reveal(), MINE)).scopes == {READ}
