"""Several hosts whose steps are taken one at a time in an order that a test chooses, and that may die at any of them.

A step is a call of the store or of the database. Before it and behind it its host waits for its turn; a host that is to
die there raises, and so does whatever it tries to do afterwards, its tidying up too.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import anyio


class Died(BaseException):
    """The process is gone."""


class Host:
    """One process.

    Attributes:
        dies_at: the number of the step at which it dies; None: it does not.
    """

    def __init__(self, stage: Stage, dies_at: int | None) -> None:
        self._stage = stage
        self._steps = 0
        self.dies_at = dies_at

    async def step(self) -> None:
        """Wait for its turn."""
        await self._stage.turn(self)
        self._steps += 1
        if self.dies_at is not None and self._steps >= self.dies_at:
            raise Died

    def through(self, target: Any) -> Any:
        """What `target` is, with a step before and behind each of its calls."""
        return _Stepped(target, self.step)


class _Stepped:
    def __init__(self, target: Any, step: Callable[[], Awaitable[None]]) -> None:
        self._target = target
        self._step = step

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._target, name)
        if inspect.iscoroutinefunction(member):

            async def call(*args: Any, **options: Any) -> Any:
                await self._step()
                answer = await member(*args, **options)
                await self._step()
                return answer

            return call
        if inspect.isasyncgenfunction(member):

            async def items(*args: Any, **options: Any) -> AsyncIterator[Any]:
                found = [item async for item in member(*args, **options)]
                for item in found:  # as they were when it began
                    await self._step()
                    yield item

            return items
        return member


class Stage:
    """Lets one host at a time take a step.

    Args:
        choose: which of so many waiting hosts is next.
    """

    def __init__(self, choose: Callable[[int], int]) -> None:
        self._choose = choose
        self._waiting: list[tuple[Host, anyio.Event]] = []
        self._acting = 0
        self._quiet = anyio.Event()
        self._is_over = False

    async def turn(self, host: Host) -> None:
        event = anyio.Event()
        self._waiting.append((host, event))
        self._rest()
        with anyio.CancelScope(shield=not self._is_over):
            await event.wait()
        if self._is_over:
            raise Died

    def _rest(self) -> None:
        self._acting -= 1
        if self._acting == 0:
            self._quiet.set()

    async def play(self, parts: Sequence[Callable[[], Awaitable[None]]]) -> None:
        """Run the parts to their ends."""

        async def act(part: Callable[[], Awaitable[None]]) -> None:
            try:
                await part()
            except Died:
                pass
            finally:
                self._rest()

        self._acting = len(parts)
        async with anyio.create_task_group() as tasks:
            for part in parts:
                tasks.start_soon(act, part)
            try:
                await self._conduct()
            finally:
                self._is_over = True  # whatever ended it, nobody waits for a turn that will not come
                for _, event in self._waiting:
                    event.set()

    async def _conduct(self) -> None:
        while True:
            await self._quiet.wait()
            if not self._waiting:
                return
            _, event = self._waiting.pop(self._choose(len(self._waiting)))
            self._quiet = anyio.Event()
            self._acting = 1
            event.set()
