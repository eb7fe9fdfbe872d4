"""Many small pieces of a body as few large ones; those that are not tiny are not copied."""

from __future__ import annotations

from collections.abc import AsyncIterable, MutableSequence
from typing import Final

MIB: Final = 1024 * 1024
BATCH: Final = 2 * MIB
"""One step of a worker thread: small enough for memory, large enough that the way there does not count."""
PIECE: Final = MIB
"""What readers get at once."""
SMALL: Final = 4096
"""Bytes up to which pieces are put together."""
KEPT: Final = 8 * MIB
"""A block so large, freed once, has glibc keep twice as much of what is freed later."""


def keep_freed() -> None:
    """Have the C library keep the memory of pieces that are gone for those that come.

    glibc takes the largest block that was freed for the measure of what comes and goes (mallopt(3)). Where it gives the
    memory back between the slices of a body, the system has to find and to clear each page again. For other libraries
    this is nothing.
    """
    bytearray(KEPT)


def add_piece(pieces: MutableSequence[bytes], piece: bytes) -> None:
    """Add the next piece of a body. Small ones are put together: each takes memory beside its bytes."""
    if pieces and len(pieces[-1]) + len(piece) <= SMALL:
        pieces[-1] = b"".join((pieces[-1], piece))
    else:
        pieces.append(piece)


class Gathering:
    """Reads a body in batches of `size` bytes or one piece more; only the last has fewer.

    Attributes:
        total: bytes that have come.
        error: what the body raised, or the cancellation that met it; the batch of what came before is given all the
            same.
    """

    def __init__(self, body: AsyncIterable[bytes], size: int = BATCH) -> None:
        self.total = 0
        self._ended = False
        self.error: BaseException | None = None
        self._pieces = aiter(body)
        self._size = size

    async def batch(self) -> tuple[list[bytes], bool]:
        """The next pieces, and whether they are the last."""
        gathered: list[bytes] = []
        enough = self.total + self._size
        while self.total < enough and not self._ended:
            try:
                piece = await anext(self._pieces)
            except StopAsyncIteration:
                self._ended = True
            except BaseException as error:
                self.error = error
                self._ended = True
            else:
                if piece:
                    add_piece(gathered, piece)
                    self.total += len(piece)
        return gathered, self._ended
