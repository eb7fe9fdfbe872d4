"""The registry in one dialect: what reads it, and what changes it."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from objectkernel_contracts import Audit
from objectkernel_system_dialect.contracts import Dialect

from objectkernel_package_service.calling import HOST
from objectkernel_package_service.changing import Change, Changes, Entry, nothing_but
from objectkernel_package_service.contracts import PackageDamaged
from objectkernel_package_service.curating import Curator
from objectkernel_package_service.integrity import Integrity
from objectkernel_package_service.publishing import Publisher
from objectkernel_package_service.queries import Queries
from objectkernel_package_service.reading import PackageReader
from objectkernel_package_service.removing import Remover
from objectkernel_package_service.state import State


class PackageStore:
    """Packages in one dialect, whose `SCHEMAS` are registered.

    Args:
        audit: is told each change, within its transaction.
    """

    def __init__(self, dialect: Dialect, audit: Audit | None = None) -> None:
        queries = Queries(dialect)
        self.integrity: Final = Integrity()
        self._changes = Changes(dialect, queries, self.integrity, audit)
        self.reader: Final = PackageReader(dialect, queries, self.integrity, self._repair)
        self.publisher: Final = Publisher(self._changes)
        self.curator: Final = Curator(self._changes)
        self.remover: Final = Remover(self._changes)

    async def _repair(self) -> bool:
        """Let every head that leads to no version lead to the latest one again; whether there was such a head.

        It happens when a row is changed or removed past the service.
        """
        rows = await self._changes.dialect.execute(self._changes.queries.lost)

        async def plan(state: State) -> Change[None]:
            if state.head is None:
                return nothing_but(None)

            step = self._changes.head(state, {})[1]
            return Change(action="repair", entries=(Entry(version=None),), steps=[step], answer=lambda _: None)

        repaired = False
        for row in rows:
            with suppress(PackageDamaged):  # which is noted, and hides no other package
                await self._changes.make(f"repairing {row['id']}", row["id"], None, HOST, plan)
                repaired = True
        return repaired
