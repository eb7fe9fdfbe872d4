"""The names of what an upload has in a store of whole objects, and the list of its segments.

An upload has an id, generations and steps; its token is ``<id>.<generation>.<step>``. Under the token's name lies the
list of its segments, and beside it, with a number behind, lie the segments that this step has added. A step is a number
by chance, so that a request which comes late cannot change what counts.
"""

from __future__ import annotations

import json
import re
from typing import Final

import attrs

_TOKEN: Final = re.compile(r"([0-9a-f]{32})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,14})")
_NAME: Final = re.compile(r"([0-9a-f]{32})\.([0-9]+)\.([0-9]+)(-[a-z0-9]+)?")
INTERNAL: Final = ".unfinished/"
"""What keys of our own begin with; no key of a caller does."""


@attrs.frozen
class Place:
    """A token, taken apart."""

    id: str
    generation: int
    step: int

    def text(self) -> str:
        """The token."""
        return f"{self.id}.{self.generation}.{self.step}"


@attrs.frozen
class Segment:
    """The first `size` bytes of the object `name`."""

    name: str
    size: int


def read_token(token: str) -> Place | None:
    """What a token says; None for what is none."""
    found = _TOKEN.fullmatch(token)
    return None if found is None else Place(found[1], int(found[2]), int(found[3]))


def read_name(name: str) -> tuple[str, Place] | None:
    """Key and place in the key of an upload's own object; None for any other."""
    key, _, last = name.removeprefix(INTERNAL).rpartition("/")
    found = _NAME.fullmatch(last)
    if found is None or not key or not name.startswith(INTERNAL):
        return None
    return key, Place(found[1], int(found[2]), int(found[3]))


def first(segments: tuple[Segment, ...], size: int) -> tuple[Segment, ...]:
    """The segments of the first `size` bytes."""
    kept: list[Segment] = []
    for segment in segments:
        if size > 0:
            kept.append(Segment(segment.name, min(size, segment.size)))
        size -= segment.size
    return tuple(kept)


def total(segments: tuple[Segment, ...]) -> int:
    """How many bytes they have together."""
    return sum(segment.size for segment in segments)


def as_text(segments: tuple[Segment, ...], before: str = "") -> bytes:
    """The list as it is stored, with the token whose list it takes the place of."""
    return json.dumps([before, [attrs.astuple(segment) for segment in segments]], separators=(",", ":")).encode()


def from_text(text: bytes) -> tuple[tuple[Segment, ...], str]:
    """The list as it was stored, and the token before it; "": there is none."""
    before, segments = json.loads(text)
    return tuple(Segment(name, size) for name, size in segments), before
