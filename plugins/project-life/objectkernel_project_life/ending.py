"""Deprovisioning: the connection is closed, the row goes; the tenant's database stays as it is."""

from __future__ import annotations

from typing import Final

from objectkernel_project_life.ground import Done, Ground
from objectkernel_project_life.storage import Record

DONE: Final = Done("deprovision")


class Ending:
    """Ends projects."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    async def deprovision(self, account: str | None, id: str) -> Record:
        """End a project; the row as it was last.

        Raises:
            ProjectMissing, ProjectConflict: nothing was done.
        """
        ground = self._ground
        async with ground.at(account, id) as record:
            await ground.step("deprovision.begin")
            record = await ground.intend(record, status="deprovisioning", transition="deprovisioning")

            async def back(present: Record) -> None:
                """What was begun is ended: its operations may be gone already."""
                await ground.close(present, 0.0)
                await ground.remove(present, DONE)

            async with ground.underway(record, back):
                await ground.step("deprovision.intended")
                await ground.close(record)
                await ground.step("deprovision.closed")
                await ground.remove(record, DONE)
            await ground.step("deprovision.removed")
        return record
