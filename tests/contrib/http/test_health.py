"""Whether to restart a host, and whether to send it work."""

from __future__ import annotations

import pytest
from objectkernel import ObjectKernel, Plugin, Service, provides
from objectkernel_contracts import OPERATE, SCOPES, Credentials, Principal
from objectkernel_http import asgi_app, health, kernel_lifespan
from objectkernel_http.plugin import HttpPlugin

from tests.contrib.http.shops import Shop, Tokens, client_of, granted, serving, shop_kernel

pytestmark = pytest.mark.anyio


class Database:
    """Answers its ping, or does not."""

    def __init__(self) -> None:
        self.well = True
        self.asked = 0

    async def ping(self) -> None:
        self.asked += 1
        if not self.well:
            raise OSError("postgresql://admin:hunter2@db")


DATABASE = Service[Database]("shop.database")


class Storage(Plugin):
    name = "storage"

    def __init__(self, database: Database) -> None:
        self._database = database

    @provides(DATABASE)
    def database(self) -> Database:
        return self._database


async def test_a_host_before_during_and_after_its_life() -> None:
    """It is alive before and ready only during it; whoever has stopped is neither."""
    kernel = shop_kernel()
    app = asgi_app(kernel)
    async with client_of(app) as client:

        async def ask() -> list[tuple[int, str]]:
            answers = [await client.get(path) for path in ("/livez", "/readyz")]
            return [(answer.status_code, answer.json()["status"]) for answer in answers]

        assert await ask() == [(200, "live"), (503, "not ready")]
        async with kernel_lifespan(kernel)(app):
            assert await ask() == [(200, "live"), (200, "ready")]
        assert await ask() == [(503, "not live"), (503, "not ready")]


async def test_a_critical_service_that_is_unwell(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host is alive and not ready, and tells nobody why."""
    monkeypatch.setattr(health, "KEPT", 0.0)
    database = Database()
    async with serving(shop_kernel(Shop(), Storage(database))) as client:
        assert (await client.get("/readyz")).status_code == 200
        database.well = False
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()) == (503, {"status": "not ready"})
        assert (await client.get("/livez")).status_code == 200


async def test_asking_often_does_not_ask_every_service_often() -> None:
    """One answer serves all who ask within its time."""
    database = Database()
    async with serving(shop_kernel(Shop(), Storage(database))) as client:
        for _ in range(20):
            await client.get("/readyz")
    assert database.asked < 20


async def test_no_answer_is_kept_by_anybody() -> None:
    """A proxy must ask the host itself."""
    async with serving(shop_kernel()) as client:
        assert (await client.get("/livez")).headers["cache-control"] == "no-store"


async def test_an_operator_is_told_of_every_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which one is unwell, and of which plugin; by its error's kind, for the log has the rest. Others: one word."""
    monkeypatch.setattr(health, "KEPT", 0.0)
    database = Database()
    database.well = False
    async with serving(shop_kernel(Shop(), Storage(database))) as client:
        answer = await client.get("/readyz", headers=granted("host:operate"))
        for headers in ({}, granted("ledger:write"), granted("expired")):
            assert (await client.get("/readyz", headers=headers)).json() == {"status": "not ready"}
    told = answer.json()
    assert (answer.status_code, told["status"], told["state"]) == (503, "not ready", "degraded")
    (unwell,) = [service for service in told["services"] if service["state"] != "up"]
    assert (unwell["service"], unwell["plugin"], unwell["detail"]) == ("shop.database", "storage", "OSError")
    assert "hunter2" not in answer.text


async def test_readiness_is_told_while_nobody_knows_who_asks(caplog: pytest.LogCaptureFixture) -> None:
    """The identity may be what is unwell."""

    class Broken(Tokens):
        async def principal(self, credentials: Credentials) -> Principal | None:
            raise OSError("no route to the database")

    async with serving(shop_kernel(identity=Broken())) as client:
        answer = await client.get("/readyz", headers=granted("host:operate"))
    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})
    assert "nobody can tell who asks" in caplog.text


def test_the_plugin_knows_the_scope_of_operators() -> None:
    """It is granted to those who run the host, and comes with no role in an account."""
    (scope,) = ObjectKernel(plugins=[HttpPlugin], discover=False).contributions(SCOPES)
    assert (scope.name, scope.role) == (OPERATE, "operator")
