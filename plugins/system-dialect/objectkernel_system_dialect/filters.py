"""Filters: from MongoDB's notation to a typed tree of conditions and the values that it compares with.

The tree holds no values, so two filters of one shape are equal and share one compiled statement.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, Final, TypeAlias, TypeVar

import attrs
from objectkernel.errors import nearest

from objectkernel_system_dialect.errors import FilterInvalid, OperationUnsupported, UnknownField, UnknownOperator

T = TypeVar("T")
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
    """A field against one value with ``$eq $ne $gt $gte $lt $lte $contains $like $ilike $regex``."""

    field: str
    operator: str


@attrs.frozen
class CompareJson:
    """What lies in a json field against one value of a JSON type, with ``$eq $gt $gte $lt $lte``."""

    field: str
    path: tuple[str, ...]
    operator: str
    kind: str


@attrs.frozen
class MissingJson:
    """Nothing, or JSON's null, lies there in a json field."""

    field: str
    path: tuple[str, ...]


@attrs.frozen
class Related:
    """At least one row that a relation leads to fulfils the part."""

    relation: str
    part: Condition


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


Condition: TypeAlias = All | AnyOf | Not | Compare | CompareJson | In | Missing | MissingJson | Related

ALWAYS: Final = All(())
NEVER: Final = Not(ALWAYS)
DEPTH_LIMIT: Final = 32
PART_LIMIT: Final = 500
"""Conditions in one filter: SQLite takes expressions of 1,000 levels, and each part of an ``OR`` is one."""
IN_LIMIT: Final = 16384
VALUE_LIMIT: Final = 32_000
"""Values in one filter: SQLite takes 32,766 in a statement."""
RELATION_LIMIT: Final = 32
RELATION_DEPTH: Final = 4
"""Relations in one filter, and in one dotted name: each is a query within the query."""
PATH_LIMIT: Final = 30
"""Names of a dotted path into json: MariaDB takes 32."""
PATTERN_LIMIT: Final = 10_000
"""Characters of a pattern: SQLite takes 50,000 bytes, and some of the characters are escaped."""

_EQUAL: Final = frozenset({"$eq", "$ne", "$in", "$nin", "$exists"})
_ORDERED: Final = _EQUAL | {"$gt", "$gte", "$lt", "$lte", "$between"}
_PATTERNS: Final = frozenset({"$contains", "$like", "$ilike", "$regex"})
_TEXT: Final = _ORDERED | _PATTERNS
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
    "$between",
    "$in",
    "$nin",
    "$exists",
    "$contains",
    "$like",
    "$ilike",
    "$regex",
    "$not",
)
JSON_OPERATORS: Final = frozenset(FIELD_OPERATORS) - _PATTERNS
JSON_NAME: Final = re.compile(r"(?!-)[^\x00-\x1f\"'\\.$\[\]]{1,63}")
"""One name of a dotted path: what no database has to quote within a path of JSON.

MariaDB finds no name that begins with a hyphen, quoted or not: it reads the sign of an index in it.
"""


@attrs.define
class Found:
    """What reading one filter gathers: its values, for the tenant that asks."""

    tenant: Any
    values: list[Any] = attrs.field(factory=list)
    relations: int = 0
    within: int = 0


Scope: TypeAlias = Callable[[Any], tuple[tuple[Condition, ...], list[Any]]]
"""From a tenant, or None, to the conditions that every row to be seen fulfils, and their values."""


