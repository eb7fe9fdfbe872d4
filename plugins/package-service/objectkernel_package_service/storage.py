"""The table `sys_packages`: rows in, verified records out."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from objectkernel_system_dialect.contracts import (
    DataError,
    Dialect,
    EntitySchema,
    Field,
    Index,
    Repository,
    Row,
)
from sqlalchemy import Integer, Select, Table, bindparam, exists, select

from objectkernel_package_service.canonical import content_of, digest
from objectkernel_package_service.contracts import (
    LATEST,
    PackageDamaged,
    PackageRecord,
    PackageStoreUnavailable,
    PackageSummary,
    Page,
)
from objectkernel_package_service.naming import LONGEST_ID, LONGEST_VERSION
from objectkernel_package_service.package import Canonical

PACKAGE: Final = EntitySchema(
    name="Package",
    collection="sys_packages",
    key=("id", "version"),
    fields={
        "id": Field("string", required=True, length=LONGEST_ID),
        "version": Field("string", required=True, length=LONGEST_VERSION),
        "manifest": Field("text", required=True),
        "metadata": Field("text", required=True),
        "hash": Field("string", required=True, length=64),
        "sequence": Field("sequence"),
    },
    timestamps=True,
    indexes=(Index({"id": 1, "created_at": -1}), Index({"id": 1, "sequence": -1})),
)
"""One row a version. `sequence` is its place among all insertions: clocks tie and turn back, it does not."""

SUMMARY: Final = ("id", "version", "hash", "created_at", "updated_at", "sequence")

UNREADABLE: Final = (AttributeError, LookupError, TypeError, ValueError)
"""What typing a row raises where somebody wrote a value of another type into it."""

log = logging.getLogger("objectkernel.plugin.package-service")


class PackageStore:
    """Packages in one dialect, whose `PACKAGE` is registered."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._rows = Repository(dialect, PACKAGE)
        self._newest, self._versions = _lists(dialect.table(PACKAGE))

    async def put(self, package: Canonical) -> PackageRecord:
        """Insert the version, or replace its content where it is; its `sequence` and `created_at` stay."""
        with answering(f"publishing {package.id}@{package.version}"):
            row = await self._rows.upsert(
                {
                    "id": package.id,
                    "version": package.version,
                    "manifest": package.manifest.decode(),
                    "metadata": package.metadata.decode(),
                    "hash": package.hash,
                }
            )
        with legible(package.id, package.version):
            return _verified(row)

    async def exact(self, id: str, version: str) -> PackageRecord | None:
        """The record of this very version."""
        with answering(f"reading {id}@{version}"), legible(id, version):
            row = await self._rows.find_by_id((id, version))
            return None if row is None else _verified(row)

    async def latest(self, id: str) -> PackageRecord | None:
        """The record of the version inserted last."""
        with answering(f"reading the latest version of {id}"), legible(id, LATEST):
            row = await self._rows.find_one({"id": id}, sort={"sequence": -1})
            return None if row is None else _verified(row)

    async def newest(self, limit: int, before: int) -> Page:
        """The latest version of each package, of those whose sequence is below `before`."""
        return await self._page(self._newest, {"before": before}, limit)

    async def versions(self, id: str, limit: int, before: int) -> Page:
        """The versions of one package whose sequence is below `before`."""
        return await self._page(self._versions, {"package": id, "before": before}, limit)

    async def remove(self, id: str, version: str) -> bool:
        """Remove one version; whether it was there."""
        with answering(f"deleting {id}@{version}"):
            return await self._rows.delete((id, version))

    async def remove_all(self, id: str) -> bool:
        """Remove every version of a package; whether there was one."""
        with answering(f"deleting all versions of {id}"):
            return await self._rows.delete_many({"id": id}) > 0

    async def _page(self, statement: Query, params: Mapping[str, object], limit: int) -> Page:
        """A page of `limit` rows; the one row beyond it only says that there is more."""
        params = {**params, "rows": limit + 1}
        with answering("listing packages"):
            try:
                rows = await self._dialect.execute(statement, params)
            except UNREADABLE:
                rows = await self._one_by_one(statement, params)
        items = tuple(_summary(row) for row in rows[:limit] if "hash" in row)
        return Page(items=items, after=str(rows[limit - 1]["sequence"]) if len(rows) > limit else None)

    async def _one_by_one(self, statement: Query, params: Mapping[str, object]) -> list[Row]:
        """The rows of a list in which one cannot be read; of that one the key alone."""
        table = self._dialect.table(PACKAGE)
        keys = statement.with_only_columns(table.c.id, table.c.version, table.c.sequence)
        rows = []
        for key in await self._dialect.execute(keys, params):
            try:
                with legible(key["id"], key["version"]):
                    found = await self._rows.find_one({"sequence": key["sequence"]}, select=SUMMARY)
            except PackageDamaged:
                found = key
            rows += [found] if found else []
        return rows


Query = Select[tuple[object, ...]]


def _lists(table: Table) -> tuple[Query, Query]:
    """The latest version of each package, and the versions of one, newest first, below a sequence.

    Each is one walk down an index; for the first, with one look into an index a row, latest is the version of
    which no other of the same id has a higher sequence.
    """
    newer = table.alias("newer")
    superseded = exists().where(newer.c.id == table.c.id, newer.c.sequence > table.c.sequence)
    rows = (
        select(*(table.c[name] for name in SUMMARY))
        .where(table.c.sequence < bindparam("before"))
        .order_by(table.c.sequence.desc())
        .limit(bindparam("rows", type_=Integer))
    )
    return rows.where(~superseded), rows.where(table.c.id == bindparam("package"))


@contextmanager
def answering(doing: str) -> Iterator[None]:
    """Turn every fault of the database into one error: what is unknown is neither "not found" nor "empty"."""
    try:
        yield
    except DataError as error:
        raise PackageStoreUnavailable(
            f"{doing}: unknown, the database gave no answer",
            why=f"[{error.code}] {error.what}",
            fix=error.fix or "see to the system database, then ask again",
            operation=doing,
        ) from error


@contextmanager
def legible(id: str, version: str) -> Iterator[None]:
    """Turn what happens on reading a value that is not of its column's type into PackageDamaged."""
    try:
        yield
    except UNREADABLE as error:
        raise _damaged(id, version, f"a stored value cannot be read ({type(error).__name__})") from error


def _summary(row: Row) -> PackageSummary:
    return PackageSummary(**{name: row[name] for name in SUMMARY if name != "sequence"})


def _verified(row: Row) -> PackageRecord:
    """The record of a row, if its bytes have their hash and are of the package that the key says."""
    id, version = row["id"], row["version"]
    content = content_of(row["manifest"].encode(), row["metadata"].encode())
    found = digest(content)
    if found != row["hash"]:
        raise _damaged(id, version, f"its bytes have the hash {found}, stored is {row['hash']}")
    manifest = json.loads(row["manifest"])
    if (manifest["id"], manifest["version"]) != (id, version):
        raise _damaged(id, version, f"its manifest is that of {manifest['id']}@{manifest['version']}")
    return PackageRecord(
        id=id,
        version=version,
        hash=found,
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        content=content,
    )


def _damaged(id: str, version: str, why: str) -> PackageDamaged:
    log.error("package %s@%s is damaged: %s", id, version, why)
    return PackageDamaged(
        f"package {id}@{version} is damaged and was not delivered",
        why=why,
        fix="publish this version again from its source, or restore the database from a backup",
        id=id,
        version=version,
    )
