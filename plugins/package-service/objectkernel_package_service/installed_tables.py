"""Whose tables are: which installed package has made each, also when it has left it behind with its rows.

A package may take up what it has made itself, and nothing else that lies in the database. So that a process that dies
while it makes tables leaves none that nobody knows, a table is noted before it is made.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

import attrs
from objectkernel_system_dialect.contracts import Dialect, EntitySchema, Field, Repository

from objectkernel_package_service.column_names import LONGEST
from objectkernel_package_service.contracts import Problem
from objectkernel_package_service.naming import LONGEST_ID

INSTALLED_TABLE: Final = EntitySchema(
    name="PackageTable",
    collection="sys_package_tables",
    key="collection",
    fields={
        "collection": Field("string", required=True, length=LONGEST),
        "package": Field("string", required=True, length=LONGEST_ID),
        "made": Field("boolean", required=True, default=False),
    },
)
"""One row a table. `made`: the package that it was made for is, or was, installed; otherwise it was about to be."""


@attrs.frozen
class Holder:
    """Who has made a table, or was about to."""

    package: str
    made: bool


class InstalledTables:
    """What the system's data remembers of the tables of packages; the dialect has `INSTALLED_TABLE` registered."""

    def __init__(self, system: Dialect) -> None:
        self._rows = Repository(system, INSTALLED_TABLE)

    async def holders(self) -> dict[str, Holder]:
        """Who has made what, by the table."""
        rows = await self._rows.find_all()
        return {row["collection"]: Holder(row["package"], row["made"]) for row in rows}

    async def note(self, tables: Mapping[str, str], *, made: bool) -> None:
        """Remember of tables, which package each is for."""
        for name, package in tables.items():
            await self._rows.upsert({"collection": name, "package": package, "made": made})

    async def forget(self, tables: Iterable[str]) -> None:
        """Remember nothing of tables any more."""
        for name in tables:
            await self._rows.delete(name)


def tables_of(*schemas: EntitySchema) -> Iterator[str]:
    """The tables that entities need: their own, and one for each relation to many that lies with them."""
    for schema in schemas:
        yield schema.collection
        for name, relation in schema.relations.items():
            if relation.kind == "many-to-many" and relation.mapped_by is None:
                yield relation.through or f"{schema.collection}_{name}"


def strange(wanted: Mapping[str, str], holders: Mapping[str, Holder]) -> dict[str, str]:
    """Those of the tables that packages want which they have not made themselves.

    Args:
        wanted: by the table, for which package it is.
    """
    return {name: id for name, id in wanted.items() if name not in holders or holders[name].package != id}


def taken(tables: Mapping[str, str], there: Collection[str], holders: Mapping[str, Holder]) -> Iterator[Problem]:
    """What is wrong with tables that are `strange`: those that are there are somebody else's."""
    for name, id in tables.items():
        if name not in there:
            continue
        if name in holders:
            other = holders[name].package
            what = (
                f"the table is there, made for {other}, and may have rows of it: uninstall {other} with its data "
                f"removed, after installing it again if it is gone, or rename the table"
            )
        else:
            what = "the table is there already, and no package has made it: rename it, or give the object another name"
        yield Problem(f"{id}: {name}", what)


def abandoned(name: str) -> EntitySchema:
    """Stands for the entity of a table that no version in use has any more, so that the table can be dropped."""
    return EntitySchema(name=f"table {name}", collection=name, fields={})
