"""Names of buckets and objects that every store can hold, and that lead nowhere else.

Lower case only: two keys that differ in case alone would be one object on a file system that does not tell them apart.
For the same reason no segment ends with a dot, or is a name that Windows keeps for devices. None begins with a dot:
those are the stores' own.
"""

from __future__ import annotations

import re
from typing import Final

from objectkernel_media_server.errors import KeyRefused

KEY_LENGTH: Final = 200
"""The longest key, in bytes: with what a store adds to it, it still is one file name."""

_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_SEGMENT: Final = re.compile(r"[a-z0-9_-]([a-z0-9._-]*[a-z0-9_-])?")
_PREFIX: Final = re.compile(r"[a-z0-9._/-]*")
_DEVICES: Final = frozenset({"aux", "con", "nul", "prn", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))})


def check_bucket(bucket: str) -> None:
    """Raises KeyRefused for what is no bucket: 3 to 63 lower case letters, digits and hyphens, none at the ends."""
    if not _BUCKET.fullmatch(bucket):
        raise KeyRefused("this is no name of a bucket", fix="write 3 to 63 lower case letters, digits and hyphens")


def check_key(key: str) -> None:
    """Raises KeyRefused for what is no key."""
    why = _problem(key)
    if why:
        raise KeyRefused(
            "this is no key of an object",
            why=why,
            fix=f"write 1 to {KEY_LENGTH} of a-z 0-9 . _ - in segments between slashes",
        )


def check_place(bucket: str, key: str) -> None:
    """Raises KeyRefused where either is not allowed."""
    check_bucket(bucket)
    check_key(key)


def check_prefix(bucket: str, prefix: str) -> None:
    """Raises KeyRefused for what no key can begin with."""
    check_bucket(bucket)
    odd = any(segment.startswith(".") for segment in prefix.split("/")) or prefix.startswith("/") or "//" in prefix
    if odd or len(prefix) > KEY_LENGTH or not _PREFIX.fullmatch(prefix):
        raise KeyRefused("no key begins like this")


def _problem(key: str) -> str:
    if not key or len(key) > KEY_LENGTH:
        return f"it has {len(key)} characters"
    for segment in key.split("/"):
        if not _SEGMENT.fullmatch(segment):
            return "a segment is empty, has another character, or begins or ends with a dot"
        if segment.split(".", 1)[0] in _DEVICES:
            return "a segment is the name of a device on some systems"
    return ""
