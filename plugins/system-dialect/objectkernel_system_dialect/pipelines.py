"""Pipelines of `Dialect.aggregate`: from MongoDB's notation to a shape and its values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import attrs
from objectkernel.errors import nearest

from objectkernel_system_dialect.entity import Entity
from objectkernel_system_dialect.errors import FilterInvalid, OptionInvalid, UnknownOperator
from objectkernel_system_dialect.filters import Condition, FilterParser
from objectkernel_system_dialect.values import CHECKS, Misfit, misfit

STAGES: Final = ("$match", "$group", "$sort", "$skip", "$limit")
ACCUMULATORS: Final = ("$sum", "$avg", "$min", "$max", "$count")
NUMBERS: Final = frozenset({"integer", "number", "decimal", "sequence"})
GROUPED: Final = frozenset({"string", "text", "enum", "boolean", "datetime", "uuid"}) | NUMBERS
ORDERED: Final = GROUPED | {"binary"}


@attrs.frozen
class Accumulator:
    """``$sum`` of a field, or of 1 for each row (`field` None); ``$avg``, ``$min``, ``$max`` of a field."""

    name: str
    operator: str
    field: str | None


@attrs.frozen
class Pipeline:
    """A pipeline without its values: what it looks like as SQL.

    Attributes:
        single: the field that groups, when it is one alone; its value is the ``_id``.
        group: names within ``_id``, and fields; empty for one group of all rows.
    """

    single: str | None
    group: tuple[tuple[str, str], ...]
    accumulators: tuple[Accumulator, ...]
    sort: tuple[tuple[str, int], ...]
    limit: bool
    skip: bool


@attrs.frozen
class Read:
    """What a caller's pipeline says: its ``$match``, its shape, and the numbers of ``$limit`` and ``$skip``."""

    match: Mapping[str, Any] | None
    pipeline: Pipeline
    numbers: tuple[int, ...]


def read_pipeline(entity: Entity, stages: Sequence[Mapping[str, Any]]) -> Read:
    """Read a pipeline.

    Raises:
        UnknownOperator, FilterInvalid, UnknownField, OptionInvalid: nothing of a pipeline is ever dropped.
    """
    found: dict[str, Any] = {}
    if not isinstance(stages, list | tuple):
        raise _invalid(f"it is a list of stages, not {type(stages).__name__}")
    for stage in stages:
        if not isinstance(stage, Mapping) or len(stage) != 1:
            raise _invalid("each stage is a mapping with one key, such as {'$match': …}")
        ((name, content),) = stage.items()
        if name not in STAGES:
            raise _unknown(name, STAGES)
        if found and STAGES.index(name) <= STAGES.index(list(found)[-1]):
            raise _invalid(f"{name} comes in the wrong place: the stages come once each, in the order {STAGES}")
        found[name] = content
    if "$group" not in found:
        raise _invalid("it has no $group: for the rows themselves there is find")
    single, group, accumulators = _group(entity, found["$group"])
    numbers = tuple(_whole(name, found[name]) for name in ("$limit", "$skip") if name in found)
    sort = _sort(found.get("$sort", {}), single, group, accumulators)
    return Read(
        found.get("$match"),
        Pipeline(single, group, accumulators, sort, "$limit" in found, "$skip" in found),
        numbers,
    )


def _group(entity: Entity, content: Any) -> tuple[str | None, tuple[tuple[str, str], ...], tuple[Accumulator, ...]]:
    if not isinstance(content, Mapping) or "_id" not in content:
        raise _invalid("$group takes a mapping with an _id: None, '$field', or a mapping of names to fields")
    id, single = content["_id"], None
    match id:
        case None:
            group: tuple[tuple[str, str], ...] = ()
        case str():
            single = _field_name(id)
            group = (("_id", single),)
        case Mapping() if id:
            group = tuple((str(name), _field_name(field)) for name, field in id.items())
        case _:
            raise _invalid("the _id of $group is None, '$field', or a mapping of names to fields")
    for _, field in group:
        entity.field(field, GROUPED, "$group")
    accumulators = tuple(_accumulator(entity, name, one) for name, one in content.items() if name != "_id")
    return single, group, accumulators


def _accumulator(entity: Entity, name: Any, content: Any) -> Accumulator:
    if not isinstance(name, str) or not name or name.startswith("$") or "." in name:
        raise _invalid("the name of an accumulator is a text without '.', not beginning with '$'")
    if not isinstance(content, Mapping) or len(content) != 1:
        raise _invalid(f"{name} is given one accumulator, such as {{'$sum': '$field'}}")
    ((operator, operand),) = content.items()
    match operator, operand:
        case ("$count", Mapping()) if not operand:
            return Accumulator(name, "$count", None)
        case ("$sum", 1) if operand is not True:
            return Accumulator(name, "$count", None)
        case ("$sum" | "$avg" | "$min" | "$max", str()):
            field = _field_name(operand)
            entity.field(field, ORDERED if operator in ("$min", "$max") else NUMBERS, operator)
            return Accumulator(name, operator, field)
    if operator not in ACCUMULATORS:
        raise _unknown(operator, ACCUMULATORS)
    raise _invalid(f"{operator} takes {'{}' if operator == '$count' else 'a field, as ' + repr('$name')}")


def _field_name(text: Any) -> str:
    if not isinstance(text, str) or not text.startswith("$") or len(text) < 2:
        raise _invalid("a field is named with a dollar: '$age'")
    return text[1:]


def _sort(
    content: Any,
    single: str | None,
    group: tuple[tuple[str, str], ...],
    accumulators: tuple[Accumulator, ...],
) -> tuple[tuple[str, int], ...]:
    parts = [f"_id.{name}" for name, _ in group] if single is None else ["_id"]
    known = (*parts, *(one.name for one in accumulators))
    if not isinstance(content, Mapping):
        raise _invalid("$sort takes a mapping: {'total': -1}")
    for name, direction in content.items():
        if name not in known:
            raise _invalid(f"$sort names {name!r}; there are {', '.join(known)}")
        if isinstance(direction, bool) or direction not in (1, -1):
            raise _invalid("a direction of $sort is 1 or -1")
    return tuple(content.items())


def _whole(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not (name == "$limit") <= value <= 2**53:
        raise OptionInvalid(
            f"{name} cannot be meant",
            why=f"it is a whole number from {int(name == '$limit')} on",
            fix="give a number, or leave the stage out",
        )
    return value


def _unknown(name: Any, known: Sequence[str]) -> UnknownOperator:
    near = nearest(str(name), known, 1)
    return UnknownOperator(
        f"{name!r} is none" + (f"; did you mean {near[0]!r}?" if near else ""),
        where="a pipeline",
        fix=f"use one of {', '.join(known)}",
        name=str(name),
        near=near,
    )


def _invalid(why: str) -> FilterInvalid:
    return FilterInvalid("the pipeline cannot be meant", why=why, fix="nothing was read")
