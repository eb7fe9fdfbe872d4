"""How the data plane's routes tell errors: those of data access themselves, all others through the host."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from objectkernel import ObjectKernel, Plugin, contributes
from objectkernel.errors import KernelError, ServiceUnavailable
from objectkernel_contracts import AUDIT, IDENTITY
from objectkernel_http import asgi_app, kernel_lifespan
from objectkernel_http.testing import ScopeTokens, token
from objectkernel_system_dialect.contracts import BUSINESS_SCHEMAS, DatabaseUnavailable, EntitySchema, Field
from objectkernel_system_dialect.plugin import SystemDialectPlugin

pytestmark = pytest.mark.anyio

NODE = EntitySchema(name="Node", collection="nodes", fields={"size": Field("integer")})


class Nodes(Plugin):
    """One entity."""

    name = "nodes"

    @contributes(BUSINESS_SCHEMAS, uses=())
    def node(self) -> EntitySchema:
        return NODE


class Trail:
    """An audit trail that fails as a test wants it to."""

    failure: Exception | None = None

    async def record(self, action: str, subject: str, **more: Any) -> None:
        if self.failure is not None:
            raise self.failure


@pytest.fixture
def trail() -> Trail:
    return Trail()


@pytest.fixture
async def http(anyio_backend: str, trail: Trail) -> AsyncIterator[httpx.AsyncClient]:
    kernel = ObjectKernel(plugins=[SystemDialectPlugin.in_memory(), Nodes], discover=False, environ={})
    app = asgi_app(kernel.provide(IDENTITY, ScopeTokens()).provide(AUDIT, trail))
    headers = {"Authorization": f"Bearer {token('data:read', 'data:write')}"}
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://h/api/v1/data", headers=headers)
    async with kernel_lifespan(kernel)(app), client:
        yield client


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (DatabaseUnavailable("db7", database="db7", reason="x"), 503, "D401"),
        (ServiceUnavailable("the trail is being restarted at db7"), 503, "K209"),
        (KernelError("db7"), 500, KernelError.code),
    ],
)
async def test_whose_error_it_is(
    http: httpx.AsyncClient, trail: Trail, failure: Exception, status: int, code: str
) -> None:
    """What a write needs besides its database may be away too; the answer has the id of the request, and no words."""
    trail.failure = failure
    answer = await http.post("/nodes", json={"size": 1})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["instance"] == f"urn:uuid:{answer.headers['x-request-id']}"
    assert ("retry-after" in answer.headers) == (status == 503)
    assert "db7" not in answer.text
    trail.failure = None
    assert (await http.get("/nodes")).json()["rows"] == []


@pytest.mark.parametrize("number", [b"7", b"7.0", b"7e0"])
async def test_whole_numbers(http: httpx.AsyncClient, number: bytes) -> None:
    """JSON writes one number in several ways: a row, and the length of a page, can be given in each."""
    made = await http.post("/nodes", content=b'{"size": %s}' % number, headers={"Content-Type": "application/json"})
    assert (made.status_code, repr(made.json()["size"])) == (201, "7")
    page = b'{"limit": %s, "filter": {"size": %s}}' % (number, number)
    found = await http.post("/nodes/query", content=page, headers={"Content-Type": "application/json"})
    assert [row["size"] for row in found.json()["rows"]] == [7]
