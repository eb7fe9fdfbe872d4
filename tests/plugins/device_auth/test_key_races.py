"""Many processes of one user that need a key at once: one device flow, one renewal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.plugins.device_auth.authorization_server import AuthorizationServer, authorization_server

pytestmark = pytest.mark.slow
PROCESSES = 16

HOST = """
import sys
import anyio
from objectkernel import ObjectKernel
from objectkernel_device_auth.client_plugin import ApiKeySourcePlugin
from objectkernel_device_auth.contracts import API_KEY_SOURCE

async def main():
    environ = {"MOSTA_NET_URL": sys.argv[1]}
    async with ObjectKernel(plugins=[ApiKeySourcePlugin], discover=False, environ=environ) as kernel:
        source = kernel.get(API_KEY_SOURCE)
        print("ready", flush=True)
        for word in sys.stdin:
            key = await source.ensure_api_key(on_code_issued=lambda code: None, force_refresh=word == "refused\\n")
            print(key, flush=True)

anyio.run(main)
"""


@pytest.fixture
def server() -> Iterator[AuthorizationServer]:
    """An authorization server that is polled once a second."""
    with authorization_server() as server:
        server.interval = 1
        yield server


@contextmanager
def hosts(server: AuthorizationServer, folder: Path, count: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that have started, and get a key for each line that they are sent."""
    environ = {**os.environ, "XDG_CONFIG_HOME": str(folder)}
    command = [sys.executable, "-c", HOST, server.url]
    with ExitStack() as stack:
        started = []
        for _ in range(count):
            host = subprocess.Popen(
                command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
            )
            stack.enter_context(host)  # waits for its end, which comes with the end of its input
            stack.callback(host.kill)
            started.append(host)
        for host in started:
            assert line(host) == "ready"
        yield started


def line(host: subprocess.Popen[str]) -> str:
    """The next line that a host prints, "" when it has ended."""
    assert host.stdout is not None
    return host.stdout.readline().strip()


def told(hosts: list[subprocess.Popen[str]], word: str) -> set[str]:
    """The keys that all hosts get when each is sent the word."""
    for host in hosts:
        assert host.stdin is not None
        host.stdin.write(f"{word}\n")
        host.stdin.flush()
    return {line(host) for host in hosts}


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until it holds."""
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_item_36_many_processes_begin_one_flow_and_one_renewal(server: AuthorizationServer, tmp_path: Path) -> None:
    """All get the same key; all are refused with it at once; all get the same next one."""
    with hosts(server, tmp_path, PROCESSES) as several:
        (first,) = told(several, "needed")
        assert first in server.keys
        (second,) = told(several, "refused")
        assert second in server.keys and second != first
        (third,) = told(several, "refused")
    renewals = [form for form in server.sent("/token") if form["grant_type"] == "refresh_token"]
    assert (server.flows, len(renewals), len({first, second, third})) == (1, 2, 3)


def test_item_36_who_is_killed_while_it_asks_holds_up_nobody(server: AuthorizationServer, tmp_path: Path) -> None:
    """Its lock goes with it: the next process begins a flow of its own."""
    server.approve_after = None
    with hosts(server, tmp_path, 2) as (first, second):
        for number, host in enumerate((first, second)):
            assert host.stdin is not None
            host.stdin.write("needed\n")
            host.stdin.flush()
            if number == 0:
                eventually(lambda: server.flows == 1)
        os.kill(first.pid, signal.SIGKILL)
        eventually(lambda: server.flows == 2)
        server.approve_after = 0
        assert line(second) in server.keys


def test_item_38_an_interrupt_leaves_no_half_file(server: AuthorizationServer, tmp_path: Path) -> None:
    """Ctrl-C while somebody is waited for: the process ends, and the folder has nothing but its lock."""
    server.approve_after = None
    with hosts(server, tmp_path, 1) as (host,):
        assert host.stdin is not None
        host.stdin.write("needed\n")
        host.stdin.flush()
        eventually(lambda: server.flows == 1)
        host.send_signal(signal.SIGINT)
        assert host.wait(timeout=30) != 0
    assert [path.name for path in (tmp_path / "objectkernel").iterdir()] == ["auth.json.lock"]
