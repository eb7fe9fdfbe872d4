"""Content that the server sends from files, by routes that FastAPI declares and does not serve."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import attrs
import httpx
import pytest
from fastapi import Depends, FastAPI, HTTPException
from fastapi.routing import APIRoute
from objectkernel_http import asgi_app, include_kernel, kernel_lifespan
from objectkernel_media_server.calls import ZERO_COPY
from objectkernel_media_server.direct_routes import TELEMETRY
from starlette.requests import Request

from tests.plugins.media_server.upload_hosts import BASE, media_kernel, webm

pytestmark = pytest.mark.anyio
CONTENT = webm(50_000)
ADA = {"Authorization": "Bearer ada"}


@attrs.define
class Server:
    """An application as a server calls it that sends files; what it sends is bytes again for whoever asks.

    Attributes:
        extensions: what it offers.
        files: the descriptors that it was told to send.
        more: what else its scopes have.
    """

    app: Any
    extensions: dict[str, Any] = attrs.field(factory=lambda: {ZERO_COPY: {}})
    files: list[int] = attrs.field(factory=list)
    more: dict[str, Any] = attrs.field(factory=dict)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def sent(message: Any) -> None:
            if message["type"] != ZERO_COPY:
                await send(message)
                return
            self.files.append(message["file"])
            body = os.pread(message["file"], message["count"], message["offset"])
            assert len(body) == message["count"]
            await send({"type": "http.response.body", "body": body, "more_body": message["more_body"]})

        await self.app({**scope, "extensions": self.extensions, **self.more}, receive, sent)


@attrs.frozen
class Host:
    """A host with one recording.

    Attributes:
        content, link: paths of that.
        folder: where its bytes are.
    """

    server: Server
    client: httpx.AsyncClient
    content: str
    link: str
    folder: Path

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})


@asynccontextmanager
async def hosting(folder: Path, make: Callable[[Any], Any] = asgi_app, **settings: Any) -> AsyncIterator[Host]:
    async with AsyncExitStack() as stack:
        kernel = media_kernel(folder, str(folder.with_suffix(".db")), **settings)
        server = Server(make(kernel))
        await stack.enter_async_context(kernel_lifespan(kernel)(server.app))
        transport = httpx.ASGITransport(server)
        client = httpx.AsyncClient(transport=transport, base_url="http://media.test", headers=ADA)
        await stack.enter_async_context(client)
        told = (await client.post("/api/media/recordings", content=CONTENT)).json()
        path = f"/api/media/{told['row']['id']}/content"
        yield Host(server, client, path, told["signedUrl"].removeprefix(BASE), folder)


@pytest.fixture(name="host")
async def _host(anyio_backend: str, tmp_path: Path) -> AsyncIterator[Host]:
    async with hosting(tmp_path / "blobs") as host:
        yield host


@pytest.mark.parametrize("way", ["content", "link"])
async def test_parts_are_sent_from_the_file(host: Host, way: str) -> None:
    """One range, several, and the whole, by the account's route and by a link."""
    path = getattr(host, way)
    part = await host.get(path, range="bytes=10-19")
    assert (part.status_code, part.content) == (206, CONTENT[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(CONTENT)}"
    assert (await host.get(path)).content == CONTENT
    assert len(host.server.files) == 2
    several = await host.get(path, range="bytes=0-3,40000-40009")
    assert several.status_code == 206
    assert len(several.content) == int(several.headers["content-length"])
    heads = several.content.split(CONTENT[:4])[1].split(CONTENT[40000:40010])
    assert heads[1].startswith(b"\r\n--")
    assert f"Content-Range: bytes 40000-40009/{len(CONTENT)}".encode() in heads[0]
    assert len(host.server.files) == 4


@pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
async def test_a_file_is_opened_once(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for one range after the other has one file."""
    opened: list[Any] = []
    real = os.open

    def open_(path: Any, *more: Any) -> int:
        opened.append(path)
        return real(path, *more)

    monkeypatch.setattr(os, "open", open_)
    for first in range(5):
        assert (await host.get(host.content, range=f"bytes={first}-{first}")).content == CONTENT[first : first + 1]
    assert len([path for path in opened if str(path).startswith(str(host.folder))]) == 1
    assert len(set(host.server.files)) == 1


async def test_what_has_no_body_opens_nothing(host: Host) -> None:
    """HEAD, what is unchanged, and what there is no such range of."""
    whole = await host.client.head(host.content)
    assert (whole.status_code, whole.headers["content-length"]) == (200, str(len(CONTENT)))
    assert (await host.get(host.content, if_none_match=whole.headers["etag"])).status_code == 304
    assert (await host.get(host.content, range="bytes=50000-")).status_code == 416
    assert host.server.files == []


async def test_a_server_that_sends_no_files(host: Host) -> None:
    """It is given bytes."""
    host.server.extensions = {}
    assert (await host.get(host.content, range="bytes=10-19")).content == CONTENT[10:20]
    assert (await host.get(host.link)).content == CONTENT
    assert host.server.files == []


async def test_deleted_is_gone_at_once(host: Host) -> None:
    """Also for those who have just read it, and with its file still open."""
    for path in (host.content, host.link):
        assert (await host.get(path, range="bytes=0-0")).status_code == 206
    assert (await host.client.delete(host.content.removesuffix("/content"))).status_code == 204
    for path in (host.content, host.link):
        gone, never = await host.get(path, range="bytes=0-0"), await host.get("/api/media/never/content")
        assert (gone.status_code, gone.json()) == (404, never.json())


async def test_bytes_that_are_gone(host: Host) -> None:
    """A row without its file is a problem of its own, told before anything was sent."""
    (file,) = (path for path in host.folder.rglob("*.webm"))
    file.unlink()
    answer = await host.get(host.content)
    assert (answer.status_code, answer.json()["code"]) == (404, "M122")


OWN = (b"ratelimit", b"x-request-id")
"""Headers whose values are those of one answer alone."""
ASKED: list[tuple[str, str, dict[str, str]]] = [
    ("GET", "{content}", {"Range": "bytes=5-5"}),
    ("GET", "{content}", {"Range": "bytes=-7", "If-Range": "never"}),
    ("HEAD", "{content}", {}),
    ("GET", "{link}", {"Range": "bytes=100-199"}),
    ("HEAD", "{link}", {}),
    ("GET", "{link}&name=x", {}),
    ("GET", "{content}", {"If-Match": '"never"'}),
    ("GET", "{content}", {"If-None-Match": "*"}),
    ("GET", "{content}", {"Range": "bytes=99999-"}),
    ("GET", "{content}?unknown=1", {}),
    ("GET", "/api/media/never/content", {}),
    ("GET", "/api/media/%F0%9F%8E%A5%00/content", {}),
    ("GET", "/api/media/blobs/no/such?exp=1&sig=x", {}),
    ("GET", "/api/media/blobs/UPPER/..", {}),
    ("GET", "{content}", {"Authorization": "Bearer eve"}),
    ("GET", "{content}", {"Authorization": "Bearer ada:media:write"}),
    ("GET", "{content}", {"Authorization": "Basic x"}),
    ("POST", "{content}", {}),
    ("GET", "{content}", {"Content-Length": "7", "Expect": "100-continue"}),
]


@pytest.mark.parametrize(("method", "path", "headers"), ASKED)
async def test_answers_are_those_of_fastapi(host: Host, method: str, path: str, headers: dict[str, str]) -> None:
    """Whatever is asked, a request that FastAPI traces, which it serves itself, is answered in the same words."""
    answers = []
    for more in ({}, {}, {TELEMETRY: None}):  # the second one finds the route again
        host.server.more = more
        path = path.format(content=host.content, link=host.link)
        answers.append(await host.client.request(method, path, headers=headers))
    told = [
        (answer.status_code, [(name, name in OWN or value) for name, value in answer.headers.raw], answer.content)
        for answer in answers
    ]
    assert told[0] == told[1] == told[2]


async def test_fastapi_serves_what_it_has_more_to_do_for(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that it traces, and no other."""
    seen: list[str] = []
    real = APIRoute.handle

    async def handle(route: APIRoute, scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["path"])
        await real(route, scope, receive, send)

    monkeypatch.setattr(APIRoute, "handle", handle)
    for path in (host.content, host.link):
        assert (await host.get(path)).status_code == 200
    assert seen == []
    host.server.more = {TELEMETRY: None}
    assert (await host.get(host.content)).status_code == 200
    assert seen == [host.content]


async def test_dependencies_of_the_host_are_kept(tmp_path: Path) -> None:
    """Whoever includes the routes may ask more of each request."""

    async def known(request: Request) -> None:
        if request.headers.get("x-known") != "yes":
            raise HTTPException(418, "who are you?")

    def make(kernel: Any) -> FastAPI:
        app = FastAPI(dependencies=[Depends(known)])
        include_kernel(app, kernel)
        return app

    async with hosting(tmp_path / "blobs", lambda kernel: _allowing(make(kernel), known)) as host:
        for path in (host.content, host.link):
            assert (await host.get(path, x_known="yes", range="bytes=0-3")).content == CONTENT[:4]
            host.server.app.dependency_overrides.clear()
            assert (await host.get(path)).status_code == 418
            assert (await host.get(path, x_known="yes")).status_code == 200


def _allowing(app: FastAPI, dependency: Any) -> FastAPI:
    """Until something is stored."""
    app.dependency_overrides[dependency] = lambda: None
    return app


async def test_a_failure_of_the_store(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    """The host tells it, and its log says more."""
    host.folder.rename(host.folder.with_name("elsewhere"))
    answer = await host.get(host.content)
    assert (answer.status_code, answer.json()["code"]) == (503, "M120")
    assert "the folder of the recordings" in caplog.text


@pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
async def test_many_at_once(host: Host) -> None:
    """Each has what it asked for."""

    async def ask(first: int) -> None:
        assert (await host.get(host.content, range=f"bytes={first}-{first + 99}")).content == CONTENT[first:][:100]

    async with anyio.create_task_group() as tasks:
        for first in range(40):
            tasks.start_soon(ask, first * 1000)
