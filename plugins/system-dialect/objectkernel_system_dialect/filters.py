"""Filters: from MongoDB's notation to a typed tree of conditions and the values that it compares with.

The tree holds no values, so two filters of one shape are equal and share one compiled statement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import attrs
from objectkernel.errors import nearest

from objectkernel_system_dialect.errors import FilterInvalid, UnknownField, UnknownOperator

Encode: TypeAlias = Callable[[str, str, Any], Any]
"""From a field, an operator and a Python value to what the driver compares; raises `ValueInvalid`."""


@attrs.frozen
class All:
    """Every part holds; without parts, always."""

    parts: tuple[Condition, ...]


@attrs.frozen
class AnyOf:
    """At least one part holds."""

    parts: tuple[Condition, ...]


@attrs.frozen
class Not:
    """The part does not hold; a missing value makes no part hold."""

    part: Condition


@attrs.frozen
class Compare:
    """A field against one value with ``$eq $ne $gt $gte $lt $lte $contains $like``."""

    field: str
    operator: str


@attrs.frozen
class In:
    """A field against `slots` values, and against the missing value too when `or_missing`."""

    field: str
    slots: int
    or_missing: bool


@attrs.frozen
class Missing:
    """A field has no value."""

    field: str


Condition: TypeAlias = All | AnyOf | Not | Compare | In | Missing

ALWAYS: Final = All(())
NEVER: Final = Not(ALWAYS)
DEPTH_LIMIT: Final = 32
PART_LIMIT: Final = 500
"""Conditions in one filter: SQLite takes expressions of 1,000 levels, and each part of an ``OR`` is one."""
IN_LIMIT: Final = 16384
VALUE_LIMIT: Final = 32_000
"""Values in one filter: SQLite takes 32,766 in a statement."""

_EQUAL: Final = frozenset({"$eq", "$ne", "$in", "$nin", "$exists"})
_ORDERED: Final = _EQUAL | {"$gt", "$gte", "$lt", "$lte"}
_TEXT: Final = _ORDERED | {"$contains", "$like"}
OPERATORS_OF: Final[Mapping[str, frozenset[str]]] = {
    "string": _TEXT,
    "text": _TEXT,
    "enum": _TEXT,
    "integer": _ORDERED,
    "number": _ORDERED,
    "decimal": _ORDERED,
    "datetime": _ORDERED,
    "uuid": _ORDERED,
    "sequence": _ORDERED,
    "binary": _ORDERED,
    "boolean": _EQUAL,
    "array": frozenset({"$eq", "$ne", "$exists", "$contains"}),
    "json": frozenset({"$exists"}),
}
LOGICAL: Final = ("$and", "$or", "$nor")
FIELD_OPERATORS: Final = (
    "$eq",
    "$ne",
    "$gt",
    "$gte",
    "$lt",
    "$lte",
    "$in",
    "$nin",
    "$exists",
    "$contains",
    "$like",
    "$not",
)


class FilterParser:
    """Reads the filters of one entity.

    Args:
        entity: its name, for messages.
        kinds: the type of each field.
        encode: makes the values comparable.
    """

    def __init__(self, entity: str, kinds: Mapping[str, str], encode: Encode) -> None:
        self._entity = entity
        self._kinds = kinds
        self._encode = encode

    def parse(self, filter: Mapping[str, Any] | None) -> tuple[Condition, list[Any]]:
        """The tree of a filter, and its values in the order in which a walk over the tree meets them.

        Raises:
            UnknownField, UnknownOperator, FilterInvalid, ValueInvalid: nothing of a filter is ever dropped.
        """
        if not filter:
            if filter is None or isinstance(filter, Mapping):
                return ALWAYS, []
            raise self._invalid(f"a filter is a mapping, not {type(filter).__name__}")
        self._refuse_large(filter)
        values: list[Any] = []
        condition = self._mapping(filter, values)
        if len(values) > VALUE_LIMIT:
            raise self._invalid(f"it has more than {VALUE_LIMIT} values")
        return condition, values

    def _refuse_large(self, filter: Any) -> None:
        level, ends = [filter], 0
        for _ in range(DEPTH_LIMIT):
            inner = [_operands(part) for part in level]
            ends += sum(not operands for operands in inner)
            level = [operand for operands in inner for operand in operands]
            if ends + len(level) > PART_LIMIT:
                raise self._invalid(f"it has more than {PART_LIMIT} conditions; for many values there is $in")
            if not level:
                return
        raise self._invalid(f"its mappings and lists are nested more than {DEPTH_LIMIT} deep")

    def _mapping(self, filter: Any, values: list[Any]) -> Condition:
        if not isinstance(filter, Mapping):
            raise self._invalid(f"a filter is a mapping, not {type(filter).__name__}")
        start = len(values)
        return _joined(All, [self._entry(name, operand, values) for name, operand in filter.items()], values, start)

    def _entry(self, name: Any, operand: Any, values: list[Any]) -> Condition:
        kind = self._kinds.get(name)
        if kind is not None:
            if isinstance(operand, Mapping):
                return self._operators(name, kind, operand, values)
            return self._operator(name, kind, "$eq", operand, values)
        if isinstance(name, str) and name.startswith("$"):
            return self._logical(name, operand, values)
        raise unknown_field(self._entity, name, self._kinds)

    def _logical(self, name: str, operand: Any, values: list[Any]) -> Condition:
        if name not in LOGICAL:
            if name in FIELD_OPERATORS:
                raise self._invalid(f"{name} stands alone: write {{field: {{{name!r}: …}}}}")
            raise self._unknown(name, LOGICAL)
        if not isinstance(operand, list | tuple):
            raise self._invalid(f"{name} takes a list of filters, not {type(operand).__name__}")
        if not operand:
            raise self._invalid(f"{name} is empty, which could mean every row or none")
        if any(isinstance(part, Mapping) and not part for part in operand):
            raise self._invalid(f"a part of {name} is empty, which could mean every row or none")
        start = len(values)
        joined = _joined(
            All if name == "$and" else AnyOf, [self._mapping(part, values) for part in operand], values, start
        )
        return _negated(joined) if name == "$nor" else joined

    def _operators(self, field: str, kind: str, operand: Mapping[Any, Any], values: list[Any]) -> Condition:
        if not operand:
            raise self._invalid(f"{field} is given an empty mapping: name an operator, or use {{'$exists': …}}")
        start = len(values)
        parts = [self._operator(field, kind, operator, value, values) for operator, value in operand.items()]
        return _joined(All, parts, values, start)

    def _operator(self, field: str, kind: str, operator: Any, operand: Any, values: list[Any]) -> Condition:
        if operator == "$not":
            if not isinstance(operand, Mapping):
                raise self._invalid(f"$not at {field} takes a mapping of operators, not {type(operand).__name__}")
            return _negated(self._operators(field, kind, operand, values))
        if operator not in FIELD_OPERATORS:
            raise self._unknown(operator, FIELD_OPERATORS)
        if operand is None and operator in ("$eq", "$ne"):
            return Missing(field) if operator == "$eq" else Not(Missing(field))
        if operator not in OPERATORS_OF[kind]:
            known = ", ".join(sorted(OPERATORS_OF[kind]))
            raise self._invalid(f"{field} is of type {kind}, which has no {operator} but {known}")
        match operator:
            case "$exists":
                if not isinstance(operand, bool):
                    raise self._invalid(f"$exists at {field} takes True or False, not {type(operand).__name__}")
                return Not(Missing(field)) if operand else Missing(field)
            case "$in":
                return self._in(field, operator, operand, values)
            case "$nin":
                return _negated(self._in(field, operator, operand, values))
            case "$contains" | "$like" if kind != "array" and not isinstance(operand, str):
                raise self._invalid(f"{operator} at {field} takes a text, not {type(operand).__name__}")
            case _ if operand is None:
                raise self._invalid(f"{operator} at {field} takes a value, not None")
            case "$contains" if kind == "array":
                values.append(self._encode(field, operator, [operand]))
            case _:
                values.append(self._encode(field, operator, operand))
        return Compare(field, operator)

    def _in(self, field: str, operator: str, operand: Any, values: list[Any]) -> Condition:
        if not isinstance(operand, Iterable) or isinstance(operand, str | bytes | Mapping):
            raise self._invalid(f"{operator} at {field} takes a list of values, not {type(operand).__name__}")
        wanted = list(operand)
        present = [self._encode(field, operator, value) for value in wanted if value is not None]
        or_missing = len(present) < len(wanted)
        if not present:
            return Missing(field) if or_missing else NEVER
        if len(present) > IN_LIMIT:
            raise self._invalid(f"{operator} at {field} has {len(present)} values, more than {IN_LIMIT}")
        slots = 1 << (len(present) - 1).bit_length()  # a few shapes for all lengths
        values.extend(present)
        values.extend(present[-1:] * (slots - len(present)))
        return In(field, slots, or_missing)

    def _unknown(self, operator: Any, known: Iterable[str]) -> UnknownOperator:
        near = nearest(str(operator), known, 1)
        return UnknownOperator(
            f"{operator!r} is no operator" + (f"; did you mean {near[0]!r}?" if near else ""),
            where=f"a filter of {self._entity}",
            fix=f"use one of {', '.join(known)}",
            name=str(operator),
            near=near,
        )

    def _invalid(self, why: str) -> FilterInvalid:
        return FilterInvalid(
            "the filter cannot be meant",
            where=f"a filter of {self._entity}",
            why=why,
            fix="nothing was read or changed",
        )


def _operands(part: Any) -> Sequence[Any]:
    """What lies right within a part of a filter: the operands of a mapping, the filters of a list."""
    if isinstance(part, Mapping):
        return list(part.values())
    return [filter for filter in part if isinstance(filter, Mapping)] if isinstance(part, list | tuple) else ()


def _joined(kind: type[All | AnyOf], parts: Sequence[Condition], values: list[Any], start: int) -> Condition:
    """The parts as one condition, without those that change nothing: what always holds is always `ALWAYS`."""
    decisive, idle = (NEVER, ALWAYS) if kind is All else (ALWAYS, NEVER)
    if decisive in parts:
        del values[start:]  # the values of the parts that it makes needless
        return decisive
    rest = tuple(part for part in parts if part != idle)
    if not rest:
        return idle
    return rest[0] if len(rest) == 1 else kind(rest)


def _negated(part: Condition) -> Condition:
    return ALWAYS if part == NEVER else Not(part)


def unknown_field(entity: str, name: object, known: Iterable[str]) -> UnknownField:
    """The error for a name that the entity has not."""
    near = nearest(str(name), known)
    return UnknownField(
        f"{entity} has no field {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""),
        fix=f"the fields are {', '.join(known)}",
        entity=entity,
        name=str(name),
        near=near,
    )
