"""One registered entity: its table, and the way of each value into a statement and out of a row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Table

from objectkernel_system_dialect.errors import OptionInvalid, ValueInvalid
from objectkernel_system_dialect.filters import FilterParser, unknown_field
from objectkernel_system_dialect.rows import RowReader
from objectkernel_system_dialect.schema import TIMESTAMPS, EntitySchema, Field
from objectkernel_system_dialect.sqlite_types import Stored
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
            if operator == "$like":
                return glob(value)
        except Misfit as why:
            raise misfit(self.schema.name, name, value, str(why)) from None
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

    def several(self, rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """The rows of a bulk insert, which are a list and not one row."""
        if isinstance(rows, Mapping) or not isinstance(rows, Iterable):
            raise self._no_mapping(rows, "a list of mappings")
        return rows

    def new_row(self, data: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """A whole row of what a caller gives: checked, with defaults and times, without the sequence."""
        self._refuse_strange(data)
        row: dict[str, Any] = {}
        for name in self.written:
            if name in self._kept:
                row[name] = now
            else:
                row[name] = self._writable(name, data[name] if name in data else self._default(name))
        return row

    def changes(self, data: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """The fields that an update sets, checked, with the time of the change; in column order."""
        self._refuse_strange(data)
        if moved := [name for name in self.schema.key if name in data]:
            raise self._refused(moved[0], "the key of a row cannot be changed", "create a row with the new key")
        changed: dict[str, Any] = {}
        for name in self.written:
            if name in data:
                changed[name] = self._writable(name, data[name])
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
        default = self.fields[name].default
        return default() if callable(default) else default

    def _writable(self, name: str, value: Any) -> Any:
        if value is None:
            if self.fields[name].required or name in self.schema.key:
                raise self._refused(name, "the field is required", "give a value")
            return None
        try:
            return self._checks[name](value)
        except Misfit as why:
            raise misfit(self.schema.name, name, value, str(why)) from None

    def _refuse_strange(self, data: Mapping[str, Any]) -> None:
        if not isinstance(data, Mapping):
            raise self._no_mapping(data, "a mapping")
        for name in data:
            self._known(name)
            if name in self._kept:
                raise self._refused(name, "the dialect keeps this field itself", "leave it out")

    def _no_mapping(self, data: object, wanted: str) -> ValueInvalid:
        return ValueInvalid(
            f"what is written to {self.schema.name} is {wanted} of its fields",
            why=f"a {type(data).__name__} was given",
            fix="give {'field': value, …}, and create_many a list of those",
            entity=self.schema.name,
            field="",
            kind=type(data).__name__,
        )

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

    def reader(self, names: Iterable[str]) -> RowReader:
        """How rows with these columns become typed."""
        return RowReader(self.schema.name, self.schema.key, {name: self._stored[name] for name in names})

    def selected(self, select: Iterable[str] | None) -> tuple[str, ...]:
        """The names of a selection, each known and once, in column order; all of them without one."""
        if select is None:
            return self.names
        if not isinstance(select, Iterable):
            raise OptionInvalid(
                "a selection that is no list of names",
                why=f"`select` is of type {type(select).__name__}",
                fix="select=['name', …]",
            )
        wanted = (select,) if isinstance(select, str) else tuple(select)
        for name in wanted:
            self._known(name)
        if not wanted:
            raise OptionInvalid(
                "a selection without fields", why="`select` is empty", fix="leave it out, or name fields"
            )
        return tuple(name for name in self.names if name in wanted)

    def sorting(self, sort: Mapping[str, int] | None) -> tuple[tuple[str, int], ...]:
        """The terms of a sort order, each checked."""
        if sort is None:
            return ()
        if not isinstance(sort, Mapping):
            raise OptionInvalid(
                "a sort order that is no mapping",
                why=f"`sort` is of type {type(sort).__name__}",
                fix="sort={'name': 1}",
            )
        for name, direction in sort.items():
            self._known(name)
            if direction not in (1, -1) or self.fields[name].type in UNSORTABLE:
                raise OptionInvalid(
                    f"{self.schema.name} cannot be sorted by {name!r} this way",
                    why="a direction is 1 or -1, and json, array and binary have no order",
                    fix="sort={'name': 1}",
                )
        return tuple(sort.items())

    def _known(self, name: object) -> None:
        if not isinstance(name, str) or name not in self.fields:
            raise unknown_field(self.schema.name, name, self.names)


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
    if escaped:
        raise Misfit("the pattern ends with a backslash, which has nothing to escape")
    return "".join(pattern)
