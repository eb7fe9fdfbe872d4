"""`objectkernel serve`, in a process of its own, with real signals."""

from __future__ import annotations

import json
import signal
import socket
import ssl
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.contrib.http.processes import CRASHES, HANGS, NEVER_STARTS, Host


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM])
def test_a_signal_lets_what_runs_finish(serve: Callable[..., Host], number: int) -> None:
    """Every request that runs has its answer, new connections are refused, the exit code is 0."""
    host = serve().wait_until_served()
    count = 20
    with ThreadPoolExecutor(count) as pool:
        answers = [pool.submit(host.get, "/slow/1") for _ in range(count)]
        for _ in range(count):
            host.wait_for("asked")
        host.process.send_signal(number)
        assert [answer.result().json() for answer in answers] == ["slow"] * count
    code, out, err = host.end()
    assert (code, out, err) == (0, "stopped\n", "")
    host.until_refused()


def test_a_second_signal_cancels_what_runs(serve: Callable[..., Host]) -> None:
    """A request that would take an hour does not keep the host, and the exit code is 130."""
    host = serve().wait_until_served()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(host.get, "/slow/3600")
        host.wait_for("asked")
        host.process.send_signal(signal.SIGTERM)
        host.until_refused()
        host.process.send_signal(signal.SIGTERM)
        code, _, err = host.end()
        with pytest.raises(httpx.HTTPError):
            answer.result().raise_for_status()
    assert code == 130
    assert "interrupted" in err


@pytest.mark.slow
def test_what_does_not_finish_in_time_is_cancelled(serve: Callable[..., Host], monkeypatch: pytest.MonkeyPatch) -> None:
    """`stop_seconds` is how long it has; the stop is in order all the same."""
    monkeypatch.setenv("OBJECTKERNEL_PLUGINS__HTTP__STOP_SECONDS", "1")
    host = serve().wait_until_served()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(host.get, "/slow/3600")
        host.wait_for("asked")
        host.process.send_signal(signal.SIGTERM)
        code, out, _ = host.end()
        with pytest.raises(httpx.HTTPError):
            answer.result().raise_for_status()
    assert (code, out) == (0, "stopped\n")


def test_a_boot_that_fails(serve: Callable[..., Host]) -> None:
    """The kernel's report and its exit code, and no server's traceback."""
    code, out, err = serve(more=NEVER_STARTS).end()
    assert (code, out) == (4, "")
    assert "[K510] BootError" in err and "no disk" in err
    assert "Traceback" not in err


def test_a_signal_ends_the_boot(serve: Callable[..., Host]) -> None:
    """A start that would take for ever is cancelled, and the exit code is 130."""
    host = serve(more=HANGS)
    host.wait_for("starting")
    host.process.send_signal(signal.SIGTERM)
    code, _, err = host.end()
    assert code == 130
    assert "Traceback" not in err


def test_a_kernel_that_stops_by_itself_ends_the_host(serve: Callable[..., Host]) -> None:
    """A critical plugin that crashes takes the server with it, and the exit code is 5."""
    code, _, err = serve(more=CRASHES).end()
    assert code == 5
    assert "the queue is gone" in err


def test_an_address_that_is_taken(serve: Callable[..., Host]) -> None:
    """What, why and fix, with exit code 1; the kernel is not booted."""
    first = serve().wait_until_served()
    second = serve("--port", first.url.rpartition(":")[2], more=HANGS)
    code, out, err = second.end()
    assert (code, out) == (1, "")
    assert "[H201] AddressUnusable" in err and "Address already in use" in err
    first.process.send_signal(signal.SIGTERM)
    assert first.end()[0] == 0


@pytest.mark.slow
def test_tls(serve: Callable[..., Host], tmp_path: Path) -> None:
    """With a certificate and its key; without them there is no host."""
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run([*made, *subject], cwd=tmp_path, check=True, capture_output=True)
    host = serve("--certfile", "cert.pem", "--keyfile", "key.pem").wait_until_served()
    assert host.url.startswith("https://")
    trust = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    assert host.get("/quick", verify=trust).json() == "quick"
    host.process.send_signal(signal.SIGTERM)
    assert host.end()[0] == 0
    code, _, err = serve("--certfile", "missing.pem").end()
    assert code == 1
    assert "[H202] CertificateUnusable" in err


def test_a_unix_socket(serve: Callable[..., Host], tmp_path: Path) -> None:
    """In place of a port; it is removed at the end."""
    host = serve("--uds", "host.sock")
    host.wait_for("serving on unix:host.sock")
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(tmp_path / "host.sock"))) as client:
        assert client.get("http://host/quick").json() == "quick"
    host.process.send_signal(signal.SIGTERM)
    assert host.end()[0] == 0
    assert not (tmp_path / "host.sock").exists()


def test_options_that_contradict_each_other(serve: Callable[..., Host]) -> None:
    """A mistake in the command line is one."""
    code, _, err = serve("--keyfile", "key.pem").end()
    assert code == 2
    assert "keyfile needs certfile" in err


def test_settings_that_are_refused(serve: Callable[..., Host], monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel says which one, and nothing is served with another."""
    monkeypatch.setenv("OBJECTKERNEL_PLUGINS__HTTP__PORT", "many")
    code, _, err = serve().end()
    assert code == 1
    assert "OBJECTKERNEL_PLUGINS__HTTP__PORT" in err


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_five_hundred_that_run_finish(serve: Callable[..., Host], number: int) -> None:
    """Each on a connection of its own: none is cut, a new one is refused while they run, the exit code is 0."""
    host = serve().wait_until_served()
    count = 500
    port = int(host.url.rpartition(":")[2])
    request = b"GET /slow/4 HTTP/1.1\r\nHost: a\r\n\r\n"
    with ExitStack() as stack:
        connections = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(count)]
        for connection in connections:
            connection.sendall(request)
        for _ in range(count):
            host.wait_for("asked")
        host.process.send_signal(number)
        host.until_refused()
        assert host.process.poll() is None
        answers = [read_all(connection) for connection in connections]
    assert {(answer[:12], answer[-8:]) for answer in answers} == {(b"HTTP/1.1 200", b'\r\n"slow"')}
    assert host.end() == (0, "stopped\n", "")


def read_all(connection: socket.socket) -> bytes:
    """What comes until the other end closes."""
    connection.settimeout(60)
    return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize("log_format", ["auto", pytest.param("console", marks=pytest.mark.slow)])
def test_the_log_has_a_line_for_each_request(
    serve: Callable[..., Host], monkeypatch: pytest.MonkeyPatch, log_format: str
) -> None:
    """As JSON where nobody sits before it; what is printed for people stays on standard output."""
    monkeypatch.setenv("OBJECTKERNEL_PLUGINS__HTTP__ACCESS_LOG", "true")
    monkeypatch.setenv("OBJECTKERNEL_PLUGINS__HTTP__LOG_FORMAT", log_format)
    host = serve().wait_until_served()
    id = host.get("/quick?token=hunter2", headers={"Authorization": "Bearer hunter3"}).headers["x-request-id"]
    host.process.send_signal(signal.SIGTERM)
    code, out, err = host.end()
    assert (code, out) == (0, "stopped\n")
    assert "hunter" not in err
    (line,) = err.splitlines()
    if log_format == "auto":
        told = json.loads(line)
        assert (told["request_id"], told["route"], told["status"], told["bytes"]) == (id, "/quick", 200, 7)
    else:
        assert "GET /quick 200" in line
        assert line.endswith(f"[request_id={id}]")
