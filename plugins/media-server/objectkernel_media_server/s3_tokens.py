"""What an unfinished object of an S3 server is made of, as a small text."""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import Final

import attrs

from objectkernel_media_server.s3_objects import INTERNAL

GAP: Final = 100
"""So many part numbers are left to a writer that was fenced off: no append sends more."""
EVERY: Final = 1_000_000
"""A generation behind every other."""


@attrs.frozen(kw_only=True)
class S3Upload:
    """How far an upload is. Its first bytes are parts; what is too small for a part is its tail, an object of its own.

    Attributes:
        upload: the server's id; "": there is no multipart upload any more, only what it has left.
        mark: what its objects are named by.
        runs: part numbers, each as first and count, in the order of the object.
        next: the number of its next part.
        sent: bytes in the parts.
        tail: bytes in the tail.
        generation: raised by each fence; it names the tail, and the next part number lies `GAP` further on.
        step: a number by chance, another with each append; it names the tail, so that a request which comes late
            cannot change one that counts.
        before: the step of the tail before this one, to be removed by the next append; -1: there was none.
    """

    upload: str
    mark: str
    runs: tuple[tuple[int, int], ...] = ()
    next: int = 1
    sent: int = 0
    tail: int = 0
    generation: int = 0
    step: int = 0
    before: int = -1

    @property
    def size(self) -> int:
        """All bytes."""
        return self.sent + self.tail

    def folder(self, key: str) -> str:
        """What the keys of its own objects begin with."""
        return f"{INTERNAL}{key}/{self.mark}."

    def tail_key(self, key: str, step: int) -> str:
        """Where the tail of a step is."""
        return f"{self.folder(key)}{self.generation}.{step}"

    def after(self, tail: int) -> S3Upload:
        """One append later, with a tail of so many bytes yet; the tail that it had is the one before."""
        return attrs.evolve(self, tail=tail, step=secrets.randbelow(2**48), before=self.step if self.tail else -1)

    def with_part(self, size: int) -> S3Upload:
        """One part later; the tail is in it."""
        runs = self.runs
        if runs and sum(runs[-1]) == self.next:
            runs = (*runs[:-1], (runs[-1][0], runs[-1][1] + 1))
        else:
            runs = (*runs, (self.next, 1))
        return attrs.evolve(self, runs=runs, next=self.next + 1, sent=self.sent + size, tail=0)

    def numbers(self) -> list[int]:
        """The part numbers, in order."""
        return [number for first, count in self.runs for number in range(first, first + count)]

    def text(self) -> str:
        """The token."""
        return json.dumps(attrs.astuple(self), separators=(",", ":"))


def begun(upload: str) -> S3Upload:
    """An upload of which nothing has come yet."""
    return S3Upload(upload=upload, mark=hashlib.sha256(upload.encode()).hexdigest()[:16])


def read_token(token: str) -> S3Upload | None:
    """What a token says; None for what is none."""
    try:
        upload, mark, runs, *numbers = json.loads(token)
        pairs = tuple((int(first), int(count)) for first, count in runs)
        number, sent, tail, generation, step, before = map(int, numbers)
    except (ValueError, TypeError):
        return None
    return S3Upload(
        upload=str(upload),
        mark=str(mark),
        runs=pairs,
        next=number,
        sent=sent,
        tail=tail,
        generation=generation,
        step=step,
        before=before,
    )


def read_internal(name: str) -> tuple[str, str, int] | None:
    """Key, mark and generation in the key of an upload's own object; None for any other."""
    path, _, last = name.removeprefix(INTERNAL).rpartition("/")
    mark, *rest = last.split(".")
    if not name.startswith(INTERNAL) or not path or len(rest) != 2 or not rest[0].isdigit():
        return None
    return path, mark, int(rest[0])
