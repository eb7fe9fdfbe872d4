"""Changing what may simply be changed of a project, and telling what a change of its schemas would do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from objectkernel_system_dialect.contracts import EntitySchema

from objectkernel_project_life.ground import Done, Ground
from objectkernel_project_life.storage import Record
from objectkernel_project_life.turns import busy
from objectkernel_project_life.validation import refuse, update_problems

PlanSchemas = Callable[[Record, Sequence[EntitySchema]], Awaitable[tuple[str, ...]]]
"""What would be done to the tables of a project for these schemas, one line each."""


class Changing:
    """Changes projects."""

    def __init__(self, ground: Ground, plan: PlanSchemas) -> None:
        self._ground = ground
        self._plan = plan

    async def update(self, account: str | None, id: str, changes: Mapping[str, Any], version: int | None) -> Record:
        """Change the name, the transports, the pool.

        Raises:
            ProjectMissing, ProjectConflict, InvalidProject: nothing was done.
        """
        async with self._ground.at(account, id) as record:
            refuse("a project cannot be changed so", update_problems(changes, record.pool_size, record.pool_min))
            if version is not None and version != record.version:
                raise busy(id, f"its version is {record.version}, and the change is meant for {version}")
            written = {name: list(value) if name == "transports" else value for name, value in changes.items()}
            if all(getattr(record, name) == value for name, value in written.items()):
                return record
            done = Done("update", {"changed": sorted(written)})
            record = await self._ground.intend(record, done=done, **written)
            await self._ground.bring(id, record)
            return record

    async def plan_schemas(self, account: str | None, id: str, schemas: Sequence[Any]) -> tuple[str, ...]:
        """What `update_schemas` would do to the tables.

        Raises:
            ProjectMissing, InvalidProject: it cannot be said.
            KernelError: its database cannot be opened.
        """
        record = await self._ground.owned(account, id)
        problems: list[str] = []
        documents = await self._ground.schemas.documents(schemas, problems)
        refuse("a project cannot have these schemas", problems)
        return await self._plan(record, [self._ground.schemas.read(document) for document in documents])
