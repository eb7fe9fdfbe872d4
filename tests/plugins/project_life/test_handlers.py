"""The ready handlers: bare, in Starlette, in Litestar, in FastAPI; and as the routes of a host answer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from litestar import Litestar, asgi
from litestar.types import Receive, Send
from litestar.types import Scope as LitestarScope
from objectkernel_contracts import Principal
from objectkernel_project_life.actions import BODY_BYTES
from objectkernel_project_life.contracts import PROJECT_MANAGER, ProjectMissing, ProjectNotServed
from objectkernel_project_life.handlers import ProjectHandlers, create_project_handlers
from objectkernel_project_life.server import create_project_handlers as create_for_dialect
from objectkernel_system_dialect.contracts import SYSTEM_DIALECT
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from tests.plugins.project_life.project_hosts import CUSTOMER, PATH, Host, hosted, project_kernel

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Litestar runs on asyncio."""
    return "asyncio"


def principal_of(scope: MutableMapping[str, Any]) -> Principal | None:
    """Who a header says: its account, and its scopes."""
    account, *scopes = dict(scope["headers"]).get(b"x-who", b"").decode().split()[:9] or [""]
    return Principal(account_id=account, scopes=scopes) if account else None


def client(app: Any, who: str = "ada projects:read projects:write") -> httpx.AsyncClient:
    headers = {"x-who": who} if who else {}
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url="https://host.test", headers=headers)


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    async with hosted(tmp_path) as made:
        yield made


@pytest.fixture
def handlers(host: Host) -> ProjectHandlers:
    return create_project_handlers(host.projects, principal_of)


def starlette_routes(handlers: ProjectHandlers) -> Any:
    one = PATH + "/{id}"
    return Starlette(
        routes=[
            Route(PATH, handlers.list, methods=["GET"]),
            Route(PATH, handlers.create, methods=["POST"]),
            Route(one, handlers.show, methods=["GET"]),
            Route(one, handlers.update, methods=["PATCH"]),
            Route(one, handlers.delete, methods=["DELETE"]),
            Route(f"{one}/pause", handlers.pause, methods=["POST"]),
            Route(f"{one}/resume", handlers.resume, methods=["POST"]),
        ]
    )


def starlette_mount(handlers: ProjectHandlers) -> Any:
    return Starlette(routes=[Mount("/api", handlers)])


def fastapi_mount(handlers: ProjectHandlers) -> Any:
    app = FastAPI()
    app.mount("/api", handlers)
    return app


def litestar_mount(handlers: ProjectHandlers) -> Any:
    @asgi(PATH, is_mount=True, copy_scope=True)
    async def projects(scope: LitestarScope, receive: Receive, send: Send) -> None:
        given: Any = (scope, receive, send)
        await handlers(*given)

    return Litestar([projects])


