"""Applications of plugins, of any framework, below a path of the host and behind its guard."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI
from objectkernel import ObjectKernel, Plugin, contributes
from objectkernel.errors import BootError, KernelError
from objectkernel_contracts import MOUNTS, Access, MountedApplication, Public, Scope, public
from objectkernel_http import HttpLimits, asgi_app, include_kernel, kernel_lifespan, service
from objectkernel_http.errors import MountConflict, MountInvalid
from objectkernel_http.mounts import made_mount
from objectkernel_http.testing import access_table
from objectkernel_http.testing.access import STRANGER

from tests.contrib.http.frameworks import FRAMEWORKS, ON_ASYNCIO, starlette
from tests.contrib.http.shops import LEDGER, Shop, client_of, granted, serving, shop_kernel
from tests.contrib.http.sockets import served

pytestmark = pytest.mark.anyio

OPEN = Public()


class Mounts(Plugin):
    """Has an application at a path."""

    name = "mounter"

    def __init__(self, make: Callable[[], Any], path: str = "/console", access: Access = OPEN) -> None:
        self._mounted = MountedApplication(path=path, make=make, access=access)

    @contributes(MOUNTS, uses=())
    def mount(self) -> MountedApplication:
        return self._mounted


class MoreMounts(Mounts):
    name = "other-mounter"


def mounting(make: Callable[[], Any], access: Access = OPEN) -> ObjectKernel:
    """A kernel of a shop and one application."""
    return shop_kernel(Shop(), Mounts(make, access=access))


class Plain:
    """An application without a framework: answers every request with what it was called with, and keeps it."""

    def __init__(self) -> None:
        self.scopes: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return
        self.scopes.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["path"].encode()})


@pytest.fixture(
    params=[pytest.param(one, marks=pytest.mark.asyncio_only if one in ON_ASYNCIO else ()) for one in FRAMEWORKS]
)
def framework(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


async def walk(client: httpx.AsyncClient, framework: str, prefix: str = "") -> None:
    """An application below a path sees what it would see below a path of a server of its own."""
    link = f"{prefix}/console/items/7"
    assert (await client.get(f"{prefix}/console/", headers=granted("any"))).json() == {
        "path": f"{prefix}/console/",
        "root_path": f"{prefix}/console",
        "by": "ada",
        "life": None if framework == "django" else "alive",
        "link": link,
    }
    assert "7" in (await client.get(link)).text
    assert (await client.post(f"{prefix}/console/echo", content=b"x" * 70000)).text == "70000"
    missing = await client.get(f"{prefix}/console/nowhere")
    assert (missing.status_code, "problem" in missing.headers["content-type"]) == (404, False)
    assert missing.headers["x-request-id"]


async def test_an_application_is_served_below_its_path(framework: str) -> None:
    """Unchanged: it finds its root path, its lifespan's state, the principal, and answers for itself."""
    async with serving(mounting(FRAMEWORKS[framework])) as client:
        await walk(client, framework)
        assert (await client.get("/ledger")).json() == {"by": None}


async def test_an_application_in_an_application_of_a_host(framework: str) -> None:
    """Below the prefix that the kernel has there."""
    kernel = mounting(FRAMEWORKS[framework])
    app = FastAPI()
    include_kernel(app, kernel, prefix="/shop")
    async with app.router.lifespan_context(app), client_of(app) as client:
        await walk(client, framework, "/shop")


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_application_over_a_socket(framework: str) -> None:
    """The same under uvicorn."""
    async with served(mounting(FRAMEWORKS[framework])) as host, host.client() as client:
        await walk(client, framework)


async def test_a_server_that_leaves_its_root_out_of_the_path() -> None:
    """The application's path begins with its root path all the same."""
    plain = Plain()
    kernel = mounting(lambda: plain)
    app = asgi_app(kernel)
    async with kernel_lifespan(kernel)(app), client_of(app, root_path="/be hind") as client:
        await client.get("/console/x")
    (scope,) = plain.scopes
    assert (scope["root_path"], scope["path"]) == ("/be hind/console", "/be hind/console/x")
    assert scope["raw_path"] == b"/be%20hind/console/x"


async def test_an_application_sees_nothing_of_the_hosts_framework() -> None:
    """Its scope is one of a server's; the state has what the host says of the request."""
    plain = Plain()
    async with serving(mounting(lambda: plain)) as client:
        await client.get("/console/x", headers=granted("any"))
    (scope,) = plain.scopes
    assert not {"app", "router", "route", "endpoint", "path_params", "app_root_path"} & set(scope)
    assert set(scope["state"]) == {"principal", "request_id"}


