"""A write that is asked for twice with one key is made once, and both times answered with the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import httpx
import pytest
from objectkernel_contracts import Principal
from objectkernel_system_dialect.contracts import (
    ConstraintViolated,
    DatabaseBusy,
    Dialect,
    IdempotencyKeyBusy,
    IdempotencyKeyReused,
    RequestInvalid,
)
from objectkernel_system_dialect.http_idempotency import BATCH, LIFETIME, Answer, Idempotency
from objectkernel_system_dialect.idempotency_record import IDEMPOTENCY

from tests.plugins.system_dialect.net_entities import THING, opened
from tests.plugins.system_dialect.served import serve

pytestmark = pytest.mark.anyio

SCOPES = frozenset({"data:read", "data:write"})
KNOWN = {name: Principal(account_id=name, scopes=SCOPES) for name in ("ada", "bob")}


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2024, 5, 17, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class WithoutTransactions:
    """A dialect that cannot make several writes together."""

    capabilities: frozenset[str] = frozenset()

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect

    def __getattr__(self, name: str) -> Any:
        assert name != "transaction"
        return getattr(self._dialect, name)


@pytest.fixture(params=["atomic", "not atomic"])
async def dialect(request: pytest.FixtureRequest, anyio_backend: str) -> AsyncIterator[Dialect]:
    async with aclosing(await opened()) as dialect:
        yield dialect if request.param == "atomic" else WithoutTransactions(dialect)  # type: ignore[misc]


class Writer:
    """Creates a thing each time it runs."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.runs = 0

    async def __call__(self) -> Answer:
        self.runs += 1
        await self.dialect.create(THING, {"name": f"n{self.runs}"})
        return Answer(201, f'"ü{self.runs}"'.encode(), {"ETag": '"1"'})


async def test_once(dialect: Dialect) -> None:
    """The second time nothing runs, and the answer is that of the first, with its status and headers."""
    write, once = Writer(dialect), Idempotency(dialect).once
    first = await once("ada", "k", "request", write)
    assert first == Answer(201, '"ü1"'.encode(), {"ETag": '"1"'})
    assert await once("ada", "k", "request", write) == first
    assert (write.runs, await dialect.count(THING)) == (1, 1)


async def test_another_request(dialect: Dialect) -> None:
    """The same key with another request is refused, and nothing runs."""
    write, once = Writer(dialect), Idempotency(dialect).once
    await once("ada", "k", "request", write)
    with pytest.raises(IdempotencyKeyReused):
        await once("ada", "k", "another", write)
    assert write.runs == 1


async def test_keys_belong_to_accounts(dialect: Dialect) -> None:
    """Two accounts may use one key, also where account and key run together."""
    write, once = Writer(dialect), Idempotency(dialect).once
    await once("ada", "k", "request", write)
    await once("bob", "k", "request", write)
    await once("adak", "k", "request", write)
    await once("ada", "kk", "request", write)
    assert write.runs == 4


async def test_errors_are_no_answers(dialect: Dialect) -> None:
    """What failed has written nothing, so the next one with the key runs."""
    write, once = Writer(dialect), Idempotency(dialect).once

    async def failing() -> Answer:
        if "transaction" in dialect.capabilities:
            await write()
        raise ConstraintViolated("no", entity="Thing", constraint="test")

    with pytest.raises(ConstraintViolated):
        await once("ada", "k", "request", failing)
    assert await dialect.count(THING) == 0
    await once("ada", "k", "request", write)
    assert await dialect.count(THING) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "ä", "a\nb"])
async def test_strange_keys(dialect: Dialect, key: str) -> None:
    """A key is 1 to 255 printable ASCII characters."""
    with pytest.raises(RequestInvalid):
        await Idempotency(dialect).once("ada", key, "request", Writer(dialect))


async def test_lifetime(dialect: Dialect) -> None:
    """After 24 hours a key may be used for something else."""
    clock = Clock()
    write, once = Writer(dialect), Idempotency(dialect, clock).once
    await once("ada", "k", "request", write)
    clock.now += LIFETIME - timedelta(seconds=1)
    with pytest.raises(IdempotencyKeyReused):
        await once("ada", "k", "another", write)
    clock.now += timedelta(seconds=2)
    await once("ada", "k", "another", write)
    assert write.runs == 2


async def test_unfinished(dialect: Dialect) -> None:
    """A write whose end nobody knows is not made again: the key is busy."""
    idempotency = Idempotency(dialect)
    await idempotency.once("ada", "k", "request", Writer(dialect))
    (record,) = await dialect.find(IDEMPOTENCY)
    await dialect.update(IDEMPOTENCY, record["id"], {"status": None})
    with pytest.raises(IdempotencyKeyBusy):
        await idempotency.once("ada", "k", "request", Writer(dialect))


