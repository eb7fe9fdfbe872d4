"""From shapes to SQL text: built with SQLAlchemy Core and compiled once, then only given values."""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable, Sequence
from functools import cached_property
from typing import Any, Final, TypeAlias

import attrs
from sqlalchemy import (
    BindParameter,
    ClauseElement,
    Column,
    ColumnElement,
    Dialect,
    Integer,
    Select,
    and_,
    bindparam,
    delete,
    false,
    func,
    insert,
    literal_column,
    not_,
    or_,
    select,
    text,
    true,
    tuple_,
    update,
)
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.sql.compiler import SQLCompiler

from objectkernel_system_dialect.entity import Entity
from objectkernel_system_dialect.filters import ALWAYS, All, AnyOf, Compare, Condition, In, Missing, Not

Terms: TypeAlias = tuple[tuple[str, int], ...]
Columns: TypeAlias = tuple[str, ...]

CACHE_LIMIT: Final = 512
"""Shapes kept for each entity; beyond, the oldest is compiled again when it comes back."""


@attrs.frozen
class Prepared:
    """Compiled text, and for each of its placeholders the number of its value."""

    sql: str
    order: tuple[int, ...]

    def bind(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """The values in the order of the placeholders."""
        return tuple([values[number] for number in self.order])


class Statements:
    """The statements of one entity; each takes its values in the order that its docstring gives."""

    def __init__(self, entity: Entity, dialect: Dialect) -> None:
        self._entity = entity
        self._table = entity.table
        self._dialect = dialect
        self._cache: dict[Hashable, Prepared] = {}

    def find(
        self,
        names: Columns,
        condition: Condition,
        *,
        sort: Terms = (),
        after: tuple[bool, ...] | None = None,
        limited: bool = False,
    ) -> Prepared:
        """Values: the filter's, the cursor's (those there), and when `limited` limit (-1: none) and skip."""
        shape = ("find", names, condition, sort, after, limited)
        return self._prepared(shape, lambda: self._find(*shape[1:]))

    def count(self, condition: Condition) -> Prepared:
        """Values: the filter's."""
        return self._prepared(("count", condition), lambda: self._where(select(func.count()), condition))

    def exists(self, condition: Condition) -> Prepared:
        """Values: the filter's."""
        zero: ColumnElement[int] = literal_column("0")
        one: ColumnElement[int] = literal_column("1")
        return self._prepared(
            ("exists", condition), lambda: self._where(select(one), condition).limit(one).offset(zero)
        )

    def delete_many(self, condition: Condition) -> Prepared:
        """Values: the filter's."""
        return self._prepared(
            ("delete_many", condition),
            lambda: delete(self._table).where(self._condition(condition, Numbered())),
        )

    def update(self, names: Columns) -> Prepared:
        """Values: those of `names`, the key's."""
        return self._prepared(("update", names), lambda: self._update(names))

    def upsert(self, names: Columns) -> Prepared:
        """Insert all columns, or set `names` in the row of that key. Values: those of all written columns."""
        return self._prepared(("upsert", names), lambda: self._upsert(names))

    @cached_property
    def find_by_id(self) -> Prepared:
        """Values: the key's."""
        return self._compiled(self._select(self._entity.names).where(self._key(Numbered())))

    @cached_property
    def create(self) -> Prepared:
        """Values: those of all written columns."""
        return self._compiled(insert(self._table).inline().values(self._assigned(self._entity.written, Numbered())))

    @cached_property
    def delete(self) -> Prepared:
        """Values: the key's."""
        return self._compiled(delete(self._table).where(self._key(Numbered())))

    def _prepared(self, shape: Hashable, build: Callable[[], ClauseElement]) -> Prepared:
        prepared = self._cache.get(shape)
        if prepared is None:
            prepared = self._compiled(build())
            if len(self._cache) >= CACHE_LIMIT:
                del self._cache[next(iter(self._cache))]
            self._cache[shape] = prepared
        return prepared

    def _compiled(self, statement: ClauseElement) -> Prepared:
        compiled = statement.compile(dialect=self._dialect)
        assert isinstance(compiled, SQLCompiler)
        return Prepared(compiled.string, tuple(int(name) for name in compiled.positiontup or ()))

    def _select(self, names: Columns) -> Select[Any]:
        return select(*(self._table.c[name] for name in names))

    def _find(
        self,
        names: Columns,
        condition: Condition,
        sort: Terms,
        after: tuple[bool, ...] | None,
        limited: bool,
    ) -> ClauseElement:
        numbered = Numbered()
        statement = self._select(names)
        if condition != ALWAYS:
            statement = statement.where(self._condition(condition, numbered))
        if after is not None:
            statement = statement.where(self._behind(sort, after, numbered))
        statement = statement.order_by(
            *(self._table.c[name] if direction > 0 else self._table.c[name].desc() for name, direction in sort)
        )
        return statement.limit(numbered()).offset(numbered()) if limited else statement

    def _where(self, statement: Select[Any], condition: Condition) -> Select[Any]:
        statement = statement.select_from(self._table)
        return statement if condition == ALWAYS else statement.where(self._condition(condition, Numbered()))

    def _key(self, numbered: Numbered) -> ColumnElement[bool]:
        return and_(*(self._table.c[name] == numbered() for name in self._entity.schema.key))

    def _assigned(self, names: Columns, numbered: Numbered) -> dict[str, BindParameter[Any]]:
        return {name: numbered() for name in names}

    def _update(self, names: Columns) -> ClauseElement:
        numbered = Numbered()
        values = self._assigned(names, numbered)
        return update(self._table).values(values).where(self._key(numbered)).returning(*self._table.c)

    def _upsert(self, names: Columns) -> ClauseElement:
        statement = upsert(self._table).values(self._assigned(self._entity.written, Numbered()))
        return statement.on_conflict_do_update(
            index_elements=list(self._entity.schema.key),
            set_={name: statement.excluded[name] for name in names},
        ).returning(*self._table.c)

    def _condition(self, condition: Condition, numbered: Numbered) -> ColumnElement[bool]:
        match condition:
            case All(parts):
                return and_(true(), *(self._condition(part, numbered) for part in parts))
            case AnyOf(parts):
                return or_(false(), *(self._condition(part, numbered) for part in parts))
            case Not(Missing(field)):
                return self._table.c[field].is_not(None)
            case Not(part):  # a comparison with a missing value is unknown in SQL, and false in MongoDB
                return not_(func.coalesce(self._condition(part, numbered), false()))
            case Missing(field):
                return self._table.c[field].is_(None)
            case In(field, slots, or_missing):
                column = self._table.c[field]
                found = column.in_([numbered() for _ in range(slots)])
                return or_(found, column.is_(None)) if or_missing else found
            case Compare(field, name):
                return self._comparison(field, name, numbered())

    def _comparison(self, field: str, name: str, value: BindParameter[Any]) -> ColumnElement[bool]:
        column = self._table.c[field]
        match name:
            case "$ne":
                return column.is_distinct_from(value)
            case "$like":
                return column.bool_op("GLOB")(value)
            case "$contains" if self._entity.fields[field].type == "array":
                items = func.json_each(column).table_valued("value")
                wanted = func.json_extract(value, text("'$[0]'"))
                return select(literal_column("1")).select_from(items).where(items.c.value == wanted).exists()
            case "$contains":
                return func.instr(column, value) > literal_column("0")
            case _:
                return COMPARISONS[name](column, value)

    def _behind(self, sort: Terms, after: tuple[bool, ...], numbered: Numbered) -> ColumnElement[bool]:
        """The rows after one whose sort values are given; `after` says which of those are not missing."""
        columns = [self._table.c[name] for name, _ in sort]
        values = [numbered() if there else None for there in after]
        directions = {direction for _, direction in sort}
        if len(directions) == 1 and not any(column.nullable for column in columns):
            compare = operator.gt if directions == {1} else operator.lt
            behind: ColumnElement[bool] = compare(tuple_(*columns), tuple_(*values))  # which an index answers
            return behind
        ways: list[ColumnElement[bool]] = []
        for place, (column, value, (_, direction)) in enumerate(zip(columns, values, sort, strict=True)):
            same = [_same(*pair) for pair in zip(columns[:place], values[:place], strict=True)]
            if (further := _further(column, value, direction)) is not None:
                ways.append(and_(*same, further))
        return or_(false(), *ways)


class Numbered:
    """Makes placeholders with rising numbers."""

    def __init__(self) -> None:
        self._next = 0

    def __call__(self) -> BindParameter[Any]:
        number, self._next = self._next, self._next + 1
        return bindparam(str(number), type_=Integer())  # values come encoded; the type only has to render a plain '?'


COMPARISONS: Final[dict[str, Callable[[Any, Any], ColumnElement[bool]]]] = {
    "$eq": operator.eq,
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}


def _same(column: ColumnElement[Any], value: BindParameter[Any] | None) -> ColumnElement[bool]:
    return column.is_(None) if value is None else column == value


def _further(column: Column[Any], value: BindParameter[Any] | None, direction: int) -> ColumnElement[bool] | None:
    """Behind `value` in one column, where a missing value comes first; None when nothing can be."""
    if direction > 0:
        return column.is_not(None) if value is None else column > value
    if value is None:
        return None
    return or_(column < value, column.is_(None)) if column.nullable else column < value
