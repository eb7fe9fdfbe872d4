"""The audit trail: what an entry has, and that it shares the fate of the change that it tells."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from objectkernel import Plugin, contributes
from objectkernel_accounts.audit import AUDIT_ENTRY
from objectkernel_contracts import AUDIT, IDENTITY, REQUEST_ID, Credentials, Principal
from objectkernel_http import asgi_app, kernel_lifespan
from objectkernel_system_dialect import http_changes
from objectkernel_system_dialect.contracts import BUSINESS_SCHEMAS, DIALECT, SYSTEM_DIALECT, EntitySchema, Field

from tests.contrib.accounts.trails import KINDS, audited, database, entries
from tests.plugins.system_dialect.databases import mariadb_database, mariadb_url, postgres_database, postgres_url

__all__ = ["database", "mariadb_database", "mariadb_url", "postgres_database", "postgres_url"]  # fixtures
pytestmark = pytest.mark.anyio

ADA = Principal(account_id="acme", user_id="ada", key_id="k1", scopes={"data:write", "data:admin"})
NOTE = EntitySchema(name="Note", collection="notes", fields={"text": Field("string")})


class Notes(Plugin):
    """An entity of the business data."""

    name = "notes"

    @contributes(BUSINESS_SCHEMAS, uses=())
    def note(self) -> EntitySchema:
        return NOTE


class Ada:
    """An identity that knows one person."""

    async def principal(self, credentials: Credentials) -> Principal | None:
        return ADA

    def sign_in_url(self, return_to: str) -> str:
        return return_to


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The only event loop that the servers' drivers know."""
    return "asyncio"


async def test_entry(database: dict[str, str]) -> None:
    """An entry says who did what to what, when, and for which request."""
    async with audited(database) as kernel:
        began = datetime.now(UTC)
        token = REQUEST_ID.set("r-1")
        await kernel.get(AUDIT).record("order.pay", "orders/1", principal=ADA, details={"total": 3, "ok": True})
        REQUEST_ID.reset(token)
        await kernel.get(AUDIT).record("host.start", "host")
        first, second = await entries(kernel.get(SYSTEM_DIALECT))
    assert began - timedelta(seconds=1) < first.pop("at") <= datetime.now(UTC)
    assert first == {
        "sequence": 1,
        "action": "order.pay",
        "subject": "orders/1",
        "account_id": "acme",
        "user_id": "ada",
        "key_id": "k1",
        "request_id": "r-1",
        "details": {"total": 3, "ok": True},
    }
    told = ("account_id", "user_id", "key_id", "request_id", "details")
    assert (second["action"], second["sequence"]) == ("host.start", 2)
    assert [second[name] for name in told] == [None] * 5


async def test_other_account(database: dict[str, str]) -> None:
    """An entry belongs to the account that is named, and tells who has done it all the same."""
    async with audited(database) as kernel:
        await kernel.get(AUDIT).record("account.disable", "umbrella", principal=ADA, account_id="umbrella")
        (entry,) = await entries(kernel.get(SYSTEM_DIALECT))
    assert (entry["account_id"], entry["user_id"]) == ("umbrella", "ada")


async def test_kept_and_undone_with_the_change(database: dict[str, str]) -> None:
    """Within a transaction of the system database an entry is kept, or undone, with what else is in it."""
    async with audited(database) as kernel:
        dialect, audit = kernel.get(SYSTEM_DIALECT), kernel.get(AUDIT)
        with pytest.raises(ZeroDivisionError):
            async with dialect.transaction():
                await audit.record("order.pay", "undone")
                raise ZeroDivisionError
        async with dialect.transaction():
            await audit.record("order.pay", "kept")
        assert [entry["subject"] for entry in await entries(dialect)] == ["kept"]


async def test_many_at_once(database: dict[str, str]) -> None:
    """Entries made at once are all there, each with a number of its own."""
    async with audited(database) as kernel:
        async with anyio.create_task_group() as tasks:
            for number in range(50):
                tasks.start_soon(kernel.get(AUDIT).record, "order.pay", f"orders/{number}")
        found = await entries(kernel.get(SYSTEM_DIALECT))
    assert sorted(entry["subject"] for entry in found) == sorted(f"orders/{number}" for number in range(50))
    assert len({entry["sequence"] for entry in found}) == 50


async def test_bounded_and_without_secrets(database: dict[str, str]) -> None:
    """What is too long is cut, what no database takes is replaced, and secrets are not in the table."""
    async with audited(database) as kernel:
        stranger = Principal(account_id="a" * 300, user_id="u\0\ud800")
        details: dict[str, Any] = {"password": "hunter2", "uri": "postgres://ada:hunter2@db/x", "text": "x\0" * 9000}
        subject = "https://ada:hunter2@host/" + "s" * 1000
        await kernel.get(AUDIT).record("order.pay", subject, principal=stranger, details=details)
        (entry,) = await entries(kernel.get(SYSTEM_DIALECT))
    assert len(entry["subject"]) == 255
    assert (len(entry["account_id"]), entry["user_id"]) == (255, "u\N{REPLACEMENT CHARACTER}?")
    assert "hunter2" not in str(entry)
    assert len(str(entry["details"])) < 1000


@pytest.mark.parametrize("action", ["", "pay", "Order.Pay", "order.pay\n", "order pay", "order."])
async def test_no_action(action: str, database: dict[str, str]) -> None:
    """What is no `noun.verb` is a mistake in the plugin, and is refused."""
    async with audited(database) as kernel:
        with pytest.raises(ValueError, match="is no action"):
            await kernel.get(AUDIT).record(action, "x")
        assert await kernel.get(SYSTEM_DIALECT).count(AUDIT_ENTRY) == 0


