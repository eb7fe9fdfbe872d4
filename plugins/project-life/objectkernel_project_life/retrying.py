"""Trying projects again that could not be opened."""

from __future__ import annotations

import random
from collections.abc import Iterable
from time import monotonic

import anyio
import attrs

from objectkernel_project_life.ground import Ground
from objectkernel_project_life.served import Served
from objectkernel_project_life.storage import Record
from objectkernel_project_life.telling import safe


@attrs.define
class _Pause:
    seconds: float
    until: float


class Retrying:
    """Tries what is in ``error``, each after pauses that grow from `retry_first` to `retry_longest`."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._pauses: dict[str, _Pause] = {}

    async def retry(self, *, now: bool = False) -> None:
        """Try those whose pause is over; with `now`, all of them.

        Raises:
            DataError: of the system's database.
        """
        in_error = {served.id: served for served in self._ground.served.values() if served.status == "error"}
        self._pauses = {id: pause for id, pause in self._pauses.items() if id in in_error}
        async with anyio.create_task_group() as tasks:
            for served in self._due(in_error.values(), now):
                tasks.start_soon(self._try, served)

    def _due(self, in_error: Iterable[Served], now: bool) -> list[Served]:
        moment = monotonic()
        due: list[Served] = []
        for served in in_error:
            pause = self._pauses.get(served.id)
            if pause is None:
                self._wait(served.id, self._ground.config.retry_first)
            if now or (pause is not None and pause.until <= moment):
                due.append(served)
        return due

    def _wait(self, id: str, seconds: float) -> None:
        """Longer than half of that: hosts that have failed together do not come back together."""
        self._pauses[id] = _Pause(seconds, monotonic() + seconds * random.uniform(0.5, 1.0))

    async def _try(self, served: Served) -> None:
        """What an operation does to the project meanwhile comes first: nothing is written then."""
        ground = self._ground
        record = await ground.register.get(served.id)
        if record is None or record.status != "error" or record.transition is not None:
            ground.dirty.add(served.id)
            return
        if not ground.manager.has_project(record.mproject_name):
            await self._take_on(record)
        raised: Exception
        try:
            await ground.manager.try_project(record.mproject_name)
        except Exception as error:
            raised = error
        else:
            self._pauses.pop(record.id, None)
            await ground.recovered(record)
            return
        self._wait(record.id, min(2 * self._pauses[record.id].seconds, ground.config.retry_longest))
        await ground.failed(record, safe(raised, record.mproject_name, ground.uri_of(record)))

    async def _take_on(self, record: Record) -> None:
        """Give the manager what it has refused before."""
        async with self._ground.turns.upkeep(record.id) as free:
            if free:
                await self._ground.bring(record.id, record)
