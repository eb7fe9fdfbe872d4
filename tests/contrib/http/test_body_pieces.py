"""What has come of a body and waits for its route."""

from __future__ import annotations

from objectkernel_http.pieces import Pieces


def test_one_piece_is_handed_on_as_it_is() -> None:
    """Without a copy."""
    pieces, piece = Pieces(), b"x" * 100_000
    pieces += piece
    assert len(pieces) == 100_000
    assert pieces.take() is piece
    assert not pieces


def test_several_pieces_are_joined_in_their_order() -> None:
    """And nothing is there before the first."""
    pieces = Pieces()
    assert not pieces and pieces.take() == b""
    for piece in (b"ab", b"", b"c"):
        pieces += piece
    assert (len(pieces), pieces.take()) == (3, b"abc")
