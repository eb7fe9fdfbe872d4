"""Pipelines of `Dialect.aggregate` as JSON, and the groups that they give."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import attrs

from objectkernel_system_dialect.dialect import Row
from objectkernel_system_dialect.schema import Field
from objectkernel_system_dialect.values import type_check
from objectkernel_system_dialect.wire import DECODE, ENCODE, Convert, from_wire, to_wire
from objectkernel_system_dialect.wire_entity import WireEntity
from objectkernel_system_dialect.wire_filter import Change, WireFilter

MEAN: Final = Field("number")


@attrs.frozen
class WirePipeline:
    """One pipeline of an entity: its stages as they were given, and what each name of its groups comes from."""

    entity: WireEntity
    stages: Any
    fields: Mapping[str, Field]

    @classmethod
    def of(cls, entity: WireEntity, stages: Any) -> WirePipeline:
        """A pipeline; what cannot be meant in it is left to the dialect."""
        return cls(entity, stages, _group_fields(entity, stages))

    def stages_out(self) -> Any:
        """The stages for JSON, with their values checked."""
        return self._changed(self.entity.filter_out, _checked_out)

    def stages_in(self) -> Any:
        """The stages from JSON."""
        return self._changed(self.entity.filter_in, from_wire)

    def _changed(self, rows: Callable[[Any], Any], groups: Change) -> Any:
        if not isinstance(self.stages, list | tuple):
            return self.stages
        grouped, made = False, []
        having = WireFilter(f"groups of {self.entity.schema.name}", self.fields)
        for stage in self.stages:
            if isinstance(stage, Mapping):
                grouped = grouped or "$group" in stage
                stage = {
                    name: content if name != "$match" else having.changed(content, groups) if grouped else rows(content)
                    for name, content in stage.items()
                }
            made.append(stage)
        return made

    def groups_out(self, rows: Iterable[Row]) -> list[dict[str, Any]]:
        """The groups for JSON."""
        return [self._group(row, ENCODE) for row in rows]

    def groups_in(self, rows: Iterable[Any]) -> list[Row]:
        """The groups from JSON.

        Raises:
            Misfit, AttributeError: they are none of this pipeline's.
        """
        return [self._group(row, DECODE) for row in rows]

    def _group(self, row: Row, converts: Mapping[str, Convert]) -> Row:
        made = {name: self._value(name, value, converts) for name, value in row.items()}
        if isinstance(made.get("_id"), dict):
            made["_id"] = {name: self._value(f"_id.{name}", value, converts) for name, value in made["_id"].items()}
        return made

    def _value(self, name: str, value: Any, converts: Mapping[str, Convert]) -> Any:
        convert = converts.get(self.fields[name].type) if name in self.fields else None
        return value if convert is None or value is None else convert(value)


def _checked_out(field: Field, value: Any) -> Any:
    return value if value is None else to_wire(field, type_check(field)(value))


def _group_fields(entity: WireEntity, stages: Any) -> dict[str, Field]:
    """The field that each name of the groups comes from, where the name has values that are typed."""
    if not isinstance(stages, list | tuple):
        return {}
    group = next((stage["$group"] for stage in stages if isinstance(stage, Mapping) and "$group" in stage), None)
    if not isinstance(group, Mapping):
        return {}
    sources: dict[str, Any] = {}
    for name, content in group.items():
        if name != "_id":
            sources[name] = _accumulated(entity, content)
        elif isinstance(content, Mapping):
            sources |= {f"_id.{part}": _field(entity, field) for part, field in content.items()}
        else:
            sources[name] = _field(entity, content)
    return {name: field for name, field in sources.items() if field is not None}


def _accumulated(entity: WireEntity, content: Any) -> Field | None:
    if not isinstance(content, Mapping) or len(content) != 1:
        return None
    ((operator, source),) = content.items()
    field = _field(entity, source)
    if field is None or operator in ("$min", "$max") or field.type == "decimal":
        return field
    return MEAN if operator == "$avg" else None  # a sum is whatever number JSON has


def _field(entity: WireEntity, source: Any) -> Field | None:
    return entity.fields.get(source[1:]) if isinstance(source, str) else None
