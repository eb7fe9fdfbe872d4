"""From what a driver gives to typed rows; a row that holds what its fields cannot have is an error of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from types import NoneType
from typing import Any, Final

from objectkernel_system_dialect.errors import RowDamaged
from objectkernel_system_dialect.executor import Fetched
from objectkernel_system_dialect.stored import Codec, Convert

UNDECODABLE: Final = (ArithmeticError, AttributeError, RecursionError, TypeError, ValueError)
"""What decoding a value raises that is not what its type says."""


class RowReader:
    """Reads rows with certain columns of one entity.

    Args:
        entity: its name.
        key: the names of its key.
        columns: the codecs by name, in the order in which the values come.

    Attributes:
        trusting: whether it refuses no row that the database can hold.
    """

    def __init__(self, entity: str, key: Sequence[str], columns: Mapping[str, Codec]) -> None:
        self.trusting = all(codec.trusted for codec in columns.values())
        self._entity = entity
        self._key = key
        self._names = tuple(columns)
        self._columns = tuple((name, codec.storage, codec.decode) for name, codec in columns.items())
        self._decoders = lru_cache(maxsize=256)(self._decoders_of)

    def rows(self, fetched: Iterable[Fetched], names: Sequence[str] = ()) -> list[dict[str, Any]]:
        """The rows, typed.

        Raises:
            RowDamaged: one of them has a value that its field cannot have.
        """
        return [self.row(values) for values in fetched]

    def row(self, values: Fetched) -> dict[str, Any]:
        """One row, typed.

        Raises:
            RowDamaged: it has a value that its field cannot have.
        """
        row = dict(zip(self._names, values, strict=True))
        name = ""
        try:
            for name, decode in self._decoders(tuple(map(type, values))):
                row[name] = decode(row[name])
        except UNDECODABLE as error:
            raise damaged(self._entity, name, self._key_of(values)) from error
        return row

    def _decoders_of(self, types: tuple[type, ...]) -> tuple[tuple[str, Convert], ...]:
        """What has to be called on the values of a row that are of these types: the same for most rows."""
        decoders: list[tuple[str, Convert]] = []
        for (name, storage, decode), found in zip(self._columns, types, strict=True):
            if found is storage:
                if decode is not None:
                    decoders.append((name, decode))
            elif storage is float and found is int:  # a whole number, as RETURNING gives it
                decoders.append((name, float))
            elif found is not NoneType:
                decoders.append((name, _refuse))
        return tuple(decoders)

    def _key_of(self, values: Fetched) -> Any:
        """The key of a damaged row, or None where that itself cannot be read or was not."""
        stored = dict(zip(self._names, values, strict=True))
        columns = {name: stored_as for name, *stored_as in self._columns}
        key: list[Any] = []
        for name in self._key:
            storage, decode = columns.get(name, (None, None))
            if type(stored.get(name)) is not storage:
                return None
            try:
                key.append(stored[name] if decode is None else decode(stored[name]))
            except UNDECODABLE:
                return None
        return tuple(key) if len(key) > 1 else key[0]


def _refuse(value: Any) -> Any:
    raise TypeError("a stored value of another type than its field's")


def damaged(entity: str, field: str, key: Any) -> RowDamaged:
    """The error for a row with a value in `field` that cannot be there."""
    return RowDamaged(
        f"a row of {entity or 'a statement'} holds a value that {field or 'its field'} cannot have",
        why="it was not written through this dialect, or the file was damaged; `key` of this error says which row",
        fix="write the row again, delete it by its key, or restore the database from a backup",
        entity=entity,
        key=key,
        field=field,
    )


class Plain:
    """Rows as they come: numbers that the database counted."""

    trusting = True

    def rows(self, fetched: Iterable[Fetched], names: Sequence[str]) -> list[Fetched]:
        """The same rows."""
        return list(fetched)


PLAIN: Final = Plain()
