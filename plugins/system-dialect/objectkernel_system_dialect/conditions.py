"""From the conditions of a filter to SQL expressions, with numbered placeholders for their values."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, TypeAlias

from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    FromClause,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    case,
    literal_column,
    or_,
    select,
    tuple_,
)
from sqlalchemy.types import TypeEngine

from objectkernel_system_dialect.engine import Engine
from objectkernel_system_dialect.entity import Entity
from objectkernel_system_dialect.filters import (
    All,
    AnyOf,
    Compare,
    CompareJson,
    Condition,
    In,
    Missing,
    MissingJson,
    Not,
    Related,
)
from objectkernel_system_dialect.tables import Link

Terms: TypeAlias = tuple[tuple[str, int], ...]
"""A sort order: names and directions."""


ZERO: Final[ColumnElement[int]] = literal_column("0", Integer())
ONE: Final[ColumnElement[int]] = literal_column("1", Integer())


class ByName(Protocol):
    def __getitem__(self, name: str, /) -> ColumnElement[Any]: ...


class Columns(Protocol):
    """What has columns by name: a table, an alias of one, or groups of its rows."""

    @property
    def c(self) -> ByName: ...


class Entities(Protocol):
    """The registered entities, as far as relations between them go."""

    def entity(self, name: str) -> Entity: ...

    def link(self, entity: Entity, relation: str) -> Link: ...


class Numbered:
    """Makes placeholders with rising numbers."""

    def __init__(self) -> None:
        self._next = 0

    def __call__(self, type: TypeEngine[Any]) -> BindParameter[Any]:
        number, self._next = self._next, self._next + 1
        return bindparam(str(number), type_=type)


class Conditions:
    """Writes conditions for one kind of database."""

    def __init__(self, engine: Engine, entities: Entities) -> None:
        self._engine = engine
        self._entities = entities

    def write(self, condition: Condition, entity: Entity, table: Columns, numbered: Numbered) -> ColumnElement[bool]:
        """The condition on rows of `table`: the entity's, an alias of it, or groups of its rows."""

        def write(part: Condition) -> ColumnElement[bool]:
            return self.write(part, entity, table, numbered)

        match condition:
            case All(parts):
                return and_(*map(write, parts)) if parts else ONE == ONE
            case AnyOf(parts):
                return or_(*map(write, parts)) if parts else ZERO == ONE
            case Not(Missing(field)):
                return table.c[field].is_not(None)
            case Not(part):  # a comparison with a missing value is unknown in SQL, and false in MongoDB
                return _untrue(write(part))
            case Missing(field):
                return table.c[field].is_(None)
            case In(field, slots, or_missing):
                column = table.c[field]
                found = column.in_([numbered(column.type) for _ in range(slots)])
                return or_(found, column.is_(None)) if or_missing else found
            case Compare(field, name):
                return self._comparison(table.c[field], name, numbered)
            case CompareJson(field, path, name, kind):
                value = numbered(self._engine.json_types[kind])
                return self._engine.json_compare(table.c[field], path, name, value, kind)
            case MissingJson(field, path):
                return self._engine.json_missing(table.c[field], path)
            case Related(relation, part):
                return self._related(entity, table, relation, part, numbered)

    def _comparison(self, column: ColumnElement[Any], name: str, numbered: Numbered) -> ColumnElement[bool]:
        is_array = getattr(column.type, "kind", None) == "array"
        match name:
            case "$ne" if is_array:
                return _untrue(self._engine.array_equals(column, numbered(column.type)))
            case "$ne":
                return column.is_distinct_from(numbered(column.type))
            case "$like":
                return self._engine.like(column, numbered(Text()))
            case "$ilike":
                return self._engine.ilike(column, numbered(Text()))
            case "$regex":
                return self._engine.regex(column, numbered(Text()))
            case "$contains" if is_array:
                return self._engine.array_contains(column, numbered(column.type))
            case "$contains":
                return self._engine.text_contains(column, numbered(Text()))
            case "$eq" if is_array:
                return self._engine.array_equals(column, numbered(column.type))
            case _:
                return COMPARISONS[name](column, numbered(column.type))

    def _related(
        self, entity: Entity, table: Columns, name: str, part: Condition, numbered: Numbered
    ) -> ColumnElement[bool]:
        relation = entity.schema.relations[name]
        target = self._entities.entity(relation.target)
        other = target.table.alias()
        there = self.write(part, target, other, numbered)
        other_key = other.c[target.schema.key[0]]
        if relation.has_column:
            return table.c[name].in_(select(other_key).where(there))
        own_key = table.c[entity.schema.key[0]]
        if relation.kind == "one-to-many":
            assert relation.mapped_by is not None  # checked on registration
            back = other.c[relation.mapped_by]
            return own_key.in_(select(back).where(back.is_not(None), there))
        link = self._entities.link(entity, name)
        pairs = link.table.alias()
        joined: Select[Any] = (
            select(pairs.c[link.own]).join_from(pairs, other, pairs.c[link.other] == other_key).where(there)
        )
        return own_key.in_(joined)

    def order(self, table: FromClause, sort: Terms) -> list[ColumnElement[Any]]:
        """The sort order, in which a missing value comes first going up."""
        return [self.term(table.c[name], direction, nullable=table.c[name].nullable) for name, direction in sort]

    def in_any_order(self, statement: Select[Any], *columns: ColumnElement[Any]) -> Select[Any]:
        """A query whose rows shall be limited: by these columns, if they have to be in an order for that."""
        return statement.order_by(*columns) if self._engine.limits_sorted_rows else statement

    def term(self, column: ColumnElement[Any], direction: int, *, nullable: bool) -> ColumnElement[Any]:
        """One term of a sort order. Said in so many words only where it has to be: an index may not answer that."""
        if self._engine.sorts_missing_first or not nullable:
            return column if direction > 0 else column.desc()
        return column.asc().nulls_first() if direction > 0 else column.desc().nulls_last()


