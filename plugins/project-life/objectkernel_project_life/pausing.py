"""Pausing and resuming."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from objectkernel.errors import KernelError

from objectkernel_project_life.ground import Done, Ground
from objectkernel_project_life.storage import Record
from objectkernel_project_life.telling import line_of

PAUSED: Final = Done("pause")
RESUMED: Final = Done("resume")
CLOSED: Final[Mapping[str, Any]] = {"status": "paused", "transition": None, "error": None}
"""What the row of a project is changed to when it is paused."""
OPEN: Final[Mapping[str, Any]] = {"status": "active", "transition": None, "error": None}
"""What the row of a project is changed to when it is open."""


class Pausing:
    """Closes projects for a while."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    async def pause(self, account: str | None, id: str) -> Record:
        """Let running operations end, refuse new ones, close the connections.

        Raises:
            ProjectMissing, ProjectConflict: nothing was done.
        """
        ground = self._ground
        async with ground.at(account, id) as record:
            if record.status == "paused" and record.transition is None:
                await ground.bring(id, record)
                return record
            await ground.step("pause.begin")
            record = await ground.intend(record, transition="pausing")

            async def back(present: Record) -> None:
                """What was begun is ended: its operations may be gone already."""
                await ground.close(present, 0.0)
                ground.note(id, await ground.confirm(present, done=PAUSED, **CLOSED))

            async with ground.underway(record, back):
                await ground.step("pause.intended")
                await ground.close(record)
                await ground.step("pause.closed")
                record = await ground.confirm(record, done=PAUSED, **CLOSED)
            ground.note(id, record)
            await ground.step("pause.confirmed")
        return record

    async def resume(self, account: str | None, id: str) -> Record:
        """Open a project that is paused, or in error.

        Raises:
            ProjectMissing, ProjectConflict: nothing was done.
            KernelError: it cannot be opened. It is in error now, and is tried again by itself.
        """
        ground = self._ground
        async with ground.at(account, id) as record:
            if record.status == "active" and record.transition is None:
                await ground.bring(id, record)
                return record
            await ground.step("resume.begin")
            before = record.status
            record = await ground.intend(record, transition="resuming")

            async def back(present: Record) -> None:
                present = await ground.confirm(present, status=before, transition=None)
                await ground.bring(id, present)

            async with ground.underway(record, back):
                await ground.step("resume.intended")
                try:
                    await ground.open(record)
                except KernelError as error:
                    await ground.step("resume.failed")
                    record = await ground.confirm(record, status="error", transition=None, error=line_of(error))
                    await ground.bring(id, record)
                    raise
                await ground.step("resume.opened")
                record = await ground.confirm(record, done=RESUMED, **OPEN)
            ground.note(id, record)
            await ground.step("resume.confirmed")
        return record
