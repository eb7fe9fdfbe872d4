"""Objects that come in several goes, as part files: `contracts.Resumable` of a folder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncGenerator, AsyncIterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import anyio
import attrs

from objectkernel_media_server.errors import StorageUnavailable
from objectkernel_media_server.folder_store import LISTED, FolderStore, stored
from objectkernel_media_server.keys import check_bucket
from objectkernel_media_server.overlapping import Overlapping
from objectkernel_media_server.part_files import PartFile, copy_beginning, hash_of, remove
from objectkernel_media_server.part_names import earlier_tokens, new_token, next_token, read_part_name
from objectkernel_media_server.pieces import Gathering
from objectkernel_media_server.running_hashes import RunningHash, RunningHashes
from objectkernel_media_server.storage_contracts import AppendStopped, StoredObject
from objectkernel_media_server.store_failures import exists, incomplete, missing


class FolderUploads(FolderStore):
    """A folder that takes an object in several goes. A token stands for one part file."""

    def __init__(self, root: Path, *, fsync: bool = True) -> None:
        super().__init__(root, fsync=fsync)
        self._hashes: RunningHashes[RunningHash] = RunningHashes()

    async def begin(self, bucket: str, key: str, *, content_type: str = "") -> str:
        """See `contracts.Resumable.begin`."""
        token = new_token()
        part = PartFile(self._folders, self._part(bucket, key, token), 0, None, new=True)
        try:
            await self._run(part.close)
            await self._run(self._folders.sync, part.path.parent)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._run(part.discard)
            raise
        return token

    async def append(
        self, bucket: str, key: str, token: str, offset: int, body: AsyncIterable[bytes]
    ) -> tuple[str, int]:
        """See `contracts.Resumable.append`; the token stays the same. The epochs before it are removed."""
        path = self._part(bucket, key, token)
        part = PartFile(
            self._folders, path, offset, lambda stamp: self._hashes.of(_name(path, offset, stamp)), new=False
        )
        gathering = Gathering(body)
        writing = Overlapping(gathering, lambda batch: self._run(part.write, batch))
        failure: BaseException | None = None
        try:
            for earlier in earlier_tokens(token):
                await self._run(remove, self._part(bucket, key, earlier))
            await writing.run()
            failure = writing.failure or gathering.error
            with anyio.CancelScope(shield=True):
                await self._run(part.close, writing.rest)
        except BaseException as error:
            failure = error
            with anyio.CancelScope(shield=True), contextlib.suppress(StorageUnavailable):
                await self._run(part.close, writing.rest)
        if part.sha256 is not None and part.durable == part.offset:
            self._hashes.keep(_name(path, part.offset, part.stamp), part.sha256)
        if failure is None:
            return token, part.durable
        if failure is not gathering.error and part.durable == offset:
            if isinstance(failure.__cause__, FileNotFoundError):
                await self._run(self._folders.found)
                raise missing(bucket, key) from None
            raise failure
        raise AppendStopped(token, part.durable) from failure

    async def fence(self, bucket: str, key: str, token: str, offset: int) -> str:
        """See `contracts.Resumable.fence`: a copy, which shares its blocks where the file system can do that."""
        path = self._part(bucket, key, token)
        try:
            return await self._run(self._fenced, bucket, key, path, token, offset)
        except StorageUnavailable as error:
            if isinstance(error.__cause__, FileNotFoundError):
                await self._run(self._folders.found)
                raise missing(bucket, key) from None
            raise

    async def finish(self, bucket: str, key: str, token: str, size: int) -> StoredObject:
        """See `contracts.Resumable.finish`."""
        target = self._object(bucket, key)
        path = self._part(bucket, key, token)
        return await self._run(self._finished, path, target, bucket, key, token, size)

    async def abort(self, bucket: str, key: str, token: str) -> None:
        """See `contracts.Resumable.abort`."""
        for one in (*earlier_tokens(token), token):
            path = self._part(bucket, key, one)
            await self._run(remove, path)

    async def unfinished(self, bucket: str) -> AsyncGenerator[tuple[str, str, datetime]]:
        """See `contracts.Resumable.unfinished`. What `put_stream` writes just now is among them, and what it left."""
        check_bucket(bucket)
        await self._run(self._folders.found)
        found = _begun(self._parts(bucket))
        while some := await self._run(lambda: list(islice(found, LISTED))):
            for one in some:
                yield one

    async def aclose(self) -> None:
        """Forget the running hashes, and let the threads go."""
        self._hashes.clear()
        await super().aclose()

    def _fenced(self, bucket: str, key: str, path: Path, token: str, offset: int) -> str:
        while True:
            token = next_token(token)
            try:
                copy_beginning(path, self._part(bucket, key, token), offset, fsync=self._folders.fsync)
            except FileExistsError:  # an attempt before this one
                continue
            self._folders.sync(path.parent)
            return token

    def _finished(self, path: Path, target: Path, bucket: str, key: str, token: str, size: int) -> StoredObject:
        try:
            found = os.stat(path)
        except FileNotFoundError:  # done before, or begun never
            return self._done_before(target, bucket, key, size)
        if found.st_size < size:
            raise incomplete(found.st_size, size)
        running = self._hashes.of(_name(path, size, found.st_mtime_ns))
        if found.st_size > size:
            part = PartFile(self._folders, path, size, None, new=False)
            part.close()
        digest = _digest(running) or hash_of(path, size)
        if not self._folders.publish(path, target):
            if not os.path.samefile(path, target) and (
                os.stat(target).st_size != size or hash_of(target, size) != digest
            ):
                raise exists(bucket, key)
            remove(path)
        for earlier in earlier_tokens(token):
            remove(self._part(bucket, key, earlier))
        done = stored(target, bucket, key, digest)
        if done is None:
            raise missing(bucket, key)
        return done

    def _done_before(self, target: Path, bucket: str, key: str, size: int) -> StoredObject:
        done = stored(target, bucket, key)
        if done is None:
            self._folders.found()
            raise missing(bucket, key)
        if done.size != size:
            raise exists(bucket, key)
        return attrs.evolve(done, sha256=hash_of(target, size))


def _digest(running: RunningHash | None) -> str | None:
    """What was hashed beside; None: nothing was, or not to the end, as where there was no memory left."""
    if running is None:
        return None
    with contextlib.suppress(Exception):
        return running.hexdigest()
    return None


def _name(path: Path, size: int, stamp: int | None) -> str:
    """What the hash of a part file's first bytes is kept under: of no use when another process has written since."""
    return f"{path}@{size}@{stamp}"


def _begun(folder: Path) -> Iterator[tuple[str, str, datetime]]:
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            named = read_part_name(entry.name)
            with contextlib.suppress(FileNotFoundError):  # removed just now
                if named is not None:
                    yield (*named, datetime.fromtimestamp(entry.stat(follow_symlinks=False).st_mtime, UTC))