def behind(
    table: FromClause, sort: Terms, after: tuple[bool, ...], numbered: Numbered, *, by_rows: bool
) -> ColumnElement[bool]:
    """The rows after one whose sort values are given; `after` says which of those are not missing.

    With `by_rows` several columns may be compared at once.
    """
    columns: list[Any] = [table.c[name] for name, _ in sort]
    values = [numbered(column.type) if there else None for column, there in zip(columns, after, strict=True)]
    directions = {direction for _, direction in sort}
    if by_rows and len(directions) == 1 and not any(column.nullable for column in columns):
        compare = operator.gt if directions == {1} else operator.lt
        found: ColumnElement[bool] = compare(tuple_(*columns), tuple_(*values))  # which an index answers
        return found
    ways: list[ColumnElement[bool]] = []
    for place, (column, value, (_, direction)) in enumerate(zip(columns, values, sort, strict=True)):
        same = [_same(*pair) for pair in zip(columns[:place], values[:place], strict=True)]
        if (further := _further(column, value, direction)) is not None:
            ways.append(and_(*same, further))
    return or_(*ways) if ways else ZERO == ONE


COMPARISONS: Final[Mapping[str, Callable[[Any, Any], ColumnElement[bool]]]] = {
    "$eq": operator.eq,
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}


def _untrue(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """That a condition is false or unknown. Some databases have conditions only where a choice is made."""
    return case((condition, ZERO), else_=ONE) == ONE


def _same(column: ColumnElement[Any], value: BindParameter[Any] | None) -> ColumnElement[bool]:
    return column.is_(None) if value is None else column == value


def _further(column: Column[Any], value: BindParameter[Any] | None, direction: int) -> ColumnElement[bool] | None:
    """Behind `value` in one column, where a missing value comes first; None when nothing can be."""
    if direction > 0:
        return column.is_not(None) if value is None else column > value
    if value is None:
        return None
    return or_(column < value, column.is_(None)) if column.nullable else column < value
