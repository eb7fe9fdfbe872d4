"""From entity schemas to SQLAlchemy tables, with every constraint and index named."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
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

from objectkernel_system_dialect.schema import EntitySchema, Field, Index, Relation
from objectkernel_system_dialect.stored import Stored

LONGEST: Final = 63
"""Characters of a name in PostgreSQL, the shortest of all databases."""


def stored_fields(schema: EntitySchema, by_name: Mapping[str, EntitySchema]) -> dict[str, Field]:
    """Every column of an entity as a field; a relation is a field of the type of its target's key."""
    fields = dict(schema.all_fields)
    for name, relation in schema.relations.items():
        if relation.has_column:
            fields[name] = _relation_field(relation, by_name[relation.target])
    return fields


def merged_fields(schemas: Sequence[EntitySchema], by_name: Mapping[str, EntitySchema]) -> dict[str, Field]:
    """The columns of a collection that several entities share: what one of them has not may be missing."""
    merged: dict[str, Field] = {}
    each = [stored_fields(schema, by_name) for schema in schemas]
    for fields in each:
        for name, field in fields.items():
            everywhere = all(name in other and other[name].required for other in each)
            merged.setdefault(name, field if everywhere else attrs.evolve(field, required=False))
    return merged


def build_table(schemas: Sequence[EntitySchema], by_name: Mapping[str, EntitySchema]) -> Table:
    """The table of the entities that share one collection; mostly that is one.

    SQLite counts only in a primary key of one integer, so there a sequence is the primary key and the
    entity's key a unique constraint beside it; which of the two bears the name makes no difference to any
    operation.
    """
    schema, fields = schemas[0], merged_fields(schemas, by_name)
    sequence = next((name for name, field in fields.items() if field.type == "sequence"), None)
    table = Table(
        schema.collection, MetaData(), sqlite_autoincrement=sequence is not None, info={"schemas": tuple(schemas)}
    )
    for name, field in fields.items():
        required = field.required or name in schema.key or name == sequence
        table.append_column(Column(name, Stored(field), nullable=not required, autoincrement=name == sequence))
    primary = schema.key if sequence is None else (sequence,)
    table.append_constraint(PrimaryKeyConstraint(*primary, name=_name("pk", table, primary)))
    unique = [(name,) for name, field in fields.items() if field.unique]
    for names in dict.fromkeys([schema.key, *unique]):
        if names != primary:
            table.append_constraint(UniqueConstraint(*names, name=_name("uq", table, names)))
    relations = {name: one for each in schemas for name, one in each.relations.items() if one.has_column}
    for name, relation in relations.items():
        _append_relation(table, name, by_name[relation.target], relation.on_delete)
    lookups = [Index({name: 1}) for name, one in relations.items() if one.kind == "many-to-one"]
    declared = [index for each in schemas for index in each.indexes]
    for index in dict.fromkeys([*declared, *lookups]):  # deleting a target looks for its rows here
        words = [name if direction > 0 else f"{name} desc" for name, direction in index.fields]
        columns = [table.c[name] if direction > 0 else table.c[name].desc() for name, direction in index.fields]
        name = _name("ux" if index.unique else "ix", table, words)
        sqlalchemy.Index(name, *columns, unique=index.unique)
    return table


@attrs.frozen
class Link:
    """The table of a many-to-many relation, as one of its two sides sees it.

    Attributes:
        own, other: the names of the columns with the key of this side and of the other one.
    """

    table: Table
    own: str
    other: str


def build_link(schema: EntitySchema, name: str, by_name: Mapping[str, EntitySchema]) -> Link:
    """The link table of a many-to-many relation; of one that is mapped by the other side's, that one's."""
    relation = schema.relations[name]
    target = by_name[relation.target]
    if relation.mapped_by is not None:
        link = build_link(target, relation.mapped_by, by_name)
        return Link(link.table, link.other, link.own)
    table = Table(relation.through or f"{schema.collection}_{name}", MetaData())
    for column, side in (("source", schema), ("target", target)):
        key = _key_field(side)
        table.append_column(Column(column, Stored(key), nullable=False, autoincrement=False))
    table.append_constraint(PrimaryKeyConstraint("source", "target", name=_name("pk", table, ("source", "target"))))
    for column, side in (("source", schema), ("target", target)):
        _append_relation(table, column, side, "cascade")
    sqlalchemy.Index(_name("ix", table, ("target",)), table.c.target)
    return Link(table, "source", "target")


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
    return attrs.evolve(
        _key_field(target), required=relation.required, default=None, unique=relation.kind == "one-to-one"
    )


def _key_field(schema: EntitySchema) -> Field:
    """The one key field of an entity, as a column elsewhere that holds its values."""
    key = schema.all_fields[schema.key[0]]
    return attrs.evolve(key, type="integer" if key.type == "sequence" else key.type, default=None)


def _append_relation(table: Table, name: str, target: EntitySchema, on_delete: str) -> None:
    if target.collection != table.name:
        # The constraint needs only the name of the other table: a stand-in keeps each table for itself.
        Table(target.collection, table.metadata, Column(target.key[0]), extend_existing=True)
    table.append_constraint(
        ForeignKeyConstraint(
            [name],
            [f"{target.collection}.{target.key[0]}"],
            name=_name("fk", table, (name,)),
            ondelete=on_delete.replace("-", " ").upper(),
        )
    )
