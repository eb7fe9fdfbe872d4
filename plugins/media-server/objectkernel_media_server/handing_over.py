"""A body that is read in an event loop, for a client that wants to take it in a thread."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Sequence


class HandingOver:
    """One batch at a time on the way. `give` and the iterator block, each in a thread of its own."""

    def __init__(self) -> None:
        self._way: queue.Queue[bytes | BaseException | None] = queue.Queue(maxsize=1)
        self._gone = False

    def give(self, batch: Sequence[bytes]) -> bool:
        """Hand over a batch, and wait until there is room; False where nobody takes any more."""
        return self._put(b"".join(batch))

    def end(self, error: BaseException | None) -> None:
        """Say that there is nothing more; an error is raised on the other side, so that it drops what it has."""
        self._put(error)

    def taken(self) -> Iterator[bytes]:
        """The other side."""
        while True:
            one = self._way.get()
            if one is None:
                return
            if isinstance(one, BaseException):
                raise _Stopped from None
            if one:
                yield one

    def leave(self) -> None:
        """The other side takes no more; whoever waits with a batch need not wait any longer."""
        self._gone = True
        while True:
            try:
                self._way.get_nowait()
            except queue.Empty:
                return

    def _put(self, one: bytes | BaseException | None) -> bool:
        if self._gone:
            return False
        self._way.put(one)  # at most one comes here after `leave`, and then there is room
        return True


class _Stopped(Exception):
    """The body ended by an error, of which its reader tells."""