class FilterParser:
    """Reads the filters of one entity.

    Args:
        entity: its name, for messages.
        kinds: the type of each field.
        encode: makes the values comparable.
        relations: the relations, and how to get the reader of the other entity's filters and its scope.
        regex: whether there are regular expressions.
    """

    def __init__(
        self,
        entity: str,
        kinds: Mapping[str, str],
        encode: Encode,
        relations: Mapping[str, Callable[[], tuple[FilterParser, Scope]]] = MappingProxyType({}),
        *,
        regex: bool = False,
    ) -> None:
        self._entity = entity
        self._kinds = kinds
        self._encode = encode
        self._relations = relations
        self._regex = regex

    def parse(self, filter: Mapping[str, Any] | None, tenant: Any = None) -> tuple[Condition, list[Any]]:
        """The tree of a filter, and its values in the order in which a walk over the tree meets them.

        Raises:
            UnknownField, UnknownOperator, FilterInvalid, ValueInvalid: nothing of a filter is ever dropped.
        """
        if not filter:
            if filter is None or isinstance(filter, Mapping):
                return ALWAYS, []
            raise self._invalid(f"a filter is a mapping, not {type(filter).__name__}")
        self._refuse_large(filter)
        found = Found(tenant)
        condition = self._mapping(filter, found)
        if len(found.values) > VALUE_LIMIT:
            raise self._invalid(f"it has more than {VALUE_LIMIT} values")
        return condition, found.values

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

    def _mapping(self, filter: Any, found: Found) -> Condition:
        if not isinstance(filter, Mapping):
            raise self._invalid(f"a filter is a mapping, not {type(filter).__name__}")
        start = len(found.values)
        return _joined(
            All, [self._entry(name, operand, found) for name, operand in filter.items()], found.values, start
        )

    def _entry(self, name: Any, operand: Any, found: Found) -> Condition:
        kind = self._kinds.get(name)
        if kind is not None:
            if isinstance(operand, Mapping):
                return self._operators(name, kind, operand, found)
            return self._operator(name, kind, "$eq", operand, found)
        if isinstance(name, str) and name.startswith("$"):
            return self._logical(name, operand, found)
        if isinstance(name, str) and "." in name:
            return self._dotted(name, operand, found)
        if name in self._relations:
            raise self._invalid(f"{name} has no value of its own: name a field of it, such as {name + '.id'!r}")
        raise unknown_field(self._entity, name, (*self._kinds, *self._relations))

    def _dotted(self, name: str, operand: Any, found: Found) -> Condition:
        head, _, rest = name.partition(".")
        if head in self._relations:
            found.relations += 1
            if found.relations > RELATION_LIMIT or found.within == RELATION_DEPTH:
                why = f"it has more than {RELATION_LIMIT} relations, or more than {RELATION_DEPTH} in one name"
                raise self._invalid(why)
            parser, scope = self._relations[head]()
            start = len(found.values)
            found.within += 1
            condition = parser._mapping({rest: operand}, found)
            found.within -= 1
            conditions, values = scope(found.tenant)
            found.values.extend(values)
            if condition == NEVER:
                del found.values[start:]
                return NEVER
            return Related(head, _joined(All, (condition, *conditions), found.values, start))
        if self._kinds.get(head) != "json":
            if head in self._kinds:
                raise self._invalid(f"{head} is of type {self._kinds[head]}, into which no dotted name reaches")
            raise unknown_field(self._entity, head, (*self._kinds, *self._relations))
        path = tuple(rest.split(".", PATH_LIMIT))
        if not all(JSON_NAME.fullmatch(part) for part in path):
            raise self._invalid(
                f"{name!r} is no path of names: letters, digits and most signs, "
                "no brackets or quotes, and no hyphen to begin with"
            )
        if isinstance(operand, Mapping):
            return self._json_operators(head, path, operand, found)
        return self._json_operator(head, path, "$eq", operand, found)

    def _json_operators(self, field: str, path: tuple[str, ...], operand: Mapping[Any, Any], found: Found) -> Condition:
        if not operand:
            raise self._invalid(f"{field} is given an empty mapping: name an operator, or use {{'$exists': …}}")
        start = len(found.values)
        parts = [self._json_operator(field, path, operator, value, found) for operator, value in operand.items()]
        return _joined(All, parts, found.values, start)

    def _json_operator(self, field: str, path: tuple[str, ...], operator: Any, operand: Any, found: Found) -> Condition:
        place = ".".join((field, *path))
        if operator not in FIELD_OPERATORS:
            raise self._unknown(operator, FIELD_OPERATORS)
        if operator not in JSON_OPERATORS:
            raise self._invalid(f"{place} lies in a json field, where there is no {operator}")
        again = partial(self._json_operator, field, path)
        start = len(found.values)
        match operator:
            case "$not":
                if not isinstance(operand, Mapping):
                    raise self._invalid(f"$not at {place} takes a mapping of operators, not {type(operand).__name__}")
                return _negated(self._json_operators(field, path, operand, found))
            case "$exists":
                if not isinstance(operand, bool):
                    raise self._invalid(f"$exists at {place} takes True or False, not {type(operand).__name__}")
                missing = MissingJson(field, path)
                return Not(missing) if operand else missing
            case "$ne":
                return _negated(again("$eq", operand, found))
            case "$between":
                low, high = self._bounds(place, operand)
                return All((again("$gte", low, found), again("$lte", high, found)))
            case "$in" | "$nin":
                wanted = self._listed(place, operator, operand)
                if len(wanted) > PART_LIMIT:
                    raise self._invalid(f"{operator} at {place} has {len(wanted)} values, more than {PART_LIMIT}")
                either = _joined(AnyOf, [again("$eq", value, found) for value in wanted], found.values, start)
                return either if operator == "$in" else _negated(either)
            case "$eq" if operand is None:
                return MissingJson(field, path)
        kind = self._json_kind(place, operator, operand)
        found.values.append(self._encode(field, "json", operand))
        return CompareJson(field, path, operator, kind)

    def _json_kind(self, place: str, operator: str, operand: Any) -> str:
        match operand:
            case bool() if operator == "$eq":
                return "boolean"
            case bool():
                raise self._invalid(f"{operator} at {place} takes a number or a text, not bool")
            case int() if abs(operand) < 2**63:
                return "number"
            case float() if math.isfinite(operand):
                return "number"
            case str():
                return "string"
        raise self._invalid(
            f"{operator} at {place} takes a text, a finite number of 64 bits"
            f"{', True or False' if operator == '$eq' else ''}, not {type(operand).__name__}"
        )

    def _bounds(self, place: str, operand: Any) -> tuple[Any, Any]:
        if not isinstance(operand, list | tuple) or len(operand) != 2 or None in operand:
            raise self._invalid(f"$between at {place} takes a list of two values, the lower and the upper bound")
        return operand[0], operand[1]

    def _listed(self, place: str, operator: str, operand: Any) -> list[Any]:
        if not isinstance(operand, Iterable) or isinstance(operand, str | bytes | Mapping):
            raise self._invalid(f"{operator} at {place} takes a list of values, not {type(operand).__name__}")
        return list(operand)

    def _logical(self, name: str, operand: Any, found: Found) -> Condition:
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
        start = len(found.values)
        joined = _joined(
            All if name == "$and" else AnyOf, [self._mapping(part, found) for part in operand], found.values, start
        )
        return _negated(joined) if name == "$nor" else joined

    def _operators(self, field: str, kind: str, operand: Mapping[Any, Any], found: Found) -> Condition:
        if not operand:
            raise self._invalid(f"{field} is given an empty mapping: name an operator, or use {{'$exists': …}}")
        start = len(found.values)
        parts = [self._operator(field, kind, operator, value, found) for operator, value in operand.items()]
        return _joined(All, parts, found.values, start)

    def _operator(self, field: str, kind: str, operator: Any, operand: Any, found: Found) -> Condition:
        if operator == "$not":
            if not isinstance(operand, Mapping):
                raise self._invalid(f"$not at {field} takes a mapping of operators, not {type(operand).__name__}")
            return _negated(self._operators(field, kind, operand, found))
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
                return self._in(field, operator, operand, found)
            case "$nin":
                return _negated(self._in(field, operator, operand, found))
            case "$between":
                low, high = self._bounds(field, operand)
                return All(
                    (self._operator(field, kind, "$gte", low, found), self._operator(field, kind, "$lte", high, found))
                )
            case "$regex" if not self._regex:
                raise OperationUnsupported(
                    "this database has no regular expressions",
                    where=f"a filter of {self._entity}",
                    why="`$regex` is the database's own, and this kind has none",
                    fix="use $like, $ilike or $contains",
                    capability="regex",
                )
            case "$contains" | "$like" | "$ilike" | "$regex" if kind != "array" and not isinstance(operand, str):
                raise self._invalid(f"{operator} at {field} takes a text, not {type(operand).__name__}")
            case _ if operand is None:
                raise self._invalid(f"{operator} at {field} takes a value, not None")
            case "$like" | "$ilike" | "$regex" if len(operand) > PATTERN_LIMIT:
                raise self._invalid(f"{operator} at {field} has more than {PATTERN_LIMIT} characters")
            case "$contains" if kind == "array":
                found.values.append(self._encode(field, operator, [operand]))
            case _:
                found.values.append(self._encode(field, operator, operand))
        return Compare(field, operator)

    def _in(self, field: str, operator: str, operand: Any, found: Found) -> Condition:
        wanted = self._listed(field, operator, operand)
        present = [self._encode(field, operator, value) for value in wanted if value is not None]
        or_missing = len(present) < len(wanted)
        if not present:
            return Missing(field) if or_missing else NEVER
        if len(present) > IN_LIMIT:
            raise self._invalid(f"{operator} at {field} has {len(present)} values, more than {IN_LIMIT}")
        listed = padded(present)
        found.values.extend(listed)
        return In(field, len(listed), or_missing)

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
            fix="correct that part of the filter; nothing was read or changed",
        )


def chunked(values: Sequence[T]) -> list[Sequence[T]]:
    """The values in lists that an ``$in`` takes."""
    return [values[start : start + IN_LIMIT] for start in range(0, len(values), IN_LIMIT)]


def padded(values: Sequence[Any]) -> list[Any]:
    """The values, the last one repeated up to a power of two: a few shapes for lists of all lengths."""
    slots = 1 << (len(values) - 1).bit_length()
    return [*values, *([values[-1]] * (slots - len(values)))]


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
    known = tuple(dict.fromkeys(known))  # a relation's name may be a field's as well
    near = nearest(str(name), known)
    return UnknownField(
        f"{entity} has no field {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""),
        fix=f"the fields are {', '.join(known)}",
        entity=entity,
        name=str(name),
        near=near,
    )
