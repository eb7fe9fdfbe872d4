"""The same routes in any framework: bare ASGI, Starlette, Litestar."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import attrs
import httpx
import pytest
from litestar import Litestar, asgi
from objectkernel_contracts import Principal
from objectkernel_media_server import entities, upload_entities
from objectkernel_media_server.calls import AsgiScope
from objectkernel_media_server.errors import StorageUnavailable
from objectkernel_media_server.handlers import MediaHandlers, create_media_handlers
from objectkernel_media_server.memory_store import MemoryDriver
from objectkernel_media_server.quota import Quota
from objectkernel_media_server.repository import DialectMediaRepository
from objectkernel_media_server.service import HostMedia, create_media
from objectkernel_media_server.upload_limits import UploadLimits
from objectkernel_media_server.uploads import UploadService
from objectkernel_system_dialect.sqlite_dialect import open_sqlite
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from tests.plugins.media_server.tus_requests import BYTES
from tests.plugins.media_server.upload_hosts import BASE, BUCKET, webm

pytestmark = pytest.mark.anyio
CONTENT = webm(5000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
ADA = {"Authorization": "Bearer ada"}


async def principal_of(scope: AsgiScope) -> Principal | None:
    """Whoever the header names; ``reader`` may only read."""
    headers = dict(scope["headers"])
    name = headers.get(b"authorization", b"").decode().removeprefix("Bearer ")
    scopes = {"media:read"} if name == "reader" else {"media:read", "media:write"}
    return Principal(account_id=name, scopes=frozenset(scopes)) if name else None


@attrs.frozen
class Built:
    media: HostMedia
    storage: MemoryDriver
    handlers: MediaHandlers


@pytest.fixture(name="built")
async def _built(anyio_backend: str) -> AsyncIterator[Built]:
    dialect = await open_sqlite(":memory:")
    try:
        await dialect.register(*entities.SCHEMAS, *upload_entities.SCHEMAS)
        storage, quota = MemoryDriver(BASE), Quota(dialect)
        media = create_media(storage, DialectMediaRepository(dialect, quota=quota), quota=quota)
        limits = UploadLimits(drain_seconds=0.1)
        uploads = UploadService(dialect, media, storage, limits, bucket=BUCKET, file_bytes=10**6)
        yield Built(media, storage, create_media_handlers(media, uploads, principal_of, links=storage.links))
    finally:
        await dialect.aclose()


def bare(handlers: MediaHandlers) -> Any:
    """No framework."""
    return handlers.app


def mounted(handlers: MediaHandlers) -> Any:
    """One application in Starlette."""
    return Starlette(routes=[Mount("/api/media", handlers.app)])


def routed(handlers: MediaHandlers) -> Any:
    """A route for each handler, in Starlette's own words."""
    parts = [
        handlers.recordings,
        handlers.session,
        handlers.uploads,
        handlers.finish,
        handlers.upload,
        handlers.blob,
        handlers.url,
        handlers.content,
        handlers.recording,
    ]
    paths = [(f"/api/media{part.template}", part) for part in parts if part is not None]
    return Starlette(routes=[Route(path, part) for path, part in paths])


def litestar(handlers: MediaHandlers) -> Any:
    """One application in Litestar."""

    @asgi("/api/media", is_mount=True, copy_scope=True)
    async def media(scope: Any, receive: Any, send: Any) -> None:
        await handlers.app(scope, receive, send)

    return Litestar([media], openapi_config=None)


FRAMEWORKS = [bare, mounted, routed, litestar]


