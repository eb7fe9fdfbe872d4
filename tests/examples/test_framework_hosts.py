"""Hosts that are applications of a framework: each runs as its first lines say, and stops in order."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
OTHERS = ("litestar", "flask", "django")


def posted(client: httpx.Client, path: str) -> httpx.Response:
    """The answer, as soon as somebody listens."""
    until = time.monotonic() + 60
    while True:
        try:
            return client.post(path)
        except httpx.ConnectError:
            assert time.monotonic() < until
            time.sleep(0.05)


@pytest.mark.parametrize("framework", ["fastapi", *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)])
def test_its_routes_use_a_service_of_the_kernel(framework: str, tmp_path: Path) -> None:
    """Several requests have one ledger, which is closed when the server stops."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = [sys.executable, "-W", "error", EXAMPLES / f"{framework}_host" / "main.py"]
    options = {"cwd": tmp_path, "env": {**os.environ, "PORT": str(port)}, "text": True}
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options) as process:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
                assert posted(client, "/ledger/40").json() == {"sum": 40}
                assert posted(client, "/ledger/2").json() == {"sum": 42}
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert "the ledger is closed" in out
    assert "Traceback" not in out
