"""Bringing all projects back when a host starts."""

from __future__ import annotations

import logging
import time

import anyio
from objectkernel.errors import KernelError
from objectkernel_system_dialect.contracts import DataError

from objectkernel_project_life.contracts import BootProgress, BootReport, Transition
from objectkernel_project_life.errors import ProjectUnavailable, UriRefused, UriUnreadable
from objectkernel_project_life.ground import Ground
from objectkernel_project_life.healing import Healing
from objectkernel_project_life.storage import Record
from objectkernel_project_life.telling import safe

log = logging.getLogger("objectkernel.plugin.project-life")


class Booting:
    """Brings the manager to the register."""

    def __init__(self, ground: Ground, healing: Healing) -> None:
        self._ground = ground
        self._healing = healing

    async def boot(self, progress: BootProgress | None = None, *, tries_errors: bool = True) -> BootReport:
        """Heal what a crash has left, take on what is active, and open that where the settings say so.

        What cannot be opened as the host is now is tried in any case: its key is gone, or the settings do not allow
        its place any more; with `tries_errors` also what is in error. Each project is dealt with by a task of its own:
        the manager bounds how many are opened at once, and one that cannot be opened fails alone.

        Raises:
            DataError: of the system's database.
        """
        began = time.monotonic()
        run = _Run(progress)
        async with anyio.create_task_group() as tasks:
            gone = set(self._ground.seen)
            async for record in self._ground.register.all():
                gone.discard(record.id)
                if record.transition is not None:
                    run.total += 1
                    tasks.start_soon(self._heal, record, run)
                elif not await self._take_on(record):
                    continue
                elif (tries_errors and record.status == "error") or self._is_to_be_tried(record):
                    run.total += 1
                    tasks.start_soon(self._open, record, run)
                else:
                    run.found(record)
            for id in gone:
                await self._healing.heal(id)
        seconds = time.monotonic() - began
        log.info("%d projects are loaded, %d failed, within %.2f s", len(run.loaded), len(run.failed), seconds)
        return BootReport(loaded=tuple(run.loaded), failed=run.failed, healed=run.healed, seconds=seconds)

    async def _take_on(self, record: Record) -> bool:
        """Let the manager know a project, or know no more of it; whether it is to be had now."""
        async with self._ground.turns.upkeep(record.id) as free:
            if not free:
                self._ground.dirty.add(record.id)
                return False
            await self._ground.bring(record.id, record)
        return record.is_served

    def _is_to_be_tried(self, record: Record) -> bool:
        """Whether a project is opened now, or at least said why not; no connection is made to find that out."""
        ground = self._ground
        if ground.config.opening == "eager":
            return True
        try:
            uri = ground.cipher.decrypt(record.uri, record.id)
            ground.policy.check(record.home or record.account, record.dialect, uri)
        except (UriUnreadable, UriRefused):
            return True
        return False

    async def _heal(self, record: Record, run: _Run) -> None:
        left = record.transition
        healed = await self._healing.heal(record.id)
        if left is not None and (healed is None or healed.transition is None):
            run.healed[record.id] = left
        if healed is not None and healed.is_served:
            run.found(healed)
        run.step()

    async def _open(self, record: Record, run: _Run) -> None:
        raised: KernelError | None = None
        try:
            await self._ground.manager.try_project(record.mproject_name)
        except Exception as error:
            raised = safe(error, record.mproject_name, self._ground.uri_of(record))
        try:
            if raised is None:
                await self._ground.recovered(record)
            else:
                await self._ground.failed(record, raised)
        except DataError as error:
            self._ground.dirty.add(record.id)
            log.warning("what became of %s is not written: %s", record.mproject_name, error.what)
        if raised is None:
            run.loaded.append(record.id)
        else:
            run.failed[record.id] = raised
        run.step()


class _Run:
    """What has become of the projects so far."""

    def __init__(self, progress: BootProgress | None) -> None:
        self.loaded: list[str] = []
        self.failed: dict[str, KernelError] = {}
        self.healed: dict[str, Transition] = {}
        self.total = 0
        self._done = 0
        self._progress = progress

    def found(self, record: Record) -> None:
        """A project is usable, as far as its row says."""
        if record.status == "error":
            self.failed[record.id] = ProjectUnavailable(
                f"the database of {record.mproject_name} could not be opened",
                why=record.error or "nobody has written why",
                fix="it is tried again by itself; resume it to try now",
                project=record.mproject_name,
            )
        else:
            self.loaded.append(record.id)

    def step(self) -> None:
        """One that took time is done."""
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self.total)
