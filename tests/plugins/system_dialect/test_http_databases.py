"""One router for many databases: through a kernel and the HTTP host, each request at the database that it names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import attrs
import httpx
import pytest
from objectkernel import ObjectKernel, Plugin, contributes, needs, provides
from objectkernel.errors import KernelError
from objectkernel_contracts import AUDIT, IDENTITY, ROUTERS, Principal, RouterMaker
from objectkernel_http import asgi_app, kernel_lifespan
from objectkernel_http.testing import ScopeTokens, token, undescribed
from objectkernel_system_dialect import http_databases
from objectkernel_system_dialect.contracts import (
    DATA_PLANE_SCHEMAS,
    DATA_PLUG,
    DATA_ROUTES,
    DataPlug,
    Dialect,
    DialectClosed,
    EntitySchema,
    Field,
)
from objectkernel_system_dialect.http_databases import databases_router
from objectkernel_system_dialect.http_route import HttpLimits
from objectkernel_system_dialect.idempotency_record import IDEMPOTENCY
from objectkernel_system_dialect.plugin import SystemDialectPlugin
from starlette.requests import Request

pytestmark = pytest.mark.anyio

WORDS = EntitySchema(
    name="Item", collection="items", fields={"title": Field("string", required=True), "tags": Field("array")}
)
NUMBERS = EntitySchema(name="Item", collection="items", fields={"size": Field("integer", required=True, min=0)})
HERE = EntitySchema(name="Business", collection="businesses", fields={"title": Field("string")})


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One event loop: what differs between the two is the host's own affair."""
    return "asyncio"


class NoSuchShop(KernelError):
    """There is no shop of this name, or it is somebody else's."""

    code = "X404"
    http_status: ClassVar[int] = 404


