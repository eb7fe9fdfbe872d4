"""`NetDialect`: the data of another server, through a `Transport`, with the same meaning as in a database."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from objectkernel.errors import nearest
from objectkernel.secret import Secret

from objectkernel_system_dialect.base_dialect import BaseDialect
from objectkernel_system_dialect.data_plug import KeyRenewal
from objectkernel_system_dialect.dialect import Capability, Dialect, Filter, Key, Page, Row, Sort, Stage
from objectkernel_system_dialect.errors import (
    CursorInvalid,
    DatabaseUnavailable,
    DataError,
    EntityUnknown,
    OptionInvalid,
    SchemaOutdated,
    TenantRequired,
    ValueInvalid,
)
from objectkernel_system_dialect.net_transport import (
    TRANSPORTS,
    Call,
    NetOptions,
    Transport,
    TransportMaker,
    transport_maker,
)
from objectkernel_system_dialect.registry import check_are_schemas, check_schemas
from objectkernel_system_dialect.rest_api import described, path_name
from objectkernel_system_dialect.schema import VERSION, EntitySchema
from objectkernel_system_dialect.values import Misfit
from objectkernel_system_dialect.wire import from_wire
from objectkernel_system_dialect.wire_entity import WireEntity
from objectkernel_system_dialect.wire_pipeline import WirePipeline

T = TypeVar("T")

NUMBERS: Final = frozenset({"integer", "number", "decimal"})
CAPABILITIES: Final[frozenset[Capability]] = frozenset({"json", "regex"})
"""What a server's dialect can that can be asked for from afar."""


