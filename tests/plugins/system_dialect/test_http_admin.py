"""The routes that switch the business database: for administrators, and silent about connection strings."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from objectkernel.errors import ConfigError, ConfigInvalid
from objectkernel_contracts import Principal
from objectkernel_system_dialect.contracts import DatabaseUnavailable, DialectUnsupported

from tests.plugins.system_dialect.net_entities import opened
from tests.plugins.system_dialect.served import HOST_KEY, serve

pytestmark = pytest.mark.anyio

URI = "postgresql://ada:hunter2@db.internal:5432/shop"


class Plug:
    """Records what it is asked for."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.failure: Exception | None = None

    async def change_dialect(self, *arguments: Any) -> None:
        await self._done("change", *arguments)

    async def reload_config(self) -> bool:
        await self._done("reload")
        return False

    async def reconnect(self) -> None:
        await self._done("reconnect")

    async def _done(self, *call: Any) -> None:
        self.calls.append(call)
        if self.failure is not None:
            raise self.failure from OSError(URI)


@pytest.fixture
def plug() -> Plug:
    return Plug()


@pytest.fixture
async def http(anyio_backend: str, plug: Plug) -> AsyncIterator[httpx.AsyncClient]:
    known = {"writer": Principal(account_id="ada", scopes={"data:read", "data:write"})}
    async with serve(opened, plug=plug, known=known) as served:
        headers = {"Authorization": f"Bearer {HOST_KEY}"}
        async with httpx.AsyncClient(base_url=f"{served.url}/api", headers=headers) as client:
            yield client


async def test_calls(http: httpx.AsyncClient, plug: Plug) -> None:
    """Each route asks the plug, with what the body says."""
    body = {"dialect": "postgres", "uri": URI, "schema_strategy": "validate"}
    assert (await http.post("/change-dialect", json=body)).json() == {"changed": True}
    assert (await http.post("/reload-config")).json() == {"changed": False}
    assert (await http.post("/reconnect")).json() == {"changed": True}
    assert plug.calls == [("change", "postgres", URI, "validate"), ("reload",), ("reconnect",)]


async def test_only_administrators(http: httpx.AsyncClient, plug: Plug) -> None:
    """Without the administrator's scope nothing is asked for."""
    for path in ("/change-dialect", "/reload-config", "/reconnect"):
        body = {"dialect": "sqlite", "uri": "x.db"}
        assert (await http.post(path, json=body, headers={"Authorization": "Bearer writer"})).status_code == 403
        assert (await http.post(path, json=body, headers={"Authorization": ""})).status_code == 401
    assert plug.calls == []


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (DatabaseUnavailable("db.internal: no route", database="db.internal", reason="x"), 503, "D401"),
        (DialectUnsupported("there is no dialect 'x'"), 422, "D407"),
        (ConfigError([ConfigInvalid(f"sgbd_uri is no {URI}")]), 409, ConfigError.code),
    ],
)
async def test_failures(
    http: httpx.AsyncClient, plug: Plug, caplog: pytest.LogCaptureFixture, failure: Any, status: int, code: str
) -> None:
    """A failed switch is a problem with a code, and nowhere is the connection string."""
    caplog.set_level(logging.DEBUG)
    plug.failure = failure
    answer = await http.post("/change-dialect", json={"dialect": "postgres", "uri": URI})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    for text in (answer.text, caplog.text):
        assert "hunter2" not in text
        assert "db.internal" not in answer.text


@pytest.mark.parametrize("body", [{"dialect": "postgres", "uri": 5}, {"dialect": "x", "url": URI}, {"uri": URI}])
async def test_strange_bodies(http: httpx.AsyncClient, plug: Plug, body: Any) -> None:
    """A body that is refused is not repeated in the answer."""
    answer = await http.post("/change-dialect", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "D602")
    assert "hunter2" not in answer.text
    assert plug.calls == []
