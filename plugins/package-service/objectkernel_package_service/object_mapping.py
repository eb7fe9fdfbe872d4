"""The objects of a package as entity schemas: ours as they are, those in ObjectStack's format field by field.

A package that exists is taken as it is. Whatever of it has no exact counterpart is a warning with its place, and the
entity does without: a reference to an object that nobody has becomes a plain id, a default that does not fit is none.
Rows of ObjectStack's objects belong to accounts, unless the object says otherwise; see `tenancy`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import attrs
from objectkernel_system_dialect.contracts import EntitySchema, Field, Index, Relation, SchemaInvalid

from objectkernel_package_service.column_names import collection_name, column_name, entity_name
from objectkernel_package_service.contracts import Problem
from objectkernel_package_service.field_defaults import new_id
from objectkernel_package_service.field_mapping import LONGEST_KEY, UNSORTED, Surroundings, map_field
from objectkernel_package_service.given_field import GivenField, Notes, plain
from objectkernel_package_service.json_value import Path, spell
from objectkernel_package_service.row_size import excesses, fitted
from objectkernel_package_service.tenancy import Tenancy, belonging, tenancy_of, tenant_field

TIMES: Final = ("created_at", "updated_at")
INDEXED: Final = ("index", "indexed", "externalId")
RULES: Final = ("validationRules", "validations", "validation_rules")

ReadSchema = Callable[[Any], EntitySchema]
"""Reads an entity schema of ours from JSON, and raises SchemaInvalid: `Schemas.read_schema`."""


@attrs.frozen
class Mapped:
    """The entities of a package, in the order of its objects, and what of the objects is not exactly in them."""

    schemas: tuple[EntitySchema, ...] = ()
    warnings: tuple[Problem, ...] = ()


def is_entity_schema(item: Mapping[str, Any]) -> bool:
    """Whether an object is an entity schema of ours: it names its collection, which ObjectStack's have not."""
    return "collection" in item


def entity_problems(objects: Sequence[Any], read_schema: ReadSchema) -> Iterator[Problem]:
    """What is wrong with those objects that are entity schemas of ours."""
    for position, item in enumerate(objects):
        if isinstance(item, dict) and is_entity_schema(item):
            try:
                read_schema(item)
            except SchemaInvalid as error:
                yield from (_placed(("metadata", "objects", position), problem) for problem in error.facts["problems"])


def map_objects(
    objects: Sequence[Mapping[str, Any]],
    read_schema: ReadSchema,
    *,
    known: Iterable[EntitySchema] = (),
    others: Mapping[str, str] | None = None,
) -> Mapped:
    """Map the objects of a package that has been checked.

    Args:
        known: the entities of the packages that it depends on, which its objects may refer to.
        others: names of objects that other packages have, each with that package's id, for the warnings.

    Raises:
        SchemaInvalid: an entity schema of ours cannot be read.
    """
    mapping = _Mapping(objects, known, others or {})
    schemas = [
        read_schema(item) if is_entity_schema(item) else mapping.entity(position, item)
        for position, item in enumerate(objects)
    ]
    return Mapped(tuple(schemas), tuple(mapping.notes.all))


def _placed(path: Path, problem: str) -> Problem:
    what, _, place = problem.rpartition(" @ $")
    return Problem(spell(path) + place, what or problem)