class NetDialect(BaseDialect):
    """The data of one server, whose key decides what is seen of it. Made by `open`, ended by `aclose`.

    Filters and values are checked here as every dialect checks them; a row is read as the schemas here say. A list of
    rows longer than a page comes in several requests, so that rows written meanwhile may be seen or not.

    `as_tenant` needs a key with the scope ``data:tenants``, or one of that very tenant.
    """

    name = "net"

    def __init__(self, transport: Transport, description: Mapping[str, Any]) -> None:
        self._transport = transport
        self._page, self._offered = _understood(description, transport.place)
        self.capabilities = CAPABILITIES & frozenset(map(str, description["capabilities"]))
        self._entities: dict[str, WireEntity] = {}
        self._tenant: Any = None

    @classmethod
    async def open(
        cls,
        url: str | Secret[str],
        api_key: str | Secret[str] | None = None,
        transport: str = "rest",
        on_api_key_invalid: KeyRenewal | None = None,
        *,
        timeout: float = 30.0,
        attempts: int = 4,
        transports: Mapping[str, TransportMaker] = TRANSPORTS,
    ) -> NetDialect:
        """Reach a server and learn what it offers. The arguments are those of `NetOptions`.

        Raises:
            DialectUnsupported: there is no such transport, or the address is none.
            DatabaseUnavailable: the server does not answer; `AccessDenied`: it refuses the key.
        """
        made = transport_maker(transport, transports)(
            NetOptions(
                url=_secret(url),
                api_key=None if api_key is None else _secret(api_key),
                on_api_key_invalid=on_api_key_invalid,
                timeout=timeout,
                attempts=attempts,
            )
        )
        try:
            return cls(made, await made.describe())
        except BaseException:
            await made.aclose()
            raise

    async def aclose(self) -> None:
        await self._transport.aclose()

    async def ping(self) -> None:
        await self._transport.describe()

    # --- schemas ------------------------------------------------------------------------------------

    async def register(self, *schemas: EntitySchema) -> None:
        """See `Dialect.register`. Tables are the server's affair: it must offer these entities as they are here.

        Raises:
            EntityUnknown: the server does not offer one of them to this key.
            SchemaOutdated: it has another idea of one of them.
        """
        check_are_schemas(schemas)
        known = self.schemas()
        new = [schema for schema in dict.fromkeys(schemas) if schema not in known]
        if not new:
            return
        together = (*known, *new)
        check_schemas(together)
        by_name = {schema.name: schema for schema in together}
        if any(path_name(schema) not in self._offered for schema in new):
            _, self._offered = _understood(await self._transport.describe(), self._transport.place)
        for schema in new:
            self._compare(schema, described(schema, by_name))
        regex = "regex" in self.capabilities
        for schema in new:
            self._entities[schema.name] = WireEntity(schema, by_name, self._entities.__getitem__, regex=regex)

    def _compare(self, schema: EntitySchema, here: Mapping[str, str]) -> None:
        there = self._offered.get(path_name(schema))
        if there is None:
            raise EntityUnknown(
                f"the server {self._transport.place} has no entity {schema.name!r} for this key",
                why=f"it offers {', '.join(self._offered) or 'none'}",
                fix="register the schema on the server, and let the key read it",
                entity=schema.name,
                known=nearest(path_name(schema), self._offered),
            )
        if differing := tuple(name for name, kind in here.items() if there.get(name) != kind):
            raise SchemaOutdated(
                f"the server {self._transport.place} has another idea of {schema.name}",
                why=[f"{name}: {here[name]}; there: {there.get(name, 'missing')}" for name in differing],
                fix="use the same schema on both ends",
                entity=schema.name,
                collection=schema.collection,
                missing=differing,
            )

    def schemas(self) -> tuple[EntitySchema, ...]:
        return tuple(entity.schema for entity in self._entities.values())

    def _known(self, schema: EntitySchema) -> WireEntity:
        name = getattr(schema, "name", "")
        known = self._entities.get(name)
        if known is None or (known.schema is not schema and known.schema != schema):
            raise EntityUnknown(
                f"the entity {name!r} is not registered with this dialect",
                why=f"known are: {', '.join(self._entities) or 'none'}",
                fix="contribute it to BUSINESS_SCHEMAS, or await dialect.register(schema); each call takes the schema",
                entity=name,
                known=nearest(name, self._entities),
            )
        return known

    def as_tenant(self, tenant: Any) -> NetDialect:
        if tenant is None or self._tenant not in (None, tenant):
            raise TenantRequired(
                "this dialect cannot act for that tenant",
                why="a tenant has an id; and what came from `as_tenant` belongs to one tenant already",
                fix="give the tenant's id to `as_tenant` of the dialect that the kernel gave",
                entity="",
            )
        scoped = copy.copy(self)
        scoped._tenant = tenant
        return scoped

    # --- reading --------------------------------------------------------------------------------------

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
    ) -> list[Row]:
        entity = self._known(schema)
        asked = self._query(entity, filter, sort, select, exclude, include)
        skip = _whole("skip", skip)
        left = None if limit is None else _whole("limit", limit)
        rows: list[Row] = []
        if left == 0:
            return rows
        if skip and (left is None or left > self._page):  # pages by number need one order for all of them
            asked["sort"] = {**dict(sort or {}), **{name: 1 for name in schema.key if name not in (sort or {})}}
        while True:
            asked["limit"] = self._page if left is None else min(left, self._page)
            if skip:
                asked["skip"] = skip + len(rows)
            page = await self._page_of(entity, asked)
            rows.extend(page.rows)
            left = None if left is None else left - len(page.rows)
            asked["after"] = page.next
            if left == 0 or (page.next is None and (not skip or len(page.rows) < asked["limit"])):
                return rows

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
    ) -> Page:
        entity = self._known(schema)
        asked = self._query(entity, filter, sort, select, exclude, include)
        wanted = _whole("limit", limit, least=1)
        if after is not None and not isinstance(after, str):
            raise CursorInvalid("the cursor cannot be used", why="it is no text", fix="give `next` of a page")
        rows: list[Row] = []
        while True:
            asked |= {"limit": min(wanted - len(rows), self._page), "after": after}
            page = await self._page_of(entity, asked)
            rows.extend(page.rows)
            after = page.next
            if after is None or len(rows) >= wanted:
                return Page(tuple(rows), after)

    def _query(
        self,
        entity: WireEntity,
        filter: Any,
        sort: Any,
        select: Any,
        exclude: Any,
        include: Any,
    ) -> dict[str, Any]:
        asked: dict[str, Any] = {
            "filter": entity.filter_out(filter),
            "select": _names("select", select),
            "exclude": _names("exclude", exclude),
            "include": _names("include", include),
        }
        if sort is not None:
            if not isinstance(sort, Mapping):
                raise _option("a sort order that is no mapping", f"`sort` is of type {type(sort).__name__}")
            if any(isinstance(direction, bool) or direction not in (1, -1) for direction in sort.values()):
                raise _option("a sort order that cannot be meant", "a direction is 1 or -1")
            asked["sort"] = dict(sort)
        return {name: value for name, value in asked.items() if value is not None}

    async def _page_of(self, entity: WireEntity, asked: Mapping[str, Any]) -> Page:
        sent = {name: value for name, value in asked.items() if value is not None}
        answer = await self._ask(entity, "query", arguments=sent)
        after = answer.get("next")
        rows = self._rows(entity, answer)
        endless = after is not None and (not rows or after == asked.get("after"))
        if endless or len(rows) > asked["limit"]:
            self._unreadable()
        return Page(tuple(rows), after if after is None else str(after))

    async def find_by_id(self, schema: EntitySchema, key: Key, *, include: Iterable[str] | None = None) -> Row | None:
        entity = self._known(schema)
        names = _names("include", include)
        return await self._row(entity, "read", key, {"include": names} if names else {})

    async def count(self, schema: EntitySchema, filter: Filter | None = None) -> int:
        entity = self._known(schema)
        return await self._figure(entity, "count", {"filter": entity.filter_out(filter) or {}}, "count", int)

    async def exists(self, schema: EntitySchema, filter: Filter | None = None) -> bool:
        entity = self._known(schema)
        return await self._figure(entity, "exists", {"filter": entity.filter_out(filter) or {}}, "exists", bool)

    async def distinct(self, schema: EntitySchema, field: str, filter: Filter | None = None) -> list[Any]:
        entity = self._known(schema)
        entity.value_out(field, None)
        asked = {"field": field, "filter": entity.filter_out(filter) or {}}
        values = await self._figure(entity, "distinct", asked, "values", list)
        try:
            return [from_wire(entity.fields[field], value) for value in values]
        except (KeyError, Misfit):
            self._unreadable()

    async def aggregate(self, schema: EntitySchema, pipeline: Sequence[Stage]) -> list[Row]:
        entity = self._known(schema)
        wire = WirePipeline.of(entity, pipeline)
        rows = await self._figure(entity, "aggregate", {"pipeline": wire.stages_out()}, "rows", list)
        try:
            return wire.groups_in(rows)
        except (AttributeError, Misfit):
            self._unreadable()

    # --- writing ----------------------------------------------------------------------------------------

    async def create(self, schema: EntitySchema, data: Mapping[str, Any]) -> Row:
        entity = self._known(schema)
        return self._one(entity, await self._ask(entity, "create", arguments={"data": entity.data_out(data)}))

    async def create_many(self, schema: EntitySchema, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
        entity = self._known(schema)
        asked = {"create": entity.rows_out(rows)}
        return self._rows(entity, await self._ask(entity, "bulk", arguments=asked)) if asked["create"] else []

    async def update(
        self, schema: EntitySchema, key: Key, changes: Mapping[str, Any], *, version: int | None = None
    ) -> Row | None:
        entity = self._known(schema)
        if version is not None and not schema.version:
            raise _option(f"{schema.name} has no versions", "its schema does not say `version=True`")
        if version is not None:
            entity.value_out(VERSION, version)
        return await self._row(entity, "patch", key, {"data": entity.data_out(changes)}, version)

    async def update_many(
        self, schema: EntitySchema, filter: Filter, changes: Mapping[str, Any], *, all: bool = False
    ) -> int:
        entity = self._known(schema)
        asked = {"filter": entity.filter_out(filter) or {}, "changes": entity.data_out(changes), "all": bool(all)}
        return await self._figure(entity, "bulk", {"update": asked}, "count", int)

    async def upsert(self, schema: EntitySchema, data: Mapping[str, Any]) -> Row:
        entity = self._known(schema)
        return self._one(entity, await self._ask(entity, "upsert", arguments={"data": entity.data_out(data)}))

    async def increment(self, schema: EntitySchema, key: Key, field: str, by: Any = 1) -> Row | None:
        entity = self._known(schema)
        kind = entity.fields.get(field)
        if kind is not None and kind.type not in NUMBERS:
            raise _option(f"{schema.name}.{field} cannot be used for increment", "it is no number that one may write")
        return await self._row(entity, "increment", key, {"field": field, "by": entity.value_out(field, by)})

    async def add_to_set(self, schema: EntitySchema, key: Key, field: str, value: Any) -> Row | None:
        return await self._change_set("add_to_set", schema, key, field, value)

    async def pull(self, schema: EntitySchema, key: Key, field: str, value: Any) -> Row | None:
        return await self._change_set("pull", schema, key, field, value)

    async def _change_set(self, operation: str, schema: EntitySchema, key: Key, field: str, value: Any) -> Row | None:
        entity = self._known(schema)
        kind = entity.fields.get(field)
        if kind is None or kind.type != "array":
            entity.value_out(field, None)  # an unknown name
            raise _option(f"{schema.name}.{field} is no set", "only a field of type array is one")
        (item,) = entity.value_out(field, [value])
        return await self._row(entity, operation, key, {"field": field, "value": item})

    async def delete(self, schema: EntitySchema, key: Key, *, hard: bool = False) -> bool:
        entity = self._known(schema)
        arguments = {"hard": True} if hard else {}
        return await self._ask(entity, "delete", key=key, arguments=arguments, may_miss=True) is not None

    async def delete_many(self, schema: EntitySchema, filter: Filter, *, all: bool = False, hard: bool = False) -> int:
        entity = self._known(schema)
        asked = {"filter": entity.filter_out(filter) or {}, "all": bool(all), "hard": bool(hard)}
        return await self._figure(entity, "bulk", {"delete": asked}, "count", int)

    async def undelete(self, schema: EntitySchema, key: Key) -> Row | None:
        return await self._row(self._known(schema), "undelete", key, {})

    # --- the way there --------------------------------------------------------------------------------

    async def _ask(
        self,
        entity: WireEntity,
        operation: str,
        *,
        key: Any = None,
        arguments: Mapping[str, Any],
        version: int | None = None,
        may_miss: bool = False,
    ) -> Any:
        """The answer, a mapping; None only where a row `may_miss`."""
        call = Call(
            operation=operation,
            entity=path_name(entity.schema),
            key=None if key is None and not may_miss else tuple(entity.key_out(key)),
            arguments=arguments,
            version=version,
            tenant=self._tenant_text(entity),
        )
        try:
            answer = await self._transport.call(call)
        except DataError as error:
            self._named(entity, error)
            raise
        if not isinstance(answer, dict) and not (may_miss and answer is None):
            self._unreadable()
        return answer

    def _tenant_text(self, entity: WireEntity) -> str | None:
        holder = entity.schema.tenant
        if self._tenant is None or holder is None:
            return None if self._tenant is None else str(self._tenant)
        return str(entity.value_out(holder, self._tenant))

    def _named(self, entity: WireEntity, error: DataError) -> None:
        """Give an error the key that it is about as a key, and not as JSON has it."""
        parts = error.facts.get("key")
        if isinstance(parts, tuple):
            about = self._entities.get(str(error.facts.get("entity")), entity)
            try:
                key = about.key_in([str(part) for part in parts])
            except ValueInvalid:
                self._unreadable()
            error.facts["key"] = vars(error)["key"] = key

    async def _row(
        self, entity: WireEntity, operation: str, key: Key, arguments: Mapping[str, Any], version: int | None = None
    ) -> Row | None:
        answer = await self._ask(entity, operation, key=key, arguments=arguments, version=version, may_miss=True)
        return None if answer is None else self._one(entity, answer)

    def _one(self, entity: WireEntity, raw: Any) -> Row:
        try:
            return entity.row_in(raw)
        except Misfit:
            self._unreadable()

    def _rows(self, entity: WireEntity, answer: Mapping[str, Any]) -> list[Row]:
        rows = answer.get("rows")
        if not isinstance(rows, list):
            self._unreadable()
        return [self._one(entity, raw) for raw in rows]

    async def _figure(
        self, entity: WireEntity, operation: str, arguments: Mapping[str, Any], name: str, kind: type[T]
    ) -> T:
        value = (await self._ask(entity, operation, arguments=arguments)).get(name)
        if not isinstance(value, kind):
            self._unreadable()
        return value

    def _unreadable(self) -> NoReturn:
        raise unreadable(self._transport.place)


def unreadable(place: str) -> DatabaseUnavailable:
    """The error for an answer that is none of the data plane's."""
    return DatabaseUnavailable(
        f"the answer of the server {place} cannot be read",
        why="it is not what this operation is answered with",
        fix="use the same version of objectkernel-system-dialect on both ends",
        database=place,
        reason="unreadable",
    )


def _understood(description: Any, place: str) -> tuple[int, Mapping[str, Mapping[str, str]]]:
    """The longest page, and what each entity has, of a server's description."""
    match description:
        case {"page_max": int() as page, "capabilities": list(), "entities": dict() as entities} if page > 0 and all(
            isinstance(one, dict) and isinstance(one.get("names"), dict) for one in entities.values()
        ):
            return page, {name: one["names"] for name, one in entities.items()}
    raise unreadable(place)


def _secret(text: str | Secret[str]) -> Secret[str]:
    return text if isinstance(text, Secret) else Secret(text)


def _names(option: str, names: Any) -> list[str] | None:
    if names is None:
        return None
    if not isinstance(names, Iterable):
        raise _option("a selection that is no list of names", f"`{option}` is of type {type(names).__name__}")
    return [names] if isinstance(names, str) else [str(name) for name in names]


def _whole(name: str, value: object, least: int = 0) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= 2**53:
        raise _option(f"`{name}` cannot be meant", f"it is a whole number from {least} on")
    return value


def _option(what: str, why: str) -> OptionInvalid:
    return OptionInvalid(what, why=why, fix="see `Dialect` for what the operation takes")


if TYPE_CHECKING:
    _is_a_dialect: type[Dialect] = NetDialect
