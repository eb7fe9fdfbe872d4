"""SHA-256 of what uploads have so far, made beside the writing, and not again when they are finished."""

from __future__ import annotations

import hashlib
from collections import OrderedDict, deque
from collections.abc import Sequence
from concurrent.futures import Executor
from threading import Condition
from typing import Final, Generic, TypeVar

from objectkernel_media_server.pieces import MIB

H = TypeVar("H")

_KEPT: Final = 2048
_WORTH: Final = MIB
"""So many bytes are hashed by another thread; fewer by the one that has them."""


class RunningHash:
    """The SHA-256 of batches in their order. Whoever adds one goes on while it is hashed; at most one more waits.

    Nothing here belongs into an event loop: everything may wait for a thread of `pool`.

    Args:
        before: go on from this one, which has to stay as it is.
    """

    def __init__(self, pool: Executor, before: RunningHash | None = None) -> None:
        self._pool = pool
        self._before = before
        self._sha256 = hashlib.sha256()
        self._waiting: deque[Sequence[bytes]] = deque()
        self._busy = False
        self._error: BaseException | None = None
        self._changed = Condition()

    def update(self, batch: Sequence[bytes]) -> None:
        """Add a batch."""
        with self._changed:
            if not self._busy and sum(map(len, batch)) < _WORTH and not (self._before and self._before._busy):
                self._add_here(batch)
                return
            self._waiting.append(batch)
            if not self._busy:
                self._pool.submit(self._run)
                self._busy = True
            self._changed.wait_for(lambda: len(self._waiting) < 2 or not self._busy)

    def hexdigest(self) -> str:
        """Of all that was added."""
        return self._settled().hexdigest()

    def _settled(self) -> hashlib._Hash:
        """The hash itself, once everything is in it."""
        with self._changed:
            self._changed.wait_for(lambda: not self._busy)
            if self._error is not None:
                raise self._error
            self._begin()
            return self._sha256

    def _run(self) -> None:
        """Hash all that waits."""
        try:
            self._begin()
            while (batch := self._next()) is not None:
                self._add(batch)
        except BaseException as error:
            with self._changed:
                self._error = error
                self._busy = False
                self._changed.notify_all()
            raise

    def _next(self) -> Sequence[bytes] | None:
        with self._changed:
            batch = self._waiting.popleft() if self._waiting else None
            self._busy = batch is not None
            self._changed.notify_all()
            return batch

    def _begin(self) -> None:
        """Go on from the one before."""
        if self._before is not None:
            self._sha256, self._before = self._before._settled().copy(), None

    def _add_here(self, batch: Sequence[bytes]) -> None:
        """Add a batch, or note why there is no hash any more: who writes goes on, and who finishes reads."""
        try:
            self._begin()
            self._add(batch)
        except Exception as error:
            self._error = error

    def _add(self, batch: Sequence[bytes]) -> None:
        for piece in batch:
            self._sha256.update(piece)


class RunningHashes(Generic[H]):
    """The latest hashes of this process, each under a name that stands for certain bytes; who finds none reads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, H] = OrderedDict()

    def of(self, name: str) -> H | None:
        """The hash. Whoever goes on from it goes on from a copy: this one stays for whoever has to go back."""
        return self._kept.get(name)

    def keep(self, name: str, running: H) -> None:
        """Keep a hash, and let go of the one that nobody has kept for longest."""
        self._kept[name] = running
        self._kept.move_to_end(name)
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)

    def clear(self) -> None:
        """Let go of all."""
        self._kept.clear()
