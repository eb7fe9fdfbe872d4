"""What the routes of the data plane do: call the dialect, and answer."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final
from urllib.parse import quote, unquote

from objectkernel_contracts import Audit, Principal
from starlette.requests import Request
from starlette.responses import Response

from objectkernel_system_dialect import http_models as models
from objectkernel_system_dialect.dialect import Dialect, Filter, Page, Row
from objectkernel_system_dialect.errors import (
    OperationUnsupported,
    OptionInvalid,
    RowChanged,
    RowDamaged,
    RowMissing,
    ValueInvalid,
)
from objectkernel_system_dialect.filters import chunked
from objectkernel_system_dialect.http_changes import Change, Changes
from objectkernel_system_dialect.http_entities import Asked, ServedEntities
from objectkernel_system_dialect.http_entity_models import Document
from objectkernel_system_dialect.http_idempotency import Answer, Idempotency, fingerprint
from objectkernel_system_dialect.http_locks import RowLocks
from objectkernel_system_dialect.http_route import HttpLimits, too_large, unreadable
from objectkernel_system_dialect.patience import clashed, patiently
from objectkernel_system_dialect.rest_api import (
    IDEMPOTENCY_HEADER,
    ROUTES,
    TENANT_HEADER,
    key_parts,
    key_path,
)
from objectkernel_system_dialect.schema import EntitySchema, Relation
from objectkernel_system_dialect.wire import Unreadable, Unsendable, dump, load
from objectkernel_system_dialect.wire_entity import WireEntity
from objectkernel_system_dialect.wire_pipeline import WirePipeline

LONGEST: Final = 2**53
"""The largest limit that a pipeline may name."""


class DataPlane:
    """The business data of one dialect, for whoever has been let in.

    Args:
        dialect: whose data it is.
        hidden: the schemas that are not served, such as the system's own where both share a database.
        limits: how much may be asked for at once.
        audit: where every write is recorded.
        entities: what is served of the dialect, if not all that is not `hidden` at `PREFIX`.
    """

    def __init__(
        self,
        dialect: Dialect,
        hidden: Callable[[], Iterable[EntitySchema]] = tuple,
        limits: HttpLimits | None = None,
        audit: Audit | None = None,
        entities: ServedEntities | None = None,
    ) -> None:
        self.limits = limits or HttpLimits()
        self._dialect = dialect
        self.entities = entities or ServedEntities(dialect, hidden)
        self.idempotency = Idempotency(dialect)
        self._locks = RowLocks(dialect)
        self._changes = Changes(audit)

    # --- reading --------------------------------------------------------------------------------------

    async def describe(self, request: Request) -> Response:
        """What is served to the caller."""
        principal: Principal = request.state.principal
        return _json(
            {
                "dialect": self._dialect.name,
                "capabilities": sorted(self._dialect.capabilities),
                "page_default": self.limits.page_default,
                "page_max": self.limits.page_max,
                "entities": self.entities.described_to(principal),
            }
        )

    async def list(self, asked: Asked, given: models.ListParameters) -> Response:
        """A page, asked for by a URL."""
        try:
            filter = {} if given.filter is None else load(given.filter.encode(), self.limits.depth, unique=True)
        except Unreadable as error:
            raise unreadable("filter", str(error)) from None
        terms = _split(given.sort) or []
        return await self.query(
            asked,
            models.Query.model_construct(
                filter=filter,
                sort={term.removeprefix("-"): -1 if term.startswith("-") else 1 for term in terms} or None,
                skip=given.skip,
                limit=given.limit,
                after=given.after,
                select=_split(given.select),
                exclude=_split(given.exclude),
                include=_split(given.include),
            ),
        )

    async def query(self, asked: Asked, given: models.Query) -> Response:
        """A page."""
        if given.skip and given.after is not None:
            raise OptionInvalid("`skip` and `after` together", why="each says where to begin", fix="give one of them")
        filter = self._filter(asked, given.filter, given.include or ())
        limit = self._limit(given.limit)
        options: dict[str, Any] = {
            "sort": given.sort,
            "select": given.select,
            "exclude": given.exclude,
            "include": given.include,
        }

        async def page_with(**some: Any) -> Page:
            wanted = {**options, **some}
            if given.skip:
                rows = await asked.dialect.find(asked.schema, filter, skip=given.skip, limit=limit, **wanted)
                return Page(tuple(rows), None)
            return await asked.dialect.find_page(asked.schema, filter, limit=limit, after=given.after, **wanted)

        if wide := _wide(asked.schema, given.include):
            (own,) = asked.schema.key
            page = await page_with(select=[own], exclude=None, include=None)
            await self._expect_bounded(asked, wide, [row[own] for row in page.rows])
        page = await page_with()
        return _json({"rows": [asked.entity.row_out(row) for row in page.rows], "next": page.next})

    async def read(self, asked: Asked, segment: str, given: models.ReadParameters) -> Response:
        """One row."""
        include = _split(given.include)
        self.entities.check_reach(asked, {}, include or ())
        key = self._key(asked, segment)
        await self._expect_bounded(asked, _wide(asked.schema, include), [key])
        row = await asked.dialect.find_by_id(asked.schema, key, include=include)
        if row is None:
            raise _missing(asked)
        return _json(asked.entity.row_out(row), headers={} if include else {"ETag": etag(asked.entity, row)})

    async def count(self, asked: Asked, given: models.Matching) -> Response:
        """How many rows match."""
        return _json({"count": await asked.dialect.count(asked.schema, self._filter(asked, given.filter))})

    async def exists(self, asked: Asked, given: models.Matching) -> Response:
        """Whether a row matches."""
        return _json({"exists": await asked.dialect.exists(asked.schema, self._filter(asked, given.filter))})

    async def distinct(self, asked: Asked, given: models.Distinct) -> Response:
        """The values of a field."""
        stages = [
            {"$match": self._filter(asked, given.filter)},
            {"$group": {"_id": f"${given.field}"}},
            {"$match": {"_id": {"$exists": True}}},
            {"$sort": {"_id": 1}},
        ]
        values = [row["_id"] for row in await self._groups(asked, stages)]
        return _json({"values": [asked.entity.value_out(given.field, value) for value in values]})

    async def aggregate(self, asked: Asked, given: models.Pipeline) -> Response:
        """What a pipeline gives."""
        pipeline = WirePipeline.of(asked.entity, given.pipeline)
        for stage in given.pipeline if isinstance(given.pipeline, list) else ():
            self.entities.check_reach(asked, stage.get("$match") if isinstance(stage, Mapping) else None)
        return _json({"rows": pipeline.groups_out(await self._groups(asked, pipeline.stages_in()))})

    async def search(self, asked: Asked, given: models.Search) -> Response:
        """Rows with certain words."""
        rows = await asked.dialect.search(
            asked.schema,
            given.text,
            fields=given.fields,
            filter=self._filter(asked, given.filter),
            sort=given.sort,
            skip=given.skip,
            limit=self._limit(given.limit),
        )
        return _json({"rows": [asked.entity.row_out(row) for row in rows], "next": None})

    # --- writing ----------------------------------------------------------------------------------------

    async def create(self, asked: Asked, given: Document) -> Response:
        """A new row."""
        change = Change("create", details={"fields": list(given.root)})

        async def run() -> Answer:
            row = await asked.dialect.create(asked.schema, asked.entity.data_in(given.root))
            change.key = _parts(asked, row)
            place = f"{quote(asked.request.scope['path'])}/{key_path(change.key)}"
            return self._row(asked, row, 201, {"Location": place})

        return await self._write(asked, change, run)

    async def upsert(self, asked: Asked, given: Document) -> Response:
        """A row, new or changed."""
        change = Change("upsert", details={"fields": list(given.root)})

        async def run() -> Answer:
            row = await asked.dialect.upsert(asked.schema, asked.entity.data_in(given.root))
            change.key = _parts(asked, row)
            return self._row(asked, row)

        return await self._write(asked, change, run)

    async def bulk(self, asked: Asked, given: models.Bulk) -> Response:
        """Many rows at once, all or none."""
        entity, schema, dialect = asked.entity, asked.schema, asked.dialect
        change = Change("bulk")

        async def run() -> Answer:
            if given.create is not None:
                if len(given.create) > self.limits.rows_max:
                    raise too_large(self.limits.rows_max, "rows")
                rows = await dialect.create_many(schema, [entity.data_in(data) for data in given.create])
                change.details = {"created": len(rows)}
                return _answer({"rows": [entity.row_out(row) for row in rows]})
            if given.update is not None:
                filter = self._filter(asked, given.update.filter)
                changes = entity.data_in(given.update.changes)
                count = await dialect.update_many(schema, filter, changes, all=given.update.all)
                change.details = {"updated": count, "fields": list(changes)}
                return _answer({"count": count})
            assert given.delete is not None  # one of the three is given
            filter, how = self._filter(asked, given.delete.filter), given.delete
            count = await dialect.delete_many(schema, filter, all=how.all, hard=how.hard)
            change.details = {"deleted": count, "hard": how.hard}
            return _answer({"count": count})

        return await self._write(asked, change, run)

    async def patch(self, asked: Asked, segment: str, given: Document) -> Response:
        """A row, changed."""
        changes = asked.entity.data_in(given.root)
        told = Change("patch", details={"fields": list(changes)})
        return await self._change(
            asked, segment, told, lambda key: asked.dialect.update(asked.schema, key, changes), version=changes
        )

    async def increment(self, asked: Asked, segment: str, given: models.Increment) -> Response:
        """A row, one number of which is larger."""
        by = asked.entity.value_in(given.field, given.by)
        return await self._change(
            asked,
            segment,
            Change("increment", details={"fields": [given.field]}),
            lambda key: asked.dialect.increment(asked.schema, key, given.field, by),
        )

    async def add_to_set(self, asked: Asked, segment: str, given: models.SetChange) -> Response:
        """A row, one array of which has the value."""
        return await self._change(
            asked,
            segment,
            Change("add_to_set", details={"fields": [given.field]}),
            lambda key: asked.dialect.add_to_set(asked.schema, key, given.field, given.value),
        )

    async def pull(self, asked: Asked, segment: str, given: models.SetChange) -> Response:
        """A row, one array of which has the value no more."""
        return await self._change(
            asked,
            segment,
            Change("pull", details={"fields": [given.field]}),
            lambda key: asked.dialect.pull(asked.schema, key, given.field, given.value),
        )

    async def undelete(self, asked: Asked, segment: str, given: models.Nothing) -> Response:
        """A row that was softly deleted."""
        change = Change("undelete")
        return await self._change(asked, segment, change, lambda key: asked.dialect.undelete(asked.schema, key))

    async def delete(self, asked: Asked, segment: str, given: models.DeleteParameters) -> Response:
        """A row no more."""
        key = self._key(asked, segment)

        async def run() -> Answer:
            async with self._unchanged(asked, key):
                if not await asked.dialect.delete(asked.schema, key, hard=given.hard):
                    raise _missing(asked)
                return Answer(204)

        change = Change("delete", key=key_parts(segment), details={"hard": given.hard})
        return await self._write(asked, change, run)

    async def _change(
        self,
        asked: Asked,
        segment: str,
        told: Change,
        change: Callable[[Any], Awaitable[Row | None]],
        *,
        version: Mapping[str, Any] | None = None,
    ) -> Response:
        """Change one row; `version`: the changes of an update, which the dialect itself can hold to a version."""
        key = self._key(asked, segment)
        told.key = key_parts(segment)
        wanted = _version(asked) if version is not None else None

        async def run() -> Answer:
            if version is not None and wanted is not None:
                row = await asked.dialect.update(asked.schema, key, version, version=wanted)
            else:
                async with self._unchanged(asked, key):
                    row = await change(key)
            if row is None:
                raise _missing(asked)
            return self._row(asked, row)

        return await self._write(asked, told, run)

    @asynccontextmanager
    async def _unchanged(self, asked: Asked, key: Any) -> AsyncIterator[None]:
        """Hold the row to what ``If-Match`` names (RFC 9110, section 13.1.1) until the block has changed it."""
        header = asked.request.headers.get("if-match")
        if header is None:
            yield
            return
        if "transaction" not in asked.dialect.capabilities:
            raise OperationUnsupported(
                "this dialect cannot keep to If-Match",
                why="it has not the capability 'transaction'",
                fix="leave out the header, or give the schema versions",
                dialect=asked.dialect.name,
                capability="transaction",
            )
        async with asked.dialect.transaction():
            if await asked.dialect.find_by_id(asked.schema, key) is None:  # nobody locks the row of another
                raise _missing(asked)
            await self._locks.lock(asked.schema, key)
            row = await asked.dialect.find_by_id(asked.schema, key)
            if row is None:
                raise _missing(asked)
            if header.strip() != "*" and etag(asked.entity, row) not in [one.strip() for one in header.split(",")]:
                raise RowChanged(
                    "the row is not the one that If-Match names",
                    why="it was changed since it was read",
                    fix="read it again, and make the change for what it is now",
                    entity=asked.schema.name,
                )
            yield

    async def _write(self, asked: Asked, change: Change, run: Callable[[], Awaitable[Answer]]) -> Response:
        request, key = asked.request, asked.request.headers.get(IDEMPOTENCY_HEADER)
        write = partial(self._changes.made, asked, change, run)
        attempt = write
        if key is not None:
            wanted = fingerprint(
                request.method,
                request.url.path,
                request.url.query,
                request.headers.get("if-match", ""),
                request.headers.get(TENANT_HEADER, ""),
                await request.body(),
            )
            attempt = partial(self.idempotency.once, asked.principal.account_id, key, wanted, write)
        return _respond(await patiently(attempt, clashed))

    # --- values -----------------------------------------------------------------------------------------

    def _filter(self, asked: Asked, filter: Any, include: Iterable[str] = ()) -> Filter:
        self.entities.check_reach(asked, filter, include)
        made: Filter = asked.entity.filter_in(filter)
        return made

    async def _expect_bounded(self, asked: Asked, wide: Mapping[str, Relation], keys: Sequence[Any]) -> None:
        """Refuse to load more rows with a page than one answer may have."""
        schemas = {schema.name: schema for schema in self._dialect.schemas()}
        for name, relation in wide.items():
            target, most = schemas[relation.target], self.limits.rows_max
            for some in chunked(keys):
                most -= await asked.dialect.count(target, {str(relation.mapped_by): {"$in": list(some)}})
            if most < 0:
                raise OptionInvalid(
                    f"{asked.schema.name}.{name} leads to too many rows",
                    why=f"at most {self.limits.rows_max} are loaded with a page",
                    fix=f"ask for fewer rows at a time, or for a page of {relation.target} by itself",
                )

    async def _groups(self, asked: Asked, stages: Any) -> Sequence[Row]:
        """What a pipeline gives, unless that is too much for one answer."""
        most = self.limits.rows_max
        if isinstance(stages, list):
            *before, last = stages or [None]
            limit = last.get("$limit") if isinstance(last, Mapping) else None
            if limit is None:
                stages = [*stages, {"$limit": most + 1}]
            elif isinstance(limit, int) and most < limit <= LONGEST:
                stages = [*before, {"$limit": most + 1}]
        rows = await asked.dialect.aggregate(asked.schema, stages)
        if len(rows) > most:
            raise OptionInvalid(
                "the answer would be too long",
                why=f"it has at most {most} groups or values",
                fix="narrow the filter, or ask with $sort, $skip and $limit for a part of them",
            )
        return rows

    def _limit(self, wanted: int | None) -> int:
        if wanted is not None and wanted > self.limits.page_max:
            raise OptionInvalid(
                "a page cannot be that long",
                why=f"it has at most {self.limits.page_max} rows",
                fix="ask for fewer, and then for the next page",
            )
        return self.limits.page_default if wanted is None else wanted

    def _key(self, asked: Asked, segment: str) -> Any:
        try:
            return asked.entity.key_in(key_parts(segment))
        except ValueInvalid as error:  # what no key of this entity can look like has no row
            raise _missing(asked, *error.why) from None

    def _row(self, asked: Asked, row: Row, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
        raw = asked.entity.row_out(row)
        return _answer(raw, status, {**(headers or {}), "ETag": etag(asked.entity, row)})


def raw_segment(request: Request, operation: str, id: str) -> str:
    """The key's segment of the path as it was sent, percent-encoded: an encoded comma or slash is no separator."""
    raw: bytes = request.scope.get("raw_path") or b""
    segments = raw.decode("ascii", errors="replace").split("/")
    segment = segments[-1 if ROUTES[operation].path == "/{id}" else -2] if len(segments) > 1 else ""
    try:
        if unquote(segment, errors="strict") == id:
            return segment
    except ValueError:
        pass
    raise RowMissing("there is no row with this key", why="its path is none of one row", fix="", entity="")


