"""What the bytes of one request shall hash to, as their sender says before or behind them (tus, Checksum)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

from objectkernel_media_server.tus_headers import ALGORITHMS, checksum, invalid


class Checksum:
    """Hashes what comes, and compares.

    Args:
        header: ``Upload-Checksum``; None: it comes behind the body.
        trailing: gives it then. Which algorithm it is shows only there, so that all are computed.

    Raises:
        InvalidMedia: the algorithm is not known, or the digest is none.
    """

    def __init__(self, header: str | None, trailing: Callable[[], str] | None = None) -> None:
        self._trailing = trailing
        self._given = None if header is None else _known(header)
        algorithms = ALGORITHMS if self._given is None else (self._given[0],)
        self._hashers = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms}

    def update(self, piece: bytes) -> None:
        """See more bytes."""
        for hasher in self._hashers.values():
            hasher.update(piece)

    def mismatch(self) -> str | None:
        """The algorithm by which the bytes are not what was said; None: they are.

        Raises:
            InvalidMedia: what came behind the body cannot be meant.
        """
        algorithm, digest = self._given or _known(self._trailing() if self._trailing else "")
        return None if hmac.compare_digest(digest, self._hashers[algorithm].digest()) else algorithm


def _known(header: str) -> tuple[str, bytes]:
    found = checksum(header)
    if found is None:
        raise invalid(f"Upload-Checksum is one of {', '.join(ALGORITHMS)}, and a digest in Base64")
    return found
