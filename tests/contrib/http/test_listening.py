"""The socket that a host listens on."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from objectkernel_http.config import HttpConfig
from objectkernel_http.errors import AddressUnusable
from objectkernel_http.listening import address_of, listener


def test_a_free_port_and_its_address() -> None:
    """Port 0 is any that is free, and what people are told is the real one."""
    config = HttpConfig(port=0)
    with listener(config) as sock:
        port = sock.getsockname()[1]
        assert port > 0
        assert address_of(sock, config) == f"http://127.0.0.1:{port}"
        socket.create_connection(("127.0.0.1", port)).close()


def test_it_sends_at_once() -> None:
    """asyncio sets TCP_NODELAY only on a socket that says it is TCP's."""
    with listener(HttpConfig(port=0)) as sock:
        assert sock.proto == socket.IPPROTO_TCP


def test_addresses_of_other_kinds() -> None:
    """IPv6 stands in brackets, and TLS is told by its scheme."""
    config = HttpConfig(host="::1", port=0, certfile=Path("x.pem"))
    with listener(config) as sock:
        assert address_of(sock, config) == f"https://[::1]:{sock.getsockname()[1]}"


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid", "192.0.2.1", "a..b"])
def test_a_place_that_cannot_be_had(host: str) -> None:
    """Taken, unknown, or another machine's: what, why and which option."""
    with listener(HttpConfig(port=0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AddressUnusable) as caught, listener(HttpConfig(host=host, port=port)):
            pass
    assert caught.value.facts == {"address": f"{host}:{port}"}
    assert caught.value.why[0]
    assert "--port" in caught.value.fix


def test_a_unix_socket_is_removed_at_the_end(tmp_path: Path) -> None:
    """And one that a host left behind, which did not end in order, is in nobody's way."""
    path = tmp_path / "host.sock"
    config = HttpConfig(uds=path)
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    with listener(config) as sock:
        assert address_of(sock, config) == f"unix:{path}"
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
    assert not path.exists()


def test_a_unix_socket_that_somebody_listens_on_stays(tmp_path: Path) -> None:
    """As does a file that is no socket at all."""
    path, file = tmp_path / "host.sock", tmp_path / "file"
    file.write_text("precious")
    with listener(HttpConfig(uds=path)):
        for taken in (path, file):
            with pytest.raises(AddressUnusable), listener(HttpConfig(uds=taken)):
                pass
            assert taken.exists()
    assert file.read_text() == "precious"