def etag(entity: WireEntity, row: Row) -> str:
    """The strong validator of a row: its version, or a digest of all that it holds."""
    if entity.schema.version:
        return f'"{row["version"]}"'
    digest = hashlib.sha256(dump(entity.row_out(row))).digest()[:16]
    return f'"{base64.urlsafe_b64encode(digest).decode().rstrip("=")}"'


def _parts(asked: Asked, row: Row) -> Iterable[Any]:
    """The key of a row, as JSON has it."""
    names = asked.schema.key
    parts: Iterable[Any] = asked.entity.key_out(
        row[names[0]] if len(names) == 1 else tuple(row[name] for name in names)
    )
    return parts


def _version(asked: Asked) -> int | None:
    """The one version that ``If-Match`` names, of an entity that has versions."""
    header = asked.request.headers.get("if-match", "").strip()
    digits = header[1:-1]
    named = header == f'"{digits}"' and digits.isascii() and digits.isdigit() and len(digits) < 19
    return int(digits) if asked.schema.version and named else None


def _wide(schema: EntitySchema, include: Iterable[str] | None) -> dict[str, Relation]:
    """The relations of those to load whose rows nobody has listed."""
    found = {name: schema.relations.get(name) for name in include or ()}
    return {name: one for name, one in found.items() if one is not None and one.kind == "one-to-many"}


def _missing(asked: Asked, *why: str) -> RowMissing:
    return RowMissing(
        f"{asked.schema.name} has no row with this key",
        why=why or ("it is not there, or not the caller's",),
        fix="",
        entity=asked.schema.name,
    )


def _split(text: str | None) -> list[str] | None:
    """The names in a parameter; none where it is empty, or not there."""
    return text.split(",") if text else None


def _answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    try:
        return Answer(status, dump(value), headers or {})
    except Unsendable:
        raise RowDamaged(
            "a stored row holds what JSON cannot", why="a text in it is no text", fix="", entity="", key=None, field=""
        ) from None


def _json(value: Any, headers: Mapping[str, str] | None = None) -> Response:
    return _respond(_answer(value, 200, headers))


def _respond(answer: Answer) -> Response:
    return Response(
        answer.body or None,
        answer.status,
        dict(answer.headers),
        media_type="application/json" if answer.body else None,
    )
