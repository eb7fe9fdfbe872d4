"""`BaseDialect`: the operations of a dialect that follow from others, for whoever implements one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from objectkernel.errors import nearest

from objectkernel_system_dialect.dialect import Capability, Filter, Key, Page, Row, Sort
from objectkernel_system_dialect.errors import EntityUnknown, OperationUnsupported, OptionInvalid, UnknownField
from objectkernel_system_dialect.filters import PART_LIMIT, chunked
from objectkernel_system_dialect.schema import EntitySchema, Relation

if TYPE_CHECKING:
    from sqlalchemy import Table

    from objectkernel_system_dialect.dialect import CoreStatement

SEARCHED = frozenset({"string", "text", "enum"})
"""The types of fields that a search looks at."""


class BaseDialect:
    """Gives `find_one`, `find_by_ids`, `stream`, `search`, relations and refusals in terms of the rest of `Dialect`.

    A subclass gives `name`, `schemas`, `find`, `find_page`, and every operation that is not here. It calls `included`
    on the rows it found when `include` was given, for which it gives `linked`.
    """

    name: str
    capabilities: frozenset[Capability] = frozenset()

    if TYPE_CHECKING:  # what a subclass has to give, as far as this class uses it

        def schemas(self) -> tuple[EntitySchema, ...]: ...

        async def find(
            self,
            schema: EntitySchema,
            filter: Filter | None = None,
            *,
            sort: Sort | None = None,
            skip: int = 0,
            limit: int | None = None,
            select: Iterable[str] | None = None,
            exclude: Iterable[str] | None = None,
            include: Iterable[str] | None = None,
        ) -> list[Row]: ...

        async def find_page(
            self,
            schema: EntitySchema,
            filter: Filter | None = None,
            *,
            sort: Sort | None = None,
            limit: int = 50,
            after: str | None = None,
            select: Iterable[str] | None = None,
            exclude: Iterable[str] | None = None,
            include: Iterable[str] | None = None,
        ) -> Page: ...

        async def linked(self, schema: EntitySchema, relation: str, keys: Sequence[Key]) -> list[tuple[Key, Row]]:
            """The rows that a many-to-many relation leads to from these keys, each with the key it came from."""
            ...

    # --- reading --------------------------------------------------------------------------------------

    async def find_one(
        self,
        schema: EntitySchema,
        filter: Filter | None = None,
        *,
        sort: Sort | None = None,
        select: Iterable[str] | None = None,
        exclude: Iterable[str] | None = None,
        include: Iterable[str] | None = None,
    ) -> Row | None:
        rows = await self.find(schema, filter, sort=sort, limit=1, select=select, exclude=exclude, include=include)
        return rows[0] if rows else None

    async def find_by_ids(
        self, schema: EntitySchema, keys: Iterable[Key], *, include: Iterable[str] | None = None
    ) -> list[Row]:
        if len(schema.key) != 1:
            raise OptionInvalid(
                f"{schema.name} has a key of {len(schema.key)} fields",
                why="find_by_ids looks for keys of one field",
                fix="use find_by_id for each, or find with $or",
            )
        name, wanted = schema.key[0], list(keys)
        by_key: dict[Key, Row] = {}
        for some in chunked(wanted):
            by_key |= {row[name]: row for row in await self.find(schema, {name: {"$in": some}}, include=include)}
        return [by_key[key] for key in dict.fromkeys(wanted) if key in by_key]

    async def stream(
        self,
        schema: EntitySchema,
        filter: Filter | None = None,
        *,
        sort: Sort | None = None,
        select: Iterable[str] | None = None,
        exclude: Iterable[str] | None = None,
        batch: int = 1000,
    ) -> AsyncIterator[Row]:
        after: str | None = None
        while True:
            page = await self.find_page(
                schema, filter, sort=sort, limit=batch, after=after, select=select, exclude=exclude
            )
            for row in page.rows:
                yield row
            after = page.next
            if after is None:
                return

    async def search(
        self,
        schema: EntitySchema,
        text: str,
        *,
        fields: Iterable[str] | None = None,
        filter: Filter | None = None,
        sort: Sort | None = None,
        skip: int = 0,
        limit: int = 50,
    ) -> list[Row]:
        if not isinstance(text, str):
            raise OptionInvalid(
                "a search for what is no text", why=f"it is of type {type(text).__name__}", fix="give a text"
            )
        names = self._searched(schema, fields)
        parts: list[Filter] = [filter] if filter else []
        for word in text.split(None, PART_LIMIT):  # more of them than a filter takes are refused with it
            pattern = f"%{escaped(word)}%"
            parts.append({"$or": [{name: {"$ilike": pattern}} for name in names]})
        both: Filter | None = {"$and": parts} if parts else None
        return await self.find(schema, both, sort=sort, skip=skip, limit=limit)

    def _searched(self, schema: EntitySchema, fields: Iterable[str] | None) -> tuple[str, ...]:
        text = tuple(name for name, field in schema.all_fields.items() if field.type in SEARCHED)
        names = text if fields is None else (fields,) if isinstance(fields, str) else tuple(fields)
        for name in names:
            if name not in schema.names:
                near = nearest(str(name), text)
                raise UnknownField(
                    f"{schema.name} has no field {name!r}",
                    fix=f"the fields of text are {', '.join(text)}",
                    entity=schema.name,
                    name=str(name),
                    near=near,
                )
            if name not in text:
                raise OptionInvalid(
                    f"{schema.name}.{name} cannot be searched",
                    why="it holds no text",
                    fix=f"the fields of text are {', '.join(text)}",
                )
        if not names:
            raise OptionInvalid(
                f"{schema.name} cannot be searched", why="it has no field of text", fix="use find with a filter"
            )
        return names

    # --- relations ------------------------------------------------------------------------------------

    def needed(self, schema: EntitySchema, include: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The relations of `include`, each known and once; and the fields that a row needs so that they can be loaded.

        Raises:
            UnknownField: the entity has no such relation.
        """
        wanted = (include,) if isinstance(include, str) else tuple(dict.fromkeys(include))
        for name in wanted:
            if name not in schema.relations:
                near = nearest(str(name), schema.relations)
                raise UnknownField(
                    f"{schema.name} has no relation {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""),
                    fix=f"the relations are {', '.join(schema.relations) or 'none'}",
                    entity=schema.name,
                    name=str(name),
                    near=near,
                )
        columns = tuple(name if schema.relations[name].has_column else schema.key[0] for name in wanted)
        return wanted, tuple(dict.fromkeys(columns))

    async def included(self, schema: EntitySchema, rows: Sequence[Row], include: Iterable[str]) -> None:
        """Put what the relations lead to into the rows: one query for each relation and 16,384 keys."""
        for name in include:
            if rows:
                await self._include(schema, rows, name, schema.relations[name])

    async def _include(self, schema: EntitySchema, rows: Sequence[Row], name: str, relation: Relation) -> None:
        target = self._target(schema, name, relation)
        if relation.has_column:
            keys = list({row[name]: None for row in rows if row[name] is not None})
            found = {row[target.key[0]]: row for row in await self._by(target, target.key[0], keys)}
            for row in rows:
                other = found.get(row[name])
                row[name] = None if other is None else dict(other)  # several rows may lead to it
            return
        own = schema.key[0]
        keys = list({row[own]: None for row in rows})
        lists: dict[Key, list[Row]] = {key: [] for key in keys}
        if relation.kind == "one-to-many":
            assert relation.mapped_by is not None  # checked on registration
            for other in await self._by(target, relation.mapped_by, keys):
                lists[other[relation.mapped_by]].append(other)
        else:
            for some in chunked(keys):
                for key, other in await self.linked(schema, name, some):
                    lists[key].append(other)
        for row in rows:
            row[name] = list(lists[row[own]])

    async def _by(self, schema: EntitySchema, field: str, values: list[Any]) -> list[Row]:
        found: list[Row] = []
        for some in chunked(values):
            found += await self.find(schema, {field: {"$in": some}}, sort=dict.fromkeys(schema.key, 1))
        return found

    def _target(self, schema: EntitySchema, name: str, relation: Relation) -> EntitySchema:
        for target in self.schemas():
            if target.name == relation.target:
                return target
        raise EntityUnknown(
            f"{schema.name}.{name} leads to {relation.target!r}, which is not registered",
            why="its schema was not registered with this dialect",
            fix="register both schemas together",
            entity=relation.target,
            known=(),
        )

    # --- what not every dialect can ---------------------------------------------------------------------

    def transaction(self) -> AbstractAsyncContextManager[None]:
        raise self.unsupported("transactions", "transaction")

    def table(self, schema: EntitySchema) -> Table:
        raise self.unsupported("SQL", "execute")

    async def execute(self, statement: CoreStatement, params: Mapping[str, Any] | None = None) -> list[Row]:
        raise self.unsupported("SQL", "execute")

    async def execute_all(self, calls: Sequence[tuple[CoreStatement, Mapping[str, Any] | None]]) -> list[list[Row]]:
        if "execute" not in self.capabilities:
            raise self.unsupported("SQL", "execute")
        async with self.transaction():
            return [await self.execute(statement, params) for statement, params in calls]

    def unsupported(self, what: str, capability: Capability) -> OperationUnsupported:
        """The error for what this dialect cannot do."""
        return OperationUnsupported(
            f"the dialect {self.name!r} has no {what}",
            why=f"it has not the capability {capability!r}",
            fix="look at `dialect.capabilities` first, or use a database that has it",
            dialect=self.name,
            capability=capability,
        )


def escaped(text: str) -> str:
    """A text as a pattern of ``$like`` and ``$ilike`` that means just that text."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
