"""What has come of a body and was not asked for yet."""

from __future__ import annotations

from typing import Final


class Pieces:
    """Bytes in the pieces in which they came: where one is waiting, it is handed on without a copy."""

    __slots__ = ("_pieces", "_size")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def __iadd__(self, piece: bytes) -> Pieces:
        self._pieces.append(piece)
        self._size += len(piece)
        return self

    def __len__(self) -> int:
        return self._size

    def take(self) -> bytes:
        """All of them; none is left."""
        pieces, self._pieces, self._size = self._pieces, [], 0
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class _Nothing(Pieces):
    """None so far: the same for all bodies of which nothing waits."""

    __slots__ = ()

    def __iadd__(self, piece: bytes) -> Pieces:
        pieces = Pieces()
        pieces += piece
        return pieces


NOTHING: Final = _Nothing()
"""What no body has come to."""
