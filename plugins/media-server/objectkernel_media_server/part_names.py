"""The name of a part file: the key that it is for, and the token that its writer has.

A token is an id and an epoch, ``<32 hexadecimal digits>.<number>``. One file each, so that whoever holds an older epoch
cannot reach the bytes of a later one.
"""

from __future__ import annotations

import re
import uuid
from pathlib import Path
from typing import Final

_TOKEN: Final = re.compile(r"[0-9a-f]{32}\.(0|[1-9][0-9]{0,5})")
_SLASH: Final = "+"  # stands in no key
_EARLIER: Final = 16


def new_token() -> str:
    """The first epoch of a new upload."""
    return f"{uuid.uuid4().hex}.0"


def next_token(token: str) -> str:
    """The epoch behind that of `token`."""
    id, _, epoch = token.partition(".")
    return f"{id}.{int(epoch) + 1}"


def earlier_tokens(token: str) -> list[str]:
    """The epochs before that of `token`: at most so many as are worth looking for."""
    id, _, epoch = token.partition(".")
    return [f"{id}.{n}" for n in range(max(0, int(epoch) - _EARLIER), int(epoch))]


def part_path(folder: Path, key: str, token: str) -> Path | None:
    """Where the part file of `token` is; None for what is no token."""
    if not _TOKEN.fullmatch(token):
        return None
    return folder / f"{key.replace('/', _SLASH)}{_SLASH}{token}"


def read_part_name(name: str) -> tuple[str, str] | None:
    """The key and the token in the name of a part file; None for any other file."""
    key, _, token = name.rpartition(_SLASH)
    return (key.replace(_SLASH, "/"), token) if key and _TOKEN.fullmatch(token) else None
