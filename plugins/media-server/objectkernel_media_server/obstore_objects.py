"""The store of obstore's clients: Google's and Azure's, a folder, memory.

A client is for one bucket of its provider; our buckets are folders in it. What is large is sent under another name and
copied by the provider, unless there is an object under its key: parts and a condition do not go together there. Links
are the host's own: the provider's could bind neither type nor name nor size.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from typing import Final, TypeVar

import anyio
import obstore
from anyio import to_thread
from objectkernel_contracts import NamedKey
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import ObjectStore, from_url

from objectkernel_media_server.errors import StorageFull, StorageUnavailable
from objectkernel_media_server.handing_over import HandingOver
from objectkernel_media_server.host_links import HostLinks
from objectkernel_media_server.keys import check_place, check_prefix
from objectkernel_media_server.part_names import new_token
from objectkernel_media_server.pieces import MIB, PIECE, Gathering
from objectkernel_media_server.pinging import Pinging
from objectkernel_media_server.segment_names import INTERNAL
from objectkernel_media_server.storage_contracts import StoredObject
from objectkernel_media_server.store_failures import exists, incomplete, missing, surplus

T = TypeVar("T")

PART: Final = 8 * MIB
_THREADS: Final = 32
_LISTED: Final = 500


class ObstoreObjects(HostLinks):
    """`contracts.Storage` by obstore.

    Args:
        store: one of obstore's stores, or its address: ``gs://bucket``, ``az://container``, ``file:///folder``.
            Credentials are where its library looks for them.
    """

    name = "obstore"

    def __init__(
        self,
        store: ObjectStore | str,
        signed_url_secret: str | Callable[[], Sequence[NamedKey]],
        signed_url_base_url: str,
    ) -> None:
        super().__init__(signed_url_secret, signed_url_base_url)
        self.store = from_url(store) if isinstance(store, str) else store
        self._threads = anyio.CapacityLimiter(_THREADS)
        self._pinging = Pinging(self.name)
        self._taking = anyio.CapacityLimiter(_THREADS)  # of its own: who takes must not wait for those who give

    async def put_stream(
        self, bucket: str, key: str, body: AsyncIterable[bytes], *, size: int | None = None, content_type: str = ""
    ) -> StoredObject:
        """See `contracts.Storage.put_stream`."""
        check_place(bucket, key)
        gathering = Gathering(body, PART)
        sha256 = hashlib.sha256()
        batch, last = await self._batch(gathering, sha256, size)
        if last:
            await self.put_new(f"{bucket}/{key}", b"".join(batch))
        else:
            await self._put_large(bucket, key, batch, gathering, sha256, size)
        return StoredObject(
            bucket=bucket, key=key, size=gathering.total, modified_at=datetime.now(UTC), sha256=sha256.hexdigest()
        )

    @asynccontextmanager
    async def open_range(
        self, bucket: str, key: str, start: int = 0, length: int | None = None
    ) -> AsyncGenerator[AsyncIterator[bytes]]:
        """See `contracts.Storage.open_range`."""
        found = await self.head(bucket, key)
        if found is None:
            raise missing(bucket, key)
        end = found.size if length is None else min(start + length, found.size)
        async with aclosing(self.pieces(f"{bucket}/{key}", start, end)) as pieces:
            yield pieces

    async def head(self, bucket: str, key: str) -> StoredObject | None:
        """See `contracts.Storage.head`. A provider's bucket that is not there cannot be told from an object."""
        check_place(bucket, key)
        try:
            found = await self.run(lambda: obstore.head(self.store, f"{bucket}/{key}"))
        except FileNotFoundError:
            return None
        modified_at = found["last_modified"].astimezone(UTC)
        return StoredObject(bucket=bucket, key=key, size=found["size"], modified_at=modified_at)

    async def delete(self, bucket: str, key: str) -> bool:
        """See `contracts.Storage.delete`."""
        if await self.head(bucket, key) is None:
            return False
        await self.remove(f"{bucket}/{key}")
        return True

    async def list(self, bucket: str, prefix: str = "") -> AsyncGenerator[StoredObject]:
        """See `contracts.Storage.list`."""
        check_prefix(bucket, prefix)
        async for key, size, modified_at in self.names(bucket, prefix):
            if not key.startswith(INTERNAL):
                yield StoredObject(bucket=bucket, key=key, size=size, modified_at=modified_at)

    async def ping(self) -> None:
        """See `contracts.Storage.ping`."""
        try:
            await self._pinging.ask(lambda: obstore.head(self.store, "ping"))
        except FileNotFoundError:
            return
        except (BaseError, OSError) as error:
            raise _failure(error) from error

    async def aclose(self) -> None:
        """The client closes its connections itself."""

    async def run(self, step: Callable[[], T]) -> T:
        """A blocking step of the client.

        Raises:
            FileNotFoundError, AlreadyExistsError, StorageUnavailable
        """
        try:
            return await to_thread.run_sync(step, limiter=self._threads)
        except (FileNotFoundError, AlreadyExistsError):
            raise
        except PreconditionError as error:
            raise AlreadyExistsError from error
        except (BaseError, OSError) as error:
            raise _failure(error) from error

    async def size_of(self, path: str) -> int:
        """The size of an object.

        Raises:
            FileNotFoundError: there is none.
        """
        return (await self.run(lambda: obstore.head(self.store, path)))["size"]

    async def put_new(self, path: str, content: bytes) -> None:
        """Put an object with one request, unless there is one.

        Raises:
            ObjectExists: there is one.
        """
        try:
            await self.run(lambda: obstore.put(self.store, path, content, mode="create", use_multipart=False))
        except AlreadyExistsError:
            raise exists(*path.split("/", 1)) from None

    async def put(self, path: str, content: bytes) -> None:
        """Put an object with one request, whatever was there."""
        await self.run(lambda: obstore.put(self.store, path, content, use_multipart=False))

    async def remove(self, path: str) -> None:
        """Remove an object, if it is there."""
        try:
            await self.run(lambda: obstore.delete(self.store, path))
        except FileNotFoundError:
            return

    async def names(self, bucket: str, prefix: str) -> AsyncGenerator[tuple[str, int, datetime]]:
        """Key, size and time of each object, of our own too; the client lists whole folders."""
        folder = f"{bucket}/{prefix}".rpartition("/")[0]
        found = await self.run(lambda: iter(obstore.list(self.store, folder, chunk_size=_LISTED)))
        while some := await self.run(lambda: next(found, None)):
            for one in some:
                key = one["path"].removeprefix(f"{bucket}/")
                if key.startswith(prefix):
                    yield key, one["size"], one["last_modified"].astimezone(UTC)

    async def pieces(self, path: str, start: int, end: int) -> AsyncGenerator[bytes]:
        """The bytes of an object from `start` to `end`, which it has.

        Raises:
            FileNotFoundError: there is none.
        """
        if start >= end:
            return
        chunks = await self.run(lambda: _chunks(self.store, path, start, end))
        while chunk := await self.run(lambda: next(chunks, None)):
            yield chunk

    async def _batch(
        self, gathering: Gathering, sha256: hashlib._Hash, size: int | None
    ) -> tuple[Sequence[bytes], bool]:
        batch, last = await gathering.batch()
        if gathering.error is not None:
            raise gathering.error
        if size is not None and gathering.total > size:
            raise surplus(size)
        if size is not None and last and gathering.total < size:
            raise incomplete(gathering.total, size)
        await self.run(lambda: sha256.update(b"".join(batch)))
        return batch, last

    async def _put_large(
        self,
        bucket: str,
        key: str,
        batch: Sequence[bytes],
        gathering: Gathering,
        sha256: hashlib._Hash,
        size: int | None,
    ) -> None:
        """Send under another name, piece by piece, and copy."""
        path = f"{bucket}/{INTERNAL}{key}/{new_token()}.0-put"
        way = HandingOver()
        failures: list[BaseException] = []

        def take() -> None:
            obstore.put(self.store, path, way.taken(), chunk_size=PART, max_concurrency=2, use_multipart=True)

        async def taking() -> None:
            try:
                with anyio.CancelScope(shield=True):  # it ends by what is handed over
                    await to_thread.run_sync(take, limiter=self._taking)
            except Exception as error:
                failures.append(error)
            finally:
                way.leave()

        stopped: BaseException | None = None
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(taking)
                try:
                    last = False
                    while await to_thread.run_sync(way.give, batch, limiter=self._threads) and not last:
                        batch, last = await self._batch(gathering, sha256, size)
                except BaseException as error:
                    stopped = error
                with anyio.CancelScope(shield=True):
                    await to_thread.run_sync(way.end, stopped, limiter=self._threads)
            if stopped is not None:
                raise stopped
            if failures:
                raise _failure(failures[0]) from failures[0]
            try:
                await self.run(lambda: obstore.copy(self.store, path, f"{bucket}/{key}", overwrite=False))
            except AlreadyExistsError:
                raise exists(bucket, key) from None
        finally:
            with anyio.CancelScope(shield=True):
                await self.remove(path)


def _chunks(store: ObjectStore, path: str, start: int, end: int) -> Iterator[bytes]:
    found = obstore.get(store, path, options={"range": (start, end)})

    def cut() -> Iterator[bytes]:
        for chunk in found.stream(min_chunk_size=PIECE):
            view = memoryview(chunk)
            for begin in range(0, len(view), PIECE):
                yield bytes(view[begin : begin + PIECE])

    return cut()


def _failure(error: BaseException) -> StorageUnavailable:
    reason = type(error).__name__
    if "os error 28" in str(error):
        return StorageFull("the object store has no room left", store="obstore", reason=reason)
    return StorageUnavailable(
        "the object store does not do what it was asked",
        why=reason,
        fix="see that it is there, and that its credentials are where its library looks",
        store="obstore",
        reason=reason,
    )