def renamed(handlers: ProjectHandlers) -> Any:
    """Below another path, whose server tells it as its root."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        own = {**scope, "root_path": "/own", "path": scope["path"].replace(PATH, "/own")}
        await handlers(own, receive, send)

    return app


@pytest.mark.parametrize(
    "within", [starlette_routes, starlette_mount, fastapi_mount, litestar_mount, lambda handlers: handlers, renamed]
)
async def test_the_life_of_a_project(handlers: ProjectHandlers, within: Callable[[ProjectHandlers], Any]) -> None:
    """The same from every framework: their router finds the project, or its path does."""
    async with client(within(handlers)) as ada:
        made = await ada.post(PATH, json={"name": "Crm", "slug": "crm", "schemas": [CUSTOMER]})
        assert made.status_code == 201, made.text
        own = f"{PATH}/{made.json()['id']}"
        assert made.headers["location"] == (own if within is not renamed else own.replace(PATH, "/own"))
        shown = await ada.get(own)
        assert shown.json() == made.json()
        assert shown.headers["etag"] == f'"{shown.json()["version"]}"'
        assert shown.headers["content-type"] == "application/json"
        assert [one["slug"] for one in (await ada.get(PATH, params={"limit": 5})).json()["items"]] == ["crm"]
        changed = await ada.patch(own, json={"name": "New"}, headers={"If-Match": shown.headers["etag"]})
        assert changed.json()["name"] == "New"
        late = await ada.patch(own, json={"name": "Newer"}, headers={"If-Match": shown.headers["etag"]})
        assert late.status_code == 412
        assert (await ada.post(f"{own}/pause")).json()["status"] == "paused"
        assert (await ada.post(f"{own}/resume")).json()["status"] == "active"
        assert (await ada.delete(own)).status_code == 204
        gone = await ada.get(own)
        assert (gone.status_code, gone.json()["code"]) == (404, ProjectMissing.code)
        assert gone.headers["content-type"] == "application/problem+json"


async def test_they_answer_as_the_routes_of_the_host(host: Host, handlers: ProjectHandlers) -> None:
    """Both stand on the same functions."""
    async with host.client() as routes, client(starlette_mount(handlers)) as ready:
        made = (await routes.post(PATH, json={"name": "Crm", "slug": "crm"})).json()
        own = f"{PATH}/{made['id']}"
        for path in (PATH, own):
            one, other = await routes.get(path), await ready.get(path)
            assert one.json() == other.json()
            assert one.headers.get("etag") == other.headers.get("etag")
            assert other.headers["cache-control"] == one.headers["cache-control"] == "no-store"
        calls: tuple[Callable[[httpx.AsyncClient], Awaitable[httpx.Response]], ...] = (
            lambda by: by.post(PATH, json={"name": "Crm", "slug": "crm"}),
            lambda by: by.get(f"{PATH}/{uuid4()}"),
            lambda by: by.patch(own, json={}, headers={"If-Match": '"0"'}),
            lambda by: by.delete(own, headers={"If-Match": '"0"'}),
            lambda by: by.post(PATH, json={"name": "x", "slug": "y", "uri": "sqlite:////etc/passwd"}),
            lambda by: by.get(PATH, params={"after": "nonsense"}),
        )
        for call in calls:
            one, other = await call(routes), await call(ready)
            assert (one.status_code, one.json()["code"]) == (other.status_code, other.json()["code"])
            assert one.json().get("why") == other.json().get("why")


async def test_who_is_let_in(handlers: ProjectHandlers) -> None:
    """The principal's account and scopes count, and nothing that the request says of them."""
    app = starlette_mount(handlers)
    async with client(app) as ada, client(app, "eve projects:read projects:write") as eve, client(app, "") as nobody:
        made = (await ada.post(PATH, json={"name": "Crm", "slug": "crm"})).json()
        own = f"{PATH}/{made['id']}"
        for method, path in (
            ("GET", own),
            ("PATCH", own),
            ("DELETE", own),
            ("POST", f"{own}/pause"),
            ("POST", f"{own}/resume"),
        ):
            foreign = await eve.request(method, path, json={} if method == "PATCH" else None)
            assert foreign.status_code == 404
            unknown = await nobody.request(method, path)
            assert (unknown.status_code, unknown.headers["www-authenticate"]) == (401, "Bearer")
            for scopes in ("", "projects:write" if method == "GET" else "projects:read", "data:read"):
                async with client(app, f"ada {scopes}") as little:
                    refused = await little.request(method, path)
                    assert refused.status_code == 403
                    assert "insufficient_scope" in refused.headers["www-authenticate"]
        assert (await eve.get(PATH)).json()["items"] == []
        assert (await eve.get(PATH, params={"account": "ada"})).status_code == 422
        assert (await ada.get(own)).json() == made


async def test_a_principal_may_be_looked_up(host: Host) -> None:
    """By a coroutine function too."""

    async def later(scope: MutableMapping[str, Any]) -> Principal | None:
        return principal_of(scope)

    app = starlette_mount(create_project_handlers(host.projects, later))
    async with client(app) as ada, client(app, "") as nobody:
        assert (await ada.get(PATH)).status_code == 200
        assert (await nobody.get(PATH)).status_code == 401


