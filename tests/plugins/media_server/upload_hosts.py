"""A host with recordings on a port of the loopback, for clients that know nothing of Python's event loops."""

from __future__ import annotations

import random
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import attrs
import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal
from objectkernel import ObjectKernel, Plugin, provides
from objectkernel_contracts import IDENTITY, Credentials, Identity, Principal
from objectkernel_http import asgi_app, kernel_lifespan
from objectkernel_http.config import HttpConfig
from objectkernel_http.listening import address_of, listener
from objectkernel_http.serving import Server, uvicorn_config
from objectkernel_media_server.contracts import MediaFilter, MediaRow
from objectkernel_media_server.parts import PARTS, Parts
from objectkernel_media_server.plugin import MediaServerPlugin
from objectkernel_media_server.upload_entities import UPLOAD, Upload, upload_of
from objectkernel_system_dialect.contracts import SYSTEM_DIALECT, Dialect
from objectkernel_system_dialect.plugin import SystemDialectPlugin

SECRET = "a-secret-of-at-least-thirty-two-bytes"
BASE = "https://media.test"
WEBM = bytes.fromhex("1a45dfa39f4286810142f7810142f2810442f381084282847765626d4287810442858102")
"""What a browser's recording begins with: the head of EBML, with ``webm`` as its type."""
SCOPES = frozenset({"media:read", "media:write"})
BUCKET = "media-recordings"
MiB = 2**20
T = TypeVar("T")


def webm(size: int, seed: int = 0) -> bytes:
    """Something that begins as a recording of a browser does."""
    return (WEBM + random.Random(seed).randbytes(max(size - len(WEBM), 0)))[:size]


@attrs.frozen
class Doorman:
    """Knows people by tokens: ``account:`` may everything, ``account:scope scope`` may that."""

    async def principal(self, credentials: Credentials) -> Principal | None:
        account, _, scopes = (credentials.bearer or "").partition(":")
        granted = scopes.split() or SCOPES
        return Principal(account_id=account, scopes=frozenset(granted)) if account else None

    def sign_in_url(self, return_to: str) -> str:
        return "/sign-in"


class DoormanPlugin(Plugin):
    """Lets people in."""

    name = "doorman"

    @provides(IDENTITY, uses=())
    def identity(self) -> Identity:
        return Doorman()


def media_kernel(root: Path, database: str = "", **settings: Any) -> ObjectKernel:
    """A kernel with recordings in the folder `root`.

    Args:
        database: the file of the system database; none: in memory.
        settings: of the plugin.
    """
    dialect = SystemDialectPlugin if database else SystemDialectPlugin.in_memory()
    environ = {"STORAGE_SIGNING_SECRET": SECRET}
    if database:
        environ |= {"MOSTA_SYSTEM_DIALECT": "sqlite", "MOSTA_SYSTEM_URI": database}
    settings = {"storage_dir": str(root), "signed_url_base_url": BASE, "fsync": False, "collect_every": 0, **settings}
    return ObjectKernel(
        plugins=[dialect, DoormanPlugin, MediaServerPlugin],
        discover=False,
        environ=environ,
        config={"plugins": {"media-server": settings}},
    )


@attrs.define
class Served:
    """A host that answers on the loopback.

    Attributes:
        root: the folder of its blobs.
        parts: they live in another thread, and `run` goes there.
    """

    url: str
    root: Path
    parts: Parts
    dialect: Dialect
    portal: BlockingPortal

    def run(self, function: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Call a function of the host where that lives."""
        return self.portal.call(function, *args)

    def client(self, account: str = "ada", scopes: str = "", **options: Any) -> httpx.Client:
        """A program of an account."""
        headers = {"Authorization": f"Bearer {account}:{scopes}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, **options)

    def rows(self, account: str = "ada", status: Any = "ready") -> tuple[MediaRow, ...]:
        """The recordings of an account."""
        return self.run(self.parts.media.list_for_account, account, MediaFilter(status=status)).items

    def uploads(self) -> list[Upload]:
        """All rows of uploads."""
        return [upload_of(row) for row in self.run(self.dialect.find, UPLOAD)]

    def files(self) -> list[Path]:
        """Everything in the store."""
        return [path for path in self.root.rglob("*") if path.is_file()]

    def reserved(self, account: str = "ada") -> tuple[int, int]:
        """The bytes that an account has, and those that are reserved for it."""
        usage = self.run(self.parts.repo.quota.usage, account)
        return usage.bytes, usage.reserved_bytes


@contextmanager
def served(
    root: Path, database: str = "", *, http: Mapping[str, Any] | None = None, **settings: Any
) -> Iterator[Served]:
    """A host with recordings, served by uvicorn in a thread until the end of the block."""
    config = HttpConfig(port=0, **(http or {}))
    with listener(config) as sock, start_blocking_portal("asyncio") as portal:
        kernel = media_kernel(root, database, **settings)
        app = asgi_app(kernel, limits=config.limits)
        ready = threading.Event()
        server = Server(uvicorn_config(app, config), ready.set)

        async def serve() -> None:
            async with kernel_lifespan(kernel)(app):
                await server.serve([sock])

        running = portal.start_task_soon(serve)
        while not ready.wait(0.01):
            if running.done():
                running.result()
        try:
            yield Served(address_of(sock, config), root, kernel.get(PARTS), kernel.get(SYSTEM_DIALECT), portal)
        finally:
            server.should_exit = True
            running.result(30)
