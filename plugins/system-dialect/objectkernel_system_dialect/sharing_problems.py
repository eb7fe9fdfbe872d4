"""Whether entities that share one collection can be told apart, and want the same of the columns that they share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from objectkernel_system_dialect.schema import EntitySchema, Field


def sharing_problems(schemas: Sequence[EntitySchema]) -> list[str]:
    """Every problem of every collection that several entities have, one sentence each."""
    by_collection: dict[str, list[EntitySchema]] = {}
    for schema in schemas:
        by_collection.setdefault(schema.collection, []).append(schema)
    return [
        f"the collection {collection!r} is shared by {', '.join(schema.name for schema in several)}: {problem}"
        for collection, several in by_collection.items()
        if len(several) > 1
        for problem in _problems(several)
    ]


def _problems(schemas: Sequence[EntitySchema]) -> Iterator[str]:
    discriminators = [schema.discriminator for schema in schemas]
    for schema, discriminator in zip(schemas, discriminators, strict=True):
        if discriminator is None:
            yield f"{schema.name} has no discriminator to tell its rows by"
    if len({one.field for one in discriminators if one is not None}) > 1:
        yield "their discriminators are in different fields"
    for value, count in Counter(one.value for one in discriminators if one is not None).items():
        if count > 1:
            yield f"{count} of them have the discriminator {value!r}"
    if len({schema.key for schema in schemas}) > 1:
        yield "they have different keys"
    if len({schema.tenant for schema in schemas}) > 1:
        yield "they have different tenant fields"
    yield from _column_problems(schemas)


def _column_problems(schemas: Sequence[EntitySchema]) -> Iterator[str]:
    """Names that mean a column of another kind in each of two entities."""
    names = dict.fromkeys(name for schema in schemas for name in schema.names)
    for name in names:
        columns = {_column(schema, name) for schema in schemas if name in schema.names}
        if len(columns) > 1:
            yield f"{name!r} is not the same in all of them that have it"
    sequences = {name for schema in schemas for name, field in schema.fields.items() if field.type == "sequence"}
    if len(sequences) > 1:
        yield f"they have more than one sequence: {', '.join(sorted(sequences))}"
    if any(name not in schema.fields for schema in schemas for name in sequences):
        yield "some of them have a sequence and others have none"


def _column(schema: EntitySchema, name: str) -> tuple[object, ...]:
    """What decides how a name lies in the table; what a schema demands of its values may differ."""
    field: Field | None = schema.all_fields.get(name)
    if field is None:
        relation = schema.relations[name]
        return relation.target, relation.kind, relation.on_delete
    return field.type, field.length, field.precision, field.scale, field.items, field.enum, field.unique
