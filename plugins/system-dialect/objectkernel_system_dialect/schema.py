"""What an entity is made of, as frozen values; whether they make sense is checked on registration."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal

import attrs

FieldType = Literal[
    "string",
    "text",
    "integer",
    "number",
    "decimal",
    "boolean",
    "datetime",
    "json",
    "uuid",
    "binary",
    "enum",
    "array",
    "sequence",
]
ItemType = Literal["string", "integer", "number", "boolean"]
TextFormat = Literal["date", "time"]
OnDelete = Literal["restrict", "cascade", "set-null"]
RelationKind = Literal["many-to-one", "one-to-one", "one-to-many", "many-to-many"]


def _fields(fields: Mapping[str, Field]) -> Mapping[str, Field]:
    return MappingProxyType(dict(fields))


def _relations(relations: Mapping[str, Relation]) -> Mapping[str, Relation]:
    return MappingProxyType(dict(relations))


def _indexes(indexes: Iterable[Index]) -> tuple[Index, ...]:
    return tuple(indexes)


def _names(names: Iterable[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _directions(fields: Mapping[str, int] | Iterable[str]) -> tuple[tuple[str, int], ...]:
    if isinstance(fields, Mapping):
        return tuple(fields.items())
    return tuple((name, 1) for name in _names(fields))


@attrs.frozen
class Field:
    """One field of an entity.

    ============  =====================  =================================================================
    type          Python                 remarks
    ============  =====================  =================================================================
    ``string``    ``str``                at most `length` characters (default 255); may be a key
    ``text``      ``str``                any length; no key, no index
    ``integer``   ``int``                64 bits, exact
    ``number``    ``float``              finite; an ``int`` is taken too
    ``decimal``   ``decimal.Decimal``    exact: `precision` digits (at most 18), `scale` of them fractional
    ``boolean``   ``bool``
    ``datetime``  ``datetime``           aware; comes back in UTC with microseconds
    ``json``      any JSON value         ``None`` is the absence of a value
    ``uuid``      ``uuid.UUID``
    ``binary``    ``bytes``
    ``enum``      ``str``                one of `enum`
    ``array``     ``list``               of `items`
    ``sequence``  ``int``                given by the database at insert: grows, is never used twice,
                                         cannot be written; at most one an entity
    ============  =====================  =================================================================

    Attributes:
        required: ``None`` and absence are refused.
        default: a value, or a callable without arguments that makes one, for a row that lacks the field.
        unique: no two rows have the same value; any number of them may have none.
        enum: the texts that a field of that type takes.
        min, max: bounds of integers, numbers and decimals, both inclusive.
        length: of a ``string``: how many characters it has at most.
        format: of a ``string``: what its text is. A ``date`` is ``2026-01-31``, a ``time`` is ``09:30``, with seconds
            and a zone or without.
        precision, scale: of a ``decimal``: how many digits it has at most, and how many of them are fractional.
        items: the type of an array's elements.
    """

    type: FieldType
    required: bool = attrs.field(default=False, kw_only=True)
    default: Any | Callable[[], Any] = attrs.field(default=None, kw_only=True)
    unique: bool = attrs.field(default=False, kw_only=True)
    enum: tuple[str, ...] = attrs.field(default=(), converter=_names, kw_only=True)
    min: Any = attrs.field(default=None, kw_only=True)
    max: Any = attrs.field(default=None, kw_only=True)
    length: int = attrs.field(default=255, kw_only=True)
    format: TextFormat | None = attrs.field(default=None, kw_only=True)
    precision: int = attrs.field(default=18, kw_only=True)
    scale: int = attrs.field(default=6, kw_only=True)
    items: ItemType = attrs.field(default="string", kw_only=True)


@attrs.frozen
class Relation:
    """How rows of an entity belong to rows of another.

    ================  ==========================================================================================
    kind              where it lies
    ================  ==========================================================================================
    ``many-to-one``   a column with the key of the other row, held to it by the database
    ``one-to-one``    the same, and unique
    ``one-to-many``   nowhere: the rows whose relation `mapped_by` leads here
    ``many-to-many``  in the table `through`, a pair of keys a row: no field of a row. `create` and `update` take a list
                      of keys, `include` reads the list of the other rows
    ================  ==========================================================================================

    Attributes:
        target: the name of the other entity, whose key is one field.
        required: for a relation with a column: ``None`` and absence are refused.
        on_delete: what happens to this row when the other one is deleted (of many-to-many only the link goes).
        mapped_by: of one-to-many: the name of the target's relation that leads back.
        through: of many-to-many: the link table, by default ``<collection>_<relation>``. Its columns are
            ``source`` and ``target``.
    """

    target: str
    kind: RelationKind = attrs.field(default="many-to-one", kw_only=True)
    required: bool = attrs.field(default=False, kw_only=True)
    on_delete: OnDelete = attrs.field(default="restrict", kw_only=True)
    mapped_by: str | None = attrs.field(default=None, kw_only=True)
    through: str | None = attrs.field(default=None, kw_only=True)

    @property
    def has_column(self) -> bool:
        """Whether rows hold the other's key themselves."""
        return self.kind in ("many-to-one", "one-to-one")


