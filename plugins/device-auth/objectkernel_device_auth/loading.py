"""Reading by key, for many who ask at once: one query at a time, each for all who wait for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import islice
from typing import Final, Generic, TypeVar

import anyio
import attrs

K = TypeVar("K")
V = TypeVar("V")
BATCH: Final = 200


@attrs.define(eq=False)
class _Wish(Generic[V]):
    done: bool = False
    found: V | None = None
    error: Exception | None = None
    waiting: int = 0


class Loader(Generic[K, V]):
    """Reads values by key; however many ask, the database has one query of them to answer at a time.

    What is asked for while a query is under way is read by the next one, and not taken from that: so an answer is
    never older than its question.

    Args:
        read: reads some keys; what it leaves out is not there.
    """

    def __init__(self, read: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]], batch: int = BATCH) -> None:
        self._read = read
        self._batch = batch
        self._wishes: dict[K, _Wish[V]] = {}
        self._lock = anyio.Lock()
        self.queries = 0

    async def load(self, key: K) -> V | None:
        """The value of a key, or None.

        Raises:
            What the query has raised, for all who waited for it.
        """
        wish = self._wishes.get(key)
        if wish is None:
            wish = self._wishes[key] = _Wish()
        wish.waiting += 1
        try:
            async with self._lock:
                if not wish.done:
                    await self._load(key, wish)
        finally:
            wish.waiting -= 1
            if not wish.waiting and self._wishes.get(key) is wish:
                del self._wishes[key]  # all who wanted it have given up
        if wish.error is not None:
            raise wish.error
        return wish.found

    async def _load(self, key: K, wish: _Wish[V]) -> None:
        """Read for this one, and for others who wait, at most a batch.

        Where it is cancelled, the others find that nothing was done, and each reads for itself.
        """
        taken = {key: wish}
        if self._wishes.get(key) is wish:
            del self._wishes[key]
        for other in list(islice((other for other in self._wishes if other != key), self._batch - 1)):
            taken[other] = self._wishes.pop(other)
        self.queries += 1
        try:
            found = await self._read(tuple(taken))
        except Exception as error:
            for one in taken.values():
                one.error, one.done = error, True
            return
        for other, one in taken.items():
            one.found, one.done = found.get(other), True
