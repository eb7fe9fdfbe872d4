"""Groups of rows: from the shape of a pipeline to one ``GROUP BY``, and its rows typed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import attrs
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Float,
    Integer,
    Select,
    Text,
    case,
    cast,
    func,
    literal_column,
    select,
    type_coerce,
)

from objectkernel_system_dialect.conditions import Conditions, Numbered
from objectkernel_system_dialect.entity import Entity
from objectkernel_system_dialect.executor import Fetched
from objectkernel_system_dialect.filters import ALWAYS, Condition
from objectkernel_system_dialect.pipelines import Accumulator, Pipeline
from objectkernel_system_dialect.rows import UNDECODABLE, damaged
from objectkernel_system_dialect.values import PRECISE


def build(entity: Entity, conditions: Conditions, condition: Condition, pipeline: Pipeline) -> Select[Any]:
    """The statement of a pipeline. Values: the match's, limit, skip."""
    table, numbered = entity.table, Numbered()
    groups = {f"_id.{name}" if pipeline.single is None else "_id": table.c[field] for name, field in pipeline.group}
    columns: list[ColumnElement[Any]] = [func.count(), *groups.values()]
    order: dict[str, ColumnElement[Any]] = dict(groups)
    for one in pipeline.accumulators:
        made, weight = _columns(entity, one)
        columns += made
        order[one.name] = weight
    statement = select(*(column.label(f"c{number}") for number, column in enumerate(columns))).select_from(table)
    if condition != ALWAYS:
        statement = statement.where(conditions.write(condition, entity, table, numbered))
    if pipeline.group:
        statement = statement.group_by(*groups.values())
    terms = [(order[name], direction) for name, direction in pipeline.sort]
    statement = statement.order_by(*(conditions.term(column, direction, nullable=True) for column, direction in terms))
    if pipeline.limit:
        statement = statement.limit(numbered(BigInteger()))
    return statement.offset(numbered(BigInteger())) if pipeline.skip else statement


def _columns(entity: Entity, one: Accumulator) -> tuple[list[ColumnElement[Any]], ColumnElement[Any]]:
    """What to select for an accumulator, and what to sort by."""
    if one.field is None:
        return [func.count()], func.count()
    column = entity.table.c[one.field]
    match one.operator:
        case "$sum":
            total = func.sum(column)
            return [total], func.coalesce(total, literal_column("0"))
        case "$avg":  # two exact numbers, divided in Python
            return [func.sum(column), func.count(column)], func.sum(column) * literal_column("1.0") / func.count(column)
        case "$min":
            return [func.min(column)], func.min(column)
        case _:
            return [func.max(column)], func.max(column)


class GroupReader:
    """Reads the rows of a pipeline."""

    def __init__(self, entity: Entity, pipeline: Pipeline) -> None:
        self._entity = entity
        self._pipeline = pipeline
        self._group = tuple((name, self._decoder(field)) for name, field in pipeline.group)

    def rows(self, fetched: Iterable[Fetched], names: Sequence[str]) -> list[dict[str, Any]]:
        """The rows, typed; no row at all where there was none to group.

        Raises:
            RowDamaged: a value is not what its field can have.
        """
        return [self._row(list(values[1:])) for values in fetched if values[0]]  # of no rows SQL makes one group

    def _row(self, values: list[Any]) -> dict[str, Any]:
        field = ""
        try:
            id: dict[str, Any] = {}
            for (name, decode), (_, field) in zip(self._group, self._pipeline.group, strict=True):
                id[name] = decode(values.pop(0))
            row: dict[str, Any] = {"_id": id["_id"] if self._pipeline.single else id or None}
            for one in self._pipeline.accumulators:
                field = one.field or ""
                row[one.name] = self._accumulated(one, values)
        except UNDECODABLE as error:
            raise damaged(self._entity.schema.name, field, None) from error
        return row

    def _accumulated(self, one: Accumulator, values: list[Any]) -> Any:
        first = values.pop(0)
        if one.field is None:
            return int(first)
        kind = self._entity.fields[one.field].type
        match one.operator:
            case "$sum":
                return self._sum(one.field, kind, first)
            case "$avg":
                count = int(values.pop(0))
                if not count:
                    return None
                total = self._sum(one.field, kind, first)
                return PRECISE.divide(total, Decimal(count)) if kind == "decimal" else total / count
            case _:
                return self._decoder(one.field)(first)

    def _sum(self, field: str, kind: str, value: Any) -> Any:
        if kind == "decimal":
            return Decimal(0) if value is None else self._decimal(field, value)
        if value is None:
            return 0
        return float(value) if kind == "number" else int(value)

    def _decimal(self, field: str, value: Any) -> Decimal:
        codec = self._entity.codecs[field]
        decoded = value if codec.decode is None else codec.decode(codec.storage(value))
        return decoded if isinstance(decoded, Decimal) else Decimal(decoded)

    def _decoder(self, field: str) -> Callable[[Any], Any]:
        codec = self._entity.codecs[field]

        def decode(value: Any) -> Any:
            if value is None or codec.decode is None:
                return value
            if not isinstance(value, codec.storage):
                raise TypeError("the stored value is of another type")
            return codec.decode(value)

        return decode