class Trail:
    """An audit trail in memory."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str, Any]] = []

    async def record(self, action: str, subject: str, *, details: Any = None, **more: Any) -> None:
        self.entries.append((action, subject, details))


class Shops(Plugin):
    """Two shops with a database each, and one router."""

    name = "shops"
    routes = needs(DATA_ROUTES)
    trail = Trail()

    def __init__(self) -> None:
        self.dialects: dict[str, Dialect] = {}
        self.seen: list[tuple[str, str]] = []

    @contributes(ROUTERS, uses=("routes",))
    def shop_routes(self) -> RouterMaker:
        return lambda: self.routes.router(
            "/api/v1/shops/{shop}/data", self.dialect_of, tags=["shops"], errors=[NoSuchShop]
        )

    async def dialect_of(self, request: Request) -> Dialect:
        principal: Principal = request.state.principal
        self.seen.append((request.path_params["shop"], principal.account_id))
        dialect = self.dialects.get(request.path_params["shop"])
        if dialect is None or principal.account_id == "stranger":
            raise NoSuchShop("there is no such shop", why="nobody has opened one", fix="open it")
        return dialect


class Audited(Plugin):
    """Provides the trail."""

    name = "audited"

    @provides(AUDIT)
    def trail(self) -> Any:
        return Shops.trail


@attrs.frozen
class Host:
    """A host with two shops."""

    client: httpx.AsyncClient
    kernel: ObjectKernel
    shops: Shops

    async def ask(self, method: str, path: str, *scopes: str, account: str = "ada", **options: Any) -> httpx.Response:
        """Ask as somebody with these scopes, by default both."""
        held = token(*(scopes or ("data:read", "data:write")), account=account)
        headers = {"Authorization": f"Bearer {held}", **options.pop("headers", {})}
        return await self.client.request(method, f"/api/v1{path}", headers=headers, **options)


@asynccontextmanager
async def hosted(folder: Path) -> AsyncIterator[Host]:
    shops = Shops()
    kernel = ObjectKernel(plugins=[SystemDialectPlugin.in_memory(), Audited, shops], discover=False)
    kernel.provide(IDENTITY, ScopeTokens())
    app = asgi_app(kernel)
    async with kernel_lifespan(kernel)(app), AsyncExitStack() as stack:
        plug: DataPlug = kernel.get(DATA_PLUG)
        for name, uri, schema in (("words", ":memory:", WORDS), ("numbers", str(folder / "numbers.db"), NUMBERS)):
            opened = await plug.open_isolated_dialect("sqlite", uri, "update", schemas=(schema, *DATA_PLANE_SCHEMAS))
            shops.dialects[name] = await stack.enter_async_context(aclosing(opened))
        await plug.register_schema(HERE)
        Shops.trail.entries.clear()
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://host.test") as client:
            yield Host(client, kernel, shops)


@pytest.fixture
async def host(anyio_backend: str, tmp_path: Path) -> AsyncIterator[Host]:
    async with hosted(tmp_path) as host:
        yield host


async def test_each_database_has_its_own_entity(host: Host) -> None:
    """An entity of one name has the fields of the database that the path names, and its rows, with addresses there."""
    word = await host.ask("POST", "/shops/words/data/items", json={"title": "a"})
    number = await host.ask("POST", "/shops/numbers/data/items", json={"size": 1})
    assert (word.status_code, number.status_code) == (201, 201)
    assert word.headers["location"] == f"/api/v1/shops/words/data/items/{word.json()['id']}"
    found = await host.client.get(word.headers["location"], headers={"Authorization": f"Bearer {token('data:read')}"})
    assert (found.json(), found.headers["etag"]) == (word.json(), word.headers["etag"])
    assert (await host.ask("GET", f"/shops/numbers/data/items/{word.json()['id']}")).status_code == 404
    refused = await host.ask("POST", "/shops/numbers/data/items", json={"title": "a"})
    assert (refused.status_code, refused.json()["code"]) == (422, "D201")
    assert (await host.ask("GET", "/shops/words/data/items")).json()["rows"] == [word.json()]
    assert host.shops.seen[0] == ("words", "ada")


async def test_every_operation(host: Host) -> None:
    """Whatever `/api/v1/data` does with an entity is done with one of another database."""
    items = "/shops/words/data/items"
    made = (await host.ask("POST", items, json={"title": "a", "tags": ["x"]})).json()
    row = f"{items}/{made['id']}"
    answers = {
        "query": await host.ask("POST", f"{items}/query", json={"filter": {"title": "a"}}),
        "count": await host.ask("POST", f"{items}/count", json={}),
        "exists": await host.ask("POST", f"{items}/exists", json={}),
        "distinct": await host.ask("POST", f"{items}/distinct", json={"field": "title"}),
        "aggregate": await host.ask(
            "POST", f"{items}/aggregate", json={"pipeline": [{"$group": {"_id": None, "n": {"$sum": 1}}}]}
        ),
        "search": await host.ask("POST", f"{items}/search", json={"text": "a"}),
        "upsert": await host.ask("POST", f"{items}/upsert", json={"id": made["id"], "title": "b", "tags": ["x"]}),
        "bulk": await host.ask("POST", f"{items}/bulk", json={"create": [{"title": "c"}]}),
        "patch": await host.ask("PATCH", row, json={"title": "d"}),
        "add_to_set": await host.ask("POST", f"{row}/add-to-set", json={"field": "tags", "value": "y"}),
        "pull": await host.ask("POST", f"{row}/pull", json={"field": "tags", "value": "x"}),
        "read": await host.ask("GET", row),
        "delete": await host.ask("DELETE", row),
    }
    assert {name: answer.status_code for name, answer in answers.items()} == {
        **dict.fromkeys(answers, 200),
        "delete": 204,
    }
    assert answers["read"].json() == {**made, "title": "d", "tags": ["y"]}
    assert (answers["count"].json(), answers["distinct"].json()) == ({"count": 1}, {"values": ["a"]})
    size = (await host.ask("POST", "/shops/numbers/data/items", json={"size": 1})).json()
    more = await host.ask("POST", f"/shops/numbers/data/items/{size['id']}/increment", json={"field": "size", "by": 2})
    assert more.json()["size"] == 3


async def test_access_is_by_the_same_scopes(host: Host) -> None:
    """Reading and writing want their scopes, for all entities or for the one; nobody comes in without a credential."""
    items = "/shops/words/data/items"
    statuses = [
        (await host.ask("GET", items, "data:read:items")).status_code,
        (await host.ask("POST", items, "data:write:items", json={"title": "a"})).status_code,
        (await host.ask("POST", items, "data:read", json={"title": "a"})).status_code,
        (await host.ask("GET", items, "data:read:words")).status_code,
        (await host.client.get(f"/api/v1{items}")).status_code,
    ]
    assert statuses == [200, 201, 403, 403, 401]
    assert [shop for shop, _ in host.shops.seen] == ["words", "words"]  # those refused are not looked for


async def test_what_the_dialect_raises_is_answered(host: Host) -> None:
    """An error with a status of its own is a problem; so is one of data access, such as of a dialect that is closed."""
    for answer in (
        await host.ask("GET", "/shops/nowhere/data/items"),
        await host.ask("GET", "/shops/words/data/items", account="stranger"),
        await host.ask("GET", "/shops/nowhere/data"),
    ):
        assert answer.headers["content-type"] == "application/problem+json"
        assert (answer.status_code, answer.json()["code"]) == (404, "X404")
    await host.shops.dialects["words"].aclose()
    closed = await host.ask("GET", "/shops/words/data/items")
    assert (closed.status_code, closed.json()["code"]) == (503, DialectClosed.code)


async def test_what_is_served(host: Host) -> None:
    """It is told of each database; what the plane keeps there is no entity of it, and neither are the host's own."""
    told = (await host.ask("GET", "/shops/words/data")).json()
    assert (told["dialect"], list(told["entities"])) == ("sqlite", ["items"])
    for entity in (IDEMPOTENCY.collection, HERE.collection, "nothing"):
        unknown = await host.ask("GET", f"/shops/words/data/{entity}")
        assert (unknown.status_code, unknown.json()["code"]) == (404, "D102")
        assert "/api/v1/shops/{shop}/data" in unknown.json()["fix"]
    assert (await host.ask("GET", "/data/items")).status_code == 404
    assert (await host.ask("GET", f"/data/{HERE.collection}")).status_code == 200


