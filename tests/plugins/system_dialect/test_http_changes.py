"""Writes over HTTP in the audit trail: one entry each, made with the write or not at all, and no value in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from objectkernel import ObjectKernel, Plugin, contributes
from objectkernel_contracts import AUDIT, IDENTITY, SCOPES, Credentials, Principal
from objectkernel_http import asgi_app, kernel_lifespan
from objectkernel_system_dialect import http_changes
from objectkernel_system_dialect.contracts import (
    BUSINESS_SCHEMAS,
    DIALECT,
    SYSTEM_SCHEMAS,
    DatabaseBusy,
    DatabaseUnavailable,
    Dialect,
    EntitySchema,
    Field,
)
from objectkernel_system_dialect.plugin import SystemDialectPlugin
from objectkernel_system_dialect.rest_api import ROUTES

from tests.plugins.system_dialect.kernels import in_files

pytestmark = pytest.mark.anyio

NODE = EntitySchema(
    name="Node",
    collection="nodes",
    key=("owner", "name"),
    fields={
        "owner": Field("string"),
        "name": Field("string"),
        "size": Field("integer"),
        "labels": Field("array", default=list),
        "phone": Field("string"),
    },
    tenant="owner",
    soft_delete=True,
)
NOTE = EntitySchema(name="Note", collection="test_notes", fields={"text": Field("string")})
KNOWN = {
    "ada": Principal(account_id="acme", user_id="ada", scopes={"data:read", "data:write"}, key_id="k1"),
    "host": Principal(account_id="host", scopes={"data:read", "data:write", "data:tenants", "data:admin"}),
}
ROW = {"name": "a", "size": 1, "phone": "hunter2", "labels": ["x"]}
CALLS: dict[str, tuple[str, str, Any, dict[str, Any]]] = {  # body, path, entry
    "create": ("POST", "/nodes", {**ROW, "name": "new/1"}, {"fields": ["name", "size", "phone", "labels"]}),
    "upsert": ("POST", "/nodes/upsert", {**ROW, "owner": "acme"}, {"fields": [*ROW, "owner"]}),
    "bulk": ("POST", "/nodes/bulk", {"create": [{"name": "b"}, {"name": "c", "phone": "hunter2"}]}, {"created": 2}),
    "patch": ("PATCH", "/nodes/acme,a", {"phone": "hunter2"}, {"fields": ["phone"]}),
    "delete": ("DELETE", "/nodes/acme,a", None, {"hard": False}),
    "increment": ("POST", "/nodes/acme,a/increment", {"field": "size", "by": 7}, {"fields": ["size"]}),
    "add_to_set": ("POST", "/nodes/acme,a/add-to-set", {"field": "labels", "value": "hunter2"}, {"fields": ["labels"]}),
    "pull": ("POST", "/nodes/acme,a/pull", {"field": "labels", "value": "x"}, {"fields": ["labels"]}),
    "undelete": ("POST", "/nodes/acme,gone/undelete", {}, {}),
}


class Nodes(Plugin):
    """An entity of the business data, and one of the system's for the trail of these tests."""

    name = "nodes"

    @contributes(BUSINESS_SCHEMAS, uses=())
    def node(self) -> EntitySchema:
        return NODE

    @contributes(SYSTEM_SCHEMAS, uses=())
    def note(self) -> EntitySchema:
        return NOTE


