"""From shapes to SQL text: built with SQLAlchemy Core and compiled once, then only given values."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import cached_property
from typing import Any, Final, TypeAlias

import attrs
from sqlalchemy import (
    BigInteger,
    ClauseElement,
    ColumnElement,
    Select,
    delete,
    func,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy.sql.compiler import SQLCompiler

from objectkernel_system_dialect.conditions import ONE, ZERO, Conditions, Entities, Numbered, Terms, behind
from objectkernel_system_dialect.engine import Engine
from objectkernel_system_dialect.entity import Entity
from objectkernel_system_dialect.executor import Insertion
from objectkernel_system_dialect.filters import ALWAYS, All, Compare, Condition
from objectkernel_system_dialect.schema import VERSION

Columns: TypeAlias = tuple[str, ...]

CACHE_LIMIT: Final = 512
"""Shapes kept for each entity; beyond, the oldest is compiled again when it comes back."""


@attrs.frozen
class Prepared:
    """Compiled text, and what each of its placeholders stands for.

    Attributes:
        order: for each placeholder the number of its value; below zero that of a constant, from the last on.
        constants: what the compiler itself put in, such as the offset 0 beside a limit.
    """

    sql: str
    order: tuple[int, ...]
    constants: tuple[Any, ...] = ()

    def bind(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """The values in the order of the placeholders."""
        if self.constants:
            values = (*values, *self.constants)
        return tuple([values[number] for number in self.order])


class Statements:
    """The statements of one entity; each takes its values in the order that its docstring gives."""

    def __init__(self, entity: Entity, engine: Engine, entities: Entities) -> None:
        self._entity = entity
        self._table = entity.table
        self._engine = engine
        self._entities = entities
        self._conditions = Conditions(engine, entities)
        self._cache: dict[Hashable, Prepared] = {}

    # --- reading --------------------------------------------------------------------------------------

    def find(
        self,
        names: Columns,
        condition: Condition,
        *,
        sort: Terms = (),
        after: tuple[bool, ...] | None = None,
        limit: bool = False,
        skip: bool = False,
        lock: bool = False,
    ) -> Prepared:
        """Values: the filter's, the cursor's (those there), limit, skip. With `lock` nobody else changes the rows."""
        shape = ("find", names, condition, sort, after, limit, skip, lock)
        return self._prepared(shape, lambda: self._find(*shape[1:]))

    def count(self, condition: Condition) -> Prepared:
        """Values: the filter's."""
        return self._prepared(("count", condition), lambda: self._where(select(func.count()), condition))

    def exists(self, condition: Condition) -> Prepared:
        """Values: the filter's."""
        return self._prepared(
            ("exists", condition),
            lambda: self._ordered(self._where(select(ONE), condition)).limit(ONE).offset(ZERO),
        )

    def distinct(self, name: str, condition: Condition) -> Prepared:
        """Values: the filter's."""
        return self._prepared(("distinct", name, condition), lambda: self._distinct(name, condition))

    def linked(self, relation: str, slots: int, condition: Condition) -> Prepared:
        """The rows that a many-to-many relation leads to, each behind the key that leads there.

        Values: the filter's (of the other entity), `slots` keys.
        """
        shape = ("linked", relation, slots, condition)
        return self._prepared(shape, lambda: self._linked(relation, slots, condition))

    @cached_property
    def find_by_id(self) -> Prepared:
        """For an entity whose every row is seen. Values: the key's."""
        key = All(tuple(Compare(name, "$eq") for name in self._entity.schema.key))
        return self._compiled(self._where(self._select(self._entity.names), key))

    # --- writing --------------------------------------------------------------------------------------

    @cached_property
    def create(self) -> Insertion:
        """Values: those of all written columns."""
        written = self._entity.written
        prepared = self._compiled(insert(self._table).inline().values(self._assigned(written, Numbered())))
        assert prepared.order == tuple(range(len(written)))
        return Insertion(prepared.sql, self._table.name, written, self._entity.sequence)

    def update(self, names: Columns, condition: Condition, *, add: str | None = None, rows: bool = False) -> Prepared:
        """Set `names`, and add to the number `add`. Values: those of `names`, what is added, the filter's.

        With `rows` the statement returns the changed rows; only for databases that do.
        """
        shape = ("update", names, condition, add, rows)
        return self._prepared(shape, lambda: self._update(names, condition, add, rows))

    def upsert(self, names: Columns, condition: Condition) -> Prepared:
        """Insert all columns, or set `names` in the row of that key where it fulfils the condition.

        Values: those of all written columns, the condition's.
        """
        return self._prepared(("upsert", names, condition), lambda: self._upsert(names, condition))

    def delete(self, condition: Condition) -> Prepared:
        """Values: the filter's."""
        return self._prepared(
            ("delete", condition), lambda: delete(self._table).where(self._condition(condition, Numbered()))
        )

    def unlink(self, relation: str) -> Prepared:
        """Values: the key of this side."""
        link = self._entities.link(self._entity, relation)
        return self._prepared(
            ("unlink", relation),
            lambda: delete(link.table).where(link.table.c[link.own] == Numbered()(link.table.c[link.own].type)),
        )

    def link(self, relation: str) -> Insertion:
        """Values: the key of this side, that of the other."""
        link = self._entities.link(self._entity, relation)
        names, numbered = (link.own, link.other), Numbered()
        values = {name: numbered(link.table.c[name].type) for name in names}
        prepared = self._prepared(("link", relation), lambda: insert(link.table).inline().values(values))
        columns = tuple(names[number] for number in prepared.order)
        return Insertion(prepared.sql, link.table.name, columns, None)

    # --- building -------------------------------------------------------------------------------------

    def prepared(self, shape: Hashable, build: Callable[[], ClauseElement]) -> Prepared:
        """The compiled text of what `build` makes, kept by its shape."""
        return self._prepared(shape, build)

    def _prepared(self, shape: Hashable, build: Callable[[], ClauseElement]) -> Prepared:
        prepared = self._cache.get(shape)
        if prepared is None:
            prepared = self._compiled(build())
            if len(self._cache) >= CACHE_LIMIT:
                del self._cache[next(iter(self._cache))]
            self._cache[shape] = prepared
        return prepared

    def _compiled(self, statement: ClauseElement) -> Prepared:
        compiled = statement.compile(dialect=self._engine.core)
        assert isinstance(compiled, SQLCompiler)
        names = compiled.positiontup or []
        own = [name for name in names if not name.isdigit()]
        order = tuple(int(name) if name.isdigit() else own.index(name) - len(own) for name in names)
        return Prepared(compiled.string, order, tuple(compiled.params[name] for name in own))

    def _select(self, names: Columns) -> Select[Any]:
        return select(*(self._table.c[name] for name in names))

    def _condition(self, condition: Condition, numbered: Numbered) -> ColumnElement[bool]:
        return self._conditions.write(condition, self._entity, self._table, numbered)

    def _where(self, statement: Select[Any], condition: Condition) -> Select[Any]:
        statement = statement.select_from(self._table)
        return statement if condition == ALWAYS else statement.where(self._condition(condition, Numbered()))

    def _find(
        self,
        names: Columns,
        condition: Condition,
        sort: Terms,
        after: tuple[bool, ...] | None,
        limit: bool,
        skip: bool,
        lock: bool,
    ) -> ClauseElement:
        numbered = Numbered()
        statement = self._select(names)
        if condition != ALWAYS:
            statement = statement.where(self._condition(condition, numbered))
        if after is not None:
            by_rows = self._engine.compares_rows
            statement = statement.where(behind(self._table, sort, after, numbered, by_rows=by_rows))
        statement = statement.order_by(*self._conditions.order(self._table, sort))
        if not sort and (limit or skip):
            statement = self._ordered(statement)
        if limit:
            statement = statement.limit(numbered(BigInteger()))
        if skip:
            statement = statement.offset(numbered(BigInteger()))
        return self._engine.locked(statement, self._table) if lock else statement

    def _ordered(self, statement: Select[Any]) -> Select[Any]:
        """In any order, if there has to be one."""
        return self._conditions.in_any_order(statement, *(self._table.c[name] for name in self._entity.schema.key))

    def _distinct(self, name: str, condition: Condition) -> ClauseElement:
        column = self._table.c[name]
        statement = self._where(select(column).distinct(), condition)
        return statement.where(column.is_not(None)).order_by(column)

    def _linked(self, relation: str, slots: int, condition: Condition) -> ClauseElement:
        link, numbered = self._entities.link(self._entity, relation), Numbered()
        target = self._entities.entity(self._entity.schema.relations[relation].target)
        pairs, other = link.table.alias(), target.table.alias()
        key = other.c[target.schema.key[0]]
        own = pairs.c[link.own]
        return (
            select(own, *(other.c[name] for name in target.names))
            .join_from(pairs, other, pairs.c[link.other] == key)
            .where(self._conditions.write(condition, target, other, numbered))
            .where(own.in_([numbered(own.type) for _ in range(slots)]))
            .order_by(key)
        )

    def _assigned(self, names: Columns, numbered: Numbered) -> dict[str, Any]:
        return {name: numbered(self._table.c[name].type) for name in names}

    def _counted(self) -> dict[str, Any]:
        """The version, one higher, where the entity has one."""
        return {VERSION: self._table.c[VERSION] + literal_column("1")} if self._entity.schema.version else {}

    def _update(self, names: Columns, condition: Condition, add: str | None, rows: bool) -> ClauseElement:
        numbered = Numbered()
        values = {**self._assigned(names, numbered), **self._counted()}
        if add is not None:
            column = self._table.c[add]
            values[add] = func.coalesce(column, literal_column("0")) + numbered(column.type)
        statement = update(self._table).values(values).where(self._condition(condition, numbered))
        return statement.returning(*(self._table.c[name] for name in self._entity.names)) if rows else statement

    def _upsert(self, names: Columns, condition: Condition) -> ClauseElement:
        numbered = Numbered()
        values = self._assigned(self._entity.written, numbered)
        refreshed: dict[str, Any] = {**dict.fromkeys(names), **self._counted()}
        where = None if condition == ALWAYS else self._condition(condition, numbered)
        statement = self._engine.upsert(self._table, self._entity.schema.key, values, refreshed, where)
        if self._engine.updates_return_rows:
            statement = statement.returning(*(self._table.c[name] for name in self._entity.names))
        made: ClauseElement = statement
        return made
