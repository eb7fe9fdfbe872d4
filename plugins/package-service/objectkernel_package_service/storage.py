"""Packages in the table `sys_packages`: rows in, verified records out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from anyio import to_thread
from objectkernel_system_dialect.contracts import (
    DatabaseUnavailable,
    Dialect,
    DialectClosed,
    DuplicateKey,
    Repository,
    Row,
    RowDamaged,
    Sort,
    StatementFailed,
)

from objectkernel_package_service.contracts import (
    LATEST,
    PackageDamaged,
    PackageRecord,
    PackageStoreUnavailable,
    PackageSummary,
    Page,
)
from objectkernel_package_service.naming import is_key
from objectkernel_package_service.package import Canonical
from objectkernel_package_service.rows import damaged, log, record, summary
from objectkernel_package_service.table import PACKAGE, RECORD, SUMMARY, Query, statements

LARGE: Final = 65_536
"""Bytes of a package from which it is read and hashed in a thread: so much takes a millisecond or a few."""
NEWEST_FIRST: Final[Sort] = {"sequence": -1}
UNANSWERED: Final = (DatabaseUnavailable, DialectClosed, StatementFailed)


class PackageStore:
    """Packages in one dialect, whose `PACKAGE` is registered."""

    def __init__(self, dialect: Dialect) -> None:
        self._execute = dialect.execute
        self._rows = Repository(dialect, PACKAGE)
        self._statements = statements(dialect.table(PACKAGE))

    # --- writing ----------------------------------------------------------------------------------------

    async def put(self, package: Canonical) -> PackageRecord:
        """Insert the version, or replace its content where it is; its `sequence` and `created_at` stay."""
        with answering(f"publishing {package.id}@{package.version}"):
            while True:  # a second round only when somebody deleted the version in the first, or it is mended
                put = await self._insert(package) or await self._replace(package)
                if put is not None:
                    return put

    async def _insert(self, package: Canonical) -> PackageRecord | None:
        """The record of a version that was not there; None when it is."""
        now = datetime.now(UTC)
        row = {
            "id": package.id,
            "version": package.version,
            "hash": package.hash,
            "created_at": now,
            "updated_at": now,
            "manifest": package.manifest.decode(),
            "metadata": package.metadata.decode(),
        }
        try:
            await self._rows.create(row)
        except DuplicateKey:
            return None
        await self._execute(self._statements.supersede, {"package": package.id, "this": package.version})
        return _published(package, created_at=now, updated_at=now, previous_hash=None)

    async def _replace(self, package: Canonical) -> PackageRecord | None:
        """The record of a version that was there; None when it is not any more, or had to be mended first."""
        now = datetime.now(UTC)
        new = {
            "package": package.id,
            "this": package.version,
            "new_manifest": package.manifest.decode(),
            "new_metadata": package.metadata.decode(),
            "new_hash": package.hash,
            "now": now,
        }
        try:
            rows = await self._execute(self._statements.replace, new)
        except RowDamaged:
            await self._mend(package, now)
            return None
        if not rows:
            return None
        (row,) = rows
        if row["previous_hash"] != package.hash:
            log.warning(
                "package %s@%s was overwritten with other content: its hash was %s and is %s",
                *(package.id, package.version, row["previous_hash"], package.hash),
            )
        return _published(package, updated_at=now, **row)

    async def _mend(self, package: Canonical, now: datetime) -> None:
        """Make legible what `replace` keeps of a damaged row, so that publishing over it works."""
        this = {"id": package.id, "version": package.version}
        for field, sound in (("created_at", now), ("hash", package.hash)):
            try:
                await self._rows.find_one(this, select=(field,))
            except RowDamaged:
                where = {"package": package.id, "this": package.version}
                await self._execute(self._statements.mend[field], {**where, "sound": sound})
                log.warning("package %s@%s: its %s could not be read and is mended", *this.values(), field)

    async def remove(self, id: str, version: str) -> bool:
        """Remove one version; whether it was there."""
        this = {"package": id, "this": version}
        with answering(f"deleting {id}@{version}"):
            while await self._rows.exists({"id": id, "version": version}):
                await self._execute(self._statements.promote, this)
                if await self._execute(self._statements.remove, this):
                    return True
                # Another publish has taken the mark away again in between.
            return False

    async def remove_all(self, id: str) -> bool:
        """Remove every version of a package; whether there was one."""
        with answering(f"deleting all versions of {id}"):
            return await self._rows.delete_many({"id": id}) > 0

    # --- reading ----------------------------------------------------------------------------------------

    async def exact(self, id: str, version: str) -> PackageRecord | None:
        """The record of this very version."""
        with answering(f"reading {id}@{version}"):
            try:
                row = await self._rows.find_one({"id": id, "version": version}, select=RECORD)
            except RowDamaged as error:
                raise _illegible(id, version, error) from error
        return await _verified(row)

    async def latest(self, id: str) -> PackageRecord | None:
        """The record of the version inserted last."""
        with answering(f"reading the latest version of {id}"):
            try:
                row = await self._rows.find_one({"id": id}, sort=NEWEST_FIRST, select=RECORD)
            except RowDamaged as error:
                version = await self._part({"id": id}, "version")
                raise _illegible(id, LATEST if version is None else version, error) from error
        return await _verified(row)

    async def newest(self, limit: int, before: int) -> Page:
        """The latest version of each package, of those whose sequence is below `before`."""
        return await self._page(self._statements.newest, {"before": before}, limit)

    async def versions(self, id: str, limit: int, before: int) -> Page:
        """The versions of one package whose sequence is below `before`."""
        return await self._page(self._statements.versions, {"package": id, "before": before}, limit)

    async def everything(self, limit: int, before: int) -> Page:
        """Every version of every package whose sequence is below `before`."""
        return await self._page(self._statements.everything, {"before": before}, limit)

    async def _page(self, statement: Query, params: Mapping[str, object], limit: int) -> Page:
        """A page of `limit` rows; the one row beyond it only says that there is more."""
        params = {**params, "rows": limit + 1}
        with answering("listing packages"):
            try:
                rows = await self._execute(statement, params)
                items, bad = _summaries(rows[:limit])
            except RowDamaged:
                rows = await self._execute(statement.with_only_columns(statement.selected_columns.sequence), params)
                items, bad = await self._one_by_one([row["sequence"] for row in rows[:limit]])
            if not all(is_key(error.id, error.version) for error in bad) and await self._settled():
                return await self._page(statement, params, limit)
        after = str(rows[limit - 1]["sequence"]) if len(rows) > limit else None
        return Page(items=tuple(items), damaged=tuple(bad), after=after)

    async def _settled(self) -> bool:
        """Show the packages whose newest row has another key now; whether there were any."""
        return bool(await self._execute(self._statements.settle))

    async def _one_by_one(self, sequences: list[int]) -> Summaries:
        """The summaries of rows of which one cannot be read, and the damage of that one."""
        items, bad = [], []
        for sequence in sequences:
            this = {"sequence": sequence}
            try:
                row = await self._rows.find_one(this, select=SUMMARY)
            except RowDamaged as error:
                bad.append(_illegible(await self._part(this, "id"), await self._part(this, "version"), error))
            else:
                more = _summaries([row] if row is not None else [])
                items += more[0]
                bad += more[1]
        return items, bad

    async def _part(self, filter: Mapping[str, object], part: str) -> str | None:
        """One part of a row's key, None where it cannot be read."""
        try:
            row = await self._rows.find_one(filter, sort=NEWEST_FIRST, select=(part,))
        except RowDamaged:
            return None
        return None if row is None else row[part]


