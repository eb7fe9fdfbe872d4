"""SHA-256 of what uploads have so far, so that it is not read again when they are finished."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Final

_KEPT: Final = 2048


class RunningHashes:
    """The latest hashes of this process, each under a name that stands for certain bytes; who finds none reads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, hashlib._Hash] = OrderedDict()

    def of(self, name: str) -> hashlib._Hash | None:
        """A copy of the hash, to go on with; the one that is kept stays for whoever has to go back."""
        found = self._kept.get(name)
        return None if found is None else found.copy()

    def keep(self, name: str, running: hashlib._Hash) -> None:
        """Keep a hash, and let go of the one that nobody has kept for longest."""
        self._kept[name] = running
        self._kept.move_to_end(name)
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)

    def clear(self) -> None:
        """Let go of all."""
        self._kept.clear()