async def test_what_an_application_keeps_does_not_make_a_principal() -> None:
    """The state of its lifespan cannot say who is calling."""

    async def forging(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            scope["state"]["principal"] = "root"
            await send({"type": "lifespan.startup.complete"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": repr(scope["state"]["principal"]).encode()})

    async with serving(mounting(lambda: forging)) as client:
        assert (await client.get("/console/")).text == "None"


async def test_its_path_alone_leads_to_its_root() -> None:
    """Without the slash, as elsewhere on the host."""
    async with serving(mounting(starlette)) as client:
        answer = await client.get("/console")
        assert (answer.status_code, answer.headers["location"]) == (307, "http://shop.test/console/")


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 401), (granted("expired"), 401), (granted("other"), 403), (granted("console:use"), 200)],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "PROPFIND"])
async def test_exactly_the_right_one_is_let_in(method: str, headers: dict[str, str], status: int) -> None:
    """By whatever method: the application itself is not asked for anybody else."""
    plain = Plain()
    async with serving(mounting(lambda: plain, Scope("console:use"))) as client:
        answer = await client.request(method, "/console/x", headers=headers)
    assert answer.status_code == status
    assert len(plain.scopes) == (status == 200)
    if status != 200:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == f"H{status}"
        assert "bearer" in answer.headers["www-authenticate"].lower()


async def test_the_table_of_access_has_applications() -> None:
    """Each is asked in every way, as a route is."""
    rows = await access_table(shop_kernel(Mounts(Plain, access=Scope("console:use"))))
    assert [(row.path, row.shown, row.status, row.right) for row in rows if row.path.startswith("/console")] == [
        ("/console/x", None, 401, True),
        ("/console/x", frozenset({STRANGER}), 403, True),
        ("/console/x", frozenset({"console:use"}), 200, True),
    ]


async def test_a_body_that_is_too_long(framework: str) -> None:
    """The host refuses it in its own shape, whatever the application makes of a sender who went away."""
    async with serving(mounting(FRAMEWORKS[framework]), limits=HttpLimits(body_bytes=1000)) as client:
        answer = await client.post("/console/echo", content=b"x" * 1001)
        assert (answer.status_code, answer.json()["code"]) == (413, "H413")
        assert (await client.post("/console/echo", content=b"x" * 1000)).text == "1000"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_body_without_a_length_that_is_too_long(framework: str) -> None:
    """The application has read a part of it by then."""

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * 400

    async with serving(mounting(FRAMEWORKS[framework]), limits=HttpLimits(body_bytes=1000)) as client:
        answer = await client.post("/console/echo", content=parts())
        assert (answer.status_code, answer.json()["code"]) == (413, "H413")


async def test_headers_that_are_too_long() -> None:
    """They never reach the application."""
    plain = Plain()
    async with serving(mounting(lambda: plain), limits=HttpLimits(header_bytes=1000)) as client:
        answer = await client.get("/console/x", headers={"X-Long": "x" * 1000})
    assert (answer.status_code, answer.json()["code"], plain.scopes) == (431, "H431", [])


async def test_an_application_that_raises() -> None:
    """500 in the host's shape, which says nothing of what happened."""

    async def failing(scope: Any, receive: Any, send: Any) -> None:
        raise OSError("the disk at /srv is full")

    async with serving(mounting(lambda: failing)) as client:
        answer = await client.get("/console/x")
    assert (answer.status_code, answer.json()["code"]) == (500, "H500")
    assert "disk" not in answer.text


async def test_websockets_are_refused() -> None:
    """Before the handshake, and before the application hears of it."""
    plain = Plain()
    kernel = mounting(lambda: plain)
    app = asgi_app(kernel)
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    scope = {"type": "websocket", "path": "/console/x", "headers": [], "query_string": b"", "subprotocols": []}
    async with kernel_lifespan(kernel)(app):
        await app(scope, receive, send)
    assert (sent, plain.scopes) == (["websocket.close"], [])


