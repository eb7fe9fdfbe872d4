"""The errors of stores, worded once. None names a path or a host: they may be told to whoever sent the request."""

from __future__ import annotations

import errno
import os
from typing import Final

from objectkernel_media_server.errors import (
    ObjectExists,
    ObjectMissing,
    StorageFull,
    StorageUnavailable,
    UploadIncomplete,
)

NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
NO_DESCRIPTORS: Final = frozenset({errno.EMFILE, errno.ENFILE})
WRITABLE: Final = "see that it is there, and that this process may write in it"


def missing(bucket: str, key: str) -> ObjectMissing:
    """There is no object, or nothing that was begun under a token."""
    fix = "whoever runs the host finds with `objectkernel media verify` what else is not there"
    return ObjectMissing("the store has no such object", fix=fix, bucket=bucket, key=key)


def exists(bucket: str, key: str) -> ObjectExists:
    """The name of an object is in use."""
    return ObjectExists("there is an object under this key, and it is kept as it is", bucket=bucket, key=key)


def incomplete(offset: int, length: int) -> UploadIncomplete:
    """There are not so many bytes as there should be."""
    return UploadIncomplete(
        f"{length} bytes were announced, and the store has {offset}",
        fix="send the rest, or everything again",
        offset=offset,
        length=length,
    )


def surplus(length: int) -> UploadIncomplete:
    """A body goes on where it should have ended."""
    return UploadIncomplete(
        f"more than the announced {length} bytes came",
        fix="announce as many as there are",
        offset=length,
        length=length,
    )


def failure_of(error: OSError) -> StorageUnavailable:
    """What an operating system says of a failed file operation."""
    reason = os.strerror(error.errno) if error.errno else type(error).__name__
    if error.errno in NO_ROOM:
        return StorageFull(
            "the folder of the recordings has no room left",
            why=reason,
            fix="make room on its disk; what was acknowledged is kept",
            store="filesystem",
            reason=reason,
        )
    is_scarce = error.errno in NO_DESCRIPTORS
    return StorageUnavailable(
        "the folder of the recordings does not do what it was asked",
        why=reason,
        fix="let this process have more (ulimit -n)" if is_scarce else WRITABLE,
        store="filesystem",
        reason=reason,
    )
