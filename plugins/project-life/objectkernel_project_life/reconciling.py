"""Following what other hosts change in the register."""

from __future__ import annotations

import logging
from time import monotonic
from typing import Final

import anyio

from objectkernel_project_life.ground import Ground
from objectkernel_project_life.healing import Healing
from objectkernel_project_life.storage import Fingerprint, Sight

log = logging.getLogger("objectkernel.plugin.project-life")

ALL_THE_SAME: Final = 12
"""After so many rounds without a change the rows are looked at all the same: clocks of hosts may differ."""


class Reconciling:
    """Brings the manager to the register, again and again."""

    def __init__(self, ground: Ground, healing: Healing) -> None:
        self._ground = ground
        self._healing = healing
        self._print: Fingerprint | None = None
        self._rounds = 0
        self._half_done: dict[str, tuple[int, float]] = {}

    @property
    def patience(self) -> float:
        """Seconds after which nobody can still be at a transition."""
        config = self._ground.config
        return 2 * (config.open_timeout + config.pause_deadline)

    async def reconcile(self) -> None:
        """One round: a small query, and the rows that have changed since the last one.

        Raises:
            DataError: of the system's database.
        """
        ground = self._ground
        present = await ground.register.fingerprint()
        self._rounds += 1
        is_behind = bool(ground.dirty or self._half_done or (ground.seen and not present))  # empty is as empty was
        if present == self._print and not is_behind and self._rounds < ALL_THE_SAME:
            return
        self._rounds = 0
        sights = {sight.id: sight for sight in await ground.register.sights()}
        left = self._left(sights)
        wanted = {id for id, sight in sights.items() if ground.seen.get(id) != sight.version}
        wanted |= ground.dirty | (ground.seen.keys() - sights.keys())
        async with anyio.create_task_group() as tasks:
            for id in left:
                tasks.start_soon(self._healing.heal, id)
            for id in wanted - left:
                tasks.start_soon(self._follow, id)
        self._print = present

    def _left(self, sights: dict[str, Sight]) -> set[str]:
        """The projects whose transition nobody ends: this host has seen it for too long, by its own clock."""
        now = monotonic()
        known, self._half_done = self._half_done, {}
        for id, sight in sights.items():
            if sight.transition is not None:
                version, since = known.get(id, (sight.version, now))
                self._half_done[id] = (sight.version, since if version == sight.version else now)
        return {id for id, (_, since) in self._half_done.items() if now - since > self.patience}

    async def _follow(self, id: str) -> None:
        ground = self._ground
        async with ground.turns.upkeep(id) as free:
            if free:
                await ground.bring(id, await ground.register.get(id))
            else:
                ground.dirty.add(id)
