"""Many small pieces of a body as few large ones, without copying them."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Final

MIB: Final = 1024 * 1024
BATCH: Final = 2 * MIB
"""One step of a worker thread: small enough for memory, large enough that the way there does not count."""
PIECE: Final = MIB
"""What readers get at once."""


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
                    gathered.append(piece)
                    self.total += len(piece)
        return gathered, self._ended
