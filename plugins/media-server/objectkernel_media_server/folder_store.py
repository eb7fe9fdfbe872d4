"""Objects as files: stored whole or not at all, read in ranges.

An object is the file ``<root>/<bucket>/<key>``; what is not complete is a file in ``<root>/.uploads/<bucket>``. A file
becomes an object by a second name (`os.link`), which no file system gives where there is one already; its first name
goes then. Blocking steps run in worker threads, with a limit of their own.
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Final, TypeVar, TypeVarTuple

import anyio
from anyio import to_thread

from objectkernel_media_server.folders import PARTS, Folders
from objectkernel_media_server.keys import check_place, check_prefix
from objectkernel_media_server.open_files import READ, OpenFile, OpenFiles, Opening, Place
from objectkernel_media_server.overlapping import Overlapping
from objectkernel_media_server.part_files import PartFile, remove
from objectkernel_media_server.part_names import new_token, part_path
from objectkernel_media_server.pieces import PIECE, Gathering
from objectkernel_media_server.pinging import Pinging
from objectkernel_media_server.storage_contracts import StoredObject
from objectkernel_media_server.store_failures import exists, failure_of, incomplete, missing, surplus

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

log = logging.getLogger("objectkernel.media-server")

LISTED: Final = 500
"""So many names a step of a worker thread finds."""
_THREADS: Final = 16


class FolderStore:
    """`contracts.Storage` in the folder `root`.

    Args:
        fsync: whether what is stored is on the disk, and not only with the operating system, before it is acknowledged.
    """

    name = "filesystem"

    def __init__(self, root: Path, *, fsync: bool = True) -> None:
        self.root = root
        try:
            root.joinpath(PARTS).mkdir(mode=0o750, parents=True, exist_ok=True)
        except OSError as error:
            raise failure_of(error) from error
        self._folders = Folders(root, fsync=fsync)
        self._threads = anyio.CapacityLimiter(_THREADS)
        self._pinging = Pinging(self.name)
        self._files = OpenFiles()

    async def put_stream(
        self, bucket: str, key: str, body: AsyncIterable[bytes], *, size: int | None = None, content_type: str = ""
    ) -> StoredObject:
        """See `contracts.Storage.put_stream`; the type is the row's alone."""
        target = self._object(bucket, key)
        part = PartFile(self._folders, self._part(bucket, key, new_token()), 0, None, new=True)
        gathering = Gathering(body)

        def check(last: bool) -> None:
            if gathering.error is None and size is not None and gathering.total > size:
                raise surplus(size)
            if gathering.error is None and size is not None and last and gathering.total < size:
                raise incomplete(gathering.total, size)

        writing = Overlapping(gathering, lambda batch: self._run(part.write, batch))
        try:
            await writing.run(check)
            failure = writing.failure or gathering.error
            if failure is not None:
                raise failure
            if not await self._run(part.publish, writing.rest, target):
                raise exists(bucket, key)
            return StoredObject(
                bucket=bucket, key=key, size=part.offset, modified_at=datetime.now(UTC), sha256=part.digest
            )
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._run(part.discard)
            raise

    @asynccontextmanager
    async def open_range(
        self, bucket: str, key: str, start: int = 0, length: int | None = None
    ) -> AsyncGenerator[AsyncIterator[bytes]]:
        """See `contracts.Storage.open_range`."""
        file = _Reading(self._object(bucket, key))
        try:
            first = await self._run(file.begin, start, PIECE if length is None else min(length, PIECE), length)
            if first is None:
                await self._run(self._folders.found)
                raise missing(bucket, key)
            async with aclosing(self._pieces(file, first, start, length)) as pieces:
                yield pieces
        finally:
            if file.is_open:
                with anyio.CancelScope(shield=True):
                    await self._run(file.close)

    def open_file(self, bucket: str, key: str) -> AbstractAsyncContextManager[int]:
        """See `storage_contracts.OpensFiles.open_file`; one that was read a moment ago is open still."""
        return _Reader(self, (bucket, key))

    async def head(self, bucket: str, key: str) -> StoredObject | None:
        """See `contracts.Storage.head`."""
        path = self._object(bucket, key)
        return await self._run(self._known, lambda: stored(path, bucket, key))

    async def delete(self, bucket: str, key: str) -> bool:
        """See `contracts.Storage.delete`; folders that are empty then go too."""
        path = self._object(bucket, key)
        self._files.drop((bucket, key))
        return await self._run(self._remove, path, self.root / bucket)

    async def list(self, bucket: str, prefix: str = "") -> AsyncGenerator[StoredObject]:
        """See `contracts.Storage.list`."""
        check_prefix(bucket, prefix)
        await self._run(self._folders.found)
        found = _walk(self.root / bucket, bucket, "", prefix)
        while some := await self._run(lambda: list(islice(found, LISTED))):
            for one in some:
                yield one

    async def ping(self) -> None:
        """See `contracts.Storage.ping`."""
        try:
            await self._pinging.ask(self._folders.found)
        except OSError as error:
            raise failure_of(error) from error

    async def aclose(self) -> None:
        """Let the threads go that hash, and close files that nobody reads."""
        self._files.end()
        self._folders.hashing.shutdown(wait=False)

    def _object(self, bucket: str, key: str) -> Path:
        check_place(bucket, key)
        return self.root.joinpath(bucket, *key.split("/"))

    def _parts(self, bucket: str) -> Path:
        return self.root / PARTS / bucket

    def _part(self, bucket: str, key: str, token: str) -> Path:
        check_place(bucket, key)
        path = part_path(self._parts(bucket), key, token)
        if path is None:
            raise missing(bucket, key)
        return path

    async def _run(self, step: Callable[[*Ts], T], *args: *Ts) -> T:
        try:
            return await to_thread.run_sync(step, *args, limiter=self._threads)
        except OSError as error:
            raise failure_of(error) from error

    def _known(self, look: Callable[[], T]) -> T:
        """What `look` finds; where it finds nothing, the store itself has to be there."""
        found = look()
        if not found:
            self._folders.found()
        return found

    async def _pieces(self, file: _Reading, piece: bytes, start: int, length: int | None) -> AsyncGenerator[bytes]:
        left = length
        while piece:
            yield piece
            start += len(piece)
            left = None if left is None else left - len(piece)
            most = PIECE if left is None else min(left, PIECE)
            piece = await self._run(file.read, start, most) if most else b""

    async def _opened(self, place: Place) -> OpenFile:
        """A file with one more user: it is open already, or a thread opens it.

        Raises:
            ObjectMissing: there is none.
        """
        found = self._files.take(place)
        if found is not None:
            return found
        opening = Opening(self._object(*place))
        try:
            fd = await self._run(opening.run)
        except BaseException:
            opening.give_up()
            raise
        if fd < 0:
            await self._run(self._folders.found)
            log.warning("%s/%s was to be read, and is not there", *place)
            raise missing(*place)
        return self._files.add(place, fd)

    def _remove(self, path: Path, end: Path) -> bool:
        removed = self._known(lambda: remove(path))
        if removed:
            with contextlib.suppress(FileNotFoundError):  # removed with its last object just now
                self._folders.sync(path.parent)
            self._folders.prune(path.parent, end)
        return removed


