"""Telling whose key this is: fast, not for longer than it is so, and whatever strangers send."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
import time_machine
from objectkernel_contracts import Credentials, Principal
from objectkernel_device_auth.config import DeviceAuthConfig
from objectkernel_device_auth.key_format import make_token
from objectkernel_device_auth.key_use import KeyUse
from objectkernel_device_auth.storage_keys import KEY
from objectkernel_device_auth.verifying import KeyChecks, KeyVerifier

from tests.plugins.device_auth.key_hosts import ACCOUNT, ADA, Desk, desk_of, neighbour

pytestmark = pytest.mark.anyio


class Clock:
    """Seconds that go up when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Watched:
    """Key checks of another process, and the queries that they make."""

    def __init__(self, desk: Desk, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
        self.clock = Clock()
        self.use = KeyUse(desk.dialect)
        standing = options.pop("standing", desk.people)
        self.checks = KeyChecks(desk.dialect, standing, self.use, 5.0, self.clock, **options)
        self.queries = 0
        find = desk.dialect.find

        async def counted(schema: Any, *args: Any, **more: Any) -> Any:
            self.queries += schema is KEY
            return await find(schema, *args, **more)

        monkeypatch.setattr(desk.dialect, "find", counted)

    async def good(self, text: str) -> bool:
        return await self.checks.check(text) is not None


@pytest.fixture
async def desk(anyio_backend: str) -> AsyncIterator[Desk]:
    async with desk_of() as made:
        yield made


@pytest.fixture
async def watched(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(desk, monkeypatch)


async def test_who_shows_a_key(desk: Desk) -> None:
    """A principal of its account and person, with its scopes and its id; nothing for other credentials."""
    made = await desk.issue("data:read", "keys:read")
    verifier = KeyVerifier(desk.parts.checks)
    assert await verifier.principal(Credentials(bearer=made.secret.reveal())) == Principal(
        account_id=ACCOUNT, user_id=ADA, scopes={"data:read", "keys:read"}, key_id=made.key.id
    )
    assert await verifier.principal(Credentials(cookies={"a": "b"})) is None
    assert await verifier.principal(Credentials(bearer="account=engines")) is None


async def test_a_key_that_is_used_again_needs_no_query(desk: Desk, watched: Watched) -> None:
    """A thousand uses within the time that it is believed for are one query."""
    text = (await desk.issue()).secret.reveal()
    for _ in range(1000):
        assert await watched.good(text)
    assert watched.queries == 1
    watched.clock.now += 5.0
    assert await watched.good(text)
    assert watched.queries == 2


async def test_item_27_a_typo_asks_nobody(desk: Desk, watched: Watched) -> None:
    """What cannot be a key never gets to the database."""
    text = (await desk.issue()).secret.reveal()
    for wrong in (text[:-1], text.lower(), text.replace("_", "-"), text[:-8] + "AAAAAAAA", "", "x" * 5000):
        assert not await watched.good(wrong)
    assert watched.queries == 0


async def test_item_26_the_right_id_with_another_secret(desk: Desk, watched: Watched) -> None:
    """An id is public: who knows it has no key, and makes no more queries than its owner."""
    made = await desk.issue()
    for _ in range(100):
        assert not await watched.good(make_token("ok", made.key.id).text)
    assert await watched.good(made.secret.reveal())
    assert watched.queries == 1


async def test_what_another_process_revokes(desk: Desk, watched: Watched) -> None:
    """It is good for five seconds at most, from when its state was asked for."""
    made = await desk.issue()
    assert await watched.good(made.secret.reveal())
    await neighbour(desk).keys.revoke(ACCOUNT, made.key.id)
    watched.clock.now += 4.9
    assert await watched.good(made.secret.reveal())
    watched.clock.now += 0.1
    assert not await watched.good(made.secret.reveal())


async def test_the_time_counts_from_the_question(desk: Desk, watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow database does not make an answer younger than it is."""
    made = await desk.issue()
    find = desk.dialect.find

    async def slow(*args: Any, **options: Any) -> Any:
        rows = await find(*args, **options)
        watched.clock.now += 4.0
        return rows

    monkeypatch.setattr(desk.dialect, "find", slow)
    assert await watched.good(made.secret.reveal())
    monkeypatch.setattr(desk.dialect, "find", find)
    await neighbour(desk).keys.revoke(ACCOUNT, made.key.id)
    watched.clock.now += 1.0
    assert not await watched.good(made.secret.reveal())


async def test_a_key_that_is_revoked_while_it_is_looked_up(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read before a change in this process is not remembered after it."""
    made = await desk.issue()
    find, checks = desk.dialect.find, desk.parts.checks

    async def overtaken(*args: Any, **options: Any) -> Any:
        rows = await find(*args, **options)
        monkeypatch.setattr(desk.dialect, "find", find)
        await desk.parts.keys.revoke(ACCOUNT, made.key.id)
        return rows

    monkeypatch.setattr(desk.dialect, "find", overtaken)
    await checks.check(made.secret.reveal())
    assert await checks.check(made.secret.reveal()) is None


async def test_an_end_is_kept_to_the_moment(desk: Desk, watched: Watched) -> None:
    """A key that is remembered ends when it says, not when it is looked up again."""
    with time_machine.travel(datetime(2026, 3, 1, 12, tzinfo=UTC), tick=False) as clock:
        made = await desk.issue(expires_in=timedelta(seconds=2))
        assert await watched.good(made.secret.reveal())
        clock.shift(timedelta(seconds=2))
        assert not await watched.good(made.secret.reveal())
        watched.clock.now += 10
        assert not await watched.good(made.secret.reveal())


async def test_a_host_may_believe_nothing(desk: Desk) -> None:
    """With verified_for = 0 each use looks the key up."""
    made = await desk.issue()
    strict = neighbour(desk, verified_for=0.0)
    assert await strict.keys.verify(made.secret.reveal()) is not None
    await neighbour(desk).keys.revoke(ACCOUNT, made.key.id)
    assert await strict.keys.verify(made.secret.reveal()) is None


# --- people -------------------------------------------------------------------------------------------------


async def test_a_key_may_no_more_than_its_person(desk: Desk, watched: Watched) -> None:
    """Who loses a role loses it in their keys, and has it there again with the role."""
    made = await desk.issue("data:read", "data:write")
    for may in ({"data:read", "keys:read"}, {"data:write"}, frozenset()):
        desk.people.may[ACCOUNT, ADA] = frozenset(may)
        watched.clock.now += 5
        checked = await watched.checks.check(made.secret.reveal())
        assert checked is not None
        assert checked.principal.scopes == {"data:read", "data:write"} & may
        assert checked.key.scopes == {"data:read", "data:write"}


async def test_nothing_once_the_person_is_gone(desk: Desk, watched: Watched) -> None:
    """Nobody acts for somebody who was disabled, taken out, or deleted; also not with an account's own key."""
    adas, accounts = await desk.issue(), await desk.issue(user_id=None)
    for whose, made in ((ADA, adas), (None, accounts)):
        assert await watched.good(made.secret.reveal())
        desk.people.may[ACCOUNT, whose] = None
        watched.clock.now += 5
        assert not await watched.good(made.secret.reveal())
        del desk.people.may[ACCOUNT, whose]
        watched.clock.now += 5
        assert await watched.good(made.secret.reveal())


async def test_without_anybody_who_tells(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that has no `STANDING` goes by what was granted."""
    made = await desk.issue("data:write")
    desk.people.may[ACCOUNT, ADA] = None
    alone = Watched(desk, monkeypatch, standing=None)
    checked = await alone.checks.check(made.secret.reveal())
    assert checked is not None and checked.principal.scopes == {"data:write"}


async def test_people_are_asked_about_once(desk: Desk, watched: Watched) -> None:
    """Many keys of one person that are looked up together are one question."""
    made = [await desk.issue() for _ in range(20)]
    desk.people.asked = 0
    async with anyio.create_task_group() as group:
        for one in made:
            group.start_soon(watched.good, one.secret.reveal())
    assert desk.people.asked <= 2


# --- strangers ----------------------------------------------------------------------------------------------


async def test_a_flood_of_ids_that_nobody_has(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many well-formed keys strangers make up: few queries, little memory, and the good keys stay in it."""
    watched = Watched(desk, monkeypatch, kept=50)
    good = (await desk.issue()).secret.reveal()
    assert await watched.good(good)
    flood = [make_token("ok").text for _ in range(2000)]
    async with anyio.create_task_group() as group:
        for text in flood:
            group.start_soon(watched.good, text)
    assert watched.queries <= 1 + 1 + 2000 // 200 + 1
    assert len(watched.checks._unknown) == 50
    assert len(watched.checks._known) == 1
    assert not watched.checks._loader._wishes
    before = watched.queries
    assert await watched.good(good)
    assert watched.queries == before


async def test_the_same_wrong_key_again_and_again(desk: Desk, watched: Watched) -> None:
    """An old key in somebody's script is one query in five seconds."""
    text = make_token("ok").text
    for _ in range(500):
        assert not await watched.good(text)
    assert watched.queries == 1
    watched.clock.now += 5
    assert not await watched.good(text)
    assert watched.queries == 2


async def test_a_key_that_is_made_after_it_was_missed(desk: Desk) -> None:
    """What this process makes is known at once."""
    async with desk_of(DeviceAuthConfig()) as other:
        made = await other.issue()
        assert await desk.parts.checks.check(made.secret.reveal()) is None
        row = await other.row(made)
        await desk.dialect.create(KEY, row)
        desk.parts.checks.forget()
        assert await desk.parts.checks.check(made.secret.reveal()) is not None


async def test_memory_is_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more good keys than are remembered those stay that were used last."""
    watched = Watched(desk, monkeypatch, kept=3)
    texts = [(await desk.issue()).secret.reveal() for _ in range(4)]
    for text in (*texts[:3], texts[0], texts[3]):
        assert await watched.good(text)
    assert len(watched.checks._known) == 3
    before = watched.queries
    assert await watched.good(texts[0])
    assert watched.queries == before
    assert await watched.good(texts[1])
    assert watched.queries == before + 1


async def test_what_is_remembered_is_no_key(desk: Desk) -> None:
    """Memory has digests: a dump of the process tells nobody's key."""
    made = await desk.issue()
    await desk.parts.checks.check(made.secret.reveal())
    secret = made.secret.reveal().rpartition("_")[2]
    assert secret not in repr(vars(desk.parts.checks))
    assert made.key.id in desk.parts.checks._known


async def test_figures(desk: Desk, watched: Watched) -> None:
    """Operators see how many keys were good, unknown and mistyped, and what that costs."""
    text = (await desk.issue()).secret.reveal()
    for shown in (text, text, make_token("ok").text, "nonsense"):
        await watched.good(shown)
    found = {(one.name, one.labels.get("result")): one.value for one in watched.checks.figures()}
    assert found == {
        ("api_keys_shown", "good"): 2,
        ("api_keys_shown", "bad"): 1,
        ("api_keys_shown", "malformed"): 1,
        ("api_key_queries", None): 2,
        ("api_keys_remembered", None): 1,
    }


async def test_nobody_can_make_the_process_grow(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong keys of every shape leave nothing behind but what is bounded."""
    watched = Watched(desk, monkeypatch, kept=10)
    for _ in range(300):
        await watched.good(make_token("ok").text)
        await watched.good("ok_" + "x" * 300)
    checks = watched.checks
    assert len(checks._unknown) == 10
    assert sys.getsizeof(checks._known) < 1000
    assert not watched.use._used
