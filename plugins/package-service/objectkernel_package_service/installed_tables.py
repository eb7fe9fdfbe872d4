"""Whose tables are: which installed package has made each, also when it has left it behind with its rows.

A package may take up what it has made itself, and nothing else that lies in the database. So that a process that dies
while it makes tables leaves none that nobody knows, a table is noted before it is made.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
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
        "tenant": Field("string", length=LONGEST),
        "made": Field("boolean", required=True, default=False),
    },
)
"""One row a table; see `Holder`."""


@attrs.frozen
class Holder:
    """Who has made a table, or was about to.

    Attributes:
        package: its id.
        tenant: the column that says whose a row is; None: all accounts share the rows.
        made: the package is, or was, installed with it; otherwise it was about to be.
    """

    package: str
    tenant: str | None = None
    made: bool = False


class InstalledTables:
    """What the system's data remembers of the tables of packages; the dialect has `INSTALLED_TABLE` registered."""

    def __init__(self, system: Dialect) -> None:
        self._rows = Repository(system, INSTALLED_TABLE)

    async def holders(self) -> dict[str, Holder]:
        """Who has made what, by the table."""
        rows = await self._rows.find_all()
        return {row["collection"]: Holder(row["package"], row["tenant"], row["made"]) for row in rows}

    async def note(self, tables: Mapping[str, Holder], *, made: bool) -> None:
        """Remember who has tables, or is about to make them."""
        for name, one in tables.items():
            row = {"collection": name, "package": one.package, "tenant": one.tenant, "made": made}
            await self._rows.upsert(row)

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


def wanted(packages: Mapping[str, Sequence[EntitySchema]]) -> dict[str, Holder]:
    """The tables that packages with these entities have."""
    found: dict[str, Holder] = {}
    for id, schemas in packages.items():
        found |= dict.fromkeys(tables_of(*schemas), Holder(id))
        found |= {schema.collection: Holder(id, schema.tenant) for schema in schemas}
    return found


def strange(tables: Mapping[str, Holder], holders: Mapping[str, Holder]) -> dict[str, Holder]:
    """Those of the tables that packages want which they have not made themselves."""
    return {name: one for name, one in tables.items() if name not in holders or holders[name].package != one.package}


def reassigned(tables: Mapping[str, Holder], holders: Mapping[str, Holder]) -> dict[str, Holder]:
    """Those of their own in which it would not be the same any more whose a row is."""
    own = {name: one for name, one in tables.items() if name in holders and holders[name].package == one.package}
    return {name: one for name, one in own.items() if holders[name].tenant not in (None, one.tenant)}


def problems(tables: Mapping[str, Holder], there: Collection[str], holders: Mapping[str, Holder]) -> Iterator[Problem]:
    """What is wrong with tables that are `strange` or `reassigned`.

    Args:
        there: those of them that the database has.
    """
    for name, one in tables.items():
        if name in there:
            yield Problem(f"{one.package}: {name}", _wrong(one, holders.get(name)))


def _wrong(one: Holder, known: Holder | None) -> str:
    if known is None:
        return "the table is there already, and no package has made it: rename it, or give the object another name"
    if known.package != one.package:
        return (
            f"the table is there, made for {known.package}, and may have rows of it: uninstall {known.package} with "
            "its data removed, after installing it again if it is gone, or rename the table"
        )
    now = "are everybody's" if one.tenant is None else f"have that in {one.tenant}"
    return (
        f"whose its rows are is in {known.tenant}, and in this version they {now}: leave `tenancy` as it was, or "
        "uninstall the package with its data removed first"
    )


def abandoned(name: str) -> EntitySchema:
    """Stands for the entity of a table that no version in use has any more, so that the table can be dropped."""
    return EntitySchema(name=f"table {name}", collection=name, fields={})
