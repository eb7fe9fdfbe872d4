"""Other servers: the application needs no more of them than ASGI and its lifespan."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.contrib.http.processes import APP, NEVER_STARTS, REST

pytestmark = pytest.mark.slow

ASGI = """
from objectkernel_http import asgi_app
app = asgi_app(kernel)
"""
ENDS = """
    @lifespan
    async def life(self) -> AsyncIterator[None]:
        yield
        print("kernel down", flush=True)
"""
CONSOLE = """
from contextlib import asynccontextmanager
from objectkernel_contracts import MOUNTS, MountedApplication, Public
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

@asynccontextmanager
async def life(app):
    yield {"life": "alive"}
    print("console down", flush=True)

async def look(request):
    return PlainTextResponse(f"{request.scope['root_path']} {request.state.life}")

class Console(Plugin):
    name = "console"

    @contributes(MOUNTS, uses=())
    def console(self) -> MountedApplication:
        make = lambda: Starlette(routes=[Route("/", look)], lifespan=life)
        return MountedApplication(path="/console", make=make, access=Public())

kernel.use(Console)
"""
SERVERS = {
    "uvicorn": ["uvicorn", "asgi:app", "--port", "{port}"],
    "hypercorn": ["hypercorn", "asgi:app", "--bind", "127.0.0.1:{port}"],
    "granian": ["granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", "{port}", "asgi:app"],
}


@pytest.fixture(params=SERVERS)
def command(request: pytest.FixtureRequest) -> Iterator[tuple[list[str], int]]:
    """The command line of each server, and the port that it listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    yield [sys.executable, "-m", *(word.format(port=port) for word in SERVERS[request.param])], port


def test_a_server_serves_it_and_stops_it(command: tuple[list[str], int], tmp_path: Path) -> None:
    """The kernel boots before the first request, and stops after the last; what is mounted in between."""
    line, port = command
    (tmp_path / "asgi.py").write_text(APP + ENDS + REST + CONSOLE + ASGI)
    with subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
                until = time.monotonic() + 60
                while True:
                    try:
                        assert client.get("/quick").json() == "quick"
                        break
                    except httpx.TransportError:
                        assert process.poll() is None, process.communicate()[0]
                        assert time.monotonic() < until
                        time.sleep(0.05)
                assert client.get("/readyz").json() == {"status": "ready"}
                assert client.get("/nowhere").json()["code"] == "H404"
                assert client.get("/console/").text == "/console alive"
            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert out.index("console down") < out.index("kernel down")


def test_a_server_does_not_serve_what_did_not_boot(command: tuple[list[str], int], tmp_path: Path) -> None:
    """It ends, or says why, with the kernel's report."""
    line, _ = command
    (tmp_path / "asgi.py").write_text(APP + NEVER_STARTS + REST + ASGI)
    with subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            seen = ""
            for told in process.stdout:
                seen += told
                if "no disk" in told:
                    break
        finally:
            process.kill()
    assert "[K510] BootError" in seen and "no disk" in seen
