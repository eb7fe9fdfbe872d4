"""The polling client against scripted answers, on a clock of its own: every pause is exact."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
from objectkernel.secret import Secret
from objectkernel_device_auth import device_client
from objectkernel_device_auth.client_discovery import AuthorizationServer
from objectkernel_device_auth.client_requests import Answer, NoAnswer
from objectkernel_device_auth.contracts import AuthorizationFailed
from objectkernel_device_auth.device_client import DeviceClient, Grant

pytestmark = pytest.mark.anyio

PENDING = Answer(400, {"error": "authorization_pending"})
GIVEN = Answer(200, {"access_token": "the-key", "token_type": "bearer", "expires_in": 3600, "refresh_token": "next"})
CODE = {
    "device_code": "d" * 43,
    "user_code": "BCDF-GHJK",
    "verification_uri": "https://auth.example/device",
    "expires_in": 600,
}
SERVER = AuthorizationServer(
    issuer="https://auth.example",
    place="auth.example",
    device_authorization="https://auth.example/device_authorization",
    token="https://auth.example/token",
)


@attrs.define
class Clock:
    """Time that passes when somebody sleeps."""

    now: float = 1000.0

    def current_time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@attrs.define
class Script:
    """Requests that are answered from a list; `at` has when each was sent, `forms` with what."""

    clock: Clock
    answers: list[Answer | NoAnswer]
    at: list[float] = attrs.field(factory=list)
    forms: list[dict[str, str]] = attrs.field(factory=list)

    async def post(self, url: str, form: dict[str, str], *, bearer: str | None = None) -> Answer:
        self.at.append(self.clock.now)
        self.forms.append(form)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, NoAnswer):
            raise answer
        return answer


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the client and of the discovery."""
    clock = Clock()
    for module in ("device_client", "client_discovery"):
        monkeypatch.setattr(f"objectkernel_device_auth.{module}.anyio", clock)
    return clock


def scripted(clock: Clock, *answers: Answer | NoAnswer, pkce: bool = False) -> tuple[DeviceClient, Script]:
    """A client and the answers that it gets; the last one again and again."""
    script = Script(clock, list(answers))
    requests: Any = script
    return DeviceClient(requests, attrs.evolve(SERVER, pkce=pkce), "a-client"), script


async def polled(
    clock: Clock, *answers: Answer | NoAnswer, **changes: Any
) -> tuple[device_client.Received, list[float]]:
    """What the client got, and the seconds between its polls, the first since the code was issued."""
    client, script = scripted(clock, Answer(200, CODE | changes), *answers)
    grant = await client.begin("")
    began = clock.now
    received = await client.wait(grant, lambda left: None)
    return received, gaps([began, *script.at[1:]])


def gaps(times: list[float]) -> list[float]:
    return [round(later - sooner, 3) for sooner, later in itertools.pairwise(times)]


async def test_item_34_it_waits_before_the_first_poll(anyio_backend: str, clock: Clock) -> None:
    """The interval passes first, and a little more, since clocks differ."""
    received, pauses = await polled(clock, PENDING, GIVEN, interval=2)
    assert pauses == [2.1, 2.1]
    assert received.access_token.reveal() == "the-key"


async def test_item_34_without_an_interval_it_is_five_seconds(anyio_backend: str, clock: Clock) -> None:
    """What the standard says counts where the server is silent; nobody fails to read what is missing."""
    assert (await polled(clock, GIVEN))[1] == [5.25]
    assert (await polled(clock, GIVEN, interval=""))[1] == [5.25]


@pytest.mark.parametrize(("interval", "pause"), [("7", 7.35), (0, 1.05), (0.5, 1.05), (-3, 5.25), (True, 5.25)])
async def test_an_odd_interval_is_read_or_left(anyio_backend: str, clock: Clock, interval: Any, pause: float) -> None:
    """Text is read as a number, no server has itself flooded, and nonsense counts as nothing."""
    assert (await polled(clock, GIVEN, interval=interval))[1] == [pause]


async def test_item_34_slow_down_adds_five_seconds_for_good(anyio_backend: str, clock: Clock) -> None:
    """This poll and all later ones, each time again (RFC 8628 section 3.5)."""
    slow = Answer(400, {"error": "slow_down"})
    pauses = (await polled(clock, PENDING, slow, PENDING, slow, PENDING, GIVEN, interval=5))[1]
    assert pauses == [5.25, 5.25, 10.5, 10.5, 15.75, 15.75]


