"""From entity schemas to SQLAlchemy tables, with every constraint and index named."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs
from sqlalchemy import (
    Column,
    ForeignKeyConstraint,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
)
from sqlalchemy.types import TypeEngine

from objectkernel_system_dialect.schema import EntitySchema, Field, Relation

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
    prefix = schema.collection
    if sequence is None or schema.key == (sequence,):
        table.append_constraint(PrimaryKeyConstraint(*schema.key, name=f"pk_{prefix}"))
    else:
        table.append_constraint(PrimaryKeyConstraint(sequence, name=f"pk_{prefix}"))
        table.append_constraint(UniqueConstraint(*schema.key, name=f"uq_{prefix}_key"))
    for name, field in fields.items():
        if field.unique:
            table.append_constraint(UniqueConstraint(name, name=f"uq_{prefix}_{name}"))
    for name, relation in schema.relations.items():
        _append_relation(table, name, relation, by_name[relation.target])
    for index in schema.indexes:
        words = "_".join(name if direction > 0 else f"{name}_desc" for name, direction in index.fields)
        columns = [table.c[name] if direction > 0 else table.c[name].desc() for name, direction in index.fields]
        Index(f"{'ux' if index.unique else 'ix'}_{prefix}_{words}", *columns, unique=index.unique)
    return table


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
            name=f"fk_{table.name}_{name}",
            ondelete=relation.on_delete.replace("-", " ").upper(),
        )
    )
    if relation.kind == "many-to-one":  # deleting a target looks for its rows here
        Index(f"ix_{table.name}_{name}", table.c[name])
