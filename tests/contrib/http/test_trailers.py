"""What comes behind a body in chunks: for routes that ask, and no header of the request."""

from __future__ import annotations

import json
from importlib import import_module

import pytest
from fastapi import APIRouter, Request
from objectkernel_contracts import public
from objectkernel_http.protocol import TRAILERS

from tests.contrib.http.shops import routed
from tests.contrib.http.sockets import served

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """uvicorn runs on asyncio."""
    return "asyncio"


def telling(router: APIRouter) -> None:
    """A route that tells what came behind its body."""

    @router.post("/trailers")
    @public()
    async def trailers(request: Request) -> list[list[str]]:
        await request.body()
        found = request.scope["extensions"][TRAILERS]["headers"]
        assert not any(name == b"x-sum" for name, _ in request.scope["headers"])
        return [[name.decode(), value.decode()] for name, value in found]


@pytest.mark.parametrize("parser", ["h11", "httptools"])
async def test_trailers(parser: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of each request of a connection, and of no other one."""
    classes = {"h11": "TimedH11", "httptools": "TimedHttpTools"}
    protocol = getattr(import_module(f"objectkernel_http.protocol_{parser}"), classes[parser])
    monkeypatch.setattr("objectkernel_http.serving.fastest_protocol", lambda: protocol)
    head = b"POST /trailers HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
    requests = [
        head + b"\r\n3\r\nabc\r\n0\r\nX-Sum: one\r\nX-More: 1\r\n\r\n",
        head + b"\r\n3\r\nabc\r\n0\r\n\r\n",
        head + b"Connection: close\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: three\r\n\r\n",
    ]
    async with served(routed(telling)) as host:
        answer = await host.send(*requests, pause=0.05)
    found = [json.loads(part.partition(b"\r\n\r\n")[2]) for part in answer.split(b"HTTP/1.1 200 OK")[1:]]
    assert found == [[["x-sum", "one"], ["x-more", "1"]], [], [["x-sum", "three"]]]