@pytest.mark.parametrize(("named", "pause"), [(30, 31.5), ("12", 12.6), (2, 10.5), ("soon", 10.5)])
async def test_item_34_slow_down_takes_the_longer_of_both(
    anyio_backend: str, clock: Clock, named: Any, pause: float
) -> None:
    """A server may say what the interval is from now on; less than 5 seconds more it is never."""
    slow = Answer(400, {"error": "slow_down", "interval": named})
    assert (await polled(clock, slow, GIVEN, interval=5))[1] == [5.25, pause]


async def test_item_34_time_outs_back_off_exponentially(anyio_backend: str, clock: Clock) -> None:
    """Each doubles the pause, up to a minute; an answer takes that back."""
    lost = NoAnswer("it did not answer", timed_out=True)
    pauses = (await polled(clock, lost, lost, lost, lost, lost, PENDING, GIVEN, interval=5))[1]
    assert pauses == [5.25, 10.5, 21, 42, 63, 63, 5.25]


async def test_item_34_a_server_in_trouble_does_not_end_the_login(anyio_backend: str, clock: Clock) -> None:
    """5xx, too many requests, and a stray answer that is none; the pause a server asks for is kept."""
    busy, limited = Answer(503, None), Answer(429, {"error": "rate_limited"}, retry_after=20.0)
    page = Answer(200, None)
    received, pauses = await polled(clock, busy, limited, page, Answer(502, None), PENDING, GIVEN, interval=5)
    assert received.refresh_token == Secret("next")
    assert pauses == [5.25, 10.5, 21, 5.25, 10.5, 5.25]


async def test_a_server_that_answers_nonsense_alone_is_given_up(anyio_backend: str, clock: Clock) -> None:
    """Not at the first stray answer, and not only when the code ends."""
    with pytest.raises(AuthorizationFailed) as caught:
        await polled(clock, Answer(200, {"hello": "world"}), interval=5)
    assert caught.value.reason == "unreachable"
    assert clock.now < 1030


async def test_item_34_it_stops_when_the_code_ends(anyio_backend: str, clock: Clock) -> None:
    """No poll is sent when the time is over, and the person is told to ask again."""
    client, script = scripted(clock, Answer(200, CODE | {"expires_in": 12, "interval": 5}), PENDING)
    grant = await client.begin("")
    with pytest.raises(AuthorizationFailed) as caught:
        await client.wait(grant, lambda left: None)
    assert caught.value.reason == "expired"
    assert [round(at - 1000, 2) for at in script.at[1:]] == [5.25, 10.5]
    assert clock.now == 1012


async def test_a_server_that_went_away_is_told_from_a_code_that_nobody_approved(
    anyio_backend: str, clock: Clock
) -> None:
    """Somebody may have approved it; and one that comes back before the end is forgiven."""
    lost = NoAnswer("no connection")
    client, _ = scripted(clock, Answer(200, CODE | {"expires_in": 60, "interval": 5}), PENDING, lost)
    with pytest.raises(AuthorizationFailed, match="no connection") as caught:
        await client.wait(await client.begin(""), lambda left: None)
    assert caught.value.reason == "unreachable"
    client, _ = scripted(clock, Answer(200, CODE | {"expires_in": 60, "interval": 5}), lost, PENDING)
    with pytest.raises(AuthorizationFailed) as caught:
        await client.wait(await client.begin(""), lambda left: None)
    assert caught.value.reason == "expired"


async def test_a_lifetime_without_end_is_bounded(anyio_backend: str, clock: Clock) -> None:
    """Nobody waits a day, whatever the server says."""
    client, _ = scripted(clock, Answer(200, CODE | {"expires_in": 10**9}), PENDING)
    grant = await client.begin("")
    assert (grant.code.expires_in, grant.deadline) == (3600, 4600)


@pytest.mark.parametrize(
    ("error", "reason"),
    [("access_denied", "denied"), ("expired_token", "expired"), ("invalid_grant", "refused"), ("odd", "refused")],
)
async def test_a_decision_ends_the_wait(anyio_backend: str, clock: Clock, error: str, reason: str) -> None:
    """An answer that will not change is told at once."""
    with pytest.raises(AuthorizationFailed) as caught:
        await polled(clock, PENDING, Answer(400, {"error": error}), GIVEN)
    assert caught.value.reason == reason


