"""A host with recordings on a port of the loopback, for clients that know nothing of Python's event loops."""

from __future__ import annotations

import random
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import attrs
import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import APIRouter
from objectkernel import ObjectKernel, Plugin, Service, contributes, needs, provides
from objectkernel_contracts import IDENTITY, ROUTERS, Credentials, Identity, Principal, RouterMaker
from objectkernel_http import asgi_app, kernel_lifespan
from objectkernel_http.config import HttpConfig
from objectkernel_http.listening import address_of, listener
from objectkernel_http.serving import Server, uvicorn_config
from objectkernel_media_server import entities, upload_entities
from objectkernel_media_server.claims import Limits
from objectkernel_media_server.filesystem import FilesystemDriver
from objectkernel_media_server.quota import AccountLimits, Quota
from objectkernel_media_server.repository import DialectMediaRepository
from objectkernel_media_server.service import HostMedia, create_media
from objectkernel_media_server.upload_limits import UploadLimits
from objectkernel_media_server.uploads import UploadService
from objectkernel_system_dialect.contracts import SYSTEM_DIALECT, Dialect
from objectkernel_system_dialect.plugin import SystemDialectPlugin

SECRET = "a-secret-of-at-least-thirty-two-bytes"
BASE = "https://media.test"
WEBM = bytes.fromhex("1a45dfa3 9f4286810142f7810142f2810442f381084282847765626d42878104428581 02")
SCOPES = frozenset({"media:read", "media:write"})
BUCKET = "media-recordings"
MiB = 2**20
T = TypeVar("T")


def webm(size: int, seed: int = 0) -> bytes:
    """Something that begins as a recording of a browser does."""
    return (WEBM + random.Random(seed).randbytes(max(size - len(WEBM), 0)))[:size]


@attrs.define
class Studio:
    """The parts of a host with recordings.

    Attributes:
        root: where its blobs are.
    """

    dialect: Dialect
    storage: Any
    quota: Quota
    media: HostMedia
    uploads: UploadService
    root: Path

    def files(self) -> list[Path]:
        """Everything in the store."""
        return [path for path in self.root.rglob("*") if path.is_file()]


async def furnished(
    dialect: Dialect,
    storage: Any,
    root: Path,
    *,
    limits: UploadLimits | None = None,
    account: AccountLimits | None = None,
    recording: Limits | None = None,
    allowed: frozenset[str] | None = None,
) -> Studio:
    """Recordings on a dialect and a store."""
    await dialect.register(*entities.SCHEMAS, *upload_entities.SCHEMAS)
    quota = Quota(dialect, account or AccountLimits())
    recording = recording or Limits()
    repository = DialectMediaRepository(dialect, quota=quota)
    media = create_media(storage, repository, limits=recording, quota=quota, allowed_types=allowed)
    uploads = UploadService(
        dialect, media, storage, limits or UploadLimits(), bucket=BUCKET, file_bytes=recording.file_bytes
    )
    return Studio(dialect, storage, quota, media, uploads, root)


@attrs.frozen
class Doorman:
    """Knows people by tokens ``account:scope scope``."""

    async def principal(self, credentials: Credentials) -> Principal | None:
        account, _, scopes = (credentials.bearer or "").partition(":")
        granted = scopes.split() or SCOPES
        return Principal(account_id=account, scopes=frozenset(granted)) if account else None

    def sign_in_url(self, return_to: str) -> str:
        return "/sign-in"


STUDIO = Service[Studio]("studio")


class StudioPlugin(Plugin):
    """Recordings in a folder, as a plugin."""

    name = "studio"
    dialect = needs(SYSTEM_DIALECT)
    studio = needs(STUDIO)

    def __init__(self, root: Path, options: Mapping[str, Any]) -> None:
        self._root = root
        self._options = options

    @provides(STUDIO, uses=("dialect",))
    async def make(self) -> AsyncIterator[Studio]:
        storage = FilesystemDriver(self._root, SECRET, BASE)
        try:
            yield await furnished(self.dialect, storage, self._root, **self._options)
        finally:
            await storage.aclose()

    @provides(IDENTITY, uses=())
    def identity(self) -> Identity:
        return Doorman()

    @contributes(ROUTERS, uses=("studio",))
    def routes(self) -> RouterMaker:
        def make() -> APIRouter:
            from objectkernel_media_server.http import media_router

            return media_router(self.studio.media, self.studio.uploads, links=self.studio.storage.links)

        return make


def studio_kernel(root: Path, database: str = "", **options: Any) -> ObjectKernel:
    """A kernel with recordings in the folder `root`.

    Args:
        database: the file of the system database; none: in memory.
        options: see `furnished`.
    """
    dialect = SystemDialectPlugin if database else SystemDialectPlugin.in_memory()
    environ = {"MOSTA_SYSTEM_DIALECT": "sqlite", "MOSTA_SYSTEM_URI": database} if database else {}
    return ObjectKernel(plugins=[dialect, StudioPlugin(root, options)], discover=False, environ=environ)


@attrs.define
class Served:
    """A host that answers on the loopback.

    Attributes:
        studio: its parts; they live in another thread, and `run` goes there.
    """

    url: str
    studio: Studio
    portal: BlockingPortal

    def run(self, function: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Call a function of the studio where that lives."""
        return self.portal.call(function, *args)

    def client(self, account: str = "ada", scopes: str = "") -> httpx.Client:
        """A program of an account."""
        headers = {"Authorization": f"Bearer {account}:{scopes}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30)


@contextmanager
def served(root: Path, database: str = "", *, http: Mapping[str, Any] | None = None, **options: Any) -> Iterator[Served]:
    """A host with recordings, served by uvicorn in a thread until the end of the block."""
    config = HttpConfig(port=0, **(http or {}))
    with listener(config) as sock, start_blocking_portal("asyncio") as portal:
        kernel = studio_kernel(root, database, **options)
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
            yield Served(address_of(sock, config), kernel.get(STUDIO), portal)
        finally:
            server.should_exit = True
            running.result(30)
