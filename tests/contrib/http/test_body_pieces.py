"""What has come of a body and waits for its route."""

from __future__ import annotations

from objectkernel_http.protocol_httptools import Pieces


def test_one_piece_is_handed_on_as_it_is() -> None:
    """Without a copy."""
    pieces, piece = Pieces(), b"x" * 100_000
    pieces += piece
    assert bytes(pieces) is piece
    assert len(pieces) == 100_000


def test_several_pieces_are_joined_in_their_order() -> None:
    """And nothing is there before the first."""
    pieces = Pieces()
    assert not pieces and bytes(pieces) == b""
    for piece in (b"ab", b"", b"c"):
        pieces += piece
    assert (bytes(pieces), len(pieces)) == (b"abc", 3)
