"""Pipelines of `Dialect.aggregate`: from MongoDB's notation to a shape and its values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs
from objectkernel.errors import nearest

from objectkernel_system_dialect.entity import Entity
from objectkernel_system_dialect.errors import FilterInvalid, OptionInvalid, UnknownOperator
from objectkernel_system_dialect.filters import Condition, FilterParser
from objectkernel_system_dialect.values import CHECKS, Misfit, misfit

ORDER: Final = ("$match", "$group", "$match", "$sort", "$skip", "$limit")
STAGES: Final = tuple(dict.fromkeys(ORDER))
ACCUMULATORS: Final = ("$sum", "$avg", "$min", "$max", "$count")
NUMBERS: Final = frozenset({"integer", "number", "decimal", "sequence"})
ORDERED: Final = frozenset({"string", "text", "enum", "boolean", "datetime", "uuid"}) | NUMBERS


@attrs.frozen
class Accumulator:
    """``$sum`` and ``$count`` of rows (`field` None); ``$sum``, ``$avg``, ``$min``, ``$max`` of a field.

    Attributes:
        kind: the type of what it gives, as a field's.
    """

    name: str
    operator: str
    field: str | None
    kind: str


@attrs.frozen
class Pipeline:
    """A pipeline without its values: what it looks like as SQL.

    Attributes:
        group: what groups: names (``_id``, or ``_id.name`` for each of several) and fields; empty for one group of all.
        having: what a group has to fulfil.
    """

    group: tuple[tuple[str, str], ...]
    accumulators: tuple[Accumulator, ...]
    having: Condition
    sort: tuple[tuple[str, int], ...]
    limit: bool
    skip: bool


@attrs.frozen
class Read:
    """What a caller's pipeline says: the filter of its rows, its shape, and the values of what comes behind that."""

    match: Mapping[str, Any] | None
    pipeline: Pipeline
    values: tuple[Any, ...]


def read_pipeline(entity: Entity, stages: Sequence[Mapping[str, Any]], *, regex: bool) -> Read:
    """Read a pipeline; `regex`: whether there are regular expressions.

    Raises:
        UnknownOperator, FilterInvalid, UnknownField, OptionInvalid, ValueInvalid: nothing of it is ever dropped.
    """
    match, group, having, sort, skip, limit = _in_order(stages)
    if group is None:
        raise _invalid("it has no $group: for the rows themselves there is find")
    names, accumulators = _group(entity, group)
    condition, values = _groups_filter(entity, names, accumulators, regex).parse(having)
    numbers = [_whole(name, number) for name, number in (("$limit", limit), ("$skip", skip)) if number is not None]
    known = (*(name for name, _ in names), *(one.name for one in accumulators))
    pipeline = Pipeline(names, accumulators, condition, _sort(sort, known), limit is not None, skip is not None)
    return Read(match, pipeline, (*values, *numbers))


def _in_order(stages: Sequence[Mapping[str, Any]]) -> list[Any]:
    """The contents of the stages in the places of `ORDER`, None for those that are not there."""
    if not isinstance(stages, list | tuple):
        raise _invalid(f"it is a list of stages, not {type(stages).__name__}")
    found: list[Any] = [None] * len(ORDER)
    place = 0
    for stage in stages:
        if not isinstance(stage, Mapping) or len(stage) != 1:
            raise _invalid("each stage is a mapping with one key, such as {'$match': …}")
        ((name, content),) = stage.items()
        if name not in STAGES:
            raise _unknown("stage", name, STAGES)
        if name not in ORDER[place:]:
            raise _invalid(f"{name} comes in the wrong place: the stages come in the order {', '.join(ORDER)}")
        if content is None:
            raise _invalid(f"{name} has no content")
        place = ORDER.index(name, place) + 1
        found[place - 1] = content
    return found


def _group(entity: Entity, content: Any) -> tuple[tuple[tuple[str, str], ...], tuple[Accumulator, ...]]:
    if not isinstance(content, Mapping) or "_id" not in content:
        raise _invalid("$group takes a mapping with an _id: None, '$field', or a mapping of names to fields")
    match content["_id"]:
        case None:
            names: tuple[tuple[str, str], ...] = ()
        case str() as field:
            names = (("_id", _field_name(field)),)
        case Mapping() as several if several:
            names = tuple((f"_id.{_name(name)}", _field_name(field)) for name, field in several.items())
        case _:
            raise _invalid("the _id of $group is None, '$field', or a mapping of names to fields")
    for _, field in names:
        entity.field(field, ORDERED, "$group")
    return names, tuple(_accumulator(entity, name, one) for name, one in content.items() if name != "_id")


