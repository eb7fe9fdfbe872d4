"""Whether entity schemas make sense, each by itself and all together: every problem in one report."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeVar, get_args

from objectkernel.errors import nearest

from objectkernel_system_dialect.errors import SchemaInvalid
from objectkernel_system_dialect.relation_problems import has_link_table, link_table, relation_problems
from objectkernel_system_dialect.schema import DELETED_AT, TIMESTAMPS, VERSION, EntitySchema, Field, FieldType, Index
from objectkernel_system_dialect.sharing_problems import sharing_problems
from objectkernel_system_dialect.values import FORMATS, Misfit, type_check, write_check

T = TypeVar("T")

COLLECTION: Final = re.compile(r"(?!sqlite_|objectkernel_)[a-z_][a-z0-9_]{0,62}")
NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
KEY_TYPES: Final = frozenset({"string", "integer", "uuid", "enum", "datetime", "sequence"})
TENANT_TYPES: Final = frozenset({"string", "integer", "uuid", "enum"})
UNSORTED_TYPES: Final = frozenset({"text", "json", "array", "binary"})
"""Types that no index and no uniqueness is offered for: not every database has them."""
RESERVED: Final = frozenset({"cmax", "cmin", "ctid", "tableoid", "xmax", "xmin"})
NUMERIC_TYPES: Final = frozenset({"integer", "number", "decimal"})
DECIMAL_DIGITS: Final = 18
LONGEST_NAME: Final = 63


def check_are_schemas(schemas: Sequence[object]) -> None:
    """Refuse what is no entity schema.

    Raises:
        SchemaInvalid: with everything that is none.
    """
    if problems := tuple(f"a {type(one).__name__} is none" for one in schemas if not isinstance(one, EntitySchema)):
        raise SchemaInvalid(
            "these are no entity schemas", why=problems, fix="give values of EntitySchema", problems=problems
        )


def check_schemas(schemas: Sequence[EntitySchema]) -> None:
    """Refuse schemas that do not make sense together.

    Raises:
        SchemaInvalid: with every problem of every schema.
    """
    if problems := validate_schemas(schemas):
        raise SchemaInvalid(
            f"the entity schemas have {len(problems)} problem{'s' if len(problems) > 1 else ''}",
            why=problems,
            fix="correct the schemas; nothing was made in the database",
            problems=problems,
        )


def validate_schemas(schemas: Sequence[EntitySchema]) -> tuple[str, ...]:
    """Every problem of every schema, one sentence each."""
    by_name = {schema.name: schema for schema in schemas}
    problems = [f"the entity name {name!r} is used twice" for name in _twice(s.name for s in schemas)]
    problems += sharing_problems(schemas)
    problems += [f"the table {name!r} is used twice" for name in _twice(table_names(schemas))]
    for schema in schemas:
        problems += [f"{schema.name}: {problem}" for problem in _schema_problems(schema, by_name)]
    return tuple(problems)


def _schema_problems(schema: EntitySchema, by_name: Mapping[str, EntitySchema]) -> Iterator[str]:
    if not NAME.fullmatch(schema.name):
        yield "an entity name is letters, digits and '_', at most 63 of them"
    if not COLLECTION.fullmatch(schema.collection):
        yield (
            f"the collection {schema.collection!r} is no table name: lower case letters, digits and '_', "
            "at most 63, not beginning with 'sqlite_' or 'objectkernel_'"
        )
    yield from _name_problems(schema)
    yield from _tenant_problems(schema)
    yield from _discriminator_problems(schema)
    for name, field in schema.fields.items():
        yield from (f"field {name!r} {problem}" for problem in _field_problems(field))
    if sum(field.type == "sequence" for field in schema.fields.values()) > 1:
        yield "it has more than one sequence"
    yield from _key_problems(schema)
    for index in schema.indexes:
        yield from _index_problems(schema, index)
    for twice in _twice(schema.indexes):
        yield f"the index over {', '.join(name for name, _ in twice.fields)} is declared twice"
    for name, relation in schema.relations.items():
        yield from (f"relation {name!r} {problem}" for problem in relation_problems(schema, name, relation, by_name))


def _name_problems(schema: EntitySchema) -> Iterator[str]:
    added = _added(schema)
    for name in (*schema.fields, *schema.relations):
        if not NAME.fullmatch(name):
            yield f"{name!r} is no field name: letters, digits and '_', at most 63"
        if name in added:
            yield f"field {name!r} is declared although the schema {added[name]}"
        if name in RESERVED:
            yield f"{name!r} is no field name: PostgreSQL has a column of its own under it"
    names = [name.lower() for name in {*schema.fields, *schema.relations, *schema.all_fields}]
    for name in _twice(names):
        yield f"the field name {name!r} is used twice (databases do not heed case)"


def _added(schema: EntitySchema) -> dict[str, str]:
    """The fields that a schema adds by itself, each with what it does so for."""
    added = {name: "keeps timestamps" for name in TIMESTAMPS if schema.timestamps}
    if schema.soft_delete:
        added[DELETED_AT] = "deletes softly"
    if schema.version:
        added[VERSION] = "counts versions"
    if schema.discriminator is not None:
        added[schema.discriminator.field] = "has it as its discriminator"
    return added


def _field_problems(field: Field) -> Iterator[str]:
    if field.type not in get_args(FieldType):
        near = nearest(field.type, get_args(FieldType), 1)
        yield f"has the unknown type {field.type!r}" + (f"; did you mean {near[0]!r}?" if near else "")
        return
    if field.type == "enum" and not field.enum:
        yield "is an enum without values"
    if field.type != "enum" and field.enum:
        yield f"lists values although it is of type {field.type}"
    if _twice(field.enum):
        yield "lists an enum value twice"
    if field.format is not None and (field.type != "string" or field.format not in FORMATS):
        yield f"has the format {field.format!r}, which a {field.type} has not; a string may have {', '.join(FORMATS)}"
        return
    if field.length < 1:
        yield "has no room: `length` is below 1"
    if field.type == "decimal" and not (1 <= field.precision <= DECIMAL_DIGITS and 0 <= field.scale <= field.precision):
        yield f"needs 1 <= precision <= {DECIMAL_DIGITS} and 0 <= scale <= precision"
        return
    if field.unique and field.type in UNSORTED_TYPES:
        yield f"cannot be unique: no database promises that for {field.type}"
    if field.type == "sequence" and (field.required or field.unique or field.default is not None):
        yield "is a sequence: always required, always unique, never with a default"
    yield from _limit_problems(field)


def _limit_problems(field: Field) -> Iterator[str]:
    bounds = [bound for bound in (field.min, field.max) if bound is not None]
    if bounds and field.type not in NUMERIC_TYPES:
        yield f"has bounds although it is of type {field.type}"
        return
    try:
        for bound in bounds:
            type_check(field)(bound)
    except Misfit as why:
        yield f"has a bound that does not fit it: {why}"
        return
    if len(bounds) == 2 and field.min > field.max:
        yield "has a `min` above its `max`"
    if field.type != "sequence" and field.default is not None and not callable(field.default):
        try:
            write_check(field)(field.default)
        except Misfit as why:
            yield f"has a default that does not fit it: {why}"


def _key_problems(schema: EntitySchema) -> Iterator[str]:
    if not schema.key:
        yield "it has no key"
    for name in _twice(schema.key):
        yield f"the key names {name!r} twice"
    for name in schema.key:
        if name in schema.relations:
            yield f"the key names the relation {name!r}; a key is made of fields"
        elif name not in schema.all_fields:
            yield f"the key names {name!r}, which is no field{_near(name, schema)}"
        elif schema.all_fields[name].type not in KEY_TYPES:
            yield f"the key field {name!r} is of type {schema.all_fields[name].type}, which makes no key"


def _index_problems(schema: EntitySchema, index: Index) -> Iterator[str]:
    if not index.fields:
        yield "an index has no fields"
    for name in _twice(name for name, _ in index.fields):
        yield f"an index names {name!r} twice"
    for name, direction in index.fields:
        if name not in schema.names:
            yield f"an index names {name!r}, which is no field{_near(name, schema)}"
        elif name in schema.all_fields and schema.all_fields[name].type in UNSORTED_TYPES:
            yield f"an index names {name!r}: no database promises one over {schema.all_fields[name].type}"
        if direction not in (1, -1):
            yield f"an index gives {name!r} the direction {direction!r}; 1 is up, -1 is down"


def _tenant_problems(schema: EntitySchema) -> Iterator[str]:
    if schema.tenant is None:
        return
    field = schema.fields.get(schema.tenant)
    if field is None:
        yield f"the tenant is in {schema.tenant!r}, which is no declared field{_near(schema.tenant, schema)}"
    elif field.type not in TENANT_TYPES:
        yield f"the tenant field {schema.tenant!r} is of type {field.type}, which tells no tenants apart"


def _discriminator_problems(schema: EntitySchema) -> Iterator[str]:
    told = schema.discriminator
    if told is None:
        return
    if not NAME.fullmatch(told.field):
        yield f"the discriminator {told.field!r} is no field name: letters, digits and '_', at most 63"
    if not 1 <= len(told.value) <= LONGEST_NAME:
        yield f"the discriminator's value has {len(told.value)} characters; it has 1 to {LONGEST_NAME}"
    if told.field in schema.key:
        yield f"the key names the discriminator {told.field!r}"


def table_names(schemas: Sequence[EntitySchema]) -> Iterator[str]:
    """The name of every table that schemas want, a shared one once."""
    yield from {schema.collection for schema in schemas}
    for schema in schemas:
        yield from (link_table(schema, name) for name, one in schema.relations.items() if has_link_table(one))


def _near(name: str, schema: EntitySchema) -> str:
    near = nearest(name, schema.names, 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _twice(values: Iterable[T]) -> list[T]:
    return [value for value, count in Counter(values).items() if count > 1]