async def test_services_in_an_application() -> None:
    """A FastAPI that knows of the kernel asks for services as a route does."""
    app = FastAPI()

    @app.get("/")
    async def look(ledger: Annotated[list[Any], Depends(service(LEDGER))]) -> int:
        return len(ledger)

    kernel = mounting(lambda: app)
    async with serving(kernel) as client:
        kernel.get(LEDGER).append("a line")
        assert (await client.get("/console/")).json() == 1


async def test_a_route_with_a_parameter_does_not_take_what_is_mounted() -> None:
    """A path without parameters says more."""

    def make() -> APIRouter:
        router = APIRouter()
        router.get("/{word}/x")(public()(lambda: "route"))
        return router

    plain = Plain()
    async with serving(shop_kernel(Shop(make), Mounts(lambda: plain))) as client:
        assert (await client.get("/console/x")).text == "/console/x"
        assert (await client.get("/other/x")).json() == "route"


async def problems_of(*plugins: Plugin, app: FastAPI | None = None, prefix: str = "") -> list[KernelError]:
    """What keeps a kernel of these plugins from being served."""
    kernel = shop_kernel(*plugins)
    if app is None:
        app = asgi_app(kernel)
    else:
        include_kernel(app, kernel, prefix=prefix)
    with pytest.raises(BootError) as caught:
        async with kernel_lifespan(kernel)(app):
            pass
    assert kernel.state == "stopped"
    return [problem for problem in caught.value.exceptions if isinstance(problem, KernelError)]


@pytest.mark.parametrize("other", ["/console", "/console/admin", "/con"])
async def test_two_applications_at_one_path(other: str) -> None:
    """One at, or below, the path of another would never be asked; a longer word is another path."""
    both = Mounts(Plain), MoreMounts(Plain, other)
    if other == "/con":
        async with serving(shop_kernel(*both)) as client:
            assert (await client.get("/con/x")).text == "/con/x"
        return
    (problem,) = await problems_of(*both)
    assert isinstance(problem, MountConflict)
    assert problem.code == "H107"
    assert __file__ in problem.where


async def test_an_application_where_a_route_is() -> None:
    """Both places are told."""
    (first, second) = await problems_of(Shop(), Mounts(Plain, "/ledger"))
    assert isinstance(first, MountConflict) and isinstance(second, MountConflict)
    assert first.facts == {"path": "/ledger"}
    assert "the route at" in first.what and "shops.py" in first.what


@pytest.mark.parametrize("path", ["/docs", "/livez", "/openapi.json", "/readyz"])
async def test_an_application_where_the_host_answers_itself(path: str) -> None:
    """It would be hidden by what the host has there."""
    (problem,) = await problems_of(Mounts(Plain, path))
    assert isinstance(problem, MountConflict)


@pytest.mark.parametrize("own", ["/shop/console/own", "/shop/console", "/shop"])
async def test_an_application_where_an_including_host_answers(own: str) -> None:
    """Below the prefix: routes of the host's, and what it has mounted."""
    app = FastAPI()
    if own == "/shop":
        app.mount(own, Plain())
    else:
        app.get(own)(lambda: "own")
    (problem,) = await problems_of(Mounts(Plain), app=app, prefix="/shop")
    assert problem.facts == {"path": "/shop/console"}


def raising() -> Any:
    raise OSError("no templates")


def leaving() -> Any:
    raise SystemExit(3)


@pytest.mark.parametrize(
    ("make", "access", "told"),
    [
        pytest.param(raising, OPEN, "raised OSError: no templates", id="raising"),
        pytest.param(leaving, OPEN, "raised SystemExit: 3", id="leaving"),
        pytest.param(lambda: "app", OPEN, "gave str", id="no application"),
        pytest.param(Plain, Scope("console:{part}"), "{part}", id="parameter"),
    ],
)
async def test_an_application_that_cannot_be_served(make: Callable[[], Any], access: Access, told: str) -> None:
    """It is a problem of the boot, with its path and the place of its function."""
    (problem,) = await problems_of(Mounts(make, access=access))
    assert isinstance(problem, MountInvalid)
    assert problem.code == "H106"
    assert told in problem.what
    assert problem.facts == {"path": "/console"}


async def test_the_log_has_the_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """As the report says."""
    await problems_of(Mounts(raising))
    assert "in raising" in caplog.text


def test_the_cause_is_kept() -> None:
    """For the log."""
    with pytest.raises(MountInvalid) as caught:
        made_mount(MountedApplication(path="/console", make=raising, access=OPEN), "shop.py:7")
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.where == "shop.py:7"
