"""The socket that a host listens on."""

from __future__ import annotations

import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from objectkernel_http.config import HttpConfig
from objectkernel_http.errors import AddressUnusable

BACKLOG: Final = 2048


@contextmanager
def listener(config: HttpConfig) -> Iterator[socket.socket]:
    """A socket on which connections wait from now on; a Unix socket is removed at the end.

    Raises:
        AddressUnusable: another program listens there, or this one may not.
    """
    if config.uds is None:
        with _tcp(config.host, config.port) as sock:
            yield sock
        return
    with _unix(config.uds) as sock:
        try:
            yield sock
        finally:
            config.uds.unlink(missing_ok=True)


def address_of(sock: socket.socket, config: HttpConfig) -> str:
    """Where the host is reached, for people."""
    if config.uds is not None:
        return f"unix:{config.uds}"
    host, port = sock.getsockname()[:2]
    scheme = "http" if config.certfile is None else "https"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _tcp(host: str, port: int) -> socket.socket:
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[
            0
        ]
        # asyncio sends at once (TCP_NODELAY) only where a socket says that it is TCP's
        sock = socket.socket(family, kind, socket.IPPROTO_TCP)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(address)
            sock.listen(BACKLOG)
        except BaseException:
            sock.close()
            raise
    except (OSError, UnicodeError) as error:
        fix = "stop what listens there, or choose another place with --host and --port"
        raise _unusable(f"{host}:{port}", error, fix) from None
    return sock


def _unix(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(path)
        sock.bind(str(path))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise _unusable(str(path), error, "stop what listens there, or choose another file with --uds") from None
    return sock


def _remove_stale(path: Path) -> None:
    """Remove the socket of a host that did not end in order; one that somebody listens on stays."""
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.stat().st_mode):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                try:
                    probe.connect(str(path))
                except ConnectionRefusedError:
                    path.unlink()


def _unusable(address: str, error: OSError | UnicodeError, fix: str) -> AddressUnusable:
    why = getattr(error, "strerror", None) or "it is no name of a machine"
    return AddressUnusable(f"cannot listen on {address}", why=why, fix=fix, address=address)
