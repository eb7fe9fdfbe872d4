"""From entity schemas to SQLAlchemy tables, with every constraint and index named."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import attrs
import sqlalchemy
from sqlalchemy import (
    Column,
    ForeignKeyConstraint,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
)
from sqlalchemy.types import TypeEngine

from objectkernel_system_dialect.schema import EntitySchema, Field, Index, Relation

LONGEST: Final = 63
"""Characters of a name in PostgreSQL, the shortest of all databases."""

ColumnType = Callable[[Field], TypeEngine[object]]


def stored_fields(schema: EntitySchema, by_name: Mapping[str, EntitySchema]) -> dict[str, Field]:
    """Every column of an entity as a field; a relation is a field of the type of its target's key."""
    fields = dict(schema.all_fields)
    for name, relation in schema.relations.items():
        fields[name] = _relation_field(relation, by_name[relation.target])
    return fields


def build_table(
    schema: EntitySchema,
    fields: Mapping[str, Field],
    by_name: Mapping[str, EntitySchema],
    column_type: ColumnType,
) -> Table:
    """The table of an entity.

    SQLite counts only in a primary key of one integer, so there a sequence is the primary key and the
    entity's key a unique constraint beside it; which of the two bears the name makes no difference to any
    operation.
    """
    sequence = next((name for name, field in fields.items() if field.type == "sequence"), None)
    table = Table(schema.collection, MetaData(), sqlite_autoincrement=sequence is not None)
    for name, field in fields.items():
        required = field.required or name in schema.key or name == sequence
        table.append_column(Column(name, column_type(field), nullable=not required, autoincrement=name == sequence))
    primary = schema.key if sequence is None else (sequence,)
    table.append_constraint(PrimaryKeyConstraint(*primary, name=_name("pk", table, primary)))
    unique = [(name,) for name, field in fields.items() if field.unique]
    for names in dict.fromkeys([schema.key, *unique]):
        if names != primary:
            table.append_constraint(UniqueConstraint(*names, name=_name("uq", table, names)))
    for name, relation in schema.relations.items():
        _append_relation(table, name, relation, by_name[relation.target])
    lookups = [Index({name: 1}) for name, one in schema.relations.items() if one.kind == "many-to-one"]
    for index in dict.fromkeys([*schema.indexes, *lookups]):  # deleting a target looks for its rows here
        words = [name if direction > 0 else f"{name} desc" for name, direction in index.fields]
        columns = [table.c[name] if direction > 0 else table.c[name].desc() for name, direction in index.fields]
        name = _name("ux" if index.unique else "ix", table, words)
        sqlalchemy.Index(name, *columns, unique=index.unique)
    return table


def unique_keys(table: Table) -> set[tuple[str, ...]]:
    """Every set of columns, in the order of the alphabet, that a table holds no two equal rows in."""
    constraints = [one for one in table.constraints if isinstance(one, PrimaryKeyConstraint | UniqueConstraint)]
    keys = [*constraints, *(index for index in table.indexes if index.unique)]
    return {tuple(sorted(column.name for column in key.columns)) for key in keys}


def _name(kind: str, table: Table, words: Iterable[str]) -> str:
    """A name that only this index or constraint has: in SQLite and PostgreSQL they share one room.

    Its words are for people; the digest keeps ``orders`` over ``line_no`` apart from ``orders_line`` over ``no``.
    """
    parts = (kind, table.name, *words)
    digest = hashlib.blake2s(repr(parts).encode(), digest_size=5).hexdigest()
    return f"{'_'.join(parts).replace(' ', '_')[: LONGEST - len(digest) - 1]}_{digest}"


def _relation_field(relation: Relation, target: EntitySchema) -> Field:
    key = target.all_fields[target.key[0]]
    return attrs.evolve(
        key,
        type="integer" if key.type == "sequence" else key.type,
        required=relation.required,
        default=None,
        unique=relation.kind == "one-to-one",
    )


def _append_relation(table: Table, name: str, relation: Relation, target: EntitySchema) -> None:
    if target.collection != table.name:
        # The constraint needs only the name of the other table: a stand-in keeps each table for itself.
        Table(target.collection, table.metadata, Column(target.key[0]), extend_existing=True)
    table.append_constraint(
        ForeignKeyConstraint(
            [name],
            [f"{target.collection}.{target.key[0]}"],
            name=_name("fk", table, (name,)),
            ondelete=relation.on_delete.replace("-", " ").upper(),
        )
    )
