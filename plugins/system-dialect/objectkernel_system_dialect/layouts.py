"""`Layout`: the tables of schemas, worked out once for all databases that have the same ones at the same time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias
from weakref import WeakValueDictionary

import attrs
from sqlalchemy import Table

from objectkernel_system_dialect.registry import check_schemas
from objectkernel_system_dialect.schema import EntitySchema, Field
from objectkernel_system_dialect.tables import Link, build_link, build_table, stored_fields

Key: TypeAlias = tuple[tuple[int, ...], tuple[int, ...]]


@attrs.frozen
class Part:
    """One entity: its columns as fields, and the table that it has, alone or with others."""

    schema: EntitySchema
    fields: Mapping[str, Field]
    table: Table


@attrs.frozen(eq=False)
class Layout:
    """What some schemas add to others. Several databases may share it, so nothing in it is ever changed.

    Attributes:
        together: all of the schemas; the layout keeps them, so that no others get their ids.
        parts: the new entities.
        links: the tables of their many-to-many relations, by entity and relation.
        tables: those of the new entities and of links, by name.
    """

    together: tuple[EntitySchema, ...]
    parts: tuple[Part, ...]
    links: Mapping[tuple[str, str], Link]
    tables: Mapping[str, Table]


_known: Final[WeakValueDictionary[Key, Layout]] = WeakValueDictionary()
"""The layouts that somebody uses, by the ids of their schemas: equal schemas may differ, as 1 does from True."""


def layout_of(together: Sequence[EntitySchema], new: Sequence[EntitySchema]) -> Layout:
    """What the schemas `new`, which are among those of `together`, add to the others.

    Whoever keeps the layout keeps it from being worked out again for the same objects.

    Raises:
        SchemaInvalid: they contradict themselves or each other.
    """
    key = tuple(map(id, together)), tuple(map(id, new))
    layout = _known.get(key)
    if layout is None:
        layout = _known[key] = _worked_out(tuple(together), new)
    return layout


def _worked_out(together: tuple[EntitySchema, ...], new: Sequence[EntitySchema]) -> Layout:
    check_schemas(together)
    by_name = {schema.name: schema for schema in together}
    parts: list[Part] = []
    tables: dict[str, Table] = {}
    for collection in dict.fromkeys(schema.collection for schema in new):
        sharing = [schema for schema in together if schema.collection == collection]
        table = tables[collection] = build_table(sharing, by_name)
        parts += [Part(schema, stored_fields(schema, by_name), table) for schema in sharing]
    links = {
        (part.schema.name, name): build_link(part.schema, name, by_name)
        for part in parts
        for name, relation in part.schema.relations.items()
        if relation.kind == "many-to-many"
    }
    tables |= {link.table.name: link.table for link in links.values()}
    return Layout(together, tuple(parts), links, tables)
