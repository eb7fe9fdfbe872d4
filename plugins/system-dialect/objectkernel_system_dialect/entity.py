"""One registered entity: its table, and the way of each value into a statement and out of a row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Table

from objectkernel_system_dialect.errors import OptionInvalid, ValueInvalid
from objectkernel_system_dialect.filters import FilterParser, unknown_field
from objectkernel_system_dialect.schema import TIMESTAMPS, EntitySchema, Field
from objectkernel_system_dialect.sqlite_types import Convert, Stored
from objectkernel_system_dialect.values import Check, Misfit, misfit, write_check

UNSORTABLE: Final = frozenset({"json", "array", "binary"})


class Entity:
    """What a dialect knows of one entity."""

    def __init__(self, schema: EntitySchema, fields: Mapping[str, Field], table: Table) -> None:
        self.schema = schema
        self.table = table
        self.fields = dict(fields)
        self.names = tuple(fields)
        self.sequence = next((name for name, field in fields.items() if field.type == "sequence"), None)
        self.written = tuple(name for name in fields if name != self.sequence)
        self._stored = {name: Stored.of(field) for name, field in fields.items()}
        self._checks: dict[str, Check] = {name: write_check(field) for name, field in fields.items()}
        self._kept = frozenset(TIMESTAMPS if schema.timestamps else ()) | frozenset(filter(None, [self.sequence]))
        self._touched = "updated_at" if schema.timestamps else None
        self.whole = self.reader(self.names)
        self.parser = FilterParser(schema.name, {n: f.type for n, f in fields.items()}, self.comparable)

    # --- in ---------------------------------------------------------------------------------------

    def comparable(self, name: str, operator: str, value: Any) -> Any:
        """The value as the driver compares it with the column of `name`."""
        stored = self._stored[name]
        try:
            value = stored.check(value)
        except Misfit as why:
            raise misfit(self.schema.name, name, value, str(why)) from None
        if operator == "$like":
            return glob(value)
        return value if stored.encode is None else stored.encode(value)

    def key_values(self, key: Any) -> tuple[Any, ...]:
        """The parts of a key as the driver takes them."""
        names = self.schema.key
        if len(names) == 1:
            return (self.comparable(names[0], "$eq", key),)
        if not isinstance(key, tuple) or len(key) != len(names):
            raise ValueInvalid(
                f"{self.schema.name} has a key of {len(names)} fields",
                why=f"a {type(key).__name__} was given",
                fix=f"give a tuple ({', '.join(names)})",
                entity=self.schema.name,
                field=", ".join(names),
                kind=type(key).__name__,
            )
        return tuple(self.comparable(name, "$eq", part) for name, part in zip(names, key, strict=True))

    def new_row(self, data: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """A whole row of what a caller gives: checked, with defaults and times, without the sequence."""
        self._refuse_unknown(data)
        row: dict[str, Any] = {}
        for name in self.written:
            value = data.get(name)
            if value is None:
                value = now if name in self._kept else self._default(name)
            row[name] = value if value is None else self._checked(name, value)
        return row

    def changes(self, data: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """The fields that an update sets, checked, with the time of the change; in column order."""
        self._refuse_unknown(data)
        if moved := [name for name in self.schema.key if name in data]:
            raise self._refused(moved[0], "the key of a row cannot be changed", "create a row with the new key")
        changed: dict[str, Any] = {}
        for name in self.written:
            if name in data:
                value = data[name]
                if value is None and self.fields[name].required:
                    raise self._refused(name, "the field is required", "give a value")
                changed[name] = value if value is None else self._checked(name, value)
            elif name == self._touched:
                changed[name] = now
        return changed

    def refreshed(self, data: Mapping[str, Any]) -> tuple[str, ...]:
        """The fields that an upsert sets in a row that is there: those given and ``updated_at``.

        Without any the key is set to itself, so that the statement returns the row.
        """
        names = tuple(
            name for name in self.written if name not in self.schema.key and (name in data or name == self._touched)
        )
        return names or self.schema.key

    def encoded(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        """Checked values as the driver takes them."""
        return tuple(
            value if value is None or (encode := self._stored[name].encode) is None else encode(value)
            for name, value in row.items()
        )

    def _default(self, name: str) -> Any:
        field = self.fields[name]
        value = field.default() if callable(field.default) else field.default
        if value is None and (field.required or name in self.schema.key):
            raise self._refused(name, "the field is required and has no default", "give a value")
        return value

    def _checked(self, name: str, value: Any) -> Any:
        try:
            return self._checks[name](value)
        except Misfit as why:
            raise misfit(self.schema.name, name, value, str(why)) from None

    def _refuse_unknown(self, data: Mapping[str, Any]) -> None:
        for name in data:
            if name not in self.fields:
                raise unknown_field(self.schema.name, name, self.names)
            if name in self._kept:
                raise self._refused(name, "the dialect keeps this field itself", "leave it out")

    def _refused(self, name: str, why: str, fix: str) -> ValueInvalid:
        return ValueInvalid(
            f"{self.schema.name}.{name} cannot be written like this",
            why=why,
            fix=fix,
            entity=self.schema.name,
            field=name,
            kind="",
        )

    # --- out --------------------------------------------------------------------------------------

    def reader(self, names: Sequence[str]) -> RowReader:
        """How rows with these columns become typed."""
        decoders = [(name, decode) for name in names if (decode := self._stored[name].decode) is not None]
        return RowReader(tuple(names), decoders)

    def selected(self, select: Iterable[str] | None) -> tuple[str, ...]:
        """The names of a selection, each known and once, in column order; all of them without one."""
        if select is None:
            return self.names
        wanted = (select,) if isinstance(select, str) else tuple(select)
        for name in wanted:
            if name not in self.fields:
                raise unknown_field(self.schema.name, name, self.names)
        if not wanted:
            raise OptionInvalid(
                "a selection without fields", why="`select` is empty", fix="leave it out, or name fields"
            )
        return tuple(name for name in self.names if name in wanted)

    def sorting(self, sort: Mapping[str, int] | None) -> tuple[tuple[str, int], ...]:
        """The terms of a sort order, each checked."""
        if not sort:
            return ()
        for name, direction in sort.items():
            if name not in self.fields:
                raise unknown_field(self.schema.name, name, self.names)
            if direction not in (1, -1) or self.fields[name].type in UNSORTABLE:
                raise OptionInvalid(
                    f"{self.schema.name} cannot be sorted by {name!r} this way",
                    why="a direction is 1 or -1, and json, array and binary have no order",
                    fix="sort={'name': 1}",
                )
        return tuple(sort.items())


class RowReader:
    """Makes typed rows of what the driver fetched."""

    def __init__(self, names: tuple[str, ...], decoders: Sequence[tuple[str, Convert]]) -> None:
        self.names = names
        self._decoders = tuple(decoders)

    def row(self, values: Sequence[Any]) -> dict[str, Any]:
        row = dict(zip(self.names, values, strict=True))
        for name, decode in self._decoders:
            value = row[name]
            if value is not None:
                row[name] = decode(value)
        return row

    def rows(self, fetched: Iterable[Sequence[Any]]) -> list[dict[str, Any]]:
        return list(map(self.row, fetched))


def glob(like: str) -> str:
    """A pattern of LIKE (``%``, ``_``, backslash) as one of SQLite's GLOB, which heeds case."""
    pattern, escaped = [], False
    for char in like:
        if char == "\\" and not escaped:
            escaped = True
            continue
        if not escaped and char in "%_":
            pattern.append("*" if char == "%" else "?")
        else:
            pattern.append(f"[{char}]" if char in "*?[" else char)
        escaped = False
    return "".join(pattern)
