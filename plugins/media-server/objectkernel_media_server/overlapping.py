"""Read the next batch of a body while the one before is written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from objectkernel_media_server.pieces import Gathering

Batch = list[bytes]


class Overlapping:
    """Puts a body through a step, one batch at a time on the way.

    Attributes:
        rest: the last batch; it is the caller's to write, together with whatever ends the file.
        failure: what the step raised; nothing was read then behind the next batch.
    """

    def __init__(self, gathering: Gathering, step: Callable[[Batch], Awaitable[None]]) -> None:
        self.rest: Batch = []
        self.failure: Exception | None = None
        self._gathering = gathering
        self._step = step
        self._written = anyio.Event()

    async def run(self, check: Callable[[bool], None] = lambda last: None) -> None:
        """Read to the end, or to the first error of the body or the step.

        Args:
            check: called for each batch before it is written, and told whether it is the last; it may raise.
        """
        batch, last = await self._gathering.batch()
        check(last)
        if last:
            self.rest = batch
            return
        problem: Exception | None = None
        async with anyio.create_task_group() as tasks:
            while not last:
                self._written = anyio.Event()
                tasks.start_soon(self._write, batch)
                batch, last = await self._gathering.batch()
                with anyio.CancelScope(shield=True):
                    await self._written.wait()
                if self.failure is not None:
                    break
                try:
                    check(last)
                except Exception as error:
                    problem = error
                    break
            else:
                self.rest = batch
        if problem is not None:
            raise problem

    async def _write(self, batch: Batch) -> None:
        try:
            with anyio.CancelScope(shield=True):
                await self._step(batch)
        except Exception as error:
            self.failure = error
        finally:
            self._written.set()
