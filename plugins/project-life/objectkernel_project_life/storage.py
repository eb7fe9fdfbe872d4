"""The rows of the register: read, and changed only from the version that was read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Final, TypeAlias

import attrs
from objectkernel_system_dialect.contracts import Dialect, Filter, VersionConflict

from objectkernel_project_life.contracts import ProjectStatus, Transition
from objectkernel_project_life.schema import PROJECT_SCHEMA

BATCH: Final = 100
"""Rows that are read at once where all are; with the longest schemas that is 25 MiB."""
SERVED: Final[tuple[ProjectStatus, ...]] = ("active", "error")
"""States in which a project is with its manager; of ``error`` it is to be hoped that it can be opened again."""

Fingerprint: TypeAlias = tuple[Any, ...]
"""What is another one when the register has changed."""


@attrs.frozen(kw_only=True)
class Record:
    """A row of `PROJECT_SCHEMA`; the URIs in it are as they are stored."""

    id: str
    account: str
    home: str | None
    name: str
    slug: str
    dialect: str
    uri: str = attrs.field(repr=False)
    uri_key: str | None
    place: str
    next_uri: str | None = attrs.field(repr=False)
    next_place: str | None
    schemas: Sequence[Mapping[str, Any]] = attrs.field(repr=False)
    next_schemas: Sequence[Mapping[str, Any]] | None = attrs.field(repr=False)
    transports: Sequence[str]
    pool_size: int
    pool_min: int
    status: ProjectStatus
    transition: Transition | None
    error: str | None
    mproject_name: str
    version: int
    created_at: datetime
    updated_at: datetime

    @property
    def is_served(self) -> bool:
        """Whether the manager should have it."""
        return self.status in SERVED


@attrs.frozen
class Sight:
    """As much of a row as tells whether there is something to do about it."""

    id: str
    version: int
    status: ProjectStatus
    transition: Transition | None


@attrs.frozen
class RecordPage:
    """Some rows of a longer list; `next` is the cursor of the rest."""

    records: tuple[Record, ...]
    next: str | None


class Register:
    """The table ``projects`` in the system's database."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect

    # --- reading ------------------------------------------------------------------------------------------

    async def get(self, id: str) -> Record | None:
        """The row of a project."""
        row = await self._dialect.find_by_id(PROJECT_SCHEMA, id)
        return None if row is None else Record(**row)

    async def page(self, filter: Filter | None, limit: int, after: str | None) -> RecordPage:
        """Rows by their age.

        Raises:
            CursorInvalid: `after` is damaged.
        """
        page = await self._dialect.find_page(
            PROJECT_SCHEMA, filter, sort={"created_at": 1, "id": 1}, limit=limit, after=after
        )
        return RecordPage(tuple(Record(**row) for row in page.rows), page.next)

    async def all(self, filter: Filter | None = None) -> AsyncIterator[Record]:
        """Every row, by id."""
        async for row in self._dialect.stream(PROJECT_SCHEMA, filter, sort={"id": 1}, batch=BATCH):
            yield Record(**row)

    async def sights(self) -> list[Sight]:
        """Every row, without what is long."""
        names = tuple(field.name for field in attrs.fields(Sight))
        return [Sight(**row) for row in await self._dialect.find(PROJECT_SCHEMA, select=names)]

    async def ids_of(self, account: str) -> list[str]:
        """The ids of an account's projects, by age."""
        sort: Mapping[str, Any] = {"created_at": 1, "id": 1}
        rows = await self._dialect.find(PROJECT_SCHEMA, {"account": account}, sort=sort, select=("id",))
        return [row["id"] for row in rows]

    async def count(self, filter: Filter) -> int:
        """How many rows match."""
        return await self._dialect.count(PROJECT_SCHEMA, filter)

    async def fingerprint(self) -> Fingerprint:
        """One small query: how many rows there are, how often they were changed, and when the last time."""
        group: dict[str, Any] = {
            "_id": None,
            "rows": {"$count": {}},
            "versions": {"$sum": "$version"},
            "last": {"$max": "$updated_at"},
        }
        rows = await self._dialect.aggregate(PROJECT_SCHEMA, [{"$group": group}])
        return tuple((row["rows"], row["versions"], row["last"]) for row in rows)

    async def is_taken(self, places: Collection[str], but: str) -> bool:
        """Whether a project other than `but` is at one of these places, or on its way there."""
        wanted = {"$in": list(places)}
        filter = {"id": {"$ne": but}, "$or": [{"place": wanted}, {"next_place": wanted}]}
        return await self._dialect.exists(PROJECT_SCHEMA, filter)

    async def slugs_of(self, account: str) -> set[str]:
        """The slugs that are taken in an account."""
        rows = await self._dialect.find(PROJECT_SCHEMA, {"account": account}, select=("slug",))
        return {row["slug"] for row in rows}

    # --- writing ------------------------------------------------------------------------------------------

    def transaction(self) -> AbstractAsyncContextManager[None]:
        """See `Dialect.transaction`."""
        return self._dialect.transaction()

    async def insert(self, values: Mapping[str, Any]) -> Record:
        """Write a new row.

        Raises:
            DuplicateKey: its account has this slug, or another project this place.
        """
        return Record(**await self._dialect.create(PROJECT_SCHEMA, values))

    async def change(self, record: Record, **changes: Any) -> Record | None:
        """Change a row that is still as `record` has it; None, and nothing is changed, where it is not.

        Raises:
            DuplicateKey: another project has this place, or this slug.
        """
        try:
            row = await self._dialect.update(PROJECT_SCHEMA, record.id, changes, version=record.version)
        except VersionConflict:
            return None
        return None if row is None else Record(**row)

    async def remove(self, record: Record) -> bool:
        """Delete a row that is still as `record` has it; whether it was."""
        filter = {"id": record.id, "version": record.version}
        return await self._dialect.delete_many(PROJECT_SCHEMA, filter) > 0


def moved(record: Record) -> Record:
    """The row as it will be when what it is on its way to is reached."""
    return attrs.evolve(record, **arrival(record))


def arrival(record: Record) -> dict[str, Any]:
    """What a row on its way is changed to when it is there, but its state."""
    changes: dict[str, Any] = {"next_uri": None, "next_place": None, "next_schemas": None}
    if record.next_uri is not None:
        changes |= {
            "uri": record.next_uri,
            "uri_key": key_of(record.next_uri),
            "place": record.next_place,
            "home": None,
        }
    if record.next_schemas is not None:
        changes["schemas"] = list(record.next_schemas)
    return changes


DEPARTED: Final[Mapping[str, Any]] = {"next_uri": None, "next_place": None, "next_schemas": None}
"""What a row on its way is changed to when it stays where it was, but its state."""


def key_of(stored: str) -> str | None:
    """The id of the key of a stored URI; None for a plain one."""
    return stored.split(".")[1] if stored.startswith("k1.") else None
