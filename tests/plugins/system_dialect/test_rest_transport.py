"""What is sent over HTTP, what is sent again, and what becomes of answers that are none."""

from __future__ import annotations

import gzip
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import anyio
import httpx
import pytest
from objectkernel.secret import Secret
from objectkernel_system_dialect import rest_transport
from objectkernel_system_dialect.contracts import (
    AccessDenied,
    DatabaseBusy,
    DatabaseUnavailable,
    DialectClosed,
    DialectUnsupported,
    DuplicateKey,
    OptionInvalid,
    RequestTooLarge,
)
from objectkernel_system_dialect.net_transport import Call, NetOptions
from objectkernel_system_dialect.problems import problem_of
from objectkernel_system_dialect.rest_transport import RestTransport

from tests.plugins.system_dialect.scripted import Reply, Script, scripted

pytestmark = pytest.mark.anyio

OK = Reply(200, {"count": 1})
COUNT = Call(operation="count", entity="things", arguments={"filter": {}})
CREATE = Call(operation="create", entity="things", arguments={"data": {"name": "x"}})
AWAY = Reply(503, problem_of(DatabaseBusy("busy", reason="BUSY")), {"Content-Type": "application/problem+json"})


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest_transport, "FIRST_PAUSE", 0.001)


def transport(script: Script, **options: Any) -> RestTransport:
    return RestTransport(NetOptions(url=Secret(script.url), **options))


# --- what is sent -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "/", "/astro_08", "/astro_08/"])
async def test_path_is_kept(anyio_backend: str, path: str) -> None:
    """The path of the address stands before those of the data plane, with or without a slash at its end."""
    async with scripted(OK, path=path) as script, aclosing(transport(script)) as rest:
        await rest.call(COUNT)
        await rest.describe()
        kept = path.rstrip("/")
        assert [one.target for one in script.sent] == [f"{kept}/api/v1/data/things/count", f"{kept}/api/v1/data"]


@pytest.mark.parametrize("path", ["/api/v1/data", "/astro_08/api/v1/data/"])
async def test_the_address_of_the_data_plane_itself_is_understood(anyio_backend: str, path: str) -> None:
    """Whoever gives the address with the routes' own path means the same server."""
    async with scripted(OK, path=path) as script, aclosing(transport(script)) as rest:
        await rest.describe()
        assert script.sent[0].target == path.rstrip("/")


@pytest.mark.parametrize(
    ("key", "segment"),
    [
        (("a/b",), "a%2Fb"),
        (("..",), "%2E%2E"),
        ((".",), "%2E"),
        (("a.b",), "a.b"),
        (("a,b", "c d"), "a%2Cb,c%20d"),
        (("ä?#%",), "%C3%A4%3F%23%25"),
        ((5,), "5"),
    ],
)
async def test_keys_are_escaped(anyio_backend: str, key: tuple[Any, ...], segment: str) -> None:
    """A key is one segment of the path, whatever is in it."""
    async with scripted(OK) as script, aclosing(transport(script)) as rest:
        await rest.call(Call(operation="read", entity="things", key=key))
        assert script.sent[0].target == f"/api/v1/data/things/{segment}"


async def test_headers(anyio_backend: str) -> None:
    """The key is shown, the tenant named; a write has an idempotency key of its own, a reading call none."""
    async with scripted(OK) as script, aclosing(transport(script, api_key=Secret("s3cret"))) as rest:
        await rest.call(Call(operation="count", entity="things", tenant="ä b"))
        await rest.call(CREATE)
        await rest.call(CREATE)
        await rest.call(Call(operation="patch", entity="notes", key=("n",), arguments={"data": {}}, version=3))
        count, first, second, patch = (one.headers for one in script.sent)
    assert (count["authorization"], count["data-tenant"]) == ("Bearer s3cret", "%C3%A4%20b")
    assert "idempotency-key" not in count
    assert first["idempotency-key"] != second["idempotency-key"]
    assert patch["if-match"] == '"3"'
    assert script.connections == 1


async def test_unsendable(anyio_backend: str) -> None:
    """What JSON cannot hold is refused before anything is sent."""
    async with scripted(OK) as script, aclosing(transport(script)) as rest:
        with pytest.raises(OptionInvalid):
            await rest.call(Call(operation="query", entity="things", arguments={"sort": object()}))
        assert script.sent == []