@pytest.mark.parametrize("apart", [False, True], ids=["together", "apart"])
async def test_writes_over_http(database: dict[str, str], tmp_path: Path, apart: bool) -> None:
    """Writes that come at once over HTTP are an entry each, wherever the trail is; what is refused is none."""
    if apart:
        database |= {"MOSTA_SYSTEM_DIALECT": "sqlite", "MOSTA_SYSTEM_URI": str(tmp_path / "system.db")}
    kernel = audited(database, Notes).provide(IDENTITY, Ada())
    app = asgi_app(kernel)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://h/api/v1/data")
    async with kernel_lifespan(kernel)(app), client:
        client.headers["Authorization"] = "Bearer ada"
        answers: list[httpx.Response] = []

        async def write(number: int) -> None:
            body = {"id": f"n{number // 2}", "text": "x"}  # every other one is taken
            answers.append(await client.post("/notes", json=body, headers={"Idempotency-Key": str(number)}))

        async with anyio.create_task_group() as tasks:
            for number in range(40):
                tasks.start_soon(write, number)
        found = await entries(kernel.get(SYSTEM_DIALECT))
    assert sorted(answer.status_code for answer in answers) == [201] * 20 + [409] * 20
    assert sorted(entry["subject"] for entry in found) == sorted(f"notes/n{number}" for number in range(20))
    made = {answer.headers["x-request-id"] for answer in answers if answer.status_code == 201}
    assert {entry["request_id"] for entry in found} == made
    who = {(entry["action"], entry["account_id"], entry["user_id"]) for entry in found}
    assert who == {("data.create", "acme", "ada")}


async def test_switching_away_from_the_trail(tmp_path: Path) -> None:
    """Where the system's data moves along with the business data, both trails tell of it: one that it began there."""
    environ = {"OBJECTKERNEL_DATA_DIR": str(tmp_path)}
    kernel = audited(environ).provide(IDENTITY, Ada())
    app = asgi_app(kernel)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://h")
    async with kernel_lifespan(kernel)(app), client:
        body = {"dialect": "sqlite", "uri": str(tmp_path / "other.db")}
        answer = await client.post("/api/change-dialect", json=body, headers={"Authorization": "Bearer ada"})
        assert answer.status_code == 200, answer.text
    for place, state in (("objectkernel.db", "begun"), ("other.db", "done")):
        async with audited({**environ, "SGBD_URI": str(tmp_path / place), "DB_DIALECT": "sqlite"}) as kernel:
            (entry,) = await entries(kernel.get(SYSTEM_DIALECT))
        assert (entry["action"], entry["subject"], entry["user_id"]) == ("data.change-dialect", "sqlite", "ada")
        assert entry["details"] == {"state": state}


async def test_write_that_the_trail_waits_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a write and of a transaction that each hold one database and wait for the other, the write gives way."""
    monkeypatch.setattr(http_changes, "PATIENCE", 0.2)
    system = {"MOSTA_SYSTEM_DIALECT": "sqlite", "MOSTA_SYSTEM_URI": str(tmp_path / "system.db")}
    kernel = audited({"OBJECTKERNEL_DATA_DIR": str(tmp_path), **system}, Notes).provide(IDENTITY, Ada())
    app = asgi_app(kernel)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://h/api/v1/data")
    async with kernel_lifespan(kernel)(app), client:
        client.headers["Authorization"] = "Bearer ada"
        held, answers = anyio.Event(), []

        async def write() -> None:
            await held.wait()
            answers.append(await client.post("/notes", json={"id": "mine"}))

        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(write)
                async with kernel.get(SYSTEM_DIALECT).transaction():
                    await kernel.get(AUDIT).record("order.pay", "x")
                    held.set()
                    await anyio.sleep(0.1)  # until it has written and waits for its entry
                    await kernel.get(DIALECT).create(NOTE, {"id": "other"})
                    while not answers:
                        await anyio.sleep(0.01)
        assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(503, "D402")]
        assert [row["id"] for row in await kernel.get(DIALECT).find(NOTE)] == ["other"]
        assert [entry["subject"] for entry in await entries(kernel.get(SYSTEM_DIALECT))] == ["x"]


@pytest.mark.parametrize("database", KINDS[1:], indirect=True)
@pytest.mark.parametrize("once", [False, True], ids=["plain", "keys"])
async def test_writes_that_clash(database: dict[str, str], once: bool) -> None:
    """Writes of the same rows in another order, of which the database undoes some, are made again by the host."""
    kernel = audited(database, Notes).provide(IDENTITY, Ada())
    app = asgi_app(kernel)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://h/api/v1/data")
    async with kernel_lifespan(kernel)(app), client:
        client.headers["Authorization"] = "Bearer ada"
        answers: list[httpx.Response] = []

        async def write(number: int) -> None:
            rows = [{"id": f"n{number // 2}.{one}", "text": "x"} for one in range(200)]
            headers = {"Idempotency-Key": str(number)} if once else {}
            body = {"create": rows[:: 1 if number % 2 else -1]}
            answers.append(await client.post("/notes/bulk", json=body, headers=headers))

        for pair in range(4):  # two at a time: one of them is undone, and then alone
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(write, 2 * pair)
                tasks.start_soon(write, 2 * pair + 1)
        assert sorted(answer.status_code for answer in answers) == [200] * 4 + [409] * 4
        made = sum(answer.is_success for answer in answers)
        assert len(await entries(kernel.get(SYSTEM_DIALECT))) == made
