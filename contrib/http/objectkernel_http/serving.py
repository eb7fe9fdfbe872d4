"""Serving a kernel until a signal comes: uvicorn, with signals, limits and an order of stopping of our own."""

from __future__ import annotations

import signal
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import anyio
import uvicorn
from fastapi import FastAPI
from objectkernel.errors import KernelError
from objectkernel.kernel import ObjectKernel

from objectkernel_http.accepting import Accepting, Ending
from objectkernel_http.application import asgi_app, kernel_lifespan
from objectkernel_http.config import HttpConfig
from objectkernel_http.errors import CertificateUnusable
from objectkernel_http.exposing import MetricsAccess
from objectkernel_http.protocol import SLACK
from objectkernel_http.speedups import fast_loop, fastest_protocol

if TYPE_CHECKING:
    from anyio.abc import TaskStatus


def serve_on(
    sock: socket.socket,
    kernel: ObjectKernel,
    config: HttpConfig,
    ready: Callable[[], None],
    stop_with: Callable[[], Awaitable[None]] = anyio.sleep_forever,
    *,
    shared: bool = False,
) -> None:
    """Boot `kernel` and serve it on a socket that listens, until SIGINT or SIGTERM, or until it stops by itself.

    The first signal ends the boot; of a host that serves it ends the accepting of requests, and the kernel stops when
    those that run have finished. A second one cancels them, and what still stops.

    Args:
        ready: called once requests are answered.
        stop_with: awaited; its end is as good as a signal.
        shared: other processes serve on the same socket.

    Raises:
        CertificateUnusable, BootError, ShutdownError
        KeyboardInterrupt: a signal ended the boot, or a second one the stop.
    """
    app = asgi_app(
        kernel,
        limits=config.limits,
        title=config.title,
        documentation=config.documentation,
        metrics=MetricsAccess(readers=config.metrics, networks=config.metrics_from),
    )
    server = Server(uvicorn_config(app, config), ready, shared=shared)

    async def main() -> None:
        await _Service(kernel, app, server, sock, stop_with).run()

    anyio.run(main, backend_options={"use_uvloop": fast_loop()})


def uvicorn_config(app: FastAPI, config: HttpConfig) -> uvicorn.Config:
    """What uvicorn is told.

    Raises:
        CertificateUnusable: the TLS files cannot be used.
    """
    head_bytes = config.header_bytes + SLACK
    limits = {"header_seconds": config.header_seconds, "head_bytes": head_bytes}
    made = uvicorn.Config(
        app,
        interface="asgi3",
        lifespan="off",  # the kernel is booted before, and stopped after, so that its errors are not uvicorn's
        http=type("LimitedProtocol", (fastest_protocol(),), limits),
        ws="none",  # there are no such routes, and no limits either where a library takes the connection
        h11_max_incomplete_event_size=head_bytes,
        timeout_keep_alive=config.idle_seconds,
        timeout_graceful_shutdown=config.stop_seconds,
        proxy_headers=bool(config.proxies),
        forwarded_allow_ips=list(config.proxies),
        root_path=config.root_path,
        ssl_certfile=config.certfile,
        ssl_keyfile=config.keyfile,
        server_header=False,
        access_log=False,
        log_config=None,
    )
    try:
        made.load()
    except OSError as error:
        raise CertificateUnusable(
            "the TLS files cannot be used",
            where=str(config.certfile),
            why=error.strerror or type(error).__name__,
            fix="name a certificate and its key, both in PEM, with --certfile and --keyfile",
        ) from None
    return made


class Server(uvicorn.Server):
    """uvicorn's server; somebody else listens to signals, and accepts connections."""

    servers: list[Any]

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None], *, shared: bool = False) -> None:
        super().__init__(config)
        self._ready = ready
        self._shared = shared

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them alone."""
        yield

    async def startup(self, sockets: Sequence[socket.socket] | None = None) -> None:
        """Begin to accept, and say so."""
        await super().startup([])
        made, tls = self._protocol, self.config.ssl
        self.servers = [Accepting(sock, made, tls, shared=self._shared) for sock in sockets or ()]
        self._ready()

    def _protocol(self) -> Ending:
        """One for a new connection, as uvicorn makes it."""
        config: Any = self.config
        made: Ending = config.http_protocol_class(
            config=config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made

    def cancel_requests(self) -> None:
        """End the requests that run, whatever they do."""
        self.force_exit = True
        for task in self.server_state.tasks:
            task.cancel()


class _Service:
    """One host from its boot to its end."""

    def __init__(
        self,
        kernel: ObjectKernel,
        app: FastAPI,
        server: Server,
        sock: socket.socket,
        stop_with: Callable[[], Awaitable[None]],
    ) -> None:
        self._kernel = kernel
        self._app = app
        self._server = server
        self._sock = sock
        self._stop_with = stop_with
        self._life = anyio.CancelScope()
        self._cut_short = False

    async def run(self) -> None:
        failure: BaseException | None = None
        async with anyio.create_task_group() as tasks:
            await tasks.start(self._listen)
            tasks.start_soon(self._stop_when_told)
            try:
                with self._life:
                    await self._live()
            except (Exception, KeyboardInterrupt) as error:
                failure = error  # raised outside the group, which would wrap it
            tasks.cancel_scope.cancel()
        if self._cut_short:
            raise KeyboardInterrupt from failure
        if failure is not None:
            raise failure

    async def _live(self) -> None:
        async with kernel_lifespan(self._kernel)(self._app), anyio.create_task_group() as tasks:
            tasks.start_soon(self._stop_with_the_kernel)
            await self._server.serve([self._sock])
            tasks.cancel_scope.cancel()

    async def _stop_with_the_kernel(self) -> None:
        await self._kernel.wait_stopped()
        self._server.should_exit = True

    async def _stop_when_told(self) -> None:
        await self._stop_with()
        signal.raise_signal(signal.SIGTERM)

    async def _listen(self, *, task_status: TaskStatus[None]) -> None:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for _ in signals:
                if self._server.should_exit or not self._server.started:
                    break
                self._server.should_exit = True
            self._cut_short = True
            self._server.cancel_requests()
            self._life.cancel()
            with suppress(KernelError):  # `_live` raises it
                if self._kernel.state not in ("idle", "initializing"):
                    await self._kernel.shutdown(timeout=0)
            async for _ in signals:
                pass
