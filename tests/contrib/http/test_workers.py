"""Several processes on one socket."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.contrib.http.processes import HANGS, NEVER_STARTS, Host

pytestmark = pytest.mark.slow


def other_than(host: Host, *known: int) -> int:
    """The process that answers, when it is none of these."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            pid: int = host.get("/pid").json()
        except httpx.TransportError:  # it was taken by one that has just ended
            continue
        if pid not in known:
            return pid
    raise AssertionError(f"nobody but {known} answers")


def test_all_of_them_serve_and_one_that_ends_is_started_again(serve: Callable[..., Host]) -> None:
    """While one of two stands still the other answers; when it is gone, a third one comes."""
    host = serve("--workers", "2").wait_until_served()
    first = host.get("/pid").json()
    assert first != host.process.pid
    os.kill(first, signal.SIGSTOP)
    second = other_than(host, first)
    os.kill(first, signal.SIGKILL)
    os.kill(second, signal.SIGKILL)
    third = other_than(host, first, second)
    assert third != host.process.pid
    host.process.send_signal(signal.SIGTERM)
    code, out, err = host.end()
    assert (code, out) == (0, "stopped\n")
    assert "another one is started" in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_passed_on(serve: Callable[..., Host], number: int) -> None:
    """What runs finishes, in every one of them."""
    host = serve("--workers", "2").wait_until_served()
    with ThreadPoolExecutor(10) as pool:
        answers = [pool.submit(host.get, "/slow/0.5") for _ in range(10)]
        for _ in range(10):
            host.wait_for("asked")
        host.process.send_signal(number)
        assert [answer.result().json() for answer in answers] == ["slow"] * 10
    assert host.end() == (0, "stopped\n", "")


def test_a_second_signal_is_passed_on_too(serve: Callable[..., Host]) -> None:
    """What runs is cancelled, and the exit code is 130."""
    host = serve("--workers", "2").wait_until_served()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(host.get, "/slow/3600")
        host.wait_for("asked")
        host.process.send_signal(signal.SIGTERM)
        host.until_refused()
        host.process.send_signal(signal.SIGTERM)
        code, _, _ = host.end()
        with pytest.raises(httpx.HTTPError):
            answer.result().raise_for_status()
    assert code == 130


def test_one_that_never_serves_ends_them_all(serve: Callable[..., Host]) -> None:
    """The first one is started alone, so that its report comes once, with its exit code."""
    code, out, err = serve("--workers", "3", more=NEVER_STARTS).end()
    assert (code, out) == (4, "")
    assert err.count("[K510] BootError") == 1


def test_a_signal_ends_the_boot_of_workers(serve: Callable[..., Host]) -> None:
    """The exit code is 130."""
    host = serve("--workers", "2", more=HANGS)
    host.wait_for("starting")
    host.process.send_signal(signal.SIGTERM)
    assert host.end()[0] == 130


def test_workers_do_not_outlive_their_parent(serve: Callable[..., Host]) -> None:
    """One that was killed, and could say nothing, takes them with it."""
    host = serve("--workers", "2").wait_until_served()
    host.process.kill()
    host.process.wait()
    host.until_refused()