def client_of(app: Any, **headers: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://media.test", headers=headers)


@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_a_recording_from_beginning_to_end(built: Built, framework: Callable[[MediaHandlers], Any]) -> None:
    """Sent whole, in a form and by tus; listed, read by ranges and by a link; deleted."""
    app = framework(built.handlers)
    slash = "" if framework is routed else "/"
    async with client_of(app, **ADA) as client:
        told = (await client.post("/api/media/recordings", params={"sessionId": "s"}, content=CONTENT)).json()
        assert told["row"]["checksum"] == SHA256
        form = await client.post("/api/media/recordings", files={"blob": CONTENT}, data={"takeIndex": "1"})
        assert form.status_code == 201
        uploads = f"/api/media/uploads{slash}"
        made = await client.post(uploads, headers={"Tus-Resumable": "1.0.0", "Upload-Length": "5000"})
        assert made.status_code == 201, made.text
        upload = str(httpx.URL(uploads).join(made.headers["location"]))
        told_tus = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": BYTES}
        assert (await client.patch(upload, content=CONTENT, headers=told_tus)).status_code == 204
        looked = await client.head(upload, headers={"Tus-Resumable": "1.0.0"})
        assert looked.headers["upload-offset"] == "5000"
        assert (await client.post(f"{upload}/finish")).json()["row"]["checksum"] == SHA256
        options = await client.options(uploads)
        assert "checksum-trailer" not in options.headers["tus-extension"]
        every = (await client.get("/api/media/recordings")).json()
        assert len(every["items"]) == 3
        takes = (await client.get("/api/media/sessions/s")).json()
        assert [row["id"] for row in takes["items"]] == [told["row"]["id"]]
        address = f"/api/media/{told['row']['id']}"
        part = await client.get(f"{address}/content", headers={"Range": "bytes=10-19"})
        assert (part.status_code, part.content) == (206, CONTENT[10:20])
        link = (await client.post(f"{address}/url")).json()["signedUrl"].removeprefix(BASE)
        async with client_of(app) as anybody:
            assert (await anybody.get(link)).content == CONTENT
        assert (await client.delete(address)).status_code == 204
        assert (await client.get(address)).status_code == 404


@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_who_may(built: Built, framework: Callable[[MediaHandlers], Any]) -> None:
    """401 without a principal, 403 without the scope, 404 of others' things, 405 for another method."""
    app = framework(built.handlers)
    async with client_of(app) as anybody, client_of(app, Authorization="Bearer reader") as reader:
        assert (await anybody.get("/api/media/recordings")).status_code == 401
        assert (await reader.post("/api/media/recordings", content=CONTENT)).status_code == 403
        assert (await reader.get("/api/media/recordings")).status_code == 200
        assert (await reader.get("/api/media/none")).json()["code"] == "M102"
        refused = await reader.patch("/api/media/recordings")
        assert refused.status_code == 405
        if framework is not routed:
            assert refused.headers["allow"] == "GET, POST, PUT"
            assert (await reader.get("/api/media/a/b/c")).status_code == 404


async def test_what_fails_is_not_told(built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is down is 503, without a word of why; the log has it."""

    async def down(*args: Any, **options: Any) -> Any:
        raise StorageUnavailable("the store at 10.0.0.7 does not answer")

    monkeypatch.setattr(built.storage, "put_stream", down)
    async with client_of(built.handlers.app, **ADA) as client:
        answer = await client.post("/api/media/recordings", content=CONTENT)
    assert answer.status_code == 503
    assert "10.0.0.7" not in answer.text


async def test_links_altered(built: Built) -> None:
    """A link that is altered, in whichever byte, is one and the same 404."""
    made = await built.media.create_recording("ada", CONTENT, mime_type="video/webm")
    link = made.signed_url.removeprefix(BASE)
    path, _, query = link.partition("?")

    async def ask(path: str, query: str) -> tuple[int, bytes]:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        scope = {"type": "http", "method": "GET", "path": path, "query_string": query.encode(), "headers": []}
        await built.handlers.app(scope, receive, send)
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])

    assert await ask(path, query) == (200, CONTENT)
    missing = await ask(f"{path}x", query)
    assert missing[0] == 404
    start = len("/api/media/blobs/media-recordings/")
    for at in range(start, len(path)):
        for other in ("0" if path[at] != "0" else "1", ""):
            assert await ask(path[:at] + other + path[at + 1 :], query) == missing
    for at in range(len(query)):
        for other in ("0" if query[at] != "0" else "1", "", "%41", query[at].swapcase() + "&"):
            altered = query[:at] + other + query[at + 1 :]
            assert altered == query or await ask(path, altered) == missing, altered
    assert await ask(path.replace("media-recordings", "media-recordingz"), query) == missing
    for more in ("&", "&x=1", "#"):
        assert await ask(path, query + more) == missing
    assert await ask(path, "") == missing


async def test_lifespan(built: Built) -> None:
    """There is nothing to start, and a server that asks is told so; of another protocol it is no application."""
    told: list[str] = []

    async def receive() -> Any:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        told.append(message["type"])

    await built.handlers.app({"type": "lifespan"}, receive, send)
    assert told == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    with pytest.raises(ValueError, match="HTTP"):
        await built.handlers.recordings({"type": "websocket"}, receive, send)


async def test_a_refused_body_is_drained(built: Built) -> None:
    """Some of it is read after the answer has begun, for a while, so that its sender comes to read the answer."""
    events: list[str] = []

    async def receive() -> Any:
        events.append("read")
        if events.count("read") > 3:
            await anyio.sleep_forever()
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def send(message: Any) -> None:
        events.append(message["type"])

    headers = [(b"authorization", b"Bearer ada"), (b"content-length", str(2**60).encode())]
    scope = {"type": "http", "method": "POST", "path": "/api/media/recordings", "headers": headers}
    await built.handlers.app(scope, receive, send)
    first = events.index("http.response.body")
    assert events[first:] == ["http.response.body", "read", "read", "read", "read", "http.response.body"]
