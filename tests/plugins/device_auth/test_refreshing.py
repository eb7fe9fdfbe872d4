"""Refresh tokens: each is good once, racing processes get one answer, and reuse ends the family."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import anyio
import pytest
import time_machine
from objectkernel.secret import Secret
from objectkernel_device_auth.contracts import Client, TokenAnswer
from objectkernel_device_auth.refreshing import BURST
from objectkernel_device_auth.storage_codes import FAMILY, REFRESH_TOKEN
from objectkernel_device_auth.storage_keys import KEY
from objectkernel_device_auth.sweeping import sweep

from tests.plugins.device_auth.flows import CLI, READ, WRITE, Desk, desk_of, person, refusal, refused

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BOTH = f"{READ} {WRITE}"


async def test_item_31_each_is_good_once(desk: Desk) -> None:
    """It gives a new key and a new token; the old key ends soon, so that one of that name is left."""
    with time_machine.travel(NOW, tick=False) as clock:
        first = await desk.tokens()
        clock.shift(3600)
        second = await desk.refresh(first.refresh_token)
        assert first.refresh_token != second.refresh_token
        assert (second.scope, second.expires_in) == (READ, 86_400)
        for token in (first.access_token, second.access_token):
            assert await desk.is_good(token)
        clock.shift(21)
        assert not await desk.is_good(first.access_token)
        assert await desk.is_good(second.access_token)
        keys, _ = await desk.parts.keys.list("acme")
        assert [key.name for key in keys] == [desk.config.first_party_name]


async def test_item_31_the_same_answer_within_the_grace(desk: Desk) -> None:
    """The same tokens, though none of them is kept in clear; the time that is left is that of now."""
    with time_machine.travel(NOW, tick=False) as clock:
        first = await desk.tokens()
        second = await desk.refresh(first.refresh_token)
        assert await desk.refresh(first.refresh_token) == second
        clock.shift(19)
        assert first.refresh_token is not None
        again = await desk.another().flow.refresh(first.refresh_token.reveal(), CLI)
        assert (again.access_token, again.refresh_token) == (second.access_token, second.refresh_token)
        assert again.expires_in == second.expires_in - 19
        third = await desk.refresh(second.refresh_token)
        assert third.refresh_token != second.refresh_token
        assert (await desk.refresh(first.refresh_token)).refresh_token == second.refresh_token
        assert await desk.dialect.count(REFRESH_TOKEN) == 3


async def test_item_31_sixteen_at_once(desk: Desk) -> None:
    """One rotation; everybody has the same tokens."""
    first = await desk.tokens()
    found: list[TokenAnswer] = []

    async def refresh() -> None:
        found.append(await desk.refresh(first.refresh_token))

    async with anyio.create_task_group() as tasks:
        for _ in range(16):
            tasks.start_soon(refresh)
    assert len(found) == 16
    assert len({(one.access_token.reveal(), one.refresh_token.reveal()) for one in found if one.refresh_token}) == 1
    assert await desk.is_good(found[0].access_token)
    assert await desk.dialect.count(REFRESH_TOKEN) == 2
    assert desk.audit.actions.count("token.refresh") == 1


async def test_item_31_reuse_ends_the_family(desk: Desk) -> None:
    """After the grace nobody knows who of two has stolen it: no key and no token of the family is good any more."""
    with time_machine.travel(NOW, tick=False) as clock:
        other = await desk.tokens()
        first = await desk.tokens()
        second = await desk.refresh(first.refresh_token)
        clock.shift(20)
        assert await refused(desk.refresh(first.refresh_token)) == "invalid_grant"
        assert await refused(desk.refresh(second.refresh_token)) == "invalid_grant"
        assert not await desk.is_good(second.access_token)
        assert desk.audit.actions.count("token.reuse") == 1
        assert await desk.is_good(other.access_token)
        await desk.refresh(other.refresh_token)


async def test_without_a_grace() -> None:
    """With none, the second use is reuse at once."""
    async with desk_of(refresh_grace=0.0) as desk:
        first = await desk.tokens()
        second = await desk.refresh(first.refresh_token)
        assert await refused(desk.refresh(first.refresh_token)) == "invalid_grant"
        assert await refused(desk.refresh(second.refresh_token)) == "invalid_grant"


async def test_the_answer_is_kept_no_longer_than_the_grace(desk: Desk) -> None:
    """Sweeping takes it away; it was sealed with a token that is not kept."""
    with time_machine.travel(NOW, tick=False) as clock:
        first = await desk.tokens()
        second = await desk.refresh(first.refresh_token)
        rows = [row for row in await desk.dialect.find(REFRESH_TOKEN) if row["answer"]]
        assert len(rows) == 1
        assert second.access_token.reveal() not in str(rows)
        clock.shift(20)
        await sweep(desk.dialect)
        assert [row["answer"] for row in await desk.dialect.find(REFRESH_TOKEN)] == [None, None]


async def test_a_token_that_nobody_uses_ends(desk: Desk) -> None:
    """Each use begins its time anew; the family is remembered as long as the last of its tokens."""
    with time_machine.travel(NOW, tick=False) as clock:
        await desk.parts.clients.register(Client(id="tv", name="TV", refresh_lifetime=timedelta(days=2)))
        first = await desk.tokens("tv")
        clock.shift(timedelta(days=1.5))
        second = await desk.refresh(first.refresh_token, "tv")
        clock.shift(timedelta(days=1.5))
        await sweep(desk.dialect)
        third = await desk.refresh(second.refresh_token, "tv")
        clock.shift(timedelta(days=2))
        assert await refused(desk.refresh(third.refresh_token, "tv")) == "invalid_grant"
        await sweep(desk.dialect)
        assert (await desk.dialect.count(FAMILY), await desk.dialect.count(REFRESH_TOKEN)) == (0, 0)


async def test_what_is_no_refresh_token(desk: Desk) -> None:
    """Unknown, of another kind, of another client, too long: one answer for all of them."""
    await desk.parts.clients.register(Client(id="tv", name="TV"))
    answer = await desk.tokens()
    for token in ("unknown", "", "\0", "\ud800", "x" * 100_000, answer.access_token.reveal()):
        assert await refused(desk.refresh(Secret(token))) == "invalid_grant"
    assert await refused(desk.refresh(answer.refresh_token, "tv")) == "invalid_grant"
    assert await refused(desk.refresh(answer.refresh_token, "nobody")) == "invalid_client"
    await desk.refresh(answer.refresh_token)


async def test_a_confidential_client_shows_its_secret(desk: Desk) -> None:
    """Also to refresh."""
    _, secret = await desk.parts.clients.register(Client(id="server", name="Server", confidential=True))
    assert secret is not None
    shown = {"client_secret": secret.reveal()}
    first = await desk.tokens("server", **shown)
    assert await refused(desk.refresh(first.refresh_token, "server")) == "invalid_client"
    await desk.refresh(first.refresh_token, "server", **shown)


async def test_less_is_had_for_the_asking(desk: Desk) -> None:
    """Fewer scopes than were granted, for one key alone; more are refused, and nothing is spent by that."""
    first = await desk.tokens(scope=BOTH)
    assert await refused(desk.refresh(first.refresh_token, scope=f"{READ} unknown")) == "invalid_scope"
    second = await desk.refresh(first.refresh_token, scope=READ)
    assert second.scope == READ
    assert (await desk.refresh(second.refresh_token)).scope == BOTH
    small = await desk.tokens(scope=READ)
    assert await refused(desk.refresh(small.refresh_token, scope=BOTH)) == "invalid_scope"


async def test_what_the_person_may_since(desk: Desk) -> None:
    """A role that was taken away is in no further key; somebody who is gone gets none, until they are back."""
    answer = await desk.tokens(scope=BOTH)
    desk.roles.now["ada"] = frozenset({READ})
    answer = await desk.refresh(answer.refresh_token)
    assert answer.scope == READ
    desk.roles.now["ada"] = None
    assert await refused(desk.refresh(answer.refresh_token)) == "invalid_grant"
    del desk.roles.now["ada"]
    assert (await desk.refresh(answer.refresh_token)).scope == BOTH


async def test_what_the_client_may_since(desk: Desk) -> None:
    """A scope that it may no longer ask for is in no further key; one that it may again is."""
    await desk.parts.clients.register(Client(id="tv", name="TV"))
    answer = await desk.tokens("tv", BOTH)
    await desk.parts.clients.register(Client(id="tv", name="TV", scopes=frozenset({READ})))
    answer = await desk.refresh(answer.refresh_token, "tv")
    assert answer.scope == READ
    await desk.parts.clients.register(Client(id="tv", name="TV", scopes=frozenset({WRITE})))
    answer = await desk.refresh(answer.refresh_token, "tv")
    assert answer.scope == WRITE


async def test_a_key_that_is_revoked_ends_its_family(desk: Desk) -> None:
    """By hand, on the page: the refresh token and the sealed answer go with it."""
    first = await desk.tokens()
    second = await desk.refresh(first.refresh_token)
    key = await desk.parts.keys.verify(second.access_token.reveal())
    assert key is not None
    assert await desk.parts.keys.revoke("acme", key.id)
    for answer in (first, second):
        assert await refused(desk.refresh(answer.refresh_token)) == "invalid_grant"
        assert not await desk.is_good(answer.access_token)
    assert [row["answer"] for row in await desk.dialect.find(REFRESH_TOKEN)] == [None, None]


async def test_a_key_that_is_revoked_while_it_is_refreshed(desk: Desk) -> None:
    """However the two fall together, no key is good afterwards."""
    for _ in range(10):
        first = await desk.tokens()
        key = await desk.parts.keys.verify(first.access_token.reveal())
        assert key is not None
        refreshed: list[TokenAnswer] = []

        async def refresh(
            token: Secret[str] | None = first.refresh_token, found: list[TokenAnswer] = refreshed
        ) -> None:
            try:
                found.append(await desk.refresh(token))
            except Exception as error:
                assert "invalid_grant" in str(error)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(refresh)
            tasks.start_soon(desk.parts.keys.revoke, "acme", key.id)
        for answer in refreshed:
            assert not await desk.is_good(answer.access_token)
            assert await refused(desk.refresh(answer.refresh_token)) == "invalid_grant"


async def test_an_account_that_is_deleted_has_nothing_left(desk: Desk) -> None:
    """No code, no family, no token, no key; those of others stay."""
    await desk.tokens()
    asked = await desk.ask()
    await desk.approve(asked, person("bob", account="other"))
    other = await desk.redeem(asked.device_code.reveal())
    await desk.approved()
    await desk.parts.keys.forget_account("acme")
    for schema in (FAMILY, REFRESH_TOKEN, KEY):
        assert await desk.dialect.count(schema) == 1
    await desk.refresh(other.refresh_token)


async def test_item_33_refreshing_is_in_the_trail(desk: Desk) -> None:
    """With the key, the client and the family, and no token."""
    first = await desk.tokens()
    second = await desk.refresh(first.refresh_token)
    entry = desk.audit.entries[-1]
    assert (entry.action, entry.account_id) == ("token.refresh", "acme")
    (family,) = await desk.dialect.find(FAMILY)
    assert entry.details == {"client": CLI, "family": family["id"], "scope": READ}
    for answer in (first, second):
        assert answer.refresh_token is not None
        assert answer.access_token.reveal() not in str(desk.audit.entries)
        assert answer.refresh_token.reveal() not in str(desk.audit.entries)


async def test_a_device_that_refreshes_in_a_loop_has_to_wait(desk: Desk) -> None:
    """Each time leaves rows. Its token stays good meanwhile, and what was just answered is answered again."""
    with time_machine.travel(NOW, tick=False) as clock:
        first = await desk.tokens()
        await desk.dialect.update_many(FAMILY, {"client_id": CLI}, {"turns": BURST - 1})
        second = await desk.refresh(first.refresh_token)
        error = await refusal(desk.refresh(second.refresh_token))
        assert (error.error, error.retry_after) == ("temporarily_unavailable", 60)
        assert (await desk.refresh(first.refresh_token)).refresh_token == second.refresh_token
        clock.shift(60)
        third = await desk.refresh(second.refresh_token)
        assert await refused(desk.refresh(third.refresh_token)) == "temporarily_unavailable"
    assert await desk.dialect.count(REFRESH_TOKEN) == 3