class Trail:
    """An audit trail that keeps what it is told; a test may let it fail."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.dialect: Dialect | None = None
        self.failing = False
        self.most = 1000
        self.clashes: list[str] = []
        self.hanging = False

    async def record(self, action: str, subject: str, **more: Any) -> None:
        if self.dialect is not None:
            await self.dialect.create(NOTE, {"text": action})
        if self.clashes:
            raise DatabaseBusy("undone", database="x", reason=self.clashes.pop())
        if self.hanging:
            await anyio.sleep_forever()
        if self.failing or len(self.told) == self.most:
            raise DatabaseUnavailable("gone", database="x", reason="y")
        self.told.append({"action": action, "subject": subject, **more})


class Keys:
    async def principal(self, credentials: Credentials) -> Principal | None:
        return KNOWN.get(credentials.bearer or "")

    def sign_in_url(self, return_to: str) -> str:
        return return_to


@pytest.fixture
def trail() -> Trail:
    return Trail()


@pytest.fixture
def kernel(trail: Trail) -> ObjectKernel:
    kernel = ObjectKernel(plugins=[SystemDialectPlugin.in_memory(), Nodes], discover=False, environ={})
    return kernel.provide(IDENTITY, Keys()).provide(AUDIT, trail)


@pytest.fixture
async def http(anyio_backend: str, kernel: ObjectKernel, trail: Trail) -> AsyncIterator[httpx.AsyncClient]:
    app = asgi_app(kernel)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://h/api/v1/data")
    client.headers["Authorization"] = "Bearer ada"
    async with kernel_lifespan(kernel)(app), client:
        for name in ("a", "gone"):
            assert (await client.post("/nodes", json={**ROW, "name": name})).status_code == 201
        await client.delete("/nodes/acme,gone")
        trail.told.clear()
        yield client


async def call(http: httpx.AsyncClient, operation: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
    method, path, body, _ = CALLS[operation]
    return await http.request(method, path, json=body, headers=headers)


def test_every_write_is_tried() -> None:
    """These tests know each operation that writes."""
    assert set(CALLS) == {name for name, route in ROUTES.items() if route.writes}


@pytest.mark.parametrize("operation", CALLS)
async def test_entry(http: httpx.AsyncClient, trail: Trail, operation: str) -> None:
    """A write is one entry: who, which row, which fields, and none of their values."""
    answer = await call(http, operation)
    assert answer.is_success, answer.text
    (entry,) = trail.told
    subject = {"create": "nodes/acme,new%2F1", "bulk": "nodes", "undelete": "nodes/acme,gone"}
    assert entry == {
        "action": f"data.{operation.replace('_', '-')}",
        "subject": subject.get(operation, "nodes/acme,a"),
        "principal": KNOWN["ada"],
        "account_id": None,
        "details": CALLS[operation][3] or None,
    }
    assert "hunter2" not in str(entry)


async def test_bulk_entries(http: httpx.AsyncClient, trail: Trail) -> None:
    """Many rows that are changed or deleted at once are one entry with their number."""
    changes = {"filter": {"phone": "hunter2"}, "changes": {"size": 5}}
    assert (await http.post("/nodes/bulk", json={"update": changes})).json() == {"count": 1}
    assert (await http.post("/nodes/bulk", json={"delete": {"filter": {}, "all": True}})).json() == {"count": 1}
    assert [entry["details"] for entry in trail.told] == [
        {"updated": 1, "fields": ["size"]},
        {"deleted": 1, "hard": False},
    ]


@pytest.mark.parametrize("operation", CALLS)
async def test_no_entry_without_a_change(http: httpx.AsyncClient, trail: Trail, operation: str) -> None:
    """A write that is refused leaves no entry."""
    method, path, body, _ = CALLS[operation]
    for sent in (body, {**(body or {}), "nonsense": 1}):
        refused = await http.request(method, path.replace("acme,", "acme,no"), json=sent, headers={"If-Match": '"0"'})
        assert refused.is_client_error, refused.text
    assert trail.told == []


async def test_reading_leaves_none(http: httpx.AsyncClient, trail: Trail) -> None:
    """Whoever only reads is not in the trail."""
    for path, body in (("count", {}), ("query", {}), ("exists", {}), ("search", {"text": "x"})):
        assert (await http.post(f"/nodes/{path}", json=body)).is_success
    assert (await http.get("/nodes/acme,a")).is_success
    assert trail.told == []


async def test_made_once(http: httpx.AsyncClient, trail: Trail) -> None:
    """A write that is asked for twice with one Idempotency-Key is one entry."""
    for _ in range(2):
        answer = await call(http, "create", {"Idempotency-Key": "once"})
        assert answer.status_code == 201
    assert [entry["action"] for entry in trail.told] == ["data.create"]


@pytest.mark.parametrize("operation", CALLS)
async def test_undone_without_its_entry(
    http: httpx.AsyncClient, kernel: ObjectKernel, trail: Trail, operation: str
) -> None:
    """A write whose entry cannot be made is undone, and so is the entry with it; both are of one transaction."""
    dialect = kernel.get(DIALECT)
    before = await dialect.find(NODE, {"deleted_at": {"$exists": True}}), await dialect.find(NODE)
    trail.dialect, trail.failing = dialect, True
    assert (await call(http, operation)).status_code == 503
    assert (await dialect.find(NODE, {"deleted_at": {"$exists": True}}), await dialect.find(NODE)) == before
    assert await dialect.count(NOTE) == 0
    trail.failing = False
    assert (await call(http, operation)).is_success
    assert await dialect.count(NOTE) == 1


async def test_trail_that_hangs(
    http: httpx.AsyncClient, kernel: ObjectKernel, trail: Trail, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write waits for its entry only so long: then it is undone, and others can write."""
    monkeypatch.setattr(http_changes, "PATIENCE", 0.05)
    trail.dialect, trail.hanging = kernel.get(DIALECT), True
    answer = await call(http, "create")
    assert (answer.status_code, answer.json()["facts"]) == (503, {"reason": "timeout"})
    assert await kernel.get(DIALECT).count(NODE) == 1
    trail.hanging = False
    assert (await call(http, "create")).is_success


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "once"}], ids=["plain", "key"])
@pytest.mark.parametrize("operation", CALLS)
async def test_made_again(
    http: httpx.AsyncClient, kernel: ObjectKernel, trail: Trail, operation: str, headers: dict[str, str]
) -> None:
    """A write that was undone because of what others did is made again, once, and so is its entry."""
    trail.dialect, trail.clashes = kernel.get(DIALECT), ["40001", "40P01", "ER_LOCK_DEADLOCK"]
    answer = await call(http, operation, headers)
    assert answer.is_success, answer.text
    assert [entry["details"] or {} for entry in trail.told] == [CALLS[operation][3]]
    assert await kernel.get(DIALECT).count(NOTE) == 1
    trail.clashes = ["SQLITE_BUSY"] * 2
    assert (await call(http, "create", headers and {"Idempotency-Key": "twice"})).status_code in (409, 503)
    assert len(trail.clashes) >= 1, "what has waited long enough was tried again"


