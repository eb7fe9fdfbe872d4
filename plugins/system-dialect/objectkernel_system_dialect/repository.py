"""`Repository`: the rows of one entity, through any `Dialect`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar, Self

from objectkernel_system_dialect.dialect import Dialect, Filter, Key, Page, Row, Sort, Stage
from objectkernel_system_dialect.schema import EntitySchema


class Repository:
    """The rows of one entity: the operations of a `Dialect` with the schema already given.

    Either ``Repository(dialect, USER)``, or a subclass with ``schema = USER`` and methods of its own.
    """

    schema: ClassVar[EntitySchema]

    def __init__(self, dialect: Dialect, schema: EntitySchema | None = None) -> None:
        self.dialect = dialect
        self.entity = schema if schema is not None else type(self).schema

    def as_tenant(self, tenant: Any) -> Self:
        """These rows as one tenant sees them; see `Dialect.as_tenant`."""
        scoped = object.__new__(type(self))
        scoped.__dict__.update(self.__dict__, dialect=self.dialect.as_tenant(tenant))
        return scoped

    def transaction(self) -> AbstractAsyncContextManager[None]:
        """See `Dialect.transaction`: it holds for everything of the same dialect."""
        return self.dialect.transaction()

    # --- reading --------------------------------------------------------------------------------------

    async def find_all(
        self,
        filter: Filter | None = None,
        *,
        sort: Sort | None = None,
        skip: int = 0,
        limit: int | None = None,
        select: Iterable[str] | None = None,
        exclude: Iterable[str] | None = None,
        include: Iterable[str] | None = None,
    ) -> list[Row]:
        """See `Dialect.find`."""
        return await self.dialect.find(
            self.entity, filter, sort=sort, skip=skip, limit=limit, select=select, exclude=exclude, include=include
        )

    async def find_with_relations(
        self,
        filter: Filter | None = None,
        include: Iterable[str] | None = None,
        *,
        sort: Sort | None = None,
        skip: int = 0,
        limit: int | None = None,
    ) -> list[Row]:
        """`find_all` with the relations of `include` loaded, by default all; at most one query a relation."""
        wanted = tuple(self.entity.relations) if include is None else include
        return await self.find_all(filter, sort=sort, skip=skip, limit=limit, include=wanted)

    async def find_page(
        self,
        filter: Filter | None = None,
        *,
        sort: Sort | None = None,
        limit: int = 50,
        after: str | None = None,
        select: Iterable[str] | None = None,
        exclude: Iterable[str] | None = None,
        include: Iterable[str] | None = None,
    ) -> Page:
        """See `Dialect.find_page`."""
        return await self.dialect.find_page(
            self.entity, filter, sort=sort, limit=limit, after=after, select=select, exclude=exclude, include=include
        )

    async def find_one(
        self,
        filter: Filter | None = None,
        *,
        sort: Sort | None = None,
        select: Iterable[str] | None = None,
        exclude: Iterable[str] | None = None,
        include: Iterable[str] | None = None,
    ) -> Row | None:
        """See `Dialect.find_one`."""
        return await self.dialect.find_one(
            self.entity, filter, sort=sort, select=select, exclude=exclude, include=include
        )

    async def find_by_id(self, key: Key, *, include: Iterable[str] | None = None) -> Row | None:
        """See `Dialect.find_by_id`."""
        return await self.dialect.find_by_id(self.entity, key, include=include)

    async def find_by_ids(self, keys: Iterable[Key], *, include: Iterable[str] | None = None) -> list[Row]:
        """See `Dialect.find_by_ids`."""
        return await self.dialect.find_by_ids(self.entity, keys, include=include)

    def stream(
        self,
        filter: Filter | None = None,
        *,
        sort: Sort | None = None,
        select: Iterable[str] | None = None,
        exclude: Iterable[str] | None = None,
        batch: int = 1000,
    ) -> AsyncIterator[Row]:
        """See `Dialect.stream`."""
        return self.dialect.stream(self.entity, filter, sort=sort, select=select, exclude=exclude, batch=batch)

    async def count(self, filter: Filter | None = None) -> int:
        """See `Dialect.count`."""
        return await self.dialect.count(self.entity, filter)

    async def exists(self, filter: Filter | None = None) -> bool:
        """See `Dialect.exists`."""
        return await self.dialect.exists(self.entity, filter)

    async def distinct(self, field: str, filter: Filter | None = None) -> list[Any]:
        """See `Dialect.distinct`."""
        return await self.dialect.distinct(self.entity, field, filter)

    async def aggregate(self, pipeline: Sequence[Stage]) -> list[Row]:
        """See `Dialect.aggregate`."""
        return await self.dialect.aggregate(self.entity, pipeline)

    async def search(
        self,
        text: str,
        *,
        fields: Iterable[str] | None = None,
        filter: Filter | None = None,
        sort: Sort | None = None,
        skip: int = 0,
        limit: int = 50,
    ) -> list[Row]:
        """See `Dialect.search`."""
        return await self.dialect.search(
            self.entity, text, fields=fields, filter=filter, sort=sort, skip=skip, limit=limit
        )

    # --- writing ----------------------------------------------------------------------------------------

    async def create(self, data: Mapping[str, Any]) -> Row:
        """See `Dialect.create`."""
        return await self.dialect.create(self.entity, data)

    async def create_many(self, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
        """See `Dialect.create_many`."""
        return await self.dialect.create_many(self.entity, rows)

    async def update(self, key: Key, changes: Mapping[str, Any], *, version: int | None = None) -> Row | None:
        """See `Dialect.update`."""
        return await self.dialect.update(self.entity, key, changes, version=version)

    async def update_many(self, filter: Filter, changes: Mapping[str, Any], *, all: bool = False) -> int:
        """See `Dialect.update_many`."""
        return await self.dialect.update_many(self.entity, filter, changes, all=all)

    async def upsert(self, data: Mapping[str, Any]) -> Row:
        """See `Dialect.upsert`."""
        return await self.dialect.upsert(self.entity, data)

    async def increment(self, key: Key, field: str, by: Any = 1) -> Row | None:
        """See `Dialect.increment`."""
        return await self.dialect.increment(self.entity, key, field, by)

    async def add_to_set(self, key: Key, field: str, value: Any) -> Row | None:
        """See `Dialect.add_to_set`."""
        return await self.dialect.add_to_set(self.entity, key, field, value)

    async def pull(self, key: Key, field: str, value: Any) -> Row | None:
        """See `Dialect.pull`."""
        return await self.dialect.pull(self.entity, key, field, value)

    async def delete(self, key: Key, *, hard: bool = False) -> bool:
        """See `Dialect.delete`."""
        return await self.dialect.delete(self.entity, key, hard=hard)

    async def delete_many(self, filter: Filter, *, all: bool = False, hard: bool = False) -> int:
        """See `Dialect.delete_many`."""
        return await self.dialect.delete_many(self.entity, filter, all=all, hard=hard)

    async def undelete(self, key: Key) -> Row | None:
        """See `Dialect.undelete`."""
        return await self.dialect.undelete(self.entity, key)


BaseRepository = Repository
"""The name that the description of data access gives it."""


def normalize_doc(row: Mapping[str, Any]) -> Row:
    """A row as a document: with ``id`` as text, whatever its type, or from ``_id`` where it came as that."""
    doc = dict(row)
    if "_id" in doc:
        doc.setdefault("id", doc.pop("_id"))
    if "id" in doc and doc["id"] is not None:
        doc["id"] = str(doc["id"])
    return doc


def normalize_docs(rows: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Every row as `normalize_doc` gives it."""
    return [normalize_doc(row) for row in rows]
