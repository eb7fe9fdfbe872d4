"""`SCHEMAS`: the entity schemas of a kernel, found by name, by collection and all together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

from objectkernel.errors import nearest

from objectkernel_system_dialect.data_plug import Schemas
from objectkernel_system_dialect.dialect import Dialect
from objectkernel_system_dialect.errors import EntityUnknown
from objectkernel_system_dialect.registry import validate_schemas
from objectkernel_system_dialect.schema import EntitySchema
from objectkernel_system_dialect.schema_exchange import ExchangesSchemas, inexchangeable
from objectkernel_system_dialect.switching import SwitchableDialect


class SchemaRegistry:
    """What the dialects of a kernel have registered; it holds nothing itself."""

    def __init__(
        self, business: Dialect, system: Callable[[], Dialect], system_schemas: Sequence[EntitySchema]
    ) -> None:
        self._business = business
        self._system_now = system
        self._system_schemas = tuple(system_schemas)

    async def register_schema(self, schema: EntitySchema) -> None:
        await self._business.register(schema)

    async def register_schemas(self, schemas: Sequence[EntitySchema]) -> None:
        await self._business.register(*schemas)

    async def exchange_schemas(
        self, remove: Sequence[EntitySchema], add: Sequence[EntitySchema] = (), *, drop: Collection[str] = ()
    ) -> tuple[str, ...]:
        if not isinstance(self._business, ExchangesSchemas):
            raise inexchangeable(self._business.name)
        return await self._business.exchange(remove, add, drop)

    def read_schema(self, document: Any) -> EntitySchema:
        from objectkernel_system_dialect.schema_files import read_schema

        return read_schema(document)

    def get_schema(self, name: str) -> EntitySchema:
        for schema in self.get_all_schemas():
            if schema.name == name:
                return schema
        near = nearest(name, self.get_entity_names())
        raise EntityUnknown(
            f"no entity {name!r} is registered",
            why=f"known are: {', '.join(self.get_entity_names()) or 'none'}",
            fix=f"did you mean {near[0]!r}?" if near else "register its schema",
            entity=name,
            known=near,
        )

    def get_schema_by_collection(self, collection: str) -> EntitySchema | None:
        return next((schema for schema in self.get_all_schemas() if schema.collection == collection), None)

    def get_all_schemas(self) -> tuple[EntitySchema, ...]:
        return tuple(dict.fromkeys((*self._business.schemas(), *self._system_now().schemas())))

    def get_entity_names(self) -> tuple[str, ...]:
        return tuple(schema.name for schema in self.get_all_schemas())

    def has_schema(self, name: str) -> bool:
        return name in self.get_entity_names()

    def validate_schemas(self, *more: EntitySchema) -> tuple[str, ...]:
        business = tuple(dict.fromkeys((*self._business.schemas(), *more)))
        system = () if self._system_now() is self._business else self._system_now().schemas()
        return (*validate_schemas(business), *validate_schemas(system))

    def clear_registry(self) -> None:
        if isinstance(self._business, SwitchableDialect):
            self._business.forget_schemas(keep=self._system_schemas)


if TYPE_CHECKING:
    _is_a_registry: type[Schemas] = SchemaRegistry
