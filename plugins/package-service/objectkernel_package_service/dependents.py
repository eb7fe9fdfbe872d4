"""Who needs a package: what keeps a version from being deleted."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import attrs
from anyio import to_thread
from objectkernel_system_dialect.contracts import Dialect, RowDamaged

from objectkernel_package_service.calling import Caller
from objectkernel_package_service.contracts import PackageNeeded
from objectkernel_package_service.queries import Queries
from objectkernel_package_service.ranges import Candidate, admits
from objectkernel_package_service.rows import damaged

NAMED: Final = 10
"""Packages that an error names."""
QUICK: Final = 500
"""Ranges times versions from which they are tried in a thread."""


@attrs.frozen
class Dependents:
    """Looks for versions of other packages, none of them yanked, that need one."""

    dialect: Dialect
    queries: Queries

    async def refuse_loss(self, id: str, version: str | None, caller: Caller) -> None:
        """Refuse to delete a version, or all, where a dependency is met by what goes and by nothing that stays.

        Raises:
            PackageNeeded: it names some of those who need it; of private packages of others it tells that they are.
        """
        try:
            ranges = [row["range"] for row in await self.dialect.execute(self.queries.ranges, {"package": id})]
            rows = await self.dialect.execute(self.queries.candidates.of_host, {"package": id}) if ranges else []
        except RowDamaged as error:
            raise damaged(id, version, "who needs it cannot be read; with force it is deleted all the same") from error
        candidates = [Candidate(row["version"], row["yanked"]) for row in rows]
        gone = [candidate for candidate in candidates if version in (None, candidate.version)]
        rest = [candidate for candidate in candidates if candidate not in gone]
        if len(ranges) * len(candidates) < QUICK:
            broken = _broken(ranges, gone, rest)
        else:
            broken = await to_thread.run_sync(_broken, ranges, gone, rest)
        if broken:
            raise await self._needed(id, version, broken, caller)

    async def _needed(self, id: str, version: str | None, ranges: Collection[str], caller: Caller) -> PackageNeeded:
        params = {"package": id, "ranges": list(ranges), "rows": NAMED + 1}
        rows = await self.dialect.execute(self.queries.needing, params)
        named = tuple(
            f"{row['id']}@{row['version']}"
            for row in rows[:NAMED]
            if caller.account in (None, row["owner"]) or row["visibility"] == "public"
        )
        more = ["others"] if len(named) < len(rows) else []
        what = id if version is None else f"{id}@{version}"
        return PackageNeeded(
            f"{what} is needed by others and was not deleted",
            why=f"nothing else that is published meets the dependencies of {', '.join([*named, *more])}",
            fix="publish a version that does, yank this one instead, or delete it with force",
            id=id,
            version=version,
            needed_by=named,
        )


def _broken(ranges: Sequence[str], gone: Sequence[Candidate], rest: Sequence[Candidate]) -> list[str]:
    """The ranges that something admits which goes, and nothing that stays."""
    found = []
    for range in ranges:
        test = admits(range)
        if any(map(test, gone)) and not any(map(test, rest)):
            found.append(range)
    return found