async def test_for_another_tenant(http: httpx.AsyncClient, trail: Trail) -> None:
    """What a host does for a tenant is in the tenant's trail, with the host as the one who did it."""
    headers = {"Authorization": "Bearer host", "Data-Tenant": "um%20brella"}
    assert (await http.post("/nodes", json={"name": "x"}, headers=headers)).status_code == 201
    (entry,) = trail.told
    assert (entry["account_id"], entry["principal"]) == ("um brella", KNOWN["host"])


async def test_administration(tmp_path: Path, trail: Trail) -> None:
    """Switching the database is in the trail, without its place."""
    kernel = ObjectKernel(plugins=[SystemDialectPlugin, Nodes], discover=False, environ=in_files(tmp_path))
    app = asgi_app(kernel.provide(IDENTITY, Keys()).provide(AUDIT, trail))
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://h/api")
    async with kernel_lifespan(kernel)(app), client:
        client.headers["Authorization"] = "Bearer host"
        place = {"dialect": "sqlite", "uri": str(tmp_path / "hunter2.db")}
        assert (await client.post("/change-dialect", json=place)).is_success
        assert (await client.post("/reconnect")).is_success
        assert (await client.post("/reload-config")).is_success
        assert (await client.post("/change-dialect", json={**place, "uri": "postgres://x/y"})).is_client_error
    begun, done = {"state": "begun"}, {"state": "done"}
    assert [(entry["action"], entry["subject"], entry["details"]) for entry in trail.told] == [
        ("data.change-dialect", "sqlite", begun),
        ("data.change-dialect", "sqlite", done),
        ("data.reconnect", "business", begun),
        ("data.reconnect", "business", done),
        ("data.reload-config", "business", begun),
        ("data.reload-config", "business", {"state": "done", "changed": True}),
        ("data.change-dialect", "sqlite", begun),  # and not done
    ]
    assert {entry["principal"] for entry in trail.told} == {KNOWN["host"]}
    assert "hunter2" not in str(trail.told)


async def test_administration_without_its_entry(tmp_path: Path, trail: Trail, caplog: pytest.LogCaptureFixture) -> None:
    """No database is switched without an entry before it; one that cannot be made afterwards is in the log."""
    kernel = ObjectKernel(plugins=[SystemDialectPlugin, Nodes], discover=False, environ=in_files(tmp_path))
    app = asgi_app(kernel.provide(IDENTITY, Keys()).provide(AUDIT, trail))
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://h/api")
    place = {"dialect": "sqlite", "uri": str(tmp_path / "other.db")}
    async with kernel_lifespan(kernel)(app), client:
        client.headers["Authorization"] = "Bearer host"
        trail.failing = True
        for path, body in (("change-dialect", place), ("reconnect", None), ("reload-config", None)):
            assert (await client.post(f"/{path}", json=body)).status_code == 503
        assert not (tmp_path / "other.db").exists()
        trail.failing, trail.most = False, 1
        assert (await client.post("/change-dialect", json=place)).status_code == 200
    assert (tmp_path / "other.db").exists()
    assert [entry["details"] for entry in trail.told] == [{"state": "begun"}]
    assert "does not say that data.change-dialect sqlite is done" in caplog.text


def test_scopes() -> None:
    """The data plane's scopes can be granted: to viewers, members, and those who run the host."""
    kernel = ObjectKernel(plugins=[SystemDialectPlugin], discover=False, environ={})
    assert {scope.name: scope.role for scope in kernel.contributions(SCOPES)} == {
        "data:read": "viewer",
        "data:write": "member",
        "data:admin": "operator",
        "data:tenants": "operator",
    }