async def test_somebody_is_told_how_long_the_code_is_good(anyio_backend: str, clock: Clock) -> None:
    """About once a second, while the client waits."""
    client, _ = scripted(clock, Answer(200, CODE | {"expires_in": 60, "interval": 2}), GIVEN)
    told: list[float] = []
    await client.wait(await client.begin(""), told.append)
    assert [round(left, 1) for left in told] == [60, 59, 58]


@pytest.mark.parametrize(
    "changes",
    [
        {"device_code": None},
        {"device_code": "with space"},
        {"user_code": "\x1b[2J\x1b[H"},
        {"user_code": "B" * 65},
        {"verification_uri": "javascript:alert(1)"},
        {"verification_uri": "https://auth.example/\x1b]0;owned\x07"},
        {"expires_in": 0},
        {"expires_in": float("nan")},
    ],
    ids=repr,
)
async def test_a_code_that_cannot_be_shown_is_refused(
    anyio_backend: str, clock: Clock, changes: dict[str, Any]
) -> None:
    """What a server sends is printed on a terminal: control characters and other schemes are not."""
    client, _ = scripted(clock, Answer(200, CODE | changes))
    with pytest.raises(AuthorizationFailed) as caught:
        await client.begin("")
    assert caught.value.reason == "unreachable"
    assert "\x1b" not in str(caught.value)


async def test_a_link_that_cannot_be_shown_is_left_out(anyio_backend: str, clock: Clock) -> None:
    """The complete one is a convenience; the plain one is there."""
    client, _ = scripted(clock, Answer(200, CODE | {"verification_uri_complete": "data:text/html,x"}))
    assert (await client.begin("")).code.verification_uri_complete is None


async def test_an_error_at_the_beginning_says_what_to_set(anyio_backend: str, clock: Clock) -> None:
    """The server's own words, on one line."""
    client, _ = scripted(clock, Answer(401, {"error": "invalid_client", "error_description": "no\nsuch\x1b[1mclient"}))
    with pytest.raises(AuthorizationFailed) as caught:
        await client.begin("")
    assert caught.value.why == ("it answered invalid_client: no such [1mclient",)
    assert "MOSTA_CLIENT_ID" in caught.value.fix


async def test_the_scope_is_asked_for_once(anyio_backend: str, clock: Clock) -> None:
    """At the beginning, and not where nothing is asked for."""
    client, script = scripted(clock, Answer(200, CODE), GIVEN)
    await client.wait(await client.begin("data:read data:write"), lambda left: None)
    assert script.forms == [
        {"client_id": "a-client", "scope": "data:read data:write"},
        {"grant_type": device_client.GRANT, "device_code": CODE["device_code"], "client_id": "a-client"},
    ]
    client, script = scripted(clock, Answer(200, CODE))
    await client.begin("")
    assert script.forms == [{"client_id": "a-client"}]


async def test_item_40_a_code_is_bound_where_the_server_can(anyio_backend: str, clock: Clock) -> None:
    """The challenge goes first, the verifier only with the polls (RFC 7636)."""
    import base64
    import hashlib

    client, script = scripted(clock, Answer(200, CODE), GIVEN, pkce=True)
    await client.wait(await client.begin(""), lambda left: None)
    begin, poll = script.forms
    digest = hashlib.sha256(poll["code_verifier"].encode()).digest()
    assert begin["code_challenge"] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert begin["code_challenge_method"] == "S256"
    assert "code_verifier" not in begin


@pytest.mark.parametrize(
    ("document", "good"),
    [
        ({"access_token": "k"}, True),
        ({"access_token": "k", "token_type": "BEARER", "expires_in": "60"}, True),
        ({"access_token": "k", "token_type": "mac"}, False),
        ({"access_token": "kéy"}, False),
        ({"access_token": "k\n"}, False),
        ({"access_token": 5}, False),
    ],
)
async def test_a_token_is_one_that_can_be_sent(
    anyio_backend: str, clock: Clock, document: dict[str, Any], good: bool
) -> None:
    """Bearer, of visible ASCII; a number of seconds may be text."""
    if good:
        assert (await polled(clock, Answer(200, document)))[0].access_token.reveal() == "k"
    else:
        with pytest.raises(AuthorizationFailed):
            await polled(clock, Answer(200, document))