async def test_entities_that_come_later(host: Host) -> None:
    """An entity is served as soon as it is registered, of that database alone."""
    late = EntitySchema(name="Late", collection="lates", fields={"title": Field("string")})
    assert (await host.ask("GET", "/shops/words/data/lates")).status_code == 404
    await host.shops.dialects["words"].register(late)
    assert (await host.ask("GET", "/shops/words/data/lates")).status_code == 200
    assert (await host.ask("GET", "/shops/numbers/data/lates")).status_code == 404


async def test_idempotency_is_each_databases_own(host: Host) -> None:
    """One key makes one write in each database; its record is there, and is removed when it is of age."""
    key = {"Idempotency-Key": "k"}
    for _ in range(2):
        word = await host.ask("POST", "/shops/words/data/items", json={"title": "a"}, headers=key)
        number = await host.ask("POST", "/shops/numbers/data/items", json={"size": 1}, headers=key)
        assert (word.status_code, number.status_code) == (201, 201)
    words, numbers = host.shops.dialects["words"], host.shops.dialects["numbers"]
    assert (await words.count(WORDS), await numbers.count(NUMBERS)) == (1, 1)
    assert (await words.count(IDEMPOTENCY), await numbers.count(IDEMPOTENCY)) == (1, 1)


async def test_old_records_are_swept(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write with a key removes the records that are of age, and not at each of them."""
    numbers = host.shops.dialects["numbers"]
    old = {"id": "old", "request": "r", "made_at": datetime.now(UTC) - timedelta(days=2)}

    async def write(key: str) -> bool:
        await numbers.upsert(IDEMPOTENCY, old)
        made = await host.ask("POST", "/shops/numbers/data/items", json={"size": 1}, headers={"Idempotency-Key": key})
        assert made.status_code == 201
        return await numbers.find_by_id(IDEMPOTENCY, "old") is None

    assert [await write("a"), await write("b")] == [True, False]
    monkeypatch.setattr(http_databases, "SWEEP_PAUSE", 0.0)
    assert await write("c")
    assert await numbers.count(IDEMPOTENCY) == 3


async def test_the_trail_names_the_database(host: Host) -> None:
    """An entry has what the path says of the database, beside the names of the fields."""
    await host.ask("POST", "/shops/words/data/items", json={"id": "x", "title": "a"})
    await host.ask("DELETE", "/shops/words/data/items/x")
    assert Shops.trail.entries == [
        ("data.create", "items/x", {"shop": "words", "fields": ["id", "title"]}),
        ("data.delete", "items/x", {"shop": "words", "hard": False}),
    ]


async def test_odd_keys(host: Host) -> None:
    """A key with a slash or a comma is one segment of the path, also behind a longer prefix."""
    made = await host.ask("POST", "/shops/words/data/items", json={"id": "a/b,c", "title": "a"})
    path = "/shops/words/data/items/a%2Fb%2Cc"
    assert made.headers["location"] == f"/api/v1{path}"
    assert (await host.ask("GET", path)).json()["title"] == "a"
    assert (await host.ask("POST", f"{path}/add-to-set", json={"field": "tags", "value": "y"})).status_code == 200
    assert (await host.ask("POST", f"{path}/query", json={})).status_code == 405


@pytest.mark.parametrize(
    "prefix", ["", "data", "/data/", "/{entity}/data", "/x/{id}", "/{a}/{a}", "/{a:path}/data", "/a b", "/a?b"]
)
def test_prefixes_that_cannot_be(prefix: str) -> None:
    """A prefix whose parameters are the routes' own, or that is no path, is refused when the router is made."""
    with pytest.raises(ValueError, match="no prefix"):
        databases_router(prefix, Shops().dialect_of, HttpLimits(), None, tags=(), errors=())


async def test_few_sets_of_entities_are_kept(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is worked out for entities is kept for those that were used last; others are served all the same."""
    monkeypatch.setattr(http_databases, "SETS", 1)
    for _ in range(3):
        assert (await host.ask("POST", "/shops/words/data/items", json={"title": "a"})).status_code == 201
        assert (await host.ask("POST", "/shops/numbers/data/items", json={"size": 1})).status_code == 201


async def test_the_document_describes_it() -> None:
    """Summaries, parameters and examples of all routes stand in the API's document."""
    kernels = [
        ObjectKernel(plugins=[SystemDialectPlugin.in_memory(), Audited, Shops], discover=False) for _ in range(2)
    ]
    assert await undescribed(kernels[0].provide(IDENTITY, ScopeTokens())) == ()
    app = asgi_app(kernels[1].provide(IDENTITY, ScopeTokens()))
    async with kernel_lifespan(kernels[1])(app):
        paths = app.openapi()["paths"]
    read = paths["/api/v1/shops/{shop}/data/{entity}/{id}"]["get"]
    assert [one["name"] for one in read["parameters"] if one["in"] == "path"] == ["shop", "entity", "id"]
    assert read["tags"] == ["shops"]
    assert "X404" in read["responses"]["404"]["content"]["application/problem+json"]["examples"]
    assert len([path for path in paths if path.startswith("/api/v1/shops/")]) == 15