@attrs.frozen
class Discriminator:
    """What tells the rows of entities apart that share one collection: a field, and the value of this entity."""

    field: str
    value: str


@attrs.frozen
class Index:
    """An index over fields; a mapping gives directions: ``Index({"id": 1, "created_at": -1})``."""

    fields: tuple[tuple[str, int], ...] = attrs.field(converter=_directions)
    unique: bool = attrs.field(default=False, kw_only=True)


@attrs.frozen(kw_only=True)
class EntitySchema:
    """What one entity is made of.

    Attributes:
        name: the entity's name in messages and look-ups, such as ``Package``.
        collection: the table, such as ``sys_packages``.
        key: the names of the fields that make the primary key, in order. Left alone it is ``id``, and an
            ``id`` that `fields` does not have is added: a string that `create` fills with a random UUID.
        timestamps: adds ``created_at`` and ``updated_at``, which are kept by the dialect and cannot be
            written.
        soft_delete: adds ``deleted_at``, kept by the dialect: `delete` sets it, and rows that have it are seen
            only by filters that name ``deleted_at``.
        version: adds ``version``, kept by the dialect: 1 at first, one more with every change; `update` can
            demand one.
        tenant: the field that says whose a row is. Through `Dialect.as_tenant` it is set on every write and
            every operation sees the rows of that tenant only.
        discriminator: for entities that share one collection: adds its field, kept by the dialect; every
            operation sees the rows with this entity's value only.
    """

    name: str
    collection: str
    fields: Mapping[str, Field] = attrs.field(converter=_fields, hash=False)
    relations: Mapping[str, Relation] = attrs.field(factory=dict, converter=_relations, hash=False)
    indexes: tuple[Index, ...] = attrs.field(default=(), converter=_indexes)
    key: tuple[str, ...] = attrs.field(default=("id",), converter=_names)
    timestamps: bool = False
    soft_delete: bool = False
    version: bool = False
    tenant: str | None = None
    discriminator: Discriminator | None = None

    @cached_property
    def all_fields(self) -> Mapping[str, Field]:
        """The fields and those that the schema adds by itself, in column order; no relations."""
        fields = dict(self.fields)
        if self.key == ("id",) and "id" not in fields:
            fields = {"id": Field("string", length=36, required=True, default=lambda: str(uuid.uuid4()))} | fields
        return MappingProxyType(fields | self._kept_fields())

    def _kept_fields(self) -> dict[str, Field]:
        fields: dict[str, Field] = {}
        if self.discriminator is not None:
            fields[self.discriminator.field] = Field("string", length=63, required=True)
        if self.timestamps:
            fields |= {name: Field("datetime", required=True) for name in TIMESTAMPS}
        if self.soft_delete:
            fields[DELETED_AT] = Field("datetime")
        if self.version:
            fields[VERSION] = Field("integer", required=True)
        return fields

    @cached_property
    def kept(self) -> frozenset[str]:
        """The fields that the dialect keeps itself and nobody writes: a sequence, times, version, discriminator."""
        sequences = (name for name, field in self.fields.items() if field.type == "sequence")
        return frozenset((*self._kept_fields(), *sequences))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Every name that a row has, in column order."""
        return (*self.all_fields, *(name for name, relation in self.relations.items() if relation.has_column))


TIMESTAMPS = ("created_at", "updated_at")
DELETED_AT = "deleted_at"
VERSION = "version"
