"""Accepting connections, as many as there are descriptors for, and refusing the rest with a word.

Event loops accept until no descriptor is left, and what has come before them can open no file any more; asyncio's own
then does little else than log. Here some are kept for the files and databases that requests need.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import os
import socket
from abc import abstractmethod
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from objectkernel_http.problems import problem

if TYPE_CHECKING:
    import ssl

LOG: Final = logging.getLogger("objectkernel.http")
AT_ONCE: Final = 100
"""Connections that are accepted before the event loop does something else."""
KEPT: Final = 256
"""Descriptors that no connection gets; of a few, every fourth."""
READ: Final = 64 * 2**10
"""Bytes that are read of a request which is refused: unread ones would cut off the answer."""
QUIET: Final = 10.0
"""Seconds between two lines of the log about connections that are refused."""
PAUSE: Final = 0.1
"""Seconds without accepting, where others may have room, or not even one descriptor can be had to refuse with."""
NO_ROOM: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Ending(asyncio.Protocol):
    """A protocol that can be told to end."""

    @abstractmethod
    def shutdown(self) -> None:
        """End the connection when what it answers has been answered."""


class Accepting:
    """Accepts what comes to a socket that listens, until it is closed; in the place of an `asyncio.Server`.

    A system gives the lowest descriptor that is free: so the number of a new one tells how many are in use.

    Args:
        make: a protocol for each connection.
        tls: what connections are encrypted with.
        shared: other processes accept from it too. Then one connection is taken at a time, so that one process does
            not get all of those that come together while the others have nothing to do; and none is refused where
            there is no room, but left to the others.
    """

    def __init__(
        self,
        sock: socket.socket,
        make: Callable[[], Ending],
        tls: ssl.SSLContext | None = None,
        *,
        shared: bool = False,
    ) -> None:
        self._sock = sock
        self._make = make
        self._tls = tls
        self._shared = shared
        self._at_once = 1 if shared else AT_ONCE
        self._loop = asyncio.get_running_loop()
        self._most = first_kept()
        self._spare = _spare()
        self._beginning: set[asyncio.Task[Any]] = set()
        self._resuming: asyncio.TimerHandle | None = None
        self._refused = 0
        self._is_closed = False
        self._quiet_until = 0.0
        sock.setblocking(False)
        self._resume()

    def close(self) -> None:
        """Accept no more; connections that are there stay."""
        if self._resuming is not None:
            self._resuming.cancel()
        with suppress(ValueError):  # it was closed before
            self._loop.remove_reader(self._sock)
        self._sock.close()
        self._is_closed = True
        _close(self._spare)
        self._spare = -1

    async def wait_closed(self) -> None:
        """Wait for nothing: that has happened."""

    def _resume(self) -> None:
        self._resuming = None
        self._loop.add_reader(self._sock, self._accept)

    def _accept(self) -> None:
        """Take those that wait; another process may have been quicker."""
        for _ in range(self._at_once):
            if self._shared and not self._has_room():
                self._pause("they are left to the other processes")
                return
            try:
                connection, _ = self._sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno not in NO_ROOM:  # of the connection, which has gone
                    continue
                self._refuse_without_room(error)
                return
            if connection.fileno() < self._most:
                task = self._loop.create_task(self._begin(connection))
                self._beginning.add(task)
                task.add_done_callback(self._beginning.discard)
            else:
                self._refuse(connection)

    async def _begin(self, connection: socket.socket) -> None:
        with suppress(OSError):  # the client has gone, or speaks no TLS
            _, protocol = await self._loop.connect_accepted_socket(self._make, connection, ssl=self._tls)
            if self._is_closed:  # those that were there have been told to end, and nobody else tells this one
                protocol.shutdown()

    def _refuse(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.setblocking(False)
            if self._tls is None:
                connection.send(_refusal())
                connection.recv(READ)
        self._refused += 1
        self._tell(f"of {descriptors()} descriptors (ulimit -n) the last are kept for files")

    def _refuse_without_room(self, error: OSError) -> None:
        """Refuse one by the spare descriptor, or let them wait for a moment."""
        _close(self._spare)
        try:
            self._refuse(self._sock.accept()[0])
        except OSError:
            self._pause(os.strerror(error.errno or 0))
        self._spare = _spare()

    def _has_room(self) -> bool:
        """Whether the next connection would get a descriptor that is not kept."""
        try:
            next_one = os.dup(self._spare)
        except OSError:
            return False
        os.close(next_one)
        return next_one < self._most

    def _pause(self, why: str) -> None:
        """Accept nothing for a moment."""
        self._loop.remove_reader(self._sock)
        self._resuming = self._loop.call_later(PAUSE, self._resume)
        self._tell(why)

    def _tell(self, why: str) -> None:
        now = self._loop.time()
        if now >= self._quiet_until:
            self._quiet_until = now + QUIET
            LOG.error("no more connections are taken for the moment, %d were refused so far: %s", self._refused, why)


def first_kept() -> float:
    """The lowest descriptor that no connection gets, nor what it keeps for itself."""
    most = descriptors()
    return most - min(most / 4, KEPT)


def descriptors() -> float:
    """How many this process may have."""
    try:
        import resource
    except ImportError:  # Windows
        return math.inf
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return math.inf if soft == resource.RLIM_INFINITY else soft


def _refusal() -> bytes:
    status = HTTPStatus.SERVICE_UNAVAILABLE
    answer = problem(status, "the host has as many connections as it can have")
    head = [f"HTTP/1.1 {status} {status.phrase}", "Connection: close"]
    head += [f"{name.decode()}: {value.decode()}" for name, value in answer.raw_headers]
    return "\r\n".join([*head, "", ""]).encode() + bytes(answer.body)


def _spare() -> int:
    """A descriptor to be given up when there is no other; -1: there is none."""
    with suppress(OSError):
        return os.open(os.devnull, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    return -1


def _close(descriptor: int) -> None:
    if descriptor >= 0:
        os.close(descriptor)
