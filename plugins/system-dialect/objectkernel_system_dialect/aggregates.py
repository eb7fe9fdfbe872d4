"""Groups of rows: from the shape of a pipeline to one ``GROUP BY``, and its rows typed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

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
    literal,
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


@attrs.frozen
class Grouped:
    """What groups have, by name, for their filter and their order."""

    c: dict[str, ColumnElement[Any]]


def build(entity: Entity, conditions: Conditions, condition: Condition, pipeline: Pipeline) -> Select[Any]:
    """The statement of a pipeline. Values: the rows' filter's, the groups' filter's, limit, skip."""
    table, numbered = entity.table, Numbered()
    grouped = Grouped({name: table.c[field] for name, field in pipeline.group})
    columns: list[ColumnElement[Any]] = [func.count(), *grouped.c.values()]
    for one in pipeline.accumulators:
        made, compared = _columns(entity, one)
        columns += made
        grouped.c[one.name] = compared
    statement = select(*(column.label(f"c{number}") for number, column in enumerate(columns))).select_from(table)
    if condition != ALWAYS:
        statement = statement.where(conditions.write(condition, entity, table, numbered))
    if pipeline.group:
        statement = statement.group_by(*(table.c[field] for _, field in pipeline.group))
    if pipeline.having != ALWAYS:
        statement = statement.having(conditions.write(pipeline.having, entity, grouped, numbered))
    terms = [conditions.term(grouped.c[name], direction, nullable=True) for name, direction in pipeline.sort]
    statement = statement.order_by(*terms)
    if not terms and (pipeline.limit or pipeline.skip):
        statement = conditions.in_any_order(statement, func.count())
    if pipeline.limit:
        statement = statement.limit(numbered(BigInteger()))
    return statement.offset(numbered(BigInteger())) if pipeline.skip else statement


def _columns(entity: Entity, one: Accumulator) -> tuple[list[ColumnElement[Any]], ColumnElement[Any]]:
    """What to select for an accumulator, and what to filter and sort by."""
    if one.field is None:
        return [func.count()], type_coerce(func.count(), BigInteger())
    column: ColumnElement[Any] = entity.table.c[one.field]
    if one.operator == "$sum":
        total = func.sum(column)
        return [total], type_coerce(func.coalesce(total, literal_column("0")), column.type)
    if one.operator == "$avg":  # two exact numbers, divided in Python
        parts: list[ColumnElement[Any]] = [func.sum(column), func.count(column)]
        mean = parts[0] * literal_column("1.0") / parts[1]
        return parts, type_coerce(mean, Float() if one.kind == "number" else column.type)
    match one.kind:  # which not every database can order
        case "boolean":
            yes, no = literal_column("1", Integer()), literal_column("0", Integer())
            column = case((column.is_(None), None), (column == literal(True, column.type), yes), else_=no)
        case "uuid":
            column = cast(column, Text())
    end = func.min(column) if one.operator == "$min" else func.max(column)
    return [end], end


class GroupReader:
    """Reads the rows of a pipeline."""

    trusting = False

    def __init__(self, entity: Entity, pipeline: Pipeline) -> None:
        self._entity = entity
        self._pipeline = pipeline
        self._group = tuple((name.removeprefix("_id."), field) for name, field in pipeline.group)

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
            for name, field in self._group:
                id[name] = self._decoded(field, values.pop(0))
            row: dict[str, Any] = {"_id": id.get("_id") if "_id" in id else id or None}
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
            case _ if first is None:
                return None
            case _ if kind in _READ_AS:
                return _READ_AS[kind](first)
            case _:
                return self._decoded(one.field, first)

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

    def _decoded(self, field: str, value: Any) -> Any:
        codec = self._entity.codecs[field]
        if value is None or codec.decode is None:
            return value
        if not isinstance(value, codec.storage):
            raise TypeError("the stored value is of another type")
        return codec.decode(value)


_READ_AS: Final[Mapping[str, Callable[[Any], Any]]] = {"boolean": bool, "uuid": UUID}
"""What was cast so that it could be ordered."""
