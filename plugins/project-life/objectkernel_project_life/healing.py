"""Ending what a crash has left half done: forward where that can be, so that whoever began it has what was wanted."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from objectkernel.errors import KernelError

from objectkernel_project_life.errors import ProjectConflict, ProjectMissing
from objectkernel_project_life.ground import Done, Ground
from objectkernel_project_life.moving import Moving
from objectkernel_project_life.pausing import CLOSED, OPEN
from objectkernel_project_life.storage import Record
from objectkernel_project_life.telling import line_of

log = logging.getLogger("objectkernel.plugin.project-life")


class Healing:
    """Ends transitions. Another host may be at the same one: whoever writes first has done it, and both agree."""

    def __init__(self, ground: Ground, moving: Moving) -> None:
        self._ground = ground
        self._moving = moving

    async def heal(self, id: str) -> Record | None:
        """The row of a project once nothing is half done; None where it is not there (any more).

        Nothing happens while this host has an operation on it under way.

        Raises:
            DataError: of the system's database.
        """
        ground = self._ground
        async with ground.turns.upkeep(id) as free:
            record = await ground.register.get(id)
            if not free:
                ground.dirty.add(id)
                return record
            if record is None or record.transition is None:
                await ground.bring(id, record)
                return record
            log.info("%s was %s when a host ended; that is gone on with", record.mproject_name, record.transition)
            try:
                record = await self._ended(record)
            except (ProjectConflict, ProjectMissing):  # somebody else was quicker
                record = await ground.register.get(id)
            await ground.bring(id, record)
            return record

    async def _ended(self, record: Record) -> Record | None:
        match record.transition:
            case "provisioning":
                return await self._provisioned(record)
            case "pausing":
                await self._ground.close(record)
                return await self._confirm(record, "pause", CLOSED)
            case "resuming":
                return await self._resumed(record)
            case "rotating":
                return await self._moving.go_on(record)
            case _:
                await self._ground.close(record)
                await self._ground.remove(record, Done("deprovision", {"healed": True}))
                return None

    async def _provisioned(self, record: Record) -> Record | None:
        try:
            await self._ground.open(record)
        except KernelError as error:
            log.warning("%s is not kept: %s", record.mproject_name, error.what)
            await self._ground.remove(record)
            return None
        return await self._confirm(record, "provision", OPEN)

    async def _resumed(self, record: Record) -> Record:
        try:
            await self._ground.open(record)
        except KernelError as error:
            return await self._ground.confirm(record, status="error", transition=None, error=line_of(error))
        return await self._confirm(record, "resume", OPEN)

    async def _confirm(self, record: Record, action: str, changes: Mapping[str, Any]) -> Record:
        return await self._ground.confirm(record, done=Done(action, {"healed": True}), **changes)
