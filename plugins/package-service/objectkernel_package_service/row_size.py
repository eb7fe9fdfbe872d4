"""Whether an entity fits into a table of every database: MariaDB bounds rows, whatever they hold in fact, and keys."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final

import attrs
from objectkernel_system_dialect.contracts import EntitySchema, Field, Relation

LONGEST_ROW: Final = 60_000
"""Bytes of all columns together, of 65,535 (https://mariadb.com/kb/en/innodb-limitations/)."""
LONGEST_IN_PAGE: Final = 7_500
"""Bytes that lie in the page itself, of 8,126; a text that may have more than 255 bytes need not."""
SHORT: Final = 63
"""Characters of four bytes that always lie in the page."""
LONG: Final = 768
"""Characters beyond which a text is no part of its row."""
KEY: Final = 36
MOST_KEYS: Final = 64
"""Indexes of a table beside that of its key; each reference to a row has one."""


def fitted(
    fields: Mapping[str, Field],
    relations: Mapping[str, Relation],
    warn: Callable[[str, str], None],
    *,
    fixed: Collection[str] = (),
) -> dict[str, Field]:
    """The fields, changed as far as needed for a row to fit: short texts become longer, long ones unbounded.

    Where that is not enough choices become texts, which the database does not hold to their options.

    Args:
        fixed: names of fields that stay as they are.
    """
    made = dict(fields)
    keys = [KEY] * (1 + sum(relation.has_column for relation in relations.values()))
    for name in sorted(_plain_strings(made, fixed), key=lambda name: -made[name].length):
        if _in_page(made, keys) <= LONGEST_IN_PAGE:
            break
        if made[name].length <= SHORT:
            made[name] = attrs.evolve(made[name], length=SHORT + 1)
            if made[name].format is None:  # which is as long as it is
                warn(name, f"may have {SHORT + 1} characters: shorter texts would make rows too long for MariaDB")
    for name in sorted(_choices(made), key=lambda name: -_length(made[name])):
        if _in_page(made, keys) <= LONGEST_IN_PAGE:
            break
        made[name] = attrs.evolve(made[name], type="string", enum=(), length=SHORT + 1)
        warn(name, "is not held to its options: so many choices would make rows too long for MariaDB")
    for name in sorted(_plain_strings(made, fixed), key=lambda name: -made[name].length):
        if _whole(made, keys) <= LONGEST_ROW:
            break
        if made[name].format is not None:
            continue
        made[name] = attrs.evolve(made[name], type="text", length=255)
        warn(name, "may have any number of characters: its maxLength would make rows too long for MariaDB")
    return made


def excesses(schema: EntitySchema) -> Iterator[str]:
    """What of an entity MariaDB has no room for, after all that `fitted` could do."""
    references = sum(relation.has_column for relation in schema.relations.values())
    fixed = [KEY] * (1 + references)
    if _in_page(schema.fields, fixed) > LONGEST_IN_PAGE or _whole(schema.fields, fixed) > LONGEST_ROW:
        yield f"{schema.name} has rows too long for MariaDB, {references} references among them: it refuses the table"
    unique = sum(field.unique for name, field in schema.fields.items() if name not in schema.key)
    if (keys := references + unique + len(schema.indexes)) > MOST_KEYS:
        yield f"{schema.name} has {keys} indexes and references; MariaDB takes {MOST_KEYS} and refuses the table"


def _plain_strings(fields: Mapping[str, Field], fixed: Collection[str]) -> list[str]:
    """The texts of a bounded length that lie in the row, and that nothing else depends on."""
    return [
        name
        for name, field in fields.items()
        if field.type == "string" and field.length <= LONG and not field.unique and name not in ("id", *fixed)
    ]


def _choices(fields: Mapping[str, Field]) -> list[str]:
    """The choices that always lie in the page, and that nothing else depends on."""
    return [
        name
        for name, field in fields.items()
        if field.type == "enum" and _length(field) <= SHORT and not field.unique and name != "id"
    ]


def _lengths(fields: Mapping[str, Field], fixed: list[int]) -> list[int]:
    """How many characters each text in the row may have."""
    lengths = [_length(field) for field in fields.values() if field.type in ("string", "enum")]
    return [*fixed, *(length for length in lengths if length <= LONG)]


def _length(field: Field) -> int:
    return max(map(len, field.enum)) if field.type == "enum" else field.length


def _whole(fields: Mapping[str, Field], fixed: list[int]) -> int:
    return sum(4 * length + 2 for length in _lengths(fields, fixed)) + 20 * len(fields)


def _in_page(fields: Mapping[str, Field], fixed: list[int]) -> int:
    inside = sum(4 * length + 2 if length <= SHORT else 40 for length in _lengths(fields, fixed))
    return inside + 20 * sum(field.type not in ("string", "enum") for field in fields.values())