# --- what is sent again -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [Reply(0), Reply(502, b"<html>"), Reply(429), AWAY])
@pytest.mark.parametrize("call", [COUNT, CREATE])
async def test_repeated(anyio_backend: str, failure: Reply, call: Call) -> None:
    """What may have failed on the way is sent again, a write with the same idempotency key."""
    async with scripted(failure, failure, OK) as script, aclosing(transport(script)) as rest:
        assert await rest.call(call) == {"count": 1}
        assert len(script.sent) == 3
        assert len({one.headers.get("idempotency-key") for one in script.sent}) == 1
        assert len({one.body for one in script.sent}) == 1


async def test_busy_key_is_waited_for(anyio_backend: str) -> None:
    """A write whose first attempt is under way is asked for again."""
    busy = Reply(409, {"code": "D607", "status": 409})
    async with scripted(busy, OK) as script, aclosing(transport(script)) as rest:
        assert await rest.call(CREATE) == {"count": 1}
        assert len(script.sent) == 2


@pytest.mark.parametrize("status", [400, 404, 409, 413, 422, 500, 501, 302])
async def test_not_repeated(anyio_backend: str, status: int) -> None:
    """What would fail again is sent once."""
    reply = Reply(status, {"code": "D301"} if status == 409 else None)
    async with scripted(reply) as script, aclosing(transport(script)) as rest:
        with pytest.raises((DatabaseUnavailable, RequestTooLarge, DuplicateKey)):
            await rest.call(CREATE)
        assert len(script.sent) == 1


async def test_gives_up(anyio_backend: str) -> None:
    """After the last attempt there is an error: the one that the server told, or that it did not answer."""
    async with scripted(AWAY) as script, aclosing(transport(script, attempts=2)) as rest:
        with pytest.raises(DatabaseBusy) as told:
            await rest.call(COUNT)
        assert (told.value.facts["reason"], told.value.facts["database"]) == ("BUSY", rest.place)
        script.replies[:] = [Reply(0)]
        with pytest.raises(DatabaseUnavailable) as cut:
            await rest.call(COUNT)
        assert cut.value.facts["reason"] == "RemoteProtocolError"
        assert len(script.sent) == 4


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), (format_datetime(datetime.now(UTC) + timedelta(days=1)), None), ("3600", None), ("soon", 0), ("", 0)],
    ids=("seconds", "a date", "an hour", "nonsense", "nothing"),
)
async def test_retry_after(
    anyio_backend: str, monkeypatch: pytest.MonkeyPatch, header: str, seconds: int | None
) -> None:
    """`Retry-After` is waited for, as seconds or as a date; who asks for too long is not asked again."""
    slept: list[float] = []

    async def sleep(pause: float) -> None:
        slept.append(pause)

    async with scripted(Reply(503, None, {"Retry-After": header}), OK) as script, aclosing(transport(script)) as rest:
        with monkeypatch.context() as patch:
            patch.setattr(rest_transport.anyio, "sleep", sleep)
            if seconds is None:
                with pytest.raises(DatabaseUnavailable):
                    await rest.call(COUNT)
                assert slept == []
            else:
                await rest.call(COUNT)
                assert [int(pause) for pause in slept] == [seconds]


# --- the key ------------------------------------------------------------------------------------------------------


async def test_refused_key(anyio_backend: str) -> None:
    """Without anybody to ask, a refused key is an error, and so is one that may not be used for this."""
    async with (
        scripted(Reply(401), Reply(403)) as script,
        aclosing(transport(script, api_key=Secret("s3cret"))) as rest,
    ):
        for status in (401, 403):
            with pytest.raises(AccessDenied) as caught:
                await rest.call(COUNT)
            assert caught.value.facts == {"database": rest.place, "status": status}
            assert "s3cret" not in str(caught.value)
        assert len(script.sent) == 2


async def test_no_key(anyio_backend: str) -> None:
    """Where no key is set, the error does not speak of one that is refused."""
    async with scripted(Reply(401)) as script, aclosing(transport(script)) as rest:
        with pytest.raises(AccessDenied) as caught:
            await rest.describe()
    assert caught.value.why == ("it wants a key, and none is set",)
    assert "MOSTA_NET_API_KEY" in caught.value.fix


async def test_a_key_that_cannot_be_sent_is_not_shown(anyio_backend: str) -> None:
    """Neither the error nor one behind it has the key, of which nothing was sent."""
    async with scripted(OK) as script, aclosing(transport(script, api_key=Secret("hünter2"))) as rest:
        with pytest.raises(AccessDenied) as caught:
            await rest.describe()
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    assert "nter2" not in repr(vars(caught.value))
    assert script.sent == []