async def test_sweep(dialect: Dialect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records that have come of age go in batches, between which others write; younger ones stay."""
    clock = Clock()
    idempotency = Idempotency(dialect, clock)
    await dialect.register(IDEMPOTENCY)
    old = {"request": "r", "made_at": clock.now - LIFETIME}
    for batch in range(4):
        await dialect.create_many(IDEMPOTENCY, [{"id": f"{batch} {number}", **old} for number in range(BATCH)])
    await idempotency.once("ada", "k", "request", Writer(dialect))
    left: list[int] = []

    async def write() -> None:
        while True:
            await dialect.create(THING, {"name": str(len(left))})
            left.append(await dialect.count(IDEMPOTENCY))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(write)
        await idempotency.sweep()
        tasks.cancel_scope.cancel()
    assert await dialect.count(IDEMPOTENCY) == 1
    assert {count for count in left if 1 < count < 4 * BATCH}


async def test_sweep_of_what_others_have_left(dialect: Dialect) -> None:
    """A host that has had no write yet removes what was there when it came."""
    clock = Clock()
    other = Idempotency(dialect, clock)
    await other.once("ada", "k", "request", Writer(dialect))
    clock.now += LIFETIME
    await Idempotency(dialect, clock).sweep()
    assert await dialect.count(IDEMPOTENCY) == 0


async def test_a_sweep_that_fails(dialect: Dialect, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    """It is told, and the next one comes in its time."""
    monkeypatch.setattr(dialect, "find", refuse)
    await Idempotency(dialect).sweep()
    assert "stay for now" in caplog.text


async def refuse(*_: Any, **__: Any) -> Any:
    raise DatabaseBusy("the database is busy", why="it is", fix="wait", database="d", reason="lock")


async def test_expired_and_made_anew(dialect: Dialect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two that find the same expired record, the one that comes later leaves the other's new record alone."""
    clock = Clock()
    write, idempotency = Writer(dialect), Idempotency(dialect, clock)
    await idempotency.once("ada", "k", "request", write)
    clock.now += LIFETIME
    find, others = dialect.find_by_id, Idempotency(dialect, clock)

    async def slow(*args: Any, **options: Any) -> Any:
        found = await find(*args, **options)
        monkeypatch.undo()
        await others.once("ada", "k", "request", write)
        return found

    monkeypatch.setattr(dialect, "find_by_id", slow)
    await idempotency.once("ada", "k", "request", write)
    assert write.runs == 2


# --- over HTTP ------------------------------------------------------------------------------------------------


@asynccontextmanager
async def clients() -> AsyncIterator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
    async with serve(opened, known=KNOWN) as served:
        base = f"{served.url}/api/v1/data"
        async with (
            httpx.AsyncClient(base_url=base, headers={"Authorization": "Bearer ada"}) as ada,
            httpx.AsyncClient(base_url=base, headers={"Authorization": "Bearer bob"}) as bob,
        ):
            yield ada, bob


def same(one: httpx.Response, other: httpx.Response) -> bool:
    names = ("content-type", "etag", "location")
    return (one.status_code, one.content, *(one.headers.get(name) for name in names)) == (
        other.status_code,
        other.content,
        *(other.headers.get(name) for name in names),
    )


async def test_over_http(anyio_backend: str) -> None:
    """Every kind of write is made once for one key, and answered as before."""
    async with clients() as (ada, bob):
        made = await ada.post(
            "/things", json={"id": "x", "name": "x", "labels": ["a"]}, headers={"Idempotency-Key": "0"}
        )
        assert same(made, await ada.post("/things", content=made.request.content, headers=made.request.headers))
        writes: list[tuple[str, str, Any]] = [
            ("POST", "/things/x/increment", {"field": "size"}),
            ("POST", "/things/x/add-to-set", {"field": "labels", "value": "b"}),
            ("POST", "/things/x/pull", {"field": "labels", "value": "b"}),
            ("PATCH", "/things/x", {"note": "n"}),
            ("POST", "/things/bulk", {"create": [{"name": "y"}]}),
            ("POST", "/things/upsert", {"name": "z"}),
            ("DELETE", "/things/x", None),
        ]
        for number, (method, path, body) in enumerate(writes, start=1):
            headers = {"Idempotency-Key": str(number)}
            first = await ada.request(method, path, json=body, headers=headers)
            assert first.is_success
            assert same(first, await ada.request(method, path, json=body, headers=headers))
        assert (await ada.post("/things/count", json={})).json() == {"count": 2}
        other = await ada.post("/things", json={"name": "other"}, headers={"Idempotency-Key": "0"})
        assert (other.status_code, other.json()["code"]) == (422, "D606")
        moved = await ada.patch("/things/y", json={"note": "n"}, headers={"Idempotency-Key": "4"})
        assert (moved.status_code, moved.json()["code"]) == (422, "D606")
        assert (await bob.post("/things", json={"name": "bob's"}, headers={"Idempotency-Key": "0"})).status_code == 201


async def test_at_the_same_time(anyio_backend: str) -> None:
    """Of many requests with one key that come together, one is executed, and all have its answer."""
    async with clients() as (ada, _):
        answers: list[httpx.Response] = []

        async def write() -> None:
            body = {"field": "size"}
            answers.append(await ada.post("/things/x/increment", json=body, headers={"Idempotency-Key": "k"}))

        await ada.post("/things", json={"id": "x", "name": "x"})
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(write)
        assert all(same(answers[0], answer) for answer in answers)
        assert (await ada.get("/things/x")).json()["size"] == 1


async def test_undone_together(anyio_backend: str) -> None:
    """A bulk write that fails leaves neither rows nor a record: with its key the next attempt runs."""
    async with clients() as (ada, _):
        headers = {"Idempotency-Key": "k"}
        body = {"create": [{"id": "a", "name": "a"}, {"id": "a", "name": "b"}]}
        assert (await ada.post("/things/bulk", json=body, headers=headers)).status_code == 409
        assert (await ada.post("/things/count", json={})).json() == {"count": 0}
        assert (await ada.post("/things/bulk", json={"create": [{"name": "a"}]}, headers=headers)).status_code == 200
