"""One registered entity: its table, and the way of each value into a statement and out of a row."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Table

from objectkernel_system_dialect.engine import Engine
from objectkernel_system_dialect.errors import OptionInvalid, TenantRequired, UnknownField, ValueInvalid
from objectkernel_system_dialect.filters import (
    ALWAYS,
    NEVER,
    All,
    Compare,
    Condition,
    FilterParser,
    Missing,
    Scope,
    unknown_field,
)
from objectkernel_system_dialect.rows import RowReader
from objectkernel_system_dialect.schema import DELETED_AT, TIMESTAMPS, VERSION, EntitySchema, Field, Relation
from objectkernel_system_dialect.stored import codec
from objectkernel_system_dialect.values import Check, Misfit, misfit, type_check, write_check

NUMBERS: Final = frozenset({"integer", "number", "decimal"})
UNSORTABLE: Final = frozenset({"json", "array", "binary"})


class Entity:
    """What a dialect knows of one entity.

    Args:
        schema: what it is made of.
        fields: its columns as fields.
        table: its table.
        engine: the database's ways.
        related: gives the other entities by name.
    """

    def __init__(
        self,
        schema: EntitySchema,
        fields: Mapping[str, Field],
        table: Table,
        engine: Engine,
        related: Callable[[str], Entity],
    ) -> None:
        self.schema = schema
        self.table = table
        fields = {column.name: fields[column.name] for column in table.columns if column.name in fields}
        self.fields = fields
        self.names = tuple(fields)
        self.sequence = next((name for name, field in fields.items() if field.type == "sequence"), None)
        self.written = tuple(name for name in fields if name != self.sequence)
        self.codecs = {name: codec(engine.core.name, field) for name, field in fields.items()}
        self._encoders = {name: one.encode for name, one in self.codecs.items()}
        self._free = frozenset(fields).difference(schema.kept, {schema.tenant})
        self.links = tuple(name for name, one in schema.relations.items() if one.kind == "many-to-many")
        self._engine = engine
        self._type_checks = {name: type_check(field) for name, field in fields.items()}
        self._checks: dict[str, Check] = {name: write_check(field) for name, field in fields.items()}
        self._inserted = tuple((name, self._checks[name], self._may_be_missing(name)) for name in self.written)
        self.touched = "updated_at" if schema.timestamps else None
        self._scope = self._own_scope()
        self.is_scoped = bool(self._scope[0]) or schema.tenant is not None
        self._readers = lru_cache(maxsize=128)(self._reader)
        self.whole = self.reader(self.names)
        self.parser = FilterParser(
            schema.name,
            {name: field.type for name, field in fields.items()},
            self.comparable,
            {name: self._way(one.target, related) for name, one in schema.relations.items()},
            regex="regex" in engine.capabilities,
        )

    @staticmethod
    def _way(target: str, related: Callable[[str], Entity]) -> Callable[[], tuple[FilterParser, Scope]]:
        def way() -> tuple[FilterParser, Scope]:
            other = related(target)
            return other.parser, other.scope

        return way

    # --- which rows -------------------------------------------------------------------------------

    def _own_scope(self) -> tuple[tuple[Condition, ...], list[Any]]:
        conditions: list[Condition] = []
        values: list[Any] = []
        if self.schema.discriminator is not None:
            conditions.append(Compare(self.schema.discriminator.field, "$eq"))
            values.append(self.comparable(self.schema.discriminator.field, "$eq", self.schema.discriminator.value))
        if self.schema.soft_delete:
            conditions.append(Missing(DELETED_AT))
        return tuple(conditions), values

    def scope(self, tenant: Any = None, *, deleted: bool = False) -> tuple[tuple[Condition, ...], list[Any]]:
        """The conditions that every row to be seen fulfils, and their values; `deleted`: also those softly deleted."""
        conditions, values = self._scope
        if deleted:
            conditions = tuple(one for one in conditions if one != Missing(DELETED_AT))
        if tenant is None or self.schema.tenant is None:
            return conditions, values
        name = self.schema.tenant
        return (*conditions, Compare(name, "$eq")), [*values, self.comparable(name, "$eq", tenant)]

    def where(self, filter: Mapping[str, Any] | None, tenant: Any) -> tuple[Condition, list[Any], bool]:
        """A filter within the scope, its values, and whether the filter itself holds for every row."""
        condition, values = self.parser.parse(filter, tenant)
        if not self.is_scoped:
            return condition, values, condition == ALWAYS
        deleted = self.schema.soft_delete and _names(filter, DELETED_AT)
        conditions, more = self.scope(tenant, deleted=deleted)
        if condition == NEVER or not conditions:
            return condition, values, condition == ALWAYS
        if condition == ALWAYS:
            return All(conditions), list(more), True
        return All((condition, *conditions)), [*values, *more], False

    def this(self, key: Any, tenant: Any, *, deleted: bool = False) -> tuple[Condition, list[Any]]:
        """The row with this key, within the scope."""
        conditions, values = self.scope(tenant, deleted=deleted) if self.is_scoped else ((), [])
        by_key = tuple(Compare(name, "$eq") for name in self.schema.key)
        return All((*by_key, *conditions)), [*self.key_values(key), *values]

    # --- in ---------------------------------------------------------------------------------------

    def comparable(self, name: str, operator: str, value: Any) -> Any:
        """The value as the driver compares it with the column of `name`."""
        if operator == "json":
            return self._engine.json_value(value)
        try:
            value = self._type_checks[name](value)
            if operator == "$like":
                return self._engine.like_pattern(value)
            if operator == "$ilike":
                refuse_open_escape(value)
        except Misfit as why:
            if self.fields[name].type == "array" and not isinstance(value, list | tuple):
                fix = f"compare it with a whole list, or look for one element: {{{name!r}: {{'$contains': …}}}}"
                raise misfit(self.schema.name, name, value, str(why), fix) from None
            raise misfit(self.schema.name, name, value, str(why)) from None
        encode = self.codecs[name].encode
        return value if encode is None else encode(value)

    def key_values(self, key: Any) -> tuple[Any, ...]:
        """The parts of a key as the driver takes them."""
        names = self.schema.key
        if len(names) == 1:
            return (self.comparable(names[0], "$eq", key),)
        if not isinstance(key, tuple) or len(key) != len(names):
            raise ValueInvalid(
                f"{self.schema.name} has a key of {len(names)} fields",
                why=f"a {type(key).__name__} was given",
                fix=f"give a tuple ({', '.join(names)})",
                entity=self.schema.name,
                field=", ".join(names),
                kind=type(key).__name__,
            )
        return tuple(self.comparable(name, "$eq", part) for name, part in zip(names, key, strict=True))

    def key_of(self, row: Mapping[str, Any]) -> Any:
        """The key of a row: its value, or the tuple of its parts."""
        parts = tuple(row[name] for name in self.schema.key)
        return parts[0] if len(parts) == 1 else parts

    def linked_keys(self, name: str, keys: Any, target: Entity) -> list[Any]:
        """The keys that a many-to-many relation shall lead to, each once, as the driver takes them."""
        if not isinstance(keys, list | tuple | set | frozenset):
            raise misfit(self.schema.name, name, keys, "a many-to-many relation is written as a list of keys")
        return list(dict.fromkeys(target.key_values(key)[0] for key in keys))

    def several(self, rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """The rows of a bulk insert, which are a list and not one row."""
        if isinstance(rows, Mapping) or not isinstance(rows, Iterable):
            raise self._no_mapping(rows, "a list of mappings")
        return rows

    def new_row(self, data: Mapping[str, Any], now: datetime, tenant: Any) -> dict[str, Any]:
        """A whole row of what a caller gives: checked, with defaults and times, without the sequence."""
        self._refuse_strange(data, tenant)
        row: dict[str, Any] = {}
        for name, check, may_be_missing in self._inserted:
            value = data[name] if name in data else self._filled(name, now, tenant)
            if value is not None:
                try:
                    value = check(value)
                except Misfit as why:
                    raise misfit(self.schema.name, name, value, str(why)) from None
            elif not may_be_missing:
                whose = name == self.schema.tenant
                fix = "say whose the row is: as_tenant, or over HTTP Data-Tenant" if whose else "give a value"
                raise self._refused(name, "the field is required", fix)
            row[name] = value
        return row

    def _filled(self, name: str, now: datetime, tenant: Any) -> Any:
        """What a field has in a new row whose caller does not give it."""
        if name in self.schema.kept:
            return self._first(name, now)
        if tenant is not None and name == self.schema.tenant:
            return tenant
        default = self.fields[name].default
        return default() if callable(default) else default

    def _first(self, name: str, now: datetime) -> Any:
        """What a field that the dialect keeps has in a new row."""
        if name in TIMESTAMPS:
            return now
        if name == VERSION:
            return 1
        return None if name == DELETED_AT else self.schema.discriminator and self.schema.discriminator.value

    def changes(self, data: Mapping[str, Any], now: datetime, tenant: Any) -> dict[str, Any]:
        """The fields that an update sets, checked, with the time of the change; in column order."""
        self._refuse_strange(data, tenant)
        self._refuse_moved(data)
        changed: dict[str, Any] = {}
        for name in self.written:
            if name in data:
                changed[name] = self._writable(name, data[name])
            elif name == self.touched:
                changed[name] = now
        return changed

    def addend(self, name: str, by: Any, tenant: Any) -> tuple[Field, Any]:
        """The number field of this name, and what is to be added to it, checked."""
        field = self.field(name, NUMBERS, "increment")
        if name in self.schema.relations:
            raise OptionInvalid(
                f"{self.schema.name}.{name} cannot be used for increment",
                why="it is a relation, whose numbers are keys",
                fix="update it to the key of another row",
            )
        self._refuse_strange({name: by}, None)
        if name == self.schema.tenant and tenant is not None:
            raise self._of_another_tenant()
        self._refuse_moved((name,))
        try:
            return field, self._type_checks[name](by)
        except Misfit as why:
            raise misfit(self.schema.name, name, by, str(why)) from None

    def numbered(self, rows: list[dict[str, Any]], numbers: Sequence[int]) -> list[dict[str, Any]]:
        """New rows with the numbers of their sequence, where the entity has one."""
        sequence = self.sequence
        if sequence is None:
            return rows
        return [
            {name: number if name == sequence else row[name] for name in self.names}
            for row, number in zip(rows, numbers, strict=True)
        ]

    def _refuse_moved(self, names: Container[str]) -> None:
        for name in self.schema.key:
            if name in names:
                raise self._refused(name, "the key of a row cannot be changed", "create a row with the new key")

    def refreshed(self, data: Mapping[str, Any]) -> tuple[str, ...]:
        """The fields that an upsert sets in a row that is there: those given, ``updated_at``, ``deleted_at``.

        Without any the key is set to itself, so that the statement returns the row.
        """
        also = {self.touched, DELETED_AT if self.schema.soft_delete else None}
        names = tuple(name for name in self.written if name not in self.schema.key and (name in data or name in also))
        return names or self.schema.key

    def encoded(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        """Checked values as the driver takes them."""
        encoders = self._encoders
        return tuple(
            [
                value if value is None or (encode := encoders[name]) is None else encode(value)
                for name, value in row.items()
            ]
        )

    def _may_be_missing(self, name: str) -> bool:
        return not self.fields[name].required and name not in self.schema.key

    def _writable(self, name: str, value: Any) -> Any:
        if value is None:
            if not self._may_be_missing(name):
                raise self._refused(name, "the field is required", "give a value")
            return None
        try:
            return self._checks[name](value)
        except Misfit as why:
            raise misfit(self.schema.name, name, value, str(why)) from None

    def _refuse_strange(self, data: Mapping[str, Any], tenant: Any) -> None:
        if not isinstance(data, Mapping):
            raise self._no_mapping(data, "a mapping")
        if self._free.issuperset(data):
            return
        for name in data:
            if name in self.links:
                continue
            self._known(name)
            if name in self.schema.kept:
                raise self._refused(name, "the dialect keeps this field itself", "leave it out")
            if name == self.schema.tenant and tenant is not None and data[name] != tenant:
                raise self._of_another_tenant()

    def _of_another_tenant(self) -> TenantRequired:
        return TenantRequired(
            f"{self.schema.name}.{self.schema.tenant} cannot be that of another tenant",
            why="the row is written on behalf of one tenant",
            fix="leave the field out: it is set",
            entity=self.schema.name,
        )

    def _no_mapping(self, data: object, wanted: str) -> ValueInvalid:
        return ValueInvalid(
            f"what is written to {self.schema.name} is {wanted} of its fields",
            why=f"a {type(data).__name__} was given",
            fix="give {'field': value, …}, and create_many a list of those",
            entity=self.schema.name,
            field="",
            kind=type(data).__name__,
        )

    def _refused(self, name: str, why: str, fix: str) -> ValueInvalid:
        return ValueInvalid(
            f"{self.schema.name}.{name} cannot be written like this",
            why=why,
            fix=fix,
            entity=self.schema.name,
            field=name,
            kind="",
        )

    # --- out --------------------------------------------------------------------------------------

    def reader(self, names: Iterable[str]) -> RowReader:
        """How rows with these columns become typed."""
        return self._readers(tuple(names))

    def _reader(self, names: tuple[str, ...]) -> RowReader:
        return RowReader(self.schema.name, self.schema.key, {name: self.codecs[name] for name in names})

    def selected(self, select: Iterable[str] | None, exclude: Iterable[str] | None = None) -> tuple[str, ...]:
        """The names of a selection without those excluded, each known and once, in column order; or all of them."""
        if select is None and exclude is None:
            return self.names
        wanted = set(self.names if select is None else self._listed("select", select))
        wanted -= set(() if exclude is None else self._listed("exclude", exclude))
        if not wanted:
            raise OptionInvalid(
                "a selection without fields", why="`select` leaves none", fix="leave it out, or name fields"
            )
        return tuple(name for name in self.names if name in wanted)

    def _listed(self, option: str, names: Iterable[str]) -> tuple[str, ...]:
        if not isinstance(names, Iterable):
            raise OptionInvalid(
                "a selection that is no list of names",
                why=f"`{option}` is of type {type(names).__name__}",
                fix=f"{option}=['name', …]",
            )
        listed = (names,) if isinstance(names, str) else tuple(names)
        for name in listed:
            self._known(name)
        return listed

    def field(self, name: object, types: frozenset[str], what: str) -> Field:
        """The field of this name, which has to be of one of these types for `what`."""
        self._known(name)
        field = self.fields[str(name)]
        if field.type not in types:
            raise OptionInvalid(
                f"{self.schema.name}.{name} cannot be used for {what}",
                why=f"it is of type {field.type}",
                fix=f"name a field of type {', '.join(sorted(types))}",
            )
        return field

    def sorting(self, sort: Mapping[str, int] | None) -> tuple[tuple[str, int], ...]:
        """The terms of a sort order, each checked."""
        if sort is None:
            return ()
        if not isinstance(sort, Mapping):
            raise OptionInvalid(
                "a sort order that is no mapping",
                why=f"`sort` is of type {type(sort).__name__}",
                fix="sort={'name': 1}",
            )
        for name, direction in sort.items():
            self._known(name)
            if isinstance(direction, bool) or direction not in (1, -1) or self.fields[name].type in UNSORTABLE:
                raise OptionInvalid(
                    f"{self.schema.name} cannot be sorted by {name!r} this way",
                    why="a direction is 1 or -1, and json, array and binary have no order",
                    fix="sort={'name': 1}",
                )
        return tuple(sort.items())

    def _known(self, name: object) -> None:
        if isinstance(name, str) and name in self.fields:
            return
        relation = self.schema.relations.get(name) if isinstance(name, str) else None
        if relation is None:
            raise unknown_field(self.schema.name, name, self.names)
        raise UnknownField(
            f"{self.schema.name} has no field {name!r}",
            why=f"it is a {relation.kind} relation, and lies outside the row",
            fix=f"read it with include=[{name!r}]; " + self._how_to_link(str(name), relation),
            entity=self.schema.name,
            name=str(name),
            near=(),
        )

    @staticmethod
    def _how_to_link(name: str, relation: Relation) -> str:
        if relation.kind == "many-to-many":
            return f"write all of it with create or update, {{{name!r}: [key, …]}}"
        return f"write it in the rows of {relation.target}, as their {relation.mapped_by!r}"


def refuse_open_escape(pattern: str) -> None:
    """Refuse a pattern whose last backslash has nothing to escape."""
    if (len(pattern) - len(pattern.rstrip("\\"))) % 2:
        raise Misfit("the pattern ends with a backslash, which has nothing to escape")


def _names(filter: Any, field: str) -> bool:
    """Whether a filter names a field, at any depth of its logic."""
    if isinstance(filter, Mapping):
        return any(
            name == field or (str(name).startswith("$") and _names(part, field)) for name, part in filter.items()
        )
    return isinstance(filter, list | tuple) and any(_names(part, field) for part in filter)
