"""A kernel's application under the host's own server, on a free port of the loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import httpx
from objectkernel import ObjectKernel
from objectkernel_http import asgi_app, kernel_lifespan
from objectkernel_http.config import HttpConfig
from objectkernel_http.listening import address_of, listener
from objectkernel_http.serving import Server, uvicorn_config


@attrs.frozen
class Served:
    """Where it is served."""

    url: str
    port: int

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, trust_env=False)

    async def send(self, *parts: bytes, pause: float = 0.0) -> bytes:
        """Send bytes as they are, and read until the other end closes the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(pause)
            return await reader.read()
        finally:
            writer.close()


@asynccontextmanager
async def served(kernel: ObjectKernel, **settings: Any) -> AsyncIterator[Served]:
    """Serve a kernel in this event loop, with these settings."""
    config = HttpConfig(port=0, **settings)
    app = asgi_app(kernel, limits=config.limits)
    up = asyncio.Event()
    with listener(config) as sock:
        server = Server(uvicorn_config(app, config), up.set)
        async with kernel_lifespan(kernel)(app), asyncio.TaskGroup() as tasks:
            tasks.create_task(server.serve([sock]))
            await up.wait()
            try:
                yield Served(address_of(sock, config), 0 if config.uds else sock.getsockname()[1])
            finally:
                server.should_exit = True