class _Reader:
    """Somebody who reads a file by its descriptor."""

    def __init__(self, store: FolderStore, place: Place) -> None:
        self._store = store
        self._place = place
        self._file: OpenFile | None = None

    async def __aenter__(self) -> int:
        self._file = await self._store._opened(self._place)
        return self._file.fd

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._store._files.release(self._file)
            self._file = None


class _Reading:
    """An object that is read; as in `PartFile`, closing waits for a read that nobody waits for any more.

    Attributes:
        is_open: it has to be closed, or may have to be; a step that nobody waited for may open it still.
    """

    def __init__(self, path: Path) -> None:
        self.is_open = True
        self._path = path
        self._fd = -1
        self._done = False
        self._lock = Lock()

    def begin(self, start: int, most: int, length: int | None) -> bytes | None:
        """Open, and read the first piece; None where there is no such file. What is all in one piece is closed again:
        the way to a thread and back costs more than the rest.
        """
        with self._lock:
            if self._done:
                return None
            try:
                self._fd = os.open(self._path, READ)
            except (FileNotFoundError, NotADirectoryError):
                self._close()
                return None
            if not stat.S_ISREG(os.fstat(self._fd).st_mode):
                self._close()
                return None
            first = self._read(start, most)
            if len(first) == length or not first:
                self._close()
            return first

    def read(self, start: int, most: int) -> bytes:
        with self._lock:
            return self._read(start, most)

    def close(self) -> None:
        with self._lock:
            self._close()

    def _read(self, start: int, most: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self._fd, most, start)
        os.lseek(self._fd, start, os.SEEK_SET)
        return os.read(self._fd, most)

    def _close(self) -> None:
        self._done = True
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)
        self.is_open = False


def stored(path: Path, bucket: str, key: str, sha256: str | None = None) -> StoredObject | None:
    """What the file system knows of an object."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return _described(found, bucket, key, sha256) if stat.S_ISREG(found.st_mode) else None


def _described(found: os.stat_result, bucket: str, key: str, sha256: str | None = None) -> StoredObject:
    modified_at = datetime.fromtimestamp(found.st_mtime, UTC)
    return StoredObject(bucket=bucket, key=key, size=found.st_size, modified_at=modified_at, sha256=sha256)


def _walk(folder: Path, bucket: str, above: str, prefix: str) -> Iterator[StoredObject]:
    """The objects below a folder; folders that the prefix rules out are not opened."""
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return
    for entry in entries:
        key = above + entry.name
        if entry.is_dir(follow_symlinks=False):
            if f"{key}/".startswith(prefix) or prefix.startswith(f"{key}/"):
                yield from _walk(Path(entry.path), bucket, f"{key}/", prefix)
        elif entry.is_file(follow_symlinks=False) and key.startswith(prefix):
            with contextlib.suppress(FileNotFoundError):  # removed just now
                yield _described(entry.stat(follow_symlinks=False), bucket, key)