async def test_a_token_ends_counted_from_when_it_was_asked_for(anyio_backend: str, clock: Clock) -> None:
    """Its time runs while the answer is on its way."""
    before = datetime.now(UTC)
    received, _ = await polled(clock, GIVEN)
    assert received.expires_at is not None
    assert before + timedelta(hours=1) <= received.expires_at <= datetime.now(UTC) + timedelta(hours=1)
    assert (await polled(clock, Answer(200, {"access_token": "k"})))[0].expires_at is None


@pytest.mark.parametrize("error", ["invalid_grant", "unsupported_grant_type", "unauthorized_client"])
async def test_a_refresh_token_may_have_ended(anyio_backend: str, clock: Clock, error: str) -> None:
    """That is no failure: somebody is asked then."""
    client, _ = scripted(clock, Answer(400, {"error": error}))
    assert await client.refresh(Secret("old")) is None


async def test_a_refresh_is_asked_for_again_when_the_answer_is_lost(anyio_backend: str, clock: Clock) -> None:
    """The same token goes again, at once: a server gives the same answer for some seconds."""
    client, script = scripted(clock, NoAnswer("no connection"), Answer(503, None), GIVEN)
    received = await client.refresh(Secret("old"))
    assert received is not None and received.refresh_token == Secret("next")
    assert [form["refresh_token"] for form in script.forms] == ["old", "old", "old"]
    assert clock.now < 1002


@pytest.mark.parametrize(
    "answers", [[NoAnswer("no connection")], [Answer(500, None)], [Answer(200, {"hello": 1})]], ids=repr
)
async def test_a_refresh_that_cannot_be_had_is_no_ended_one(
    anyio_backend: str, clock: Clock, answers: Iterable[Any]
) -> None:
    """The refresh token stays, and nobody is asked for an approval that is not needed."""
    client, _ = scripted(clock, *answers)
    with pytest.raises(AuthorizationFailed) as caught:
        await client.refresh(Secret("old"))
    assert caught.value.reason == "unreachable"


async def test_a_server_with_too_much_to_do_says_so_itself(anyio_backend: str, clock: Clock) -> None:
    """Its own error is told after a few attempts; who asks for a long pause is not asked again."""
    busy = Answer(503, {"error": "temporarily_unavailable"}, retry_after=2.0)
    client, script = scripted(clock, busy)
    with pytest.raises(AuthorizationFailed, match="temporarily_unavailable") as caught:
        await client.begin("")
    assert (caught.value.reason, gaps(script.at)) == ("refused", [2, 2])
    client, script = scripted(clock, Answer(503, {"error": "temporarily_unavailable"}, retry_after=60.0))
    with pytest.raises(AuthorizationFailed):
        await client.begin("")
    assert len(script.at) == 1


async def test_an_error_at_the_renewal_is_told(anyio_backend: str, clock: Clock) -> None:
    """One that no new approval would mend."""
    client, _ = scripted(clock, Answer(401, {"error": "invalid_client"}))
    with pytest.raises(AuthorizationFailed) as caught:
        await client.refresh(Secret("old"))
    assert caught.value.reason == "refused"


async def test_an_untrusted_certificate_is_told_at_once(anyio_backend: str, clock: Clock) -> None:
    """Asking again gives the same."""
    client, script = scripted(clock, NoAnswer("its certificate is not trusted", hopeless=True))
    with pytest.raises(AuthorizationFailed) as caught:
        await client.begin("")
    assert (caught.value.why, len(script.at)) == (("its certificate is not trusted",), 1)


async def test_nothing_secret_is_shown(anyio_backend: str, clock: Clock) -> None:
    """Neither of a flow nor of what came of it."""
    client, _ = scripted(clock, Answer(200, CODE), GIVEN, pkce=True)
    grant: Grant = await client.begin("")
    received = await client.wait(grant, lambda left: None)
    shown = f"{grant!r} {received!r} {GIVEN!r}"
    assert grant.verifier is not None
    for secret in (CODE["device_code"], CODE["user_code"], "the-key", grant.verifier.reveal()):
        assert str(secret) not in shown