async def test_renewed_key(anyio_backend: str) -> None:
    """A refused key is renewed once, and the call made once more; later calls show the new key."""
    asked: list[str] = []

    async def renew() -> str:
        asked.append("asked")
        return "new"

    options = {"api_key": Secret("old"), "on_api_key_invalid": renew}
    async with scripted(Reply(401), OK) as script, aclosing(transport(script, **options)) as rest:
        assert await rest.call(CREATE) == {"count": 1}
        await rest.call(COUNT)
        assert [one.headers["authorization"] for one in script.sent] == ["Bearer old", "Bearer new", "Bearer new"]
        assert script.sent[0].headers["idempotency-key"] == script.sent[1].headers["idempotency-key"]
        assert asked == ["asked"]


async def test_renewed_in_vain(anyio_backend: str) -> None:
    """When the new key is refused too, nobody is asked a second time for this call."""
    keys = iter(["new", "newer"])

    async def renew() -> str:
        return next(keys)

    async with scripted(Reply(401)) as script, aclosing(transport(script, on_api_key_invalid=renew)) as rest:
        with pytest.raises(AccessDenied):
            await rest.call(COUNT)
        assert [one.headers.get("authorization") for one in script.sent] == [None, "Bearer new"]


@pytest.mark.parametrize("key", ["", "old"])
async def test_no_new_key(anyio_backend: str, key: str) -> None:
    """When there is no other key the call is not made again."""

    async def renew() -> str:
        return key

    options = {"api_key": Secret("old"), "on_api_key_invalid": renew}
    async with scripted(Reply(401)) as script, aclosing(transport(script, **options)) as rest:
        with pytest.raises(AccessDenied):
            await rest.call(COUNT)
        assert len(script.sent) == 1


async def test_many_callers_renew_once(anyio_backend: str) -> None:
    """However many calls meet a refused key, it is renewed once."""
    renewals = 0

    async def renew() -> str:
        nonlocal renewals
        renewals += 1
        await anyio.sleep(0.01)
        return f"new{renewals}"

    async with scripted() as script:
        script.choose = lambda sent: OK if sent.headers["authorization"] == "Bearer new1" else Reply(401)
        options = {"api_key": Secret("old"), "on_api_key_invalid": renew}
        async with aclosing(transport(script, **options)) as rest, anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(rest.call, COUNT)
    assert renewals == 1


@pytest.mark.parametrize("key", ["", "old"])
async def test_many_callers_are_refused_together(anyio_backend: str, key: str) -> None:
    """However many calls meet a refused key, whoever has no other one is asked once; the next call asks again."""
    renewals = 0

    async def renew() -> str:
        nonlocal renewals
        renewals += 1
        await anyio.sleep(0.01)
        return key

    async def refused(rest: RestTransport) -> None:
        with pytest.raises(AccessDenied):
            await rest.call(COUNT)

    async with scripted(Reply(401)) as script:
        arrived = 0

        def choose(sent: object) -> Reply:
            nonlocal arrived
            arrived += 1
            return Reply(401)

        script.choose = choose
        async with aclosing(transport(script, api_key=Secret("old"), on_api_key_invalid=renew)) as rest:
            async with anyio.create_task_group() as tasks:
                for _ in range(10):
                    tasks.start_soon(refused, rest)
            assert 1 <= renewals < arrived == 10
            before = renewals
            await refused(rest)
            assert renewals == before + 1


# --- answers --------------------------------------------------------------------------------------------------------


@pytest.fixture(
    params=[Reply(200, b"<html>"), Reply(200, b""), Reply(200, [1]), Reply(404, b"x"), Reply(500, {"code": "x"})]
)
def strange(request: pytest.FixtureRequest) -> Reply:
    reply: Reply = request.param
    return reply


async def test_strange_answers(anyio_backend: str, strange: Reply) -> None:
    """What no server of data answers is an error, and never reads as 'no row'."""
    async with scripted(strange) as script, aclosing(transport(script)) as rest:
        with pytest.raises(DatabaseUnavailable):
            await rest.call(Call(operation="read", entity="things", key=("x",)))


async def test_missing_row(anyio_backend: str) -> None:
    """Only the server's own word that there is no such row is that."""
    async with scripted(Reply(404, {"code": "D601"})) as script, aclosing(transport(script)) as rest:
        assert await rest.call(Call(operation="read", entity="things", key=("x",))) is None


