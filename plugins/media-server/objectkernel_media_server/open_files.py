"""Files that are kept open for a little while: who plays a recording asks for one range after the other."""

from __future__ import annotations

import asyncio
import os
import stat
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Final, TypeAlias

import attrs

Place: TypeAlias = tuple[str, str]
"""Bucket and key."""
MOST: Final = 64
"""Files that are kept open; the one that was used longest ago goes first."""
IDLE: Final = 5.0
"""Seconds that one is kept for which nobody uses."""
READ: Final = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


@attrs.define(eq=False)
class OpenFile:
    """A file that is open.

    Attributes:
        users: those who read it at this moment; it is not closed before they are done.
        kept: others may find it.
        since: when the last of its users was done, on the event loop's clock.
    """

    fd: int
    users: int = 1
    kept: bool = False
    since: float = 0.0


class OpenFiles:
    """The files of one store. Only the event loop's own thread calls this; nothing here waits for a disk.

    A file that has no name any more is found by nobody: what was removed, by whichever process, is not read again.
    What nobody uses is closed by a timer of asyncio; on another event loop nothing is kept.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[Place, OpenFile] = OrderedDict()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = False

    def take(self, place: Place) -> OpenFile | None:
        """One that is open already, with one more user; None: it has to be opened."""
        found = self._kept.get(place)
        if found is None:
            return None
        if not os.fstat(found.fd).st_nlink:
            self.drop(place)
            return None
        found.users += 1
        self._kept.move_to_end(place)
        return found

    def add(self, place: Place, fd: int) -> OpenFile:
        """One that was just opened, with its first user."""
        made = OpenFile(fd)
        loop = _running_loop()
        if loop is None or self._ended or place in self._kept:
            return made
        made.kept = True
        self._kept[place] = made
        if len(self._kept) > MOST:
            self.drop(next(iter(self._kept)))
        if self._loop is not loop:
            self._loop = loop
            loop.call_later(IDLE, self._sweep, loop)
        return made

    def release(self, file: OpenFile) -> None:
        """A user is done."""
        file.users -= 1
        if not file.users:
            if not file.kept:
                close_soon((file.fd,))
            elif self._loop is not None:
                file.since = self._loop.time()

    def drop(self, place: Place) -> None:
        """Let nobody find it any more, and close it when its last user is done."""
        found = self._kept.pop(place, None)
        if found is not None:
            found.kept = False
            if not found.users:
                close_soon((found.fd,))

    def end(self) -> None:
        """Keep nothing any more."""
        self._ended = True
        for place in list(self._kept):
            self.drop(place)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close what nobody uses; called until nothing is kept."""
        if self._loop is not loop:
            return
        late = loop.time() - IDLE
        for place in [place for place, file in self._kept.items() if not file.users and file.since <= late]:
            self.drop(place)
        if self._kept:
            loop.call_later(IDLE, self._sweep, loop)
        else:
            self._loop = None


class Opening:
    """Opens one file in a worker thread; one that nobody waits for any more is closed again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1
        self._given_up = False
        self._lock = Lock()

    def run(self) -> int:
        """The descriptor; -1 where there is no such file."""
        try:
            fd = os.open(self._path, READ)
        except (FileNotFoundError, NotADirectoryError):
            return -1
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            return -1
        with self._lock:
            if not self._given_up:
                self._fd = fd
                return fd
        os.close(fd)
        return -1

    def give_up(self) -> None:
        """Nobody waits for it."""
        with self._lock:
            self._given_up = True
            fd, self._fd = self._fd, -1
        if fd >= 0:
            close_soon((fd,))


def close_soon(fds: Iterable[int]) -> None:
    """Close files, in a worker thread of asyncio: the last one to close a file that has no name frees its room."""
    loop = _running_loop()
    if loop is None:
        _close(fds)
    else:
        loop.run_in_executor(None, _close, fds)


def _close(fds: Iterable[int]) -> None:
    for fd in fds:
        with suppress(OSError):
            os.close(fd)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
