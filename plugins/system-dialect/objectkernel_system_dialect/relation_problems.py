"""Whether the relations of an entity make sense together with those that they lead to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, get_args

from objectkernel.errors import nearest

from objectkernel_system_dialect.schema import EntitySchema, OnDelete, Relation, RelationKind

LINK_TABLE: Final = re.compile(r"(?!sqlite_|objectkernel_)[a-z_][a-z0-9_]{0,62}")


def has_link_table(relation: Relation) -> bool:
    """Whether this side of a many-to-many relation is the one that has the table."""
    return relation.kind == "many-to-many" and relation.mapped_by is None


def link_table(schema: EntitySchema, name: str) -> str:
    """The name of a many-to-many relation's table."""
    return schema.relations[name].through or f"{schema.collection}_{name}"


def relation_problems(
    schema: EntitySchema, name: str, relation: Relation, by_name: Mapping[str, EntitySchema]
) -> Iterator[str]:
    """Every problem of a relation, as the end of a sentence about it."""
    if relation.kind not in get_args(RelationKind):
        yield f"has the unknown kind {relation.kind!r}; known are {', '.join(get_args(RelationKind))}"
        return
    if relation.on_delete not in get_args(OnDelete):
        yield f"has the unknown on_delete {relation.on_delete!r}; known are {', '.join(get_args(OnDelete))}"
    yield from _wording_problems(relation)
    if has_link_table(relation) and not LINK_TABLE.fullmatch(link_table(schema, name)):
        yield (
            f"would have the table {link_table(schema, name)!r}, which is no table name: lower case letters, digits "
            "and '_', at most 63; give one as `through`"
        )
    target = by_name.get(relation.target)
    if target is None:
        near = nearest(relation.target, by_name, 1)
        yield f"leads to {relation.target!r}, which is no entity" + (f"; did you mean {near[0]!r}?" if near else "")
        return
    for side in (schema, target) if relation.kind == "many-to-many" else (target,) if relation.has_column else ():
        if len(side.key) != 1:
            yield f"leads to {side.name!r}, whose key has {len(side.key)} fields; only one can be held"
    if relation.mapped_by is not None and not relation.has_column:
        yield from _mapping_problems(schema, relation, target)


def _wording_problems(relation: Relation) -> Iterator[str]:
    """What a relation says that its kind has no use for, or has to say."""
    if relation.required and relation.on_delete == "set-null":
        yield "is required and would be set to null on delete"
    if not relation.has_column:
        if relation.required:
            yield f"is required, which a {relation.kind} relation cannot be: there may be no other row"
        if relation.on_delete != "restrict":
            yield f"has an on_delete, which a {relation.kind} relation has not: the side with the column says it"
    elif relation.mapped_by is not None:
        yield f"is mapped by {relation.mapped_by!r}, although a {relation.kind} relation has a column of its own"
    if relation.kind == "one-to-many" and relation.mapped_by is None:
        yield "does not say which relation of the other entity leads back: give its name as `mapped_by`"
    if relation.through is not None and not has_link_table(relation):
        yield "names a link table, which is for the side of a many-to-many relation that is not mapped by the other's"


def _mapping_problems(schema: EntitySchema, relation: Relation, target: EntitySchema) -> Iterator[str]:
    """Whether the other entity's relation is there, leads back and is of the kind that belongs to this one."""
    back = target.relations.get(str(relation.mapped_by))
    if back is None:
        near = nearest(str(relation.mapped_by), target.relations, 1)
        told = f"; did you mean {near[0]!r}?" if near else ""
        yield f"is mapped by {relation.mapped_by!r}, which is no relation of {target.name}{told}"
    elif back.target != schema.name:
        yield f"is mapped by {relation.mapped_by!r} of {target.name}, which leads to {back.target!r}"
    elif relation.kind == "one-to-many" and back.kind != "many-to-one":
        yield f"is mapped by {relation.mapped_by!r} of {target.name}, which is {back.kind} and not many-to-one"
    elif relation.kind == "many-to-many" and not has_link_table(back):
        yield f"is mapped by {relation.mapped_by!r} of {target.name}, which has no link table"