Summaries = tuple[list[PackageSummary], list[PackageDamaged]]


def _summaries(rows: list[Row]) -> Summaries:
    items, bad = [], []
    for row in rows:
        try:
            items.append(summary(row))
        except PackageDamaged as error:
            bad.append(error)
    return items, bad


async def _verified(row: Row | None) -> PackageRecord | None:
    if row is None:
        return None
    if len(row["manifest"]) + len(row["metadata"]) > LARGE:
        return await to_thread.run_sync(record, row)
    return record(row)


def _published(
    package: Canonical, *, created_at: datetime, updated_at: datetime, previous_hash: str | None
) -> PackageRecord:
    return PackageRecord(
        id=package.id,
        version=package.version,
        hash=package.hash,
        previous_hash=previous_hash,
        created_at=created_at,
        updated_at=updated_at,
        content=package.content,
    )


def _illegible(id: str | None, version: str | None, error: RowDamaged) -> PackageDamaged:
    return damaged(id, version, f"what is stored as its {error.facts['field']} cannot be read")


@contextmanager
def answering(doing: str) -> Iterator[None]:
    """Turn every fault of the database into one error: what is unknown is neither "not found" nor "empty"."""
    try:
        yield
    except UNANSWERED as error:
        raise PackageStoreUnavailable(
            f"{doing}: unknown, the database gave no answer",
            why=f"[{error.code}] {error.what}",
            fix=error.fix or "see to the system database, then ask again",
            operation=doing,
        ) from error
