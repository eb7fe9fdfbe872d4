"""What a store of blobs is: `Storage`, and the powers that not every one has.

Every operation may raise `StorageUnavailable`, `StorageFull` for writes, and `KeyRefused`. Buckets are 3 to 63 lower
case letters, digits and hyphens; keys are 1 to 200 bytes of ``[a-z0-9._/-]`` in segments that are not empty and neither
begin nor end with a dot (module `keys` has the whole rule): what every store can hold, so that objects can move. No key
is to be the beginning of another's path.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol, runtime_checkable

import attrs
from objectkernel.keys import Service


@attrs.frozen(kw_only=True)
class StoredObject:
    """An object as its store knows it.

    Attributes:
        size: in bytes.
        modified_at: when it was put.
        sha256: of its content in hexadecimal, where whoever tells has computed it.
    """

    bucket: str
    key: str
    size: int
    modified_at: datetime
    sha256: str | None = None


@attrs.frozen(kw_only=True)
class SignedUrl:
    """A link that works for a while, and for whoever has it.

    Attributes:
        headers: what a request by it must carry, beside its length.
    """

    url: str = attrs.field(repr=False)
    expires_at: datetime
    headers: Mapping[str, str] = attrs.field(factory=dict, hash=False)


@runtime_checkable
class Storage(Protocol):
    """Objects under keys in buckets. Nothing of an object is to be seen before all of it is there."""

    @property
    def name(self) -> str:
        """Which kind of store this is: ``filesystem``, ``memory``, ``s3``, …"""
        ...

    async def put_stream(
        self, bucket: str, key: str, body: AsyncIterable[bytes], *, size: int | None = None, content_type: str = ""
    ) -> StoredObject:
        """Store what `body` gives; durable when this returns, nothing left when it raises or is cancelled.

        The answer has the content's SHA-256, computed on the way.

        Args:
            size: how many bytes will come, where that is known; another number is an `UploadIncomplete`.

        Raises:
            ObjectExists: there is one under this key; it is as it was.
        """
        ...

    def open_range(
        self, bucket: str, key: str, start: int = 0, length: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Read `length` bytes from `start` on, by default all; pieces of about 1 MiB, one in memory.

        Raises:
            ObjectMissing: there is none.
        """
        ...

    async def head(self, bucket: str, key: str) -> StoredObject | None:
        """The object without its content; None where there is none."""
        ...

    async def delete(self, bucket: str, key: str) -> bool:
        """Remove an object; whether the store knows that there was one."""
        ...

    def list(self, bucket: str, prefix: str = "") -> AsyncIterator[StoredObject]:
        """Every object whose key begins with `prefix`, in no certain order. Unfinished ones are not among them."""
        ...

    async def ping(self) -> None:
        """Ask for a sign of life; raises `StorageUnavailable` when there is none."""
        ...

    async def aclose(self) -> None:
        """Let go of connections and threads."""
        ...


@runtime_checkable
class Signs(Protocol):
    """A store that gives links to its objects."""

    async def sign_get(
        self, bucket: str, key: str, *, ttl: float, content_type: str = "", filename: str | None = None
    ) -> SignedUrl:
        """A link that reads one object for `ttl` seconds.

        Args:
            content_type: what the answer shall say the object is.
            filename: what a browser shall save it as; None: it may show it.
        """
        ...

    async def sign_put(self, bucket: str, key: str, *, ttl: float, size: int, content_type: str) -> SignedUrl:
        """A link that stores one object of exactly this size and type, once."""
        ...


@runtime_checkable
class OpensFiles(Protocol):
    """A store whose objects are files of this machine, one each, so that the system can send them by itself."""

    def open_file(self, bucket: str, key: str) -> AbstractAsyncContextManager[int]:
        """The descriptor of an object's file, to be read by offset, as by ``os.sendfile``, and not to be closed.

        It is good until the end of the block, also where the object is deleted meanwhile. Others may have the same one,
        so nobody moves its position.

        Raises:
            ObjectMissing: there is none.
        """
        ...


@runtime_checkable
class Resumable(Protocol):
    """A store that takes an object in several goes. `token` is the store's own, small, and kept by the caller.

    What was appended stays until `finish` or `abort`, whatever becomes of the process.
    """

    async def begin(self, bucket: str, key: str, *, content_type: str = "") -> str:
        """Begin an object; the token under which it goes on."""
        ...

    async def append(
        self, bucket: str, key: str, token: str, offset: int, body: AsyncIterable[bytes]
    ) -> tuple[str, int]:
        """Add what `body` gives behind `offset` bytes; the token from now on, and the new offset. Durable on return.

        When `body` raises, what has come before is kept, and `AppendStopped` has token and offset; so it is when the
        store gives in midway and has some of it. An error of the store by itself says that nothing behind `offset`
        counts. What lies there from an earlier attempt is dropped. Two at once with one token: the caller sees to it
        that there are not; `fence` is for when it cannot know.
        """
        ...

    async def fence(self, bucket: str, key: str, token: str, offset: int) -> str:
        """A token that whoever holds the old one can no longer reach: the first `offset` bytes, and nothing else.

        For taking over from a host of which nobody knows whether it still writes. The old token is good for as long as
        nothing was done with the new one, so that a caller which is gone before it has kept that can ask again.
        """
        ...

    async def finish(self, bucket: str, key: str, token: str, size: int) -> StoredObject:
        """Make the first `size` bytes the object, with their SHA-256. Done again after a crash it gives the same.

        Raises:
            ObjectExists: there is another object under this key.
            UploadIncomplete: the store has fewer bytes.
        """
        ...

    async def abort(self, bucket: str, key: str, token: str) -> None:
        """Remove what was appended; nothing happens where nothing is."""
        ...

    def unfinished(self, bucket: str) -> AsyncIterator[tuple[str, str, datetime]]:
        """Key, token and last change of everything that was begun and neither finished nor aborted.

        With what `put_stream` has written so far, or has left when its process was killed; `abort` removes each. A
        store that does not know of changes tells when it was begun.
        """
        ...


class AppendStopped(Exception):
    """The body of an `append` raised, or its caller was cancelled: what came before is kept.

    `__cause__` is why; a caller that has taken note raises it, so that a cancellation goes its way.
    """

    def __init__(self, token: str, offset: int) -> None:
        super().__init__(f"stopped at {offset}")
        self.token = token
        self.offset = offset


STORAGE = Service[Storage]("storage")
"""The blobs of recordings."""
