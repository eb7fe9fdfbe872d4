"""One thing at a time is done to a project by this host; what other hosts do, the row's version tells."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

import anyio

from objectkernel_project_life.errors import ProjectConflict


class _Lock:
    __slots__ = ("__weakref__", "lock")

    def __init__(self) -> None:
        self.lock = anyio.Lock(fast_acquire=True)  # thousands are taken when a host starts


class Turns:
    """Who is at which project."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, _Lock] = WeakValueDictionary()
        self._operating: set[str] = set()

    @asynccontextmanager
    async def operation(self, id: str) -> AsyncIterator[None]:
        """Somebody's operation on a project.

        Raises:
            ProjectConflict: there is one under way.
        """
        if id in self._operating:
            raise busy(id, "something else is being done to it at this moment")
        self._operating.add(id)
        try:
            async with self._lock(id).lock:
                yield
        finally:
            self._operating.discard(id)

    @asynccontextmanager
    async def upkeep(self, id: str) -> AsyncIterator[bool]:
        """The host's own work on a project; gives False, and nothing may be done, while an operation is under way."""
        if id in self._operating:
            yield False
            return
        holder = self._lock(id)
        async with holder.lock:
            yield id not in self._operating

    def _lock(self, id: str) -> _Lock:
        found = self._locks.get(id)
        if found is None:
            found = self._locks[id] = _Lock()
        return found


def busy(id: str, why: str) -> ProjectConflict:
    """The error of whoever has come second."""
    return ProjectConflict(
        f"the project {id} cannot be changed now", why=why, fix="look at it again, and try again then", project=id
    )