async def test_too_large(anyio_backend: str) -> None:
    """A body that the server or a proxy before it does not take is an error of its own."""
    async with scripted(Reply(413, b"<html>")) as script, aclosing(transport(script)) as rest:
        with pytest.raises(RequestTooLarge):
            await rest.call(CREATE)


async def test_closed(anyio_backend: str) -> None:
    """After its end a transport sends nothing."""
    async with scripted(OK) as script:
        rest = transport(script)
        await rest.aclose()
        with pytest.raises(DialectClosed):
            await rest.call(COUNT)
        assert script.sent == []


async def test_closed_meanwhile(anyio_backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that is about to ask again when its transport is closed says just that."""
    monkeypatch.setattr(rest_transport, "FIRST_PAUSE", 0.0)
    async with scripted() as script:
        rest = transport(script)
        begun = anyio.Event()

        def choose(sent: object) -> Reply:
            begun.set()
            return Reply(503, None, {"Retry-After": "1"})

        async def ask() -> None:
            with pytest.raises(DialectClosed):
                await rest.call(COUNT)

        script.choose = choose
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await begun.wait()
            await rest.aclose()
        assert len(script.sent) == 1


async def test_answers_are_bounded(anyio_backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that is too long, packed or not, is not read to its end; the transport goes on."""
    monkeypatch.setattr(rest_transport, "LARGEST", 100_000)
    packed = Reply(200, gzip.compress(b" " * 10_000_000), {"Content-Encoding": "gzip"})
    async with scripted(packed, Reply(200, b" " * 200_000), OK) as script, aclosing(transport(script)) as rest:
        for _ in range(2):
            with pytest.raises(DatabaseUnavailable) as caught:
                await rest.call(COUNT)
            assert caught.value.facts["reason"] == "answer too large"
        assert await rest.call(COUNT) == {"count": 1}
        assert len(script.sent) == 3


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_nobody_sends_the_key_elsewhere(anyio_backend: str, status: int) -> None:
    """A server that leads to another is not followed: that one would get the key."""
    async with scripted(OK) as other, scripted() as script:
        script.choose = lambda sent: Reply(status, None, {"Location": other.url})
        async with aclosing(transport(script, api_key=Secret("k"))) as rest:
            with pytest.raises(DatabaseUnavailable):
                await rest.call(COUNT)
        assert other.sent == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop.example",
        "ftp://shop.example",
        "http://",
        "https://ada:hunter2@shop.example",
        "http://h?key=hunter2",
        "http://h#x",
    ],
)
def test_addresses(url: str) -> None:
    """An address is http or https with a host; what may be secret in another one is not shown."""
    with pytest.raises(DialectUnsupported) as caught:
        RestTransport(NetOptions(url=Secret(url)))
    assert "hunter2" not in str(caught.value) + repr(caught.value)


async def test_key_is_not_logged(anyio_backend: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever is logged below, the key is not in it."""
    caplog.set_level(logging.DEBUG)
    async with scripted(Reply(0), Reply(401)) as script, aclosing(transport(script, api_key=Secret("s3cret"))) as rest:
        with pytest.raises(AccessDenied):
            await rest.call(CREATE)
    assert caplog.records
    assert "s3cret" not in caplog.text


async def test_addresses_are_not_logged(anyio_backend: str, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the server's address nor the key of a row comes into a log; others who use httpx have theirs."""
    caplog.set_level(logging.DEBUG)
    async with scripted(OK, path="/pr1vate") as script, aclosing(transport(script)) as rest:
        await rest.call(Call(operation="read", entity="things", key=("ada@example.org",)))
        assert not any(part in caplog.text for part in ("pr1vate", "example.org"))
        async with httpx.AsyncClient() as client:
            await client.get(script.url)
        assert "pr1vate" in caplog.text


@pytest.fixture
async def nothing_there(anyio_backend: str) -> AsyncIterator[str]:
    async with scripted(OK) as script:
        url = script.url
    yield url


async def test_unreachable(nothing_there: str) -> None:
    """A server that is not there is `DatabaseUnavailable`, with its place and no more."""
    options = NetOptions(url=Secret(nothing_there), api_key=Secret("s3cret"), attempts=2)
    async with aclosing(RestTransport(options)) as rest:
        with pytest.raises(DatabaseUnavailable) as caught:
            await rest.call(COUNT)
    assert caught.value.facts == {"database": nothing_there.removeprefix("http://"), "reason": "ConnectError"}
