"""The entities that are registered with one dialect, and what is worked out for them once."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from objectkernel.errors import nearest
from sqlalchemy import Table

from objectkernel_system_dialect.engine import Engine
from objectkernel_system_dialect.entity import Entity
from objectkernel_system_dialect.errors import EntityUnknown
from objectkernel_system_dialect.layouts import Layout, Part, layout_of
from objectkernel_system_dialect.registry import check_are_schemas
from objectkernel_system_dialect.schema import EntitySchema
from objectkernel_system_dialect.statements import Statements
from objectkernel_system_dialect.tables import Link


@attrs.frozen
class Draft:
    """What a registration adds: kept once the tables are there.

    Attributes:
        layout: the new entities and their links.
        tables: those of all entities, with the new ones.
    """

    layout: Layout
    tables: dict[str, Table]


class Registered:
    """Entities by name, their statements, and the tables that link them. An entity is made when it is needed first."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._parts: dict[str, Part] = {}
        self._entities: dict[str, tuple[Entity, Statements]] = {}
        self._layouts: tuple[Layout, ...] = ()
        self._links: dict[tuple[str, str], Link] = {}
        self._tables: dict[str, Table] = {}

    def schemas(self) -> tuple[EntitySchema, ...]:
        """In the order of registration."""
        return tuple(part.schema for part in self._parts.values())

    def draft(self, schemas: Sequence[EntitySchema]) -> Draft | None:
        """Work out what these schemas add to those that are there; None for nothing.

        Raises:
            SchemaInvalid: they contradict themselves, each other or those that are there.
        """
        check_are_schemas(schemas)
        known = self.schemas()
        new = [schema for schema in dict.fromkeys(schemas) if schema not in known]
        if not new:
            return None
        return self._drafted((*known, *new), new, self._tables)

    def exchanged(self, remove: Sequence[EntitySchema], add: Sequence[EntitySchema]) -> Draft:
        """Work out everything anew without the entities of some schemas and with others, for `replace`.

        Raises:
            SchemaInvalid: what is left contradicts itself or each other.
        """
        check_are_schemas((*remove, *add))
        gone = {schema.name for schema in remove}
        together = tuple(dict.fromkeys((*(one for one in self.schemas() if one.name not in gone), *add)))
        return self._drafted(together, together, {})

    def _drafted(
        self, together: Sequence[EntitySchema], new: Sequence[EntitySchema], others: dict[str, Table]
    ) -> Draft:
        """The draft of what is new among schemas, beside the tables that are there."""
        layout = layout_of(together, new)
        return Draft(layout, {**others, **layout.tables})

    def keep(self, draft: Draft) -> None:
        """Take up what a draft adds."""
        self._layouts = (*self._layouts, draft.layout)
        self._links |= draft.layout.links
        self._tables = draft.tables
        for part in draft.layout.parts:
            self._parts[part.schema.name] = part
            self._entities.pop(part.schema.name, None)

    def replace(self, draft: Draft) -> None:
        """Forget everything but what a draft has; an operation that is under way ends with what it has taken."""
        self._layouts, self._parts, self._entities, self._links = (), {}, {}, {}
        self.keep(draft)

    def entity(self, name: str) -> Entity:
        """The registered entity of this name."""
        return self._made(name)[0]

    def statements(self, entity: Entity) -> Statements:
        """The statements of a registered entity."""
        return self._made(entity.schema.name)[1]

    def _made(self, name: str) -> tuple[Entity, Statements]:
        found = self._entities.get(name)
        if found is None:
            part = self._parts[name]
            entity = Entity(part.schema, part.fields, part.table, self._engine, self.entity)
            found = self._entities[name] = entity, Statements(entity, self._engine, self)
        return found

    def link(self, entity: Entity, relation: str) -> Link:
        """The link table of a many-to-many relation."""
        return self._links[entity.schema.name, relation]

    def tables(self) -> tuple[Table, ...]:
        """Every table, those of links too."""
        return tuple(self._tables.values())

    def known(self, schema: EntitySchema) -> tuple[Entity, Statements]:
        """The registered entity of this schema.

        Raises:
            EntityUnknown: it is not registered.
        """
        if not isinstance(schema, EntitySchema):
            raise EntityUnknown(
                f"a {type(schema).__name__} is no entity schema",
                why="every operation takes the EntitySchema that was registered, not its name",
                fix="give the schema itself",
                entity="",
                known=(),
            )
        known = self._entities.get(schema.name)
        if known is None and schema.name in self._parts:
            known = self._made(schema.name)
        if known is None or (known[0].schema is not schema and known[0].schema != schema):
            near = nearest(schema.name, self._parts)
            raise EntityUnknown(
                f"the entity {schema.name!r} is not registered with this dialect",
                why="another schema of that name is" if known else f"known are: {', '.join(self._parts) or 'none'}",
                fix="contribute it to SYSTEM_SCHEMAS or BUSINESS_SCHEMAS, or await dialect.register(schema)",
                entity=schema.name,
                known=near,
            )
        return known
