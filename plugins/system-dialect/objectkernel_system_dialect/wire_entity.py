"""What is said about one entity, as JSON: rows, writes, keys and filters, both ways."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from objectkernel_system_dialect.dialect import Row
from objectkernel_system_dialect.errors import ValueInvalid
from objectkernel_system_dialect.filters import FilterParser, unknown_field
from objectkernel_system_dialect.schema import EntitySchema
from objectkernel_system_dialect.tables import stored_fields
from objectkernel_system_dialect.values import Misfit, misfit, type_check
from objectkernel_system_dialect.wire import DECODE, ENCODE, Convert, from_text, from_wire, to_wire
from objectkernel_system_dialect.wire_filter import WireFilter


class WireEntity:
    """One entity's way into JSON and out of it.

    Args:
        schema: the entity.
        by_name: every entity by its name.
        related: gives the others' ways.
        regex: whether filters may have regular expressions.
    """

    def __init__(
        self,
        schema: EntitySchema,
        by_name: Mapping[str, EntitySchema],
        related: Callable[[str], WireEntity],
        *,
        regex: bool = False,
    ) -> None:
        self.schema = schema
        self.fields = stored_fields(schema, by_name)
        self.names = (*self.fields, *(name for name in schema.relations if name not in self.fields))
        self._related = related
        self._out = {name: ENCODE[field.type] for name, field in self.fields.items() if field.type in ENCODE}
        self._in = {name: DECODE[field.type] for name, field in self.fields.items() if field.type in DECODE}
        self._relations = {name: one.target for name, one in schema.relations.items()}
        self._checks = {name: type_check(field) for name, field in self.fields.items()}
        self.filters = WireFilter(
            schema.name, self.fields, {name: self._filters(target) for name, target in self._relations.items()}
        )
        self.parser = FilterParser(
            schema.name,
            {name: field.type for name, field in self.fields.items()},
            self._checked,
            {name: self._way(target) for name, target in self._relations.items()},
            regex=regex,
        )

    def _way(self, target: str) -> Callable[[], tuple[FilterParser, Callable[[Any], tuple[tuple[()], list[Any]]]]]:
        return lambda: (self._related(target).parser, lambda tenant: ((), []))

    def _filters(self, target: str) -> Callable[[], WireFilter]:
        return lambda: self._related(target).filters

    def _checked(self, name: str, operator: str, value: Any) -> Any:
        if operator == "json" or value is None:
            return value
        try:
            return self._checks[name](value)
        except Misfit as why:
            raise misfit(self.schema.name, name, value, str(why)) from None

    # --- rows -------------------------------------------------------------------------------------

    def row_out(self, row: Row) -> dict[str, Any]:
        """A row, or the part of one, for JSON; with related rows where it has some."""
        return self._row(row, self._out, WireEntity.row_out)

    def row_in(self, raw: Any) -> Row:
        """A row from JSON.

        Raises:
            Misfit: it is none of this entity.
        """
        if not isinstance(raw, dict):
            raise Misfit("it is no row")
        return self._row(raw, self._in, WireEntity.row_in)

    def _row(self, row: Row, converts: Mapping[str, Convert], nested: Callable[[WireEntity, Any], Row]) -> Row:
        made = dict(row)
        for name, convert in converts.items():
            if name in made and name not in self._relations and made[name] is not None:
                made[name] = convert(made[name])
        for name, target in self._relations.items():
            if name in made and made[name] is not None:
                made[name] = self._related(target)._linked(made[name], converts is self._in, nested)
        return made

    def _linked(self, value: Any, inwards: bool, nested: Callable[[WireEntity, Any], Row]) -> Any:
        """What a relation to this entity holds: a key, a row, or a list of either."""
        if isinstance(value, list):
            return [self._linked(one, inwards, nested) for one in value]
        if isinstance(value, dict):
            return nested(self, value)
        key = self.fields[self.schema.key[0]]
        return from_wire(key, value) if inwards else to_wire(key, value)

    # --- writes -----------------------------------------------------------------------------------

    def data_out(self, data: Any) -> dict[str, Any]:
        """What is to be written, checked by the types of its fields; the rest is the other side's to check.

        Raises:
            UnknownField, ValueInvalid: as every dialect does.
        """
        if not isinstance(data, Mapping):
            raise self._no_mapping(data)
        return {name: self.value_out(name, value) for name, value in data.items()}

    def rows_out(self, rows: Any) -> list[dict[str, Any]]:
        """The rows of a bulk insert, which are a list and not one row, each as `data_out` gives it."""
        if isinstance(rows, Mapping) or not isinstance(rows, Iterable):
            raise self._no_mapping(rows)
        return [self.data_out(data) for data in rows]

    def data_in(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """What a caller wants to be written; a name that the entity has not stays, for the dialect to refuse."""
        return {name: self.value_in(name, value) for name, value in data.items()}

    def value_out(self, name: Any, value: Any) -> Any:
        """The value of one field or relation.

        Raises:
            UnknownField, ValueInvalid: as every dialect does.
        """
        if not isinstance(name, str) or name not in self.names:
            raise unknown_field(self.schema.name, name, self.names)
        if name in self.fields:
            return to_wire(self.fields[name], self._checked(name, "$eq", value))
        if value is None or isinstance(value, str | bytes) or not isinstance(value, Iterable):
            raise misfit(self.schema.name, name, value, "the relation holds a list of keys")
        other = self._related(self._relations[name])
        return [other.key_out(key)[0] for key in value]

    def value_in(self, name: str, value: Any) -> Any:
        """The value of one field or relation from JSON.

        Raises:
            ValueInvalid: JSON does not hold it as it should.
        """
        try:
            if name in self.fields:
                return from_wire(self.fields[name], value)
            if name in self._relations and isinstance(value, list):
                other = self._related(self._relations[name])
                return [from_wire(other.fields[other.schema.key[0]], key) for key in value]
        except Misfit as why:
            raise misfit(self.schema.name, name, value, str(why)) from None
        return value

    def _no_mapping(self, data: object) -> ValueInvalid:
        return ValueInvalid(
            f"what is written to {self.schema.name} is a mapping of its fields",
            why=f"a {type(data).__name__} was given",
            fix="give {'field': value, …}, and create_many a list of those",
            entity=self.schema.name,
            field="",
            kind=type(data).__name__,
        )

    # --- keys -------------------------------------------------------------------------------------

    def key_out(self, key: Any) -> list[Any]:
        """The parts of a key.

        Raises:
            ValueInvalid: it is none of this entity.
        """
        names = self.schema.key
        parts = (key,) if len(names) == 1 else key
        if not isinstance(parts, tuple) or len(parts) != len(names):
            raise ValueInvalid(
                f"{self.schema.name} has a key of {len(names)} fields",
                why=f"a {type(key).__name__} was given",
                fix=f"give a tuple ({', '.join(names)})",
                entity=self.schema.name,
                field=", ".join(names),
                kind=type(key).__name__,
            )
        for name, part in zip(names, parts, strict=True):
            if part is None:
                raise misfit(self.schema.name, name, part, "a key has a value")
        return [self.value_out(name, part) for name, part in zip(names, parts, strict=True)]

    def key_in(self, texts: Sequence[str]) -> Any:
        """The key from the texts of its parts.

        Raises:
            ValueInvalid: they are none of this entity.
        """
        names = self.schema.key
        if len(texts) != len(names):
            raise misfit(self.schema.name, ", ".join(names), tuple(texts), f"the key has {len(names)} parts")
        parts = []
        for name, text in zip(names, texts, strict=True):
            try:
                parts.append(from_text(self.fields[name], text))
            except Misfit as why:
                raise misfit(self.schema.name, name, text, str(why)) from None
        return parts[0] if len(parts) == 1 else tuple(parts)

    # --- filters ----------------------------------------------------------------------------------

    def filter_out(self, filter: Any) -> Any:
        """A filter, checked as every dialect checks it; None for None."""
        plain = self.filters.changed(filter, lambda field, value: value)
        self.parser.parse(plain)
        return self.filters.changed(plain, to_wire)

    def filter_in(self, filter: Any) -> Any:
        """A filter from JSON; what cannot be meant stays, for the dialect to refuse."""
        return self.filters.changed(filter, from_wire)
