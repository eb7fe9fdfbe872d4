"""Asking a store for a sign of life without waiting for one that hangs."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Final

from anyio import CapacityLimiter, to_thread

from objectkernel_media_server.errors import StorageUnavailable

_AT_ONCE: Final = 8


class Pinging:
    """Runs a blocking question in a thread of its own. Whoever asks may stop waiting: the thread is left alone then,
    and as long as it has not come back, everybody else is told at once that the store does not answer.

    Args:
        store: which kind of store is asked.
    """

    def __init__(self, store: str) -> None:
        self._store = store
        self._asking = Lock()
        self._threads = CapacityLimiter(_AT_ONCE)

    async def ask(self, question: Callable[[], object]) -> None:
        """Ask.

        Raises:
            StorageUnavailable: somebody else still waits for an answer; and what `question` raises.
        """
        await to_thread.run_sync(self._ask, question, abandon_on_cancel=True, limiter=self._threads)

    def _ask(self, question: Callable[[], object]) -> None:
        if not self._asking.acquire(blocking=False):
            raise StorageUnavailable(
                "the store does not answer",
                why="it was asked for a sign of life before, and has given none yet",
                fix="see that it runs, and how long it takes",
                store=self._store,
                reason="ping",
            )
        try:
            question()
        finally:
            self._asking.release()
