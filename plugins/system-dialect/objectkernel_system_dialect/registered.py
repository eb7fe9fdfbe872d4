"""The entities that are registered with one dialect, and what is worked out for them once."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from objectkernel.errors import nearest
from sqlalchemy import Table

from objectkernel_system_dialect.engine import Engine
from objectkernel_system_dialect.entity import Entity
from objectkernel_system_dialect.errors import EntityUnknown
from objectkernel_system_dialect.registry import check_are_schemas, check_schemas
from objectkernel_system_dialect.schema import EntitySchema
from objectkernel_system_dialect.statements import Statements
from objectkernel_system_dialect.tables import Link, build_link, build_table, stored_fields


@attrs.frozen
class Draft:
    """What a registration adds: kept once the tables are there.

    Attributes:
        tables: those of all entities, with the new ones.
    """

    entities: tuple[Entity, ...]
    links: dict[tuple[str, str], Link]
    tables: dict[str, Table]


class Registered:
    """Entities by name, their statements, and the tables that link them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._entities: dict[str, tuple[Entity, Statements]] = {}
        self._links: dict[tuple[str, str], Link] = {}
        self._tables: dict[str, Table] = {}

    def schemas(self) -> tuple[EntitySchema, ...]:
        """In the order of registration."""
        return tuple(entity.schema for entity, _ in self._entities.values())

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
        check_schemas(together)
        by_name = {schema.name: schema for schema in together}
        entities: list[Entity] = []
        tables: dict[str, Table] = {}
        for collection in dict.fromkeys(schema.collection for schema in new):
            sharing = [schema for schema in together if schema.collection == collection]
            table = tables[collection] = build_table(sharing, by_name)
            for schema in sharing:
                entities.append(Entity(schema, stored_fields(schema, by_name), table, self._engine, self.entity))
        links = {
            (entity.schema.name, name): build_link(entity.schema, name, by_name)
            for entity in entities
            for name in entity.links
        }
        tables |= {link.table.name: link.table for link in links.values()}
        return Draft(tuple(entities), links, {**others, **tables})

    def keep(self, draft: Draft) -> None:
        """Take up what a draft adds."""
        self._links |= draft.links
        self._tables = draft.tables
        for entity in draft.entities:
            self._entities[entity.schema.name] = entity, Statements(entity, self._engine, self)

    def replace(self, draft: Draft) -> None:
        """Forget everything but what a draft has; an operation that is under way ends with what it has taken."""
        self._entities, self._links = {}, {}
        self.keep(draft)

    def entity(self, name: str) -> Entity:
        """The registered entity of this name."""
        return self._entities[name][0]

    def statements(self, entity: Entity) -> Statements:
        """The statements of a registered entity."""
        return self._entities[entity.schema.name][1]

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
        if known is None or (known[0].schema is not schema and known[0].schema != schema):
            near = nearest(schema.name, self._entities)
            raise EntityUnknown(
                f"the entity {schema.name!r} is not registered with this dialect",
                why="another schema of that name is" if known else f"known are: {', '.join(self._entities) or 'none'}",
                fix="contribute it to SYSTEM_SCHEMAS or BUSINESS_SCHEMAS, or await dialect.register(schema)",
                entity=schema.name,
                known=near,
            )
        return known
