"""What is installed, in `sys_installations` and `sys_installation_state`: packages in, verified packages out.

`sys_package_tables` has the tables that packages have made; see `installed_tables`.

The state counts changes, so that of two hosts that change something at once one is refused, and so that a host sees
with one short question whether another has changed something.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import attrs
from objectkernel_contracts import Audit, Principal
from objectkernel_system_dialect.contracts import (
    Dialect,
    DuplicateKey,
    EntitySchema,
    Field,
    Repository,
    Row,
    RowDamaged,
    VersionConflict,
)

from objectkernel_package_service.canonical import digest
from objectkernel_package_service.contracts import Owner, PackageDamaged
from objectkernel_package_service.install_contracts import InstallationsChanged, Installed
from objectkernel_package_service.installed_tables import Holder, InstalledTables
from objectkernel_package_service.naming import LONGEST_ID, LONGEST_VERSION
from objectkernel_package_service.rows import damaged

INSTALLATION: Final = EntitySchema(
    name="PackageInstallation",
    collection="sys_installations",
    fields={
        "id": Field("string", required=True, length=LONGEST_ID),
        "version": Field("string", required=True, length=LONGEST_VERSION),
        "hash": Field("string", required=True, length=64),
        "installed_at": Field("datetime", required=True),
        "updated_at": Field("datetime", required=True),
        "removing": Field("boolean", required=True, default=False),
        "content": Field("text", required=True),
    },
)
"""One row a package. `removing`: it is out of use, and its tables are still to be dropped."""

STATE: Final = EntitySchema(
    name="PackageInstallationState",
    collection="sys_installation_state",
    key="name",
    fields={"name": Field("string", required=True, length=20), "changed_at": Field("datetime", required=True)},
    version=True,
)

ONLY: Final = "installed"

log = logging.getLogger("objectkernel.plugin.package-service")


@attrs.frozen(kw_only=True)
class Stored:
    """What is installed, as it lies in the database.

    Attributes:
        revision: how often that has changed.
        packages: those in use, by id, in no order.
        removing: those whose tables are still to be dropped.
        damaged: an error for each that cannot be read.
    """

    revision: int
    packages: Mapping[str, Installed]
    removing: tuple[Installed, ...] = ()
    damaged: tuple[PackageDamaged, ...] = ()


class InstallationStore:
    """Installed packages in one dialect, whose `INSTALLATION`, `STATE` and `INSTALLED_TABLE` are registered."""

    def __init__(self, dialect: Dialect, audit: Audit | None) -> None:
        self._dialect = dialect
        self.tables: Final = InstalledTables(dialect)
        self._rows = Repository(dialect, INSTALLATION)
        self._state = Repository(dialect, STATE)
        self._audit = audit

    async def revision(self) -> int:
        """How often what is installed has changed."""
        row = await self._state.find_by_id(ONLY)
        return 0 if row is None else int(row["version"])

    async def read(self) -> Stored:
        """Everything that is installed. What changes meanwhile has a later revision than the one told."""
        revision = await self.revision()
        packages, removing, bad = {}, [], []
        for row in await self._all():
            try:
                package = _package(row)
            except PackageDamaged as error:
                bad.append(error)
                continue
            if row["removing"]:
                removing.append(package)
            else:
                packages[package.id] = package
        return Stored(revision=revision, packages=packages, removing=tuple(removing), damaged=tuple(bad))

    async def _all(self) -> list[Row]:
        """Every row that can be read; of one that cannot just its id."""
        try:
            return list(await self._rows.find_all())
        except RowDamaged:
            rows = []
            for row in await self._rows.find_all(select=("id",)):
                try:
                    found = await self._rows.find_by_id(row["id"])
                except RowDamaged:
                    found = row
                rows += [] if found is None else [found]
            return rows

    async def change(
        self,
        revision: int,
        *,
        put: Collection[Installed] = (),
        removing: Collection[Installed] = (),
        gone: Collection[Installed | str] = (),
        made: Mapping[str, Holder] | None = None,
        dropped: Collection[str] = (),
        actions: Mapping[str, str],
        owner: Owner | None,
    ) -> int:
        """Keep a change of what is installed; returns the new revision.

        Args:
            revision: what the change was worked out from.
            put: packages as they are from now on.
            removing: packages whose tables are to be dropped.
            gone: packages that are not there any more; just the id of one that cannot be read.
            made: tables that are there with it.
            dropped: tables that have gone.
            actions: what the audit trail says of a package, by id; nothing of the others.

        Raises:
            InstallationsChanged: another host was faster.
        """
        async with self._dialect.transaction():
            new = await self._next(revision)
            for package in put:
                await self._rows.upsert(_row(package, removing=False))
            for package in removing:
                await self._rows.upsert(_row(package, removing=True))
            for one in gone:
                await self._rows.delete(_id(one))
            await self.tables.note(made or {}, made=True)
            await self.tables.forget(dropped)
            for one in (*put, *removing, *gone):
                if _id(one) in actions:
                    await self._record(actions[_id(one)], one, owner)
            return new

    async def _next(self, revision: int) -> int:
        now = {"changed_at": datetime.now(UTC)}
        try:
            if revision == 0:
                await self._state.create({"name": ONLY, **now})
                return 1
            row = await self._state.update(ONLY, now, version=revision)
        except (DuplicateKey, VersionConflict):
            raise _changed() from None
        if row is None:
            raise _changed()
        return int(row["version"])

    async def _record(self, action: str, package: Installed | str, owner: Owner | None) -> None:
        if self._audit is not None:
            await self._audit.record(
                action,
                package if isinstance(package, str) else f"{package.id}@{package.version}",
                principal=owner if isinstance(owner, Principal) else None,
                account_id=owner if isinstance(owner, str) else None,
                details={} if isinstance(package, str) else {"hash": package.hash},
            )


def _id(package: Installed | str) -> str:
    return package if isinstance(package, str) else package.id


def _row(package: Installed, *, removing: bool) -> dict[str, Any]:
    return {
        "id": package.id,
        "version": package.version,
        "hash": package.hash,
        "installed_at": package.installed_at,
        "updated_at": package.updated_at,
        "removing": removing,
        "content": package.content.decode(),
    }


def _package(row: Row) -> Installed:
    """The package of a row.

    Raises:
        PackageDamaged: it cannot be read, or its bytes have another hash or are another package.
    """
    if "content" not in row:
        raise damaged(row["id"], None, "its row among the installed packages cannot be read")
    content = row["content"].encode()
    if digest(content) != row["hash"]:
        raise damaged(row["id"], row["version"], "the bytes that were installed have another hash")
    manifest = json.loads(content)["manifest"]
    if (manifest["id"], manifest["version"]) != (row["id"], row["version"]):
        raise damaged(row["id"], row["version"], f"the bytes that were installed are of {manifest['id']}")
    kept = ("id", "version", "hash", "installed_at", "updated_at")
    return Installed(**{name: row[name] for name in kept}, content=content)


def _changed() -> InstallationsChanged:
    return InstallationsChanged(
        "another host has installed or uninstalled something at the same moment",
        why="what was to be done was worked out from what was installed before",
        fix="ask again",
        id="",
    )
