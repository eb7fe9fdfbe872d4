"""The entities of packages in the business data: exchanged with their tables, and dropped."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager

import attrs
from objectkernel_system_dialect.contracts import (
    Dialect,
    EntitySchema,
    SchemaInvalid,
    SchemaOutdated,
    Schemas,
    StatementFailed,
)

from objectkernel_package_service.answering import answering
from objectkernel_package_service.catalogue import present
from objectkernel_package_service.consumers import Undo
from objectkernel_package_service.installed_tables import InstalledTables, abandoned, tables_of
from objectkernel_package_service.row_size import excesses
from objectkernel_package_service.tenancy import given_to


@attrs.frozen
class Entities:
    """Registers entities, and takes them away again.

    Attributes:
        schemas: the entities of the business data.
        business: where their tables are.
        heir: the account that gets rows which were written before their object kept those of accounts apart; empty:
            none does.
    """

    schemas: Schemas
    business: Dialect
    heir: str = ""

    async def present(self, tables: Iterable[str]) -> frozenset[str]:
        """Those of the tables that are there, whoever made them."""
        with answering("looking for the tables that are there"):
            return await present(self.business, tables)

    async def exchange(
        self, remove: Sequence[EntitySchema], add: Sequence[EntitySchema], noted: InstalledTables, undo: Undo
    ) -> None:
        """Put entities in the place of others, with their tables.

        Args:
            undo: takes it back, and drops the tables that have come with it and that no installed package has.
        """
        made: tuple[str, ...] = ()

        async def back() -> None:
            holders = await noted.holders()
            kept = {name for name, one in holders.items() if one.made}  # by another host, which was faster
            await self.schemas.exchange_schemas(add, remove, drop=[name for name in made if name not in kept])

        with answering("making the tables of packages"), _refusals(add):
            try:
                made = await self.schemas.exchange_schemas(remove, add)
            except SchemaOutdated as error:
                if not any(schema.tenant for schema in add):
                    raise
                if not self.heir:
                    raise _without_heir(error) from error
                given = [given_to(schema, self.heir) for schema in add]
                made = await self.schemas.exchange_schemas(remove, given)
                undo.append(back)
                await self.schemas.exchange_schemas(given, add)
            else:
                undo.append(back)

    async def drop(self, schemas: Sequence[EntitySchema], own: Collection[str]) -> None:
        """Take the entities of a package away, and drop the tables that it has made.

        Args:
            own: those tables; what of them no entity has any more goes too, unless another one has it.
        """
        names = {schema.name for schema in schemas}
        others = [one for one in self.schemas.get_all_schemas() if one.name not in names]
        old = set(own).difference(tables_of(*schemas), tables_of(*others))
        gone = [*schemas, *map(abandoned, sorted(old))]
        with answering("dropping the tables of a package"), _refusals():
            await self.schemas.exchange_schemas(gone, drop=[one.collection for one in gone if one.collection in own])


@contextmanager
def _refusals(add: Sequence[EntitySchema] = ()) -> Iterator[None]:
    """Keep what the database refuses apart from what it does not answer, and name the entities that may be why."""
    try:
        yield
    except StatementFailed as error:
        likely = [what for schema in add for what in excesses(schema)]
        raise SchemaInvalid(
            "the database refuses the tables", why=error.what, fix=error.fix, problems=(error.what, *likely)
        ) from error


def _without_heir(error: SchemaOutdated) -> SchemaOutdated:
    told = (
        *error.facts["differences"],
        "rows that were written before their object kept those of accounts apart get the account that the setting "
        "account_of_older_rows names",
    )
    return SchemaOutdated(error.what, why=told, fix=error.fix, differences=told)
