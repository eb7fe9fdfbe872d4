"""A device polls, and exchanges its code once."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta

import anyio
import attrs
import pytest
import time_machine
from objectkernel_device_auth import redeeming
from objectkernel_device_auth.contracts import Asker, Client
from objectkernel_device_auth.storage_codes import DEVICE_CODE, FAMILY, REFRESH_TOKEN
from objectkernel_device_auth.storage_keys import KEY
from objectkernel_device_auth.sweeping import sweep

from tests.plugins.device_auth.flows import CLI, LAPTOP, PHONE, READ, WRITE, Desk, desk_of, person, refusal, refused

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
ELSEWHERE = Asker(address="192.0.2.99", user_agent="curl")


async def test_item_09_what_is_no_device_code(desk: Desk) -> None:
    """Unknown, too long, or anything else."""
    for code in ("unknown", "x" * 100_000, "\0", "\ud800", "é"):
        assert await refused(desk.redeem(code)) == "invalid_grant"


async def test_item_11_too_fast(desk: Desk) -> None:
    """Each early poll adds five seconds, for good, whichever host is asked, and is told the new interval."""
    with time_machine.travel(NOW, tick=False) as clock:
        code = (await desk.ask()).device_code.reveal()
        assert await refused(desk.redeem(code)) == "authorization_pending"
        clock.shift(2)
        error = await refusal(desk.redeem(code))
        assert (error.error, error.status, error.interval) == ("slow_down", 400, 10)
        clock.shift(2)
        error = await refusal(desk.another().flow.redeem(code, CLI, asker=LAPTOP))
        assert (error.error, error.interval) == ("slow_down", 15)
        assert (await desk.code_row(code))["interval"] == 15


async def test_item_11_an_early_poll_does_not_latch(desk: Desk) -> None:
    """Once the new interval has passed since a poll in order a device is in order again, also one that never slows."""
    with time_machine.travel(NOW, tick=False) as clock:
        code = (await desk.ask()).device_code.reveal()
        assert await refused(desk.redeem(code)) == "authorization_pending"
        clock.shift(1)
        assert await refused(desk.redeem(code)) == "slow_down"
        clock.shift(9)
        assert await refused(desk.redeem(code)) == "authorization_pending"
        found = []
        for _ in range(45):
            clock.shift(5)
            found.append(await refused(desk.redeem(code)))
        assert found.count("authorization_pending") >= 2


@pytest.mark.parametrize(("interval", "early"), [(5, 1.0), (20, 4.0), (60, 12.0)])
async def test_item_11_a_clock_that_is_fast(desk: Desk, interval: int, early: float) -> None:
    """A fifth of the interval early, a second at least, is in order; more is not."""
    await desk.parts.clients.register(Client(id="tv", name="TV", interval=timedelta(seconds=interval)))
    with time_machine.travel(NOW, tick=False) as clock:
        code = (await desk.ask("tv")).device_code.reveal()
        assert await refused(desk.redeem(code, "tv")) == "authorization_pending"
        clock.shift(interval - early)
        assert await refused(desk.redeem(code, "tv")) == "authorization_pending"
        clock.shift(interval - early - 0.1)
        assert await refused(desk.redeem(code, "tv")) == "slow_down"


async def test_item_11_approval_comes_before_the_pace(desk: Desk) -> None:
    """Whoever polls too fast gets what was approved all the same, and at once what was denied."""
    for decision in ("approved", "denied"):
        asked = await desk.ask()
        code = asked.device_code.reveal()
        assert await refused(desk.redeem(code)) == "authorization_pending"
        assert await refused(desk.redeem(code)) == "slow_down"
        found = await desk.flow.claim(asked.user_code, person(), asker=PHONE)
        assert await desk.flow.decide(found.id, decision, person())
        if decision == "approved":
            assert (await desk.redeem(code)).scope == READ
        else:
            assert await refused(desk.redeem(code)) == "access_denied"


async def test_item_12_an_approved_code_expires(desk: Desk) -> None:
    """Its time is looked at first, whatever was decided, and once more when it is spent."""
    with time_machine.travel(NOW, tick=False) as clock:
        approved, pending = await desk.approved(), (await desk.ask()).device_code.reveal()
        row = await desk.code_row(approved)
        clock.shift(600)
        for code in (approved, pending):
            assert await refused(desk.redeem(code)) == "expired_token"
        client = await desk.parts.clients.get(CLI)
        late = desk.flow.redeeming._consume(row, client, frozenset({READ}), LAPTOP)
        assert await refused(late) == "invalid_grant"
        assert await desk.dialect.count(KEY) == 0
        clock.shift(600)
        await sweep(desk.dialect)
        assert await refused(desk.redeem(approved)) == "invalid_grant"


async def test_item_10_a_client_that_was_stopped(desk: Desk) -> None:
    """What was approved before is paid out no more, and the code is not spent; that it is used again is noticed."""
    stopped = Client(id="tv", name="TV", device_flow=False)
    await desk.parts.clients.register(attrs.evolve(stopped, device_flow=True))
    used, code = await desk.approved("tv"), await desk.approved("tv")
    answer = await desk.redeem(used, "tv")
    await desk.parts.clients.register(stopped)
    assert await refused(desk.redeem(code, "tv")) == "unauthorized_client"
    assert await desk.dialect.count(KEY) == 1
    assert await refused(desk.redeem(used, "tv", asker=ELSEWHERE)) == "invalid_grant"
    assert not await desk.is_good(answer.access_token)
    await desk.parts.clients.register(attrs.evolve(stopped, device_flow=True))
    assert (await desk.redeem(code, "tv")).scope == READ


async def test_item_13_a_code_is_spent_once(desk: Desk) -> None:
    """Of many at once one gets a key; the others leave nothing."""
    code = await desk.approved()
    found: list[str] = []

    async def redeem() -> None:
        try:
            found.append((await desk.redeem(code)).access_token.reveal())
        except Exception as error:
            found.append(type(error).__name__)

    async with anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(redeem)
    assert found.count("OAuthError") == 49
    (key,) = [one for one in found if one != "OAuthError"]
    assert await desk.parts.keys.verify(key) is not None
    for schema in (KEY, FAMILY, REFRESH_TOKEN):
        assert await desk.dialect.count(schema) == 1


@pytest.mark.parametrize(("asker", "later"), [(LAPTOP, 11), (ELSEWHERE, 0)])
async def test_item_14_a_code_that_is_used_again_ends_what_it_gave(desk: Desk, asker: Asker, later: int) -> None:
    """Later, or from elsewhere: two have it, and nobody knows who of them is the right one."""
    with time_machine.travel(NOW, tick=False) as clock:
        code = await desk.approved()
        answer = await desk.redeem(code)
        clock.shift(later)
        assert await refused(desk.redeem(code, asker=asker)) == "invalid_grant"
        assert not await desk.is_good(answer.access_token)
        assert await refused(desk.refresh(answer.refresh_token)) == "invalid_grant"
        assert "device.reuse" in desk.audit.actions


async def test_item_14_one_device_that_sends_it_twice(desk: Desk) -> None:
    """Soon after, and from where it was used, it is only refused."""
    code = await desk.approved()
    answer = await desk.redeem(code)
    assert await refused(desk.redeem(code)) == "invalid_grant"
    assert await desk.is_good(answer.access_token)


async def test_item_14_another_client_ends_nothing(desk: Desk) -> None:
    """Only who may use the code can have used it."""
    await desk.parts.clients.register(Client(id="tv", name="TV"))
    code = await desk.approved()
    answer = await desk.redeem(code)
    assert await refused(desk.redeem(code, "tv", asker=ELSEWHERE)) == "invalid_grant"
    assert await desk.is_good(answer.access_token)


async def test_item_15_a_code_is_of_its_client(desk: Desk) -> None:
    """Another one is told that there is none, before and after the approval."""
    await desk.parts.clients.register(Client(id="tv", name="TV"))
    asked = await desk.ask()
    code = asked.device_code.reveal()
    assert await refused(desk.redeem(code, "tv")) == "invalid_grant"
    await desk.approve(asked)
    assert await refused(desk.redeem(code, "tv")) == "invalid_grant"
    assert (await desk.redeem(code)).scope == READ


async def test_item_15_a_confidential_client_shows_its_secret(desk: Desk) -> None:
    """At the token endpoint too."""
    _, secret = await desk.parts.clients.register(Client(id="server", name="Server", confidential=True))
    assert secret is not None
    code = await desk.approved("server", client_secret=secret.reveal())
    assert await refused(desk.redeem(code, "server")) == "invalid_client"
    assert await refused(desk.redeem(code, "server", client_secret="wrong")) == "invalid_client"
    assert (await desk.redeem(code, "server", client_secret=secret.reveal())).scope == READ


async def test_item_16_denied_stays_denied(desk: Desk) -> None:
    """However often it is asked."""
    asked = await desk.ask()
    found = await desk.flow.claim(asked.user_code, person(), asker=PHONE)
    await desk.flow.decide(found.id, "denied", person())
    for _ in range(3):
        assert await refused(desk.redeem(asked.device_code.reveal())) == "access_denied"


async def test_item_17_what_a_client_is_given(desk: Desk) -> None:
    """The times of the client, the scope that was granted."""
    client = Client(id="tv", name="TV", access_lifetime=timedelta(hours=1), refresh_lifetime=timedelta(days=2))
    await desk.parts.clients.register(client)
    answer = await desk.tokens("tv", f"{READ} {WRITE}")
    assert (answer.expires_in, answer.scope, answer.token_type) == (3600, f"{READ} {WRITE}", "Bearer")
    assert answer.refresh_token is not None
    (row,) = await desk.dialect.find(REFRESH_TOKEN)
    assert row["expires_at"] - datetime.now(UTC) == pytest.approx(timedelta(days=2), abs=timedelta(minutes=1))


async def test_item_40_the_proof_of_pkce(desk: Desk) -> None:
    """A code that came with a challenge is for whoever has the verifier; one without has none."""
    code = await desk.approved(code_challenge=CHALLENGE, code_challenge_method="S256")
    for wrong in (None, "wrong", CHALLENGE, "\ud800"):
        assert await refused(desk.redeem(code, code_verifier=wrong)) == "invalid_grant"
    assert (await desk.redeem(code, code_verifier=VERIFIER)).scope == READ
    plain = await desk.approved()
    assert await refused(desk.redeem(plain, code_verifier=VERIFIER)) == "invalid_grant"


async def test_what_the_person_may_since(desk: Desk) -> None:
    """A role that was taken away between the approval and the poll is in no key; somebody who is gone has none."""
    code = await desk.approved(scope=f"{READ} {WRITE}")
    desk.roles.now["ada"] = frozenset({READ})
    assert (await desk.redeem(code)).scope == READ
    code = await desk.approved()
    desk.roles.now["ada"] = None
    assert await refused(desk.redeem(code)) == "access_denied"
    assert await desk.dialect.count(KEY) == 1


async def test_an_account_that_is_full() -> None:
    """It gets no key, and the code is not spent: it can be used once there is room."""
    async with desk_of(keys_per_account=1) as desk:
        first = await desk.tokens()
        code = await desk.approved()
        assert await refused(desk.redeem(code)) == "access_denied"
        await desk.flow.revoke(first.access_token.reveal(), CLI)
        assert (await desk.redeem(code)).scope == READ


async def test_item_33_exchanges_are_in_the_trail(desk: Desk) -> None:
    """With the key, the client and the device, in the account whose key it is."""
    await desk.tokens()
    entry = desk.audit.entries[-1]
    assert (entry.action, entry.account_id) == ("device.redeem", "acme")
    (row,) = await desk.dialect.find(DEVICE_CODE)
    assert entry.details == {"client": CLI, "device": row["id"], "scope": READ}
    (key,) = await desk.dialect.find(KEY)
    assert entry.subject == key["id"]


async def test_plugins_that_hang_keep_no_device_waiting(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code is spent when they are told: the device gets its key whatever they do."""
    monkeypatch.setattr(redeeming, "TOLD_WITHIN", 0.01)
    desk.halts = True
    assert (await desk.tokens()).scope == READ
    assert len(desk.told) == 1


async def test_what_the_host_counts(desk: Desk) -> None:
    """Each step, by name."""
    await desk.tokens()
    await refused(desk.redeem((await desk.ask()).device_code.reveal()))
    told = {figure.labels["step"]: figure.value for figure in desk.flow.ground.figures()}
    assert told | {"issued": 2, "claimed": 1, "approved": 1, "redeemed": 1, "pending": 1} == told
    assert told["denied"] == 0
