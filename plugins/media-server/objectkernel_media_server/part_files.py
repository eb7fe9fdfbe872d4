"""Files that grow and then become objects: what worker threads do, step by step. Nothing here knows an event loop."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Final

from objectkernel_media_server.folders import Folders
from objectkernel_media_server.pieces import MIB
from objectkernel_media_server.running_hashes import RunningHash
from objectkernel_media_server.store_failures import incomplete

_VECTOR: Final = 512
"""How many pieces one system call may be given; Linux takes 1024."""
_FLAGS: Final = os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


class PartFile:
    """A file that is written at its end. Its first step opens it.

    A step that runs while its task is cancelled by force goes on in its thread; the next waits for it.

    Args:
        offset: how many bytes it has; what lies behind is dropped.
        known: finds the hash of those by the file's stamp; it stays as it is. None: there is none.

    Attributes:
        offset: behind the last byte that was written.
        durable: behind the last byte that stays; as `offset` once it is closed, if the disk does not fail at that.
        sha256: of all bytes before `offset`; None where they were not all written through one running hash.
        stamp: when the file was written last, once it is closed; as long as it is that, nobody else has written.
        digest: `sha256` in hexadecimal, of what is an object.
    """

    def __init__(
        self,
        folders: Folders,
        path: Path,
        offset: int,
        known: Callable[[int], RunningHash | None] | None,
        *,
        new: bool,
    ) -> None:
        self.path = path
        self.offset = offset
        self.durable = offset
        self.sha256: RunningHash | None = None
        self.stamp: int | None = None
        self.digest: str | None = None
        self._folders = folders
        self._known = known
        self._new = new
        self._fd = -1
        self._done = False
        self._lock = Lock()
        self._object: Path | None = None

    def write(self, batch: Sequence[bytes]) -> None:
        """Write and hash; where the disk is full `offset` tells what it took, and there is no hash any more."""
        with self._lock:
            self._write(batch)
            if self.sha256 is not None:
                self.sha256.keep_up()

    def close(self, batch: Sequence[bytes] = ()) -> None:
        """Write the last of it, put everything on the disk, and close.

        Where the disk is full, what it took before is put on it too.
        """
        with self._lock:
            if self._done:
                return
            try:
                try:
                    self._write(batch)
                finally:
                    if self._fd >= 0:
                        self.stamp = self._stamped()
                        if self._folders.fsync:
                            os.fsync(self._fd)
                        self.durable = self.offset
            finally:
                self._let_go()

    def publish(self, batch: Sequence[bytes], target: Path) -> bool:
        """Write the last of it and make it an object; see `Folders.publish`."""
        self.close(batch)
        with self._lock:
            self.digest = None if self.sha256 is None else self.sha256.hexdigest()
            published = self._folders.publish(self.path, target)
            self._object = target if published else None
        return published

    def discard(self) -> None:
        """Leave nothing, neither of the file nor of the object that it has become."""
        with self._lock:
            self._let_go()
            remove(self.path)
            if self._object is not None:
                remove(self._object)

    def _stamped(self) -> int:
        """Give the file a time that no other writer gives it: the system's own is the same for some milliseconds."""
        now = time.time_ns()
        os.utime(self._fd if os.utime in os.supports_fd else self.path, ns=(now, now))
        return os.fstat(self._fd).st_mtime_ns

    def _open(self) -> None:
        if self._done:
            raise RuntimeError("this part file is closed")
        if self._new:
            self._folders.make(self.path.parent)
        self._fd = os.open(self.path, _FLAGS | (os.O_CREAT | os.O_EXCL if self._new else 0), 0o640)
        found = os.fstat(self._fd)
        if found.st_size < self.offset:
            raise incomplete(found.st_size, self.offset)
        if found.st_size > self.offset:
            os.ftruncate(self._fd, self.offset)
        os.lseek(self._fd, self.offset, os.SEEK_SET)
        before = self._known(found.st_mtime_ns) if self._known is not None else None
        if before is not None or not self.offset:
            self.sha256 = RunningHash(self._folders.hashing, before)

    def _write(self, batch: Sequence[bytes]) -> None:
        """Write, while another thread hashes; that one may be some batches behind."""
        if self._fd < 0:
            self._open()
        sha256, self.sha256 = self.sha256, None  # until everything is written
        if sha256 is not None:
            sha256.update(batch)
        for begin in range(0, len(batch), _VECTOR):
            self._write_some(batch[begin : begin + _VECTOR])
        self.sha256 = sha256

    def _write_some(self, some: Sequence[bytes]) -> None:
        written = os.writev(self._fd, some) if hasattr(os, "writev") else os.write(self._fd, some[0])
        self.offset += written
        if written == sum(map(len, some)):
            return
        rest = memoryview(b"".join(some))[written:]
        while rest:
            written = os.write(self._fd, rest)
            self.offset += written
            rest = rest[written:]

    def _let_go(self) -> None:
        self._done = True
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)


def remove(path: Path) -> bool:
    """Remove a file; whether there was one."""
    try:
        os.unlink(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def copy_beginning(source: Path, target: Path, size: int, *, fsync: bool) -> None:
    """Make `target`, which must not be there, of the first `size` bytes of `source`; without reading them if it can be.

    Raises:
        UploadIncomplete: there are fewer.
    """
    with source.open("rb", buffering=0) as old, target.open("xb", buffering=0) as new:
        try:
            left = size
            while left:
                count = _copied(old.fileno(), new.fileno(), left)
                if not count:
                    raise incomplete(size - left, size)
                left -= count
            if fsync:
                os.fsync(new.fileno())
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(target)
            raise


def _copied(source: int, target: int, most: int) -> int:
    """Copy some bytes from where one file is to where the other is; how many."""
    if hasattr(os, "copy_file_range"):
        with contextlib.suppress(OSError):  # not within every file system; a full disk is met again below
            return os.copy_file_range(source, target, min(most, 1024 * MIB))
    piece = os.read(source, min(most, MIB))
    view = memoryview(piece)
    while view:
        view = view[os.write(target, view) :]
    return len(piece)


def hash_of(path: Path, size: int) -> str:
    """SHA-256 of the first `size` bytes, in hexadecimal.

    Raises:
        UploadIncomplete: there are fewer.
    """
    sha256 = hashlib.sha256()
    left = size
    buffer = memoryview(bytearray(min(MIB, max(size, 1))))
    with path.open("rb", buffering=0) as file:
        while left:
            count = file.readinto(buffer[: min(left, len(buffer))])
            if not count:
                raise incomplete(size - left, size)
            sha256.update(buffer[:count])
            left -= count
    return sha256.hexdigest()
