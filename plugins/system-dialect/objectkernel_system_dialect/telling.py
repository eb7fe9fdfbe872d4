"""What administrators ask of a dialect whose database they do not know: what is to be done to it, and which it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from objectkernel_system_dialect.dialect import Dialect
from objectkernel_system_dialect.errors import OperationUnsupported
from objectkernel_system_dialect.schema import EntitySchema


@runtime_checkable
class TellsOfDatabase(Protocol):
    """A dialect that knows its database."""

    async def plan(self, schemas: Sequence[EntitySchema]) -> tuple[str, ...]:
        """See `DataPlug.plan_schemas`."""
        ...

    async def identity(self) -> str:
        """See `DataPlug.database_identity`."""
        ...


def telling(dialect: Dialect) -> TellsOfDatabase:
    """The dialect, as one that tells of its database.

    Raises:
        OperationUnsupported: it cannot.
    """
    if isinstance(dialect, TellsOfDatabase):
        return dialect
    raise untold(dialect.name)


def untold(dialect: str) -> OperationUnsupported:
    """The error for a dialect that knows nothing of its database."""
    return OperationUnsupported(
        f"the dialect {dialect!r} cannot tell which database it has, or what its tables are",
        why="its database is the affair of another host, or of its maker, or there is no way to ask it",
        fix="ask where the database is; in NET mode that is the server",
        dialect=dialect,
        capability="tell",
    )
