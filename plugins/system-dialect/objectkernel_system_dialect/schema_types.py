"""Whether a column's type, as a database tells it, is the one that its field needs, and what a change of it means."""

from __future__ import annotations

import re
from typing import Any, Final, Literal, TypeAlias

from sqlalchemy import Dialect
from sqlalchemy.types import NullType, TypeEngine

Change: TypeAlias = Literal["none", "wider", "narrower", "other"]
"""What it takes to come from one type to another: ``wider`` keeps every value, ``narrower`` may lose some."""

_WORDS: Final = re.compile(r"\s+(?:CHARACTER SET|COLLATE|UNSIGNED|ZEROFILL)\b.*")
_TYPE: Final = re.compile(r"(?P<name>[A-Z0-9_ ]+?)\s*(?:\(\s*(?P<numbers>[\d\s,]+)\))?(?P<rest>\s+[A-Z ]+)?")

_FAMILIES: Final = (
    ("TINYINT", "SMALLINT", "MEDIUMINT", "INTEGER", "BIGINT"),
    ("FLOAT", "REAL", "DOUBLE"),
    ("VARCHAR", "TEXT", "MEDIUMTEXT", "LONGTEXT"),
    ("BLOB", "MEDIUMBLOB", "LONGBLOB"),
)
"""Types of one kind from the narrowest to the widest."""
_SYNONYMS: Final = {
    "INT": "INTEGER",
    "BOOL": "TINYINT",
    "BOOLEAN": "TINYINT",
    "CHAR": "VARCHAR",
    "CHARACTER VARYING": "VARCHAR",
    "DOUBLE PRECISION": "DOUBLE",
    "NUMERIC": "DECIMAL",
    "TIMESTAMP": "DATETIME",
}
_MEASURED: Final = frozenset({"VARCHAR", "DECIMAL"})
"""Types whose numbers bound what they hold; those of the others are for display or the database's own."""


def change_of_type(found: TypeEngine[Any], wanted: TypeEngine[Any], dialect: Dialect) -> Change:
    """What it takes to come from the type of a reflected column to the one of its field.

    SQLite types values, not columns: there only what a column does to a value that it is given counts.
    """
    old, new = type_name(found, dialect), type_name(wanted, dialect)
    if dialect.name == "sqlite":
        return "none" if _affinity(old) == _affinity(new) else "other"
    return _change(_parsed(old, dialect.name), _parsed(new, dialect.name))


def type_name(type: TypeEngine[Any], dialect: Dialect) -> str:
    """A type as it stands in DDL, without its collation."""
    if isinstance(type, NullType):  # one that SQLAlchemy does not know, or none
        return "NULL"
    return _WORDS.sub("", dialect.type_compiler_instance.process(type).upper())


def change_of_decimal(old: tuple[int, int], new: tuple[int, int]) -> Change:
    """The same for decimals of (precision, scale)."""
    if old == new:
        return "none"
    return "wider" if new[1] >= old[1] and new[0] - new[1] >= old[0] - old[1] else "narrower"


def _parsed(name: str, dialect: str) -> tuple[str, tuple[int, ...]]:
    match = _TYPE.fullmatch(name)
    if match is None:
        return name, ()
    kind = match["name"] + (match["rest"] or "").replace(" WITHOUT TIME ZONE", "")
    kind = _SYNONYMS.get(kind, kind)
    if kind == "FLOAT" and dialect not in ("mysql", "mariadb"):  # where alone it is shorter than a double
        return "DOUBLE", ()
    if kind == "VARCHAR" and match["numbers"] is None:
        return "TEXT", ()
    numbers = tuple(int(number) for number in match["numbers"].split(",")) if match["numbers"] else ()
    return kind, numbers if kind in _MEASURED else ()


def _change(old: tuple[str, tuple[int, ...]], new: tuple[str, tuple[int, ...]]) -> Change:
    if old == new:
        return "none"
    (old_kind, old_numbers), (new_kind, new_numbers) = old, new
    if old_kind == new_kind == "DECIMAL":
        return change_of_decimal(_digits(old_numbers), _digits(new_numbers))
    if old_kind == new_kind == "VARCHAR":
        return "wider" if new_numbers > old_numbers else "narrower"
    for family in _FAMILIES:
        if old_kind in family and new_kind in family:
            return "wider" if family.index(new_kind) > family.index(old_kind) else "narrower"
    return "other"


def _digits(numbers: tuple[int, ...]) -> tuple[int, int]:
    precision, scale = (*numbers, 0, 0)[:2]
    return (precision, scale) if numbers else (1000, 500)


def _affinity(name: str) -> str:
    """What SQLite takes a declared type for (https://www.sqlite.org/datatype3.html, section 3.1)."""
    if "INT" in name or "BOOL" in name:
        return "INTEGER"
    if any(word in name for word in ("CHAR", "CLOB", "TEXT", "JSON")):
        return "TEXT"
    if "BLOB" in name or name in ("", "NULL"):
        return "BLOB"
    if any(word in name for word in ("REAL", "FLOA", "DOUB")):
        return "REAL"
    return "NUMERIC"
