"""The REST data plane over a real socket: the plugin's routes in an application of their own, as a host mounts them.

`serve(open_dialect)` runs uvicorn in a thread with an event loop of its own, on a free port of the loopback; the
dialect is opened and closed in there, since a dialect belongs to one event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import anyio.to_thread
import attrs
import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request
from objectkernel_contracts import Credentials, Identity, Principal, Public, access_of
from objectkernel_system_dialect.contracts import Dialect, EntitySchema
from objectkernel_system_dialect.data_plug import DataPlug
from objectkernel_system_dialect.http import admin_router, data_router
from objectkernel_system_dialect.http_plane import DataPlane
from objectkernel_system_dialect.http_route import HttpLimits

T = TypeVar("T")

HOST_KEY = "key-of-a-host"
HOST = Principal(
    account_id="host", scopes=frozenset({"data:read", "data:write", "data:tenants", "data:admin"}), key_id="k0"
)


class Keys:
    """An `Identity` that knows principals by their API keys; a test may change them while it serves."""

    def __init__(self, known: Mapping[str, Principal] | None = None) -> None:
        self.known = {HOST_KEY: HOST, **(known or {})}

    async def principal(self, credentials: Credentials) -> Principal | None:
        return self.known.get(credentials.bearer or "")

    def sign_in_url(self, return_to: str) -> str:
        return f"/sign-in?return_to={return_to}"


def application(
    dialect: Dialect,
    identity: Identity,
    *,
    hidden: Iterable[EntitySchema] = (),
    limits: HttpLimits | None = None,
    plug: DataPlug | None = None,
    root_path: str = "",
) -> FastAPI:
    """The routes as a host serves them: each declares its access, and the host keeps to it."""

    async def admit(request: Request) -> None:
        access = access_of(request.scope["route"].endpoint)
        assert access is not None, "a route without a declaration"
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        credentials = Credentials(bearer=token if scheme.lower() == "bearer" else None, cookies=request.cookies)
        principal = await identity.principal(credentials)
        request.state.principal = principal
        if isinstance(access, Public):
            return
        if principal is None:
            raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
        if not access.admits(principal, request.path_params):
            raise HTTPException(403)

    app = FastAPI(root_path=root_path)
    app.include_router(data_router(DataPlane(dialect, lambda: hidden, limits)), dependencies=[Depends(admit)])
    if plug is not None:
        app.include_router(admin_router(plug, limits), dependencies=[Depends(admit)])
    return app


@attrs.define
class Served:
    """A running server.

    Attributes:
        url: its address, to which NET mode adds the paths.
        key: an API key that may do everything, for any tenant.
        keys: all keys, to be changed by a test.
        port: its port on the loopback.
    """

    url: str
    port: int
    keys: Keys
    loop: asyncio.AbstractEventLoop
    key: str = HOST_KEY

    async def run(self, job: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What a job gives in the server's own event loop, where its dialect may be used."""
        future = asyncio.run_coroutine_threadsafe(job(), self.loop)
        return await anyio.to_thread.run_sync(future.result)


@asynccontextmanager
async def serve(
    open_dialect: Callable[[], Awaitable[Dialect]],
    *,
    known: Mapping[str, Principal] | None = None,
    wrap: Callable[[Any], Any] = lambda app: app,
    **options: Any,
) -> AsyncIterator[Served]:
    """Serve a dialect that `open_dialect` opens in the server's own event loop, with its schemas registered.

    Args:
        known: more principals by their keys.
        wrap: puts an ASGI application around the one that serves.
        options: those of `application`.
    """
    keys = Keys(known)
    # asyncio sends at once (TCP_NODELAY) only where a socket says that it is TCP's
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        server = _Server(lambda dialect: wrap(application(dialect, keys, **options)), open_dialect, listener)
        await anyio.to_thread.run_sync(server.start)
        try:
            yield Served(f"http://127.0.0.1:{port}{options.get('root_path', '')}", port, keys, server.loop)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(server.stop)


class _Server:
    def __init__(
        self,
        make: Callable[[Dialect], Any],
        open_dialect: Callable[[], Awaitable[Dialect]],
        listener: socket.socket,
    ) -> None:
        self._make = make
        self._open = open_dialect
        self._listener = listener
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._uvicorn: uvicorn.Server | None = None
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._main, name="served")

    def start(self) -> None:
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def stop(self) -> None:
        if self._uvicorn is not None:
            self._uvicorn.should_exit = True
        self._thread.join()

    def _main(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
                runner.run(self._serve())
        except BaseException as error:
            self._failure = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        dialect = await self._open()
        try:
            config = uvicorn.Config(self._make(dialect), log_level="error", lifespan="off", access_log=False)
            self._uvicorn = uvicorn.Server(config)
            serving = asyncio.create_task(self._uvicorn.serve(sockets=[self._listener]))
            while not self._uvicorn.started and not serving.done():
                await asyncio.sleep(0.005)
            self._ready.set()
            await serving
        finally:
            with contextlib.suppress(Exception):
                await dialect.aclose()
