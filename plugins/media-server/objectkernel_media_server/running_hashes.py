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
_BEHIND: Final = 2
"""Batches that may be hashed still, or wait for it, when a further one is added."""
_TURN: Final = 4
"""Batches until a thread sees to what else waits for it."""


class RunningHash:
    """The SHA-256 of batches in their order. Whoever adds one goes on while it is hashed.

    Nothing here belongs into an event loop: everything may wait for a thread of `pool`.

    Args:
        before: go on from this one, which has to stay as it is.
    """

    def __init__(self, pool: Executor, before: RunningHash | None = None) -> None:
        self._lane: _Lane = _Lane(pool) if before is None else before._lane
        self._before = before
        self._sha256 = hashlib.sha256()
        self._error: Exception | None = None

    def update(self, batch: Sequence[bytes]) -> None:
        """Add a batch."""
        self._lane.add(self, batch)

    def keep_up(self) -> None:
        """Wait until another batch can be added at once."""
        self._lane.keep_up()

    def hexdigest(self) -> str:
        """Of all that was added."""
        return self._lane.hexdigest(self)

    def add(self, batch: Sequence[bytes]) -> None:
        """Hash a batch, or note why there is no hash any more: who writes goes on, and who finishes reads."""
        try:
            self._begin()
            for piece in batch:
                self._sha256.update(piece)
        except Exception as error:
            self._error = error

    def settled(self) -> hashlib._Hash:
        """The hash itself, once everything is in it."""
        if self._error is not None:
            raise self._error
        self._begin()
        return self._sha256

    def _begin(self) -> None:
        """Go on from the one before."""
        if self._before is not None:
            self._sha256, self._before = self._before.settled().copy(), None


class _Lane:
    """Where hashes that go on from one another are made: in the order of their batches, by one thread at a time.

    That is one of the pool; where it has none to give, or has ended, it is whoever adds a batch.
    """

    def __init__(self, pool: Executor) -> None:
        self._pool = pool
        self._batches: deque[tuple[RunningHash, Sequence[bytes]]] = deque()  # the first one is being hashed, or will be
        self._taken = False
        self._changed = Condition()

    def add(self, running: RunningHash, batch: Sequence[bytes]) -> None:
        with self._changed:
            self._wait(_BEHIND)
            if not self._batches and sum(map(len, batch)) < _WORTH:
                running.add(batch)
                return
            self._batches.append((running, batch))
            is_first = len(self._batches) == 1
        if is_first:
            self._go_on()

    def keep_up(self) -> None:
        with self._changed:
            self._wait(_BEHIND)

    def hexdigest(self, running: RunningHash) -> str:
        with self._changed:
            self._wait(0)
            return running.settled().hexdigest()

    def _wait(self, most: int) -> None:
        """Wait until there are no more batches than so many."""
        self._changed.wait_for(lambda: len(self._batches) <= most)

    def _go_on(self) -> None:
        """Have the pool see to what waits. Where it raises, this thread does; the pool may have kept the call all the
        same, which finds then that there is nothing to do.
        """
        while True:
            try:
                self._pool.submit(self._run)
                return
            except Exception:
                if not self._hash_some():
                    return

    def _run(self) -> None:
        if self._hash_some():
            self._go_on()

    def _hash_some(self) -> bool:
        """Hash some batches, unless another thread does; whether others wait for whoever comes next."""
        with self._changed:
            if self._taken or not self._batches:
                return False
            self._taken = True
        for _ in range(_TURN):
            running, batch = self._batches[0]
            running.add(batch)
            del running, batch
            with self._changed:
                self._batches.popleft()
                self._changed.notify_all()
                if not self._batches:
                    break
        with self._changed:
            self._taken = False
            return bool(self._batches)


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
