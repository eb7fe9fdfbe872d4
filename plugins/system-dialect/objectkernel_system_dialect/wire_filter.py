"""Filters as JSON: the values typed at every place where one may stand, the rest as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

import attrs

from objectkernel_system_dialect.filters import LOGICAL
from objectkernel_system_dialect.schema import Field
from objectkernel_system_dialect.values import Misfit, misfit

Change: TypeAlias = Callable[[Field, Any], Any]
"""From a field and a value that a filter compares it with to another form of the value; may raise `Misfit`."""

VALUE_OPERATORS: Final = frozenset({"$eq", "$ne", "$gt", "$gte", "$lt", "$lte"})
LIST_OPERATORS: Final = frozenset({"$in", "$nin", "$between"})
DEPTH: Final = 40
ENTRIES: Final = 10_000
"""Levels and conditions of a filter that are looked at: more than any filter may have, for it may be endless."""


@attrs.define
class _Walk:
    """One walk over a filter."""

    change: Change
    left: int = ENTRIES


class WireFilter:
    """The filters of one entity, or of the groups of one.

    Args:
        entity: its name, for messages.
        fields: by the names that filters have for them.
        related: the filters of the entities that relations lead to.
    """

    def __init__(
        self, entity: str, fields: Mapping[str, Field], related: Mapping[str, Callable[[], WireFilter]] | None = None
    ) -> None:
        self._entity = entity
        self._fields = fields
        self._related = related or {}

    def changed(self, filter: Any, change: Change) -> Any:
        """A filter with its values changed; what cannot be meant stays, for a dialect to refuse.

        Raises:
            ValueInvalid: `change` refused a value.
        """
        return self._filter(filter, _Walk(change), 0)

    def _filter(self, filter: Any, walk: _Walk, depth: int) -> Any:
        if not isinstance(filter, Mapping) or depth > DEPTH:
            return filter
        return {name: self._entry(name, operand, walk, depth + 1) for name, operand in filter.items()}

    def _entry(self, name: Any, operand: Any, walk: _Walk, depth: int) -> Any:
        walk.left -= 1
        if not isinstance(name, str) or walk.left < 0:
            return operand
        if name in self._fields:
            return self._operand(name, operand, walk, depth)
        if name in LOGICAL and isinstance(operand, list | tuple):
            return [self._filter(part, walk, depth) for part in operand]
        head, _, rest = name.partition(".")
        if rest and head in self._related and depth <= DEPTH:
            return self._related[head]()._entry(rest, operand, walk, depth + 1)
        if rest and isinstance(operand, Mapping):  # within a json field
            return {one: _listed(value) if one in LIST_OPERATORS else value for one, value in operand.items()}
        return operand

    def _operand(self, name: str, operand: Any, walk: _Walk, depth: int) -> Any:
        if not isinstance(operand, Mapping):
            return self._value(name, operand, walk.change)
        made = {}
        for operator, value in operand.items():
            if operator == "$not" and depth <= DEPTH:
                value = self._operand(name, value, walk, depth + 1)
            elif operator in VALUE_OPERATORS:
                value = self._value(name, value, walk.change)
            elif operator in LIST_OPERATORS:
                listed = _listed(value)
                value = [self._value(name, one, walk.change) for one in listed] if isinstance(listed, list) else listed
            made[operator] = value
        return made

    def _value(self, name: str, value: Any, change: Change) -> Any:
        try:
            return change(self._fields[name], value)
        except Misfit as why:
            raise misfit(self._entity, name, value, str(why)) from None


def _listed(value: Any) -> Any:
    """A list of what can be walked only once; what is no list of values stays, to be refused."""
    if isinstance(value, list) or not isinstance(value, Iterable) or isinstance(value, str | bytes | Mapping):
        return value
    return list(value)