def _accumulator(entity: Entity, name: Any, content: Any) -> Accumulator:
    _name(name)
    if not isinstance(content, Mapping) or len(content) != 1:
        raise _invalid(f"{name} is given one accumulator, such as {{'$sum': '$field'}}")
    ((operator, operand),) = content.items()
    match operator, operand:
        case ("$count", Mapping()) if not operand:
            return Accumulator(name, "$count", None, "integer")
        case ("$sum", 1) if operand is not True:
            return Accumulator(name, "$count", None, "integer")
        case ("$sum" | "$avg" | "$min" | "$max", str()):
            field = _field_name(operand)
            kind: str = entity.field(field, NUMBERS if operator in ("$sum", "$avg") else ORDERED, operator).type
            if operator == "$avg" and kind != "decimal":
                kind = "number"
            return Accumulator(name, operator, field, kind)
    if operator not in ACCUMULATORS:
        raise _unknown("accumulator", operator, ACCUMULATORS)
    raise _invalid(f"{operator} takes {'{}' if operator == '$count' else 'a field, as ' + repr('$name')}")


def _name(name: Any) -> str:
    if not isinstance(name, str) or not name or name.startswith("$") or "." in name:
        raise _invalid("the name of a part of an _id or an accumulator is a text without '.', not beginning with '$'")
    return name


def _field_name(text: Any) -> str:
    if not isinstance(text, str) or not text.startswith("$") or len(text) < 2:
        raise _invalid("a field is named with a dollar: '$age'")
    return text[1:]


def _groups_filter(
    entity: Entity, names: tuple[tuple[str, str], ...], accumulators: tuple[Accumulator, ...], regex: bool
) -> FilterParser:
    """Reads the filter behind the ``$group``."""
    fields = dict(names)
    made = {one.name: one for one in accumulators}

    def encode(name: str, operator: str, value: Any) -> Any:
        if name in fields:
            return entity.comparable(fields[name], operator, value)
        one = made[name]
        of_field = one.operator in ("$min", "$max") or one.kind == "decimal"
        if one.field is not None and of_field and one.kind not in ("boolean", "uuid"):
            return entity.comparable(one.field, operator, value)
        try:
            checked = CHECKS[one.kind](value)
        except Misfit as why:
            raise misfit(entity.schema.name, name, value, str(why)) from None
        return _ENCODED.get(one.kind, _same)(checked)

    kinds = {name: str(entity.fields[field].type) for name, field in names}
    return FilterParser(
        f"groups of {entity.schema.name}", kinds | {one.name: one.kind for one in accumulators}, encode, regex=regex
    )


def _same(value: Any) -> Any:
    return value


_ENCODED: Final = {"boolean": int, "uuid": str}
"""The least and greatest of these are compared as another type, which every database orders."""


def _sort(content: Any, known: Sequence[str]) -> tuple[tuple[str, int], ...]:
    if content is None:
        return ()
    if not isinstance(content, Mapping):
        raise _invalid("$sort takes a mapping: {'total': -1}")
    for name, direction in content.items():
        if name not in known:
            raise _invalid(f"$sort names {name!r}; there are {', '.join(known)}")
        if isinstance(direction, bool) or direction not in (1, -1):
            raise _invalid("a direction of $sort is 1 or -1")
    return tuple(content.items())


def _whole(name: str, value: object) -> int:
    least = int(name == "$limit")
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= 2**53:
        raise OptionInvalid(
            f"{name} cannot be meant",
            why=f"it is a whole number from {least} on",
            fix="give a number, or leave the stage out",
        )
    return value


def _unknown(what: str, name: Any, known: Sequence[str]) -> UnknownOperator:
    near = nearest(str(name), known, 1)
    return UnknownOperator(
        f"{name!r} is no {what}" + (f"; did you mean {near[0]!r}?" if near else ""),
        where="a pipeline",
        fix=f"use one of {', '.join(known)}",
        name=str(name),
        near=near,
    )


def _invalid(why: str) -> FilterInvalid:
    return FilterInvalid("the pipeline cannot be meant", why=why, fix="correct that part; nothing was read")