async def test_what_no_handler_takes(handlers: ProjectHandlers) -> None:
    """Other methods, other paths, bodies that are too long, cut or no JSON: told, and none of it shown again."""
    app = starlette_mount(handlers)
    async with client(app) as ada:
        own = f"{PATH}/{uuid4()}"
        for method, path, allowed in (
            ("PUT", PATH, "GET, HEAD, POST"),
            ("POST", own, "GET, HEAD, PATCH, DELETE"),
            ("GET", f"{own}/pause", "POST"),
        ):
            refused = await ada.request(method, path)
            assert (refused.status_code, refused.headers["allow"]) == (405, allowed)
        for path in (f"{own}/x", f"{own}/pause/x"):
            assert (await ada.post(path)).status_code == 404
        for body in (
            b"",
            b"{",
            b"[]",
            b'"s3cret"',
            b'{"name": "s3cret"}',
            b'{"uri": ["s3cret"]}',
            b"\xff",
            b"[" * 100_000,
        ):
            refused = await ada.post(PATH, content=body)
            assert refused.status_code == 422
            assert refused.json()["errors"]
            assert "s3cret" not in refused.text
        assert (await ada.post(PATH, content=b" " * (BODY_BYTES + 1))).status_code == 413
        head = await ada.head(PATH)
        assert (head.status_code, head.content) == (200, b"")
        assert int(head.headers["content-length"]) > 0


async def test_one_handler_alone_says_which_method_it_takes(handlers: ProjectHandlers) -> None:
    """A framework may send it everything."""
    async with client(handlers.pause) as ada:
        refused = await ada.get(f"{PATH}/{uuid4()}/pause")
        assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
        assert (await ada.post(f"{PATH}/{uuid4()}/pause")).status_code == 404
    async with client(handlers.show) as ada:
        assert (await ada.get("/")).status_code == 404


async def test_a_sender_that_goes_away(handlers: ProjectHandlers) -> None:
    """A body that ends before it is whole makes no project."""
    parts = iter(
        [
            {"type": "http.request", "body": b'{"name": "x", ', "more_body": True},
            {"type": "http.disconnect"},
        ]
    )
    sent: list[Any] = []

    async def receive() -> Any:
        return next(parts)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": PATH, "query_string": b"",
        "headers": [(b"x-who", b"ada projects:write")],
    }  # fmt: skip
    await handlers.create(scope, receive, send)
    assert sent[0]["status"] == 400
    async with client(starlette_mount(handlers)) as ada:
        assert (await ada.get(PATH)).json()["items"] == []


async def test_a_lifespan_is_lived(handlers: ProjectHandlers) -> None:
    """Where a server runs the handlers alone; a WebSocket is not answered."""
    events = iter(["lifespan.startup", "lifespan.shutdown"])
    sent: list[str] = []

    async def receive() -> Any:
        return {"type": next(events)}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await handlers({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    with pytest.raises(RuntimeError, match="HTTP"):
        await handlers.list({"type": "websocket", "path": PATH}, receive, send)


async def test_what_fails_in_the_host_is_not_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its code, and when to try again; the log has the rest."""
    async with (
        hosted(tmp_path, encryption_key=None) as host,
        client(create_project_handlers(host.projects, principal_of)) as ada,
    ):
        away = await ada.post(PATH, json={"name": "Crm", "slug": "crm"})
    assert (away.status_code, away.json()["code"], away.headers["retry-after"]) == (503, "L107", "1")
    assert "PROJECT_ENCRYPTION_KEY" not in json.dumps(away.json())
    assert "PROJECT_ENCRYPTION_KEY" in caplog.text


async def test_the_function_of_the_description(host: Host, tmp_path: Path) -> None:
    """Made from the system's dialect and a project manager, as the description has it."""
    dialect, manager = host.kernel.get(SYSTEM_DIALECT), host.kernel.get(PROJECT_MANAGER)
    made = create_for_dialect(dialect, manager, principal_of=principal_of)
    async with client(starlette_mount(made)) as ada:
        assert (await ada.post(PATH, json={"name": "Crm", "slug": "crm"})).status_code == 201
    async with project_kernel(tmp_path / "other") as other:
        with pytest.raises(ProjectNotServed):
            create_for_dialect(other.get(SYSTEM_DIALECT), manager, principal_of=principal_of)
