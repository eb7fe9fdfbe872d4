"""``objectkernel serve`` in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

APP = """
from __future__ import annotations
from collections.abc import AsyncIterator
import os
import anyio
from fastapi import APIRouter
from objectkernel import ObjectKernel, Plugin, background, contributes, lifespan
from objectkernel_contracts import ROUTERS, RouterMaker, public
from objectkernel_http.plugin import HttpPlugin

def router():
    router = APIRouter()

    @router.get("/pid")
    @public()
    async def pid() -> int:
        return os.getpid()

    @router.get("/quick")
    @public()
    async def quick() -> str:
        return "quick"

    @router.get("/slow/{seconds}")
    @public()
    async def slow(seconds: float) -> str:
        print("asked\\n", end="", flush=True)
        await anyio.sleep(seconds)
        return "slow"

    return router

class Shop(Plugin):
    name = "shop"

    @contributes(ROUTERS, uses=())
    def routes(self) -> RouterMaker:
        return router
"""
REST = """
kernel = ObjectKernel(plugins=[Shop, HttpPlugin], discover=False)
"""
CRASHES = """
    @background
    async def crash(self):
        await anyio.sleep(0.2)
        raise OSError("the queue is gone")
"""
NEVER_STARTS = """
    @lifespan
    async def life(self) -> AsyncIterator[None]:
        raise OSError("no disk")
        yield
"""
HANGS = """
    start_timeout = 60.0
    @lifespan
    async def life(self) -> AsyncIterator[None]:
        print("starting", flush=True)
        await anyio.sleep(3600)
        yield
"""


class Host:
    """A running ``objectkernel serve``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.url = ""

    def wait_for(self, text: str) -> str:
        """The first line of its output that has `text`."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if text in line:
                return line
        raise AssertionError(f"{text!r} was not printed: {self.end()}")

    def wait_until_served(self) -> Host:
        self.url = self.wait_for("serving on ").split()[2].rstrip(";")
        return self

    def get(self, path: str, **options: Any) -> httpx.Response:
        with httpx.Client(**{"trust_env": False, "timeout": 60, "verify": False, **options}) as client:
            return client.get(f"{self.url}{path}")

    def until_refused(self) -> None:
        """Wait until nobody listens any more."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                self.get("/quick")
            except httpx.ConnectError:
                return
            except httpx.TransportError:  # it was taken by one that stops
                pass
        raise AssertionError("somebody listens still")

    def end(self) -> tuple[int, str, str]:
        """The exit code, and what was printed last."""
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Host]]:
    """Start ``objectkernel serve`` on a free port, without an access log; whatever is left running is killed."""
    hosts: list[Host] = []
    monkeypatch.setenv("OBJECTKERNEL_PLUGINS__HTTP__ACCESS_LOG", "false")

    def start(*options: str, more: str = "") -> Host:
        (tmp_path / "shop.py").write_text(APP + more + REST)
        command = [sys.executable, "-m", "objectkernel_cli", "--app", "shop:kernel", "serve", "--port", "0", *options]
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        hosts.append(Host(process))
        return hosts[-1]

    yield start
    for host in hosts:
        if host.process.poll() is None:
            host.process.kill()
        host.process.communicate()