class _Mapping:
    """Maps the objects of one package."""

    def __init__(
        self, objects: Sequence[Mapping[str, Any]], known: Iterable[EntitySchema], others: Mapping[str, str]
    ) -> None:
        self.notes = Notes()
        self._others = {plain(name): id for name, id in others.items()}
        self._found = {plain(schema.collection): (schema.collection, schema.name) for schema in known}
        self._found |= {plain(name): (name, entity) for name, entity in map(_names_of, objects)}
        self._exactly = dict(map(_names_of, objects))

    def entity(self, position: int, item: Mapping[str, Any]) -> EntitySchema:
        """The entity of one object."""
        path: Path = ("metadata", "objects", position)
        name, collection = entity_name(item["name"]), collection_name(item["name"])
        if name != item["name"]:
            self.notes.add((*path, "name"), f"is no name of an entity: it is called {name!r}")
        for rules in RULES:
            if item.get(rules):
                self.notes.add((*path, rules), "are not enforced")
        around = Surroundings(
            collection=collection, object=item["name"], lookup=self._lookup, elsewhere=self._elsewhere
        )
        tenancy = tenancy_of(item, ("id", *TIMES), lambda at, what: self.notes.add((*path, *at), what))
        given = [field for field in self._given(path, item) if not _is_tenant(field, tenancy)]
        timestamps = self._keeps_times(given)
        fields, relations, columns = self._columns(given, around, tenancy.field, timestamps=timestamps)
        own = {} if tenancy.field is None else {tenancy.field: tenant_field()}
        fields = fitted(own | fields, relations, lambda column, what: columns[column].warn(what), fixed=own)
        schema = EntitySchema(
            name=name, collection=collection, fields=fields, relations=relations, timestamps=timestamps
        )
        schema = attrs.evolve(schema, indexes=tuple(self._indexes(path, item, schema, columns)))
        if tenancy.field is not None:
            schema = belonging(schema, tenancy.field)
        for what in excesses(schema):
            self.notes.add((*path, "fields"), what)
        return schema

    def _lookup(self, reference: str) -> tuple[str, str] | None:
        if reference in self._exactly:
            return reference, self._exactly[reference]
        return self._found.get(plain(reference))

    def _elsewhere(self, reference: str) -> str:
        owner = self._others.get(plain(reference))
        if owner is None:
            return "is an object that neither this package has nor one that it depends on"
        return f"is an object of {owner}, on which this package does not say that it depends"

    def _given(self, path: Path, item: Mapping[str, Any]) -> Iterator[GivenField]:
        """The fields as they are given: by name, or in a list."""
        raw = item.get("fields") or {}
        if isinstance(raw, dict):
            for name, field in raw.items():
                yield GivenField(name, field or {}, (*path, "fields", name), self.notes)
        else:
            for position, field in enumerate(raw):
                yield GivenField(str(field.get("name", "")), field, (*path, "fields", position), self.notes)

    def _keeps_times(self, given: Sequence[GivenField]) -> bool:
        """Whether the dialect keeps the times of a row: unless the object uses their names for something else."""
        declared = {column_name(field.name, ()).lower(): field.get("type") for field in given}
        kinds = [declared[name] for name in TIMES if name in declared]
        return not kinds or kinds == ["datetime", "datetime"]

    def _columns(
        self, given: Sequence[GivenField], around: Surroundings, tenant: str | None, *, timestamps: bool
    ) -> tuple[dict[str, Field], dict[str, Relation], dict[str, GivenField]]:
        fields: dict[str, Field] = {}
        relations: dict[str, Relation] = {}
        columns: dict[str, GivenField] = {}
        taken = {"id", *(TIMES if timestamps else ()), *(() if tenant is None else (tenant.lower(),))}
        for field in given:
            if timestamps and field.name in TIMES:
                continue
            column = "id" if field.name == "id" else column_name(field.name, taken)
            if column != field.name:
                field.warn(f"is no name of a field, or of another already: it is called {column!r}")
            sequenced = any(one.type == "sequence" for one in fields.values())
            made = map_field(field, column, around, sequenced=sequenced)
            if column == "id":
                made = _key(field, made)
            if isinstance(made, Relation):
                relations[column] = made
            elif made is not None:
                fields[column] = made
            taken.add(column.lower())
            columns[column] = field
        return fields, relations, columns

    def _indexes(
        self, path: Path, item: Mapping[str, Any], schema: EntitySchema, columns: Mapping[str, GivenField]
    ) -> Iterator[Index]:
        """The indexes of an object and of its fields, each once."""
        by_name = {field.name: column for column, field in columns.items()}
        made: dict[tuple[tuple[str, int], ...], bool] = {}
        for column, field in columns.items():
            if any(field.flag(one) for one in INDEXED) and not _needs_none(schema, column):
                index = Index((column,))
                if _can_have(schema, index):
                    made[index.fields] = index.unique
                    yield index
        declared = item.get("indexes")
        for position, one in enumerate(declared if isinstance(declared, list) else ()):
            names = one.get("fields") if isinstance(one, dict) else None
            listed = names if isinstance(names, list) else []
            index = Index(tuple(by_name.get(str(name), str(name)) for name in listed), unique=_wants_unique(one))
            if not listed or not _can_have(schema, index):
                self.notes.add((*path, "indexes", position), "is no index that every database can have: it is left out")
            elif made.get(index.fields) not in (True, index.unique):  # a unique one is one more than the other
                made[index.fields] = index.unique
                yield index


def _is_tenant(field: GivenField, tenancy: Tenancy) -> bool:
    """Whether a field is the one that says whose a row is, which the host writes."""
    if tenancy.named is None or field.name != tenancy.named:
        return False
    field.warn("is the account whose a row is: all else that is said of it is left out")
    return True


def _names_of(item: Mapping[str, Any]) -> tuple[str, str]:
    """What an object is called, and what its entity is."""
    name = str(item["name"])
    return name, name if is_entity_schema(item) else entity_name(name)


def _key(given: GivenField, made: Field | Relation | None) -> Field | None:
    """What the package says of its key; a text is filled with a UUID where a row has none."""
    if isinstance(made, Field) and made.type in ("integer", "sequence"):
        return attrs.evolve(made, required=made.type == "integer", unique=False)
    if not isinstance(made, Field) or made.type not in ("string", "text"):
        given.warn("is no type of a key: the key is a text of 36 characters")
        return None
    length = made.length if made.type == "string" and made.length <= LONGEST_KEY else 255
    return Field("string", length=length, required=True, default=new_id)


def _needs_none(schema: EntitySchema, column: str) -> bool:
    """Whether a column has an index without asking for one, or is none: a relation, a computed field."""
    return column not in schema.fields or column in schema.key or schema.fields[column].unique


def _wants_unique(raw: Any) -> bool:
    return isinstance(raw, dict) and (raw.get("unique") is True or raw.get("type") == "unique")


def _can_have(schema: EntitySchema, index: Index) -> bool:
    """Whether every database can have an index: on columns that sort, and that are not too long together."""
    names = [name for name, _ in index.fields]
    fields = [schema.all_fields.get(name) for name in names]
    columns = [name for name in names if name in schema.names]
    if len(columns) < len(names) or len(set(names)) < len(names):
        return False
    if any(field is not None and field.type in UNSORTED for field in fields):
        return False
    return sum(36 if field is None else _characters(field) for field in fields) <= LONGEST_KEY


def _characters(field: Field) -> int:
    """How many characters a field takes in an index, about."""
    if field.type == "enum":
        return max(map(len, field.enum))
    return field.length if field.type == "string" else 4
