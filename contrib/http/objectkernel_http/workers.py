"""Several processes on one socket: each is the same command line again, with a kernel of its own."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import anyio
import attrs

if TYPE_CHECKING:
    from anyio.abc import Process, TaskStatus

LOG: Final = logging.getLogger("objectkernel.http")
VARIABLE: Final = "OBJECTKERNEL_HTTP_WORKER"
"""In a worker's environment: the numbers of the descriptors that it was given."""
READY: Final = b"r"
PAUSE: Final = 1.0
"""Seconds before a worker that has ended is started again."""


@attrs.frozen
class Inherited:
    """What a worker has of its parent.

    Attributes:
        listener: the socket that all workers accept from.
        link: tells the parent that this worker serves; its end tells the worker that the parent is gone.
    """

    listener: socket.socket
    link: socket.socket

    def tell_ready(self) -> None:
        """Say that requests are answered."""
        with suppress(OSError):  # the parent is gone, which `parent_gone` tells
            self.link.send(READY)

    async def parent_gone(self) -> None:
        """Wait for the end of the parent."""
        await anyio.wait_readable(self.link)


def inherited() -> Inherited | None:
    """What this process was given; None: it is no worker."""
    told = os.environ.pop(VARIABLE, None)
    if told is None:
        return None
    listener, link = (socket.socket(fileno=int(number)) for number in told.split(","))
    return Inherited(listener, link)


def supervise(count: int, listener: socket.socket, ready: Callable[[], None]) -> int:
    """Run as many workers until SIGINT or SIGTERM, and return the exit code.

    The first one is started alone, so that a change of a database is made once. One that ends is started again; one
    that ends before it ever served ends them all, with its exit code. Signals are passed on: the first one lets what
    runs finish, a second one cancels it.

    Args:
        ready: called when all of them serve.

    Raises:
        KeyboardInterrupt: a second signal came, or the first one before all of them served.
    """

    async def main() -> int:
        return await _Supervisor(count, listener, ready).run()

    return anyio.run(main)


class _Supervisor:
    def __init__(self, count: int, listener: socket.socket, ready: Callable[[], None]) -> None:
        self._count = count
        self._listener = listener
        self._ready = ready
        self._running: set[Process] = set()
        self._serving = False
        self._stopping: bool = False
        self._cut_short = False
        self._code = 0

    async def run(self) -> int:
        async with anyio.create_task_group() as listening:
            await listening.start(self._listen)
            async with anyio.create_task_group() as workers:
                for _ in range(self._count):
                    up = anyio.Event()
                    workers.start_soon(self._keep, up)
                    await up.wait()
                    if self._stopping:
                        break
                if not self._stopping:
                    self._serving = True
                    self._ready()
            listening.cancel_scope.cancel()
        if self._cut_short:
            raise KeyboardInterrupt
        return self._code

    async def _keep(self, up: anyio.Event) -> None:
        """One worker, and whoever takes its place; `up` is set when it serves, or never will."""
        try:
            while not self._stopping:
                served, code = await self._life(up)
                if self._stopping:
                    self._code = max(self._code, code) if served else self._code  # else its boot was ended by the stop
                    return
                if not served:
                    self._code = max(1, code)
                    self._stop()
                    return
                LOG.warning("a worker ended with %s; another one is started", code)
                await anyio.sleep(PAUSE)
        finally:
            up.set()

    async def _life(self, up: anyio.Event) -> tuple[bool, int]:
        """One process: whether it ever served, and its exit code."""
        link, other = socket.socketpair()
        with link:
            with other:
                numbers = (self._listener.fileno(), other.fileno())
                process = await anyio.open_process(
                    [sys.executable, *sys.orig_argv[1:]],
                    stdin=None,
                    stdout=None,
                    stderr=None,
                    env={**os.environ, VARIABLE: ",".join(map(str, numbers))},
                    pass_fds=numbers,
                    start_new_session=True,  # a terminal's Ctrl-C is for the parent, which passes it on once
                )
            self._running.add(process)
            try:
                if self._stopping:
                    process.terminate()
                await anyio.wait_readable(link)
                served = link.recv(1) == READY
                if served:
                    up.set()
                return served, await process.wait()
            finally:
                self._running.discard(process)

    def _stop(self) -> None:
        self._stopping = True
        self._listener.close()  # else connections would wait for nobody
        for process in self._running:
            with suppress(ProcessLookupError):
                process.terminate()

    async def _listen(self, *, task_status: TaskStatus[None]) -> None:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for _ in signals:
                self._cut_short = self._stopping or not self._serving
                self._stop()
