"""One request at an upload at a time, within a process: the newest wins."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio

from objectkernel_media_server.errors import UploadConflict


class Turn:
    """A request that is at an upload.

    Attributes:
        recorded: the offset that the row has.
        next_offset: where the request that has said stop goes on; None: nobody has.
        stops: ends its body.
        pauses: has what came recorded, while something comes that is not.
    """

    def __init__(self) -> None:
        self.recorded = -1
        self.next_offset: int | None = None
        self.stops: Callable[[], None] | None = None
        self.pauses: Callable[[], None] | None = None
        self._over = anyio.Event()
        self._settled: anyio.Event | None = None

    @property
    def is_taken_over(self) -> bool:
        """Whether somebody else wants the upload."""
        return self.next_offset is not None

    @property
    def gives_way(self) -> bool:
        """Whether what is not recorded yet would be in the way of the next request, which sends it again."""
        return self.next_offset == self.recorded

    def stop(self, next_offset: int) -> None:
        """End the turn soon; its request has come so far that the next one goes on at `next_offset`."""
        self.next_offset = next_offset
        if self.stops is not None:
            self.stops()

    async def settle(self) -> None:
        """Wait until what has come by now is recorded."""
        if self.pauses is not None:
            self._settled = self._settled or anyio.Event()
            self.pauses()
            await self._settled.wait()

    def settled(self) -> None:
        """What came is recorded."""
        if self._settled is not None:
            self._settled.set()
            self._settled = None

    def end(self) -> None:
        """Somebody else may begin."""
        self.stops = self.pauses = None
        self.settled()
        self._over.set()

    async def over(self) -> None:
        """Wait for its end."""
        await self._over.wait()


class Turns:
    """Who is at which upload."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._active: dict[str, Turn] = {}

    @asynccontextmanager
    async def take(self, upload_id: str, offset: int = -1) -> AsyncIterator[Turn]:
        """Be the one that is at an upload; whoever is there is stopped, and waited for.

        Args:
            offset: where this one goes on; -1: elsewhere, so that what has come is recorded first.

        Raises:
            UploadConflict: the other one does not end.
        """
        with anyio.move_on_after(self._patience):
            while (other := self._active.get(upload_id)) is not None:
                other.stop(offset)
                await other.over()
        if upload_id in self._active:
            raise UploadConflict("another request is at this upload, and does not end", fix="try again a little later")
        turn = self._active[upload_id] = Turn()
        try:
            yield turn
        finally:
            del self._active[upload_id]
            turn.end()

    def at(self, upload_id: str) -> Turn | None:
        """Who is at an upload."""
        return self._active.get(upload_id)

    async def settle(self, upload_id: str) -> None:
        """Wait, not for ever, until what has come of an upload is recorded."""
        turn = self._active.get(upload_id)
        if turn is not None:
            with anyio.move_on_after(self._patience):
                await turn.settle()
