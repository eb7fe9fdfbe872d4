"""What other schemas would mean for a project's tables."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import attrs
from objectkernel_system_dialect.contracts import (
    DataPlug,
    EntitySchema,
    IsolatedOptions,
    SchemaOutdated,
    database_place,
)

from objectkernel_project_life.errors import ProjectUnavailable
from objectkernel_project_life.ground import Ground
from objectkernel_project_life.manager import HostManager
from objectkernel_project_life.storage import Record
from objectkernel_project_life.telling import safe, unfit


@attrs.frozen
class Planner:
    """Looks at a project's database by a connection of its own, which is closed when it has; nothing is changed."""

    plug: DataPlug
    ground: Ground

    async def plan(self, record: Record, schemas: Sequence[EntitySchema]) -> tuple[str, ...]:
        """A line for each step that the strategy ``update`` would take.

        Raises:
            InvalidProject: it would refuse.
            UriRefused, UriUnreadable, ProjectUnavailable: the database cannot be opened.
        """
        uri = self.ground.cipher.decrypt(record.uri, record.id)
        self.ground.policy.check(record.home or record.account, record.dialect, uri)
        raised: Exception
        try:
            with anyio.fail_after(self.ground.config.open_timeout):
                return await self._planned(record.dialect, uri.reveal(), schemas)
        except SchemaOutdated as error:
            raise unfit(error) from None
        except Exception as error:
            raised = error
        told = safe(raised, record.mproject_name, uri)
        raise ProjectUnavailable(
            f"the database of {record.mproject_name} cannot be looked at",
            why=(told.what, *told.why),
            fix=told.fix,
            project=record.mproject_name,
        )

    async def _planned(self, dialect: str, uri: str, schemas: Sequence[EntitySchema]) -> tuple[str, ...]:
        config = self.ground.config
        manager = self.ground.manager
        place = database_place(dialect, uri)
        options = IsolatedOptions(
            pool_size=1,
            connect_timeout=config.open_timeout,
            command_timeout=config.command_timeout,
            limit=manager.opener.servers.limit_of(place) if isinstance(manager, HostManager) else None,
            migrations=False,
        )
        opened = await self.plug.open_isolated_dialect(dialect, uri, "none", options=options)
        try:
            return await self.plug.plan_schemas(opened, schemas)
        finally:
            with anyio.CancelScope(shield=True):
                await opened.aclose()
