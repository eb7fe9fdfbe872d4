"""Which entities are served, and to whom: a request finds its entity, and its tenant's view of the dialect."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import unquote

import attrs
from objectkernel_contracts import Principal, Scope
from starlette.requests import Request

from objectkernel_system_dialect.dialect import Dialect
from objectkernel_system_dialect.errors import AccessDenied, DataError, EntityUnknown
from objectkernel_system_dialect.filters import LOGICAL
from objectkernel_system_dialect.idempotency_record import IDEMPOTENCY
from objectkernel_system_dialect.rest_api import PREFIX, READ, TENANT_HEADER, TENANTS, WRITE, described, path_name
from objectkernel_system_dialect.schema import EntitySchema
from objectkernel_system_dialect.values import Misfit
from objectkernel_system_dialect.wire import from_text
from objectkernel_system_dialect.wire_entity import WireEntity
from objectkernel_system_dialect.wire_filter import DEPTH

HERE: Final[Mapping[str, str]] = MappingProxyType({})


@attrs.frozen
class Known:
    """The entities of a dialect at one time: all of them, and those that are served by their paths."""

    schemas: tuple[EntitySchema, ...]
    entities: Mapping[str, WireEntity]
    served: Mapping[str, WireEntity]


@attrs.frozen
class Asked:
    """One request: who asks what of which entity, and the dialect as its tenant sees it.

    Attributes:
        database: what the path says of where the entity is, where there is more than one such place.
    """

    request: Request
    principal: Principal
    entity: WireEntity
    dialect: Dialect
    database: Mapping[str, str] = HERE

    @property
    def schema(self) -> EntitySchema:
        """The entity's schema."""
        return self.entity.schema

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Within, an error of data access has the key that it is about as JSON has it, or none."""
        try:
            yield
        except DataError as error:
            if "key" in error.facts:
                try:
                    error.facts["key"] = self.entity.key_out(error.facts["key"])
                except DataError:  # of another entity, or damaged itself
                    del error.facts["key"]
            raise


def known_of(schemas: tuple[EntitySchema, ...]) -> Known:
    """The entities of schemas; all of them are served."""
    by_name = {schema.name: schema for schema in schemas}
    entities: dict[str, WireEntity] = {}
    for schema in schemas:
        entities[schema.name] = WireEntity(schema, by_name, entities.__getitem__)
    return Known(schemas, entities, {path_name(one.schema): one for one in entities.values()})


class ServedEntities:
    """The entities of a dialect that are served.

    Args:
        hidden: the schemas that are not, such as the system's own where both share a database.
        path: where they are served, for messages.
        database: see `Asked`.
        make: works out what is asked of schemas that were not the same the last time.
    """

    def __init__(
        self,
        dialect: Dialect,
        hidden: Callable[[], Iterable[EntitySchema]] = tuple,
        *,
        path: str = PREFIX,
        database: Mapping[str, str] = HERE,
        make: Callable[[tuple[EntitySchema, ...]], Known] = known_of,
    ) -> None:
        self._dialect = dialect
        self._hidden = hidden
        self._path = path
        self._database = database
        self._make = make
        self._last = Known((), {}, {})

    def known(self) -> Known:
        """The entities as they are now."""
        schemas = self._dialect.schemas()
        if schemas != self._last.schemas:
            self._last = self._make(schemas)
        hidden = {IDEMPOTENCY.name, *(schema.name for schema in self._hidden())}
        served = {name: one for name, one in self._last.served.items() if one.schema.name not in hidden}
        return attrs.evolve(self._last, served=served)

    def asked(self, request: Request, name: str) -> Asked:
        """The request for an entity.

        Raises:
            EntityUnknown: it is not served.
            AccessDenied: the caller may not act for the tenant that it names.
        """
        served = self.known().served
        if name not in served:
            raise EntityUnknown(
                "there is no such entity", fix=f"see {self._path} for those there are", entity="", known=()
            )
        principal: Principal = request.state.principal
        entity = served[name]
        dialect = self._for_tenant(request, principal, entity.schema)
        return Asked(request, principal, entity, dialect, self._database)

    def _for_tenant(self, request: Request, principal: Principal, schema: EntitySchema) -> Dialect:
        named = request.headers.get(TENANT_HEADER)
        tenant = principal.account_id if named is None else unquote(named)
        if TENANTS in principal.scopes:
            if named is None:
                return self._dialect
        elif tenant != principal.account_id:
            raise AccessDenied(
                "the caller may not act for another tenant",
                why=f"its credential has not the scope {TENANTS}",
                fix=f"leave out {TENANT_HEADER}, or use a credential that has it",
                status=403,
            )
        return self._dialect.as_tenant(self._typed_tenant(schema, tenant))

    def _typed_tenant(self, schema: EntitySchema, tenant: str) -> Any:
        """The tenant as its field has it."""
        holder = next((one for one in (schema, *self._last.schemas) if one.tenant is not None), None)
        if holder is None or holder.tenant is None:
            return tenant
        try:
            return from_text(self._last.entities[holder.name].fields[holder.tenant], tenant)
        except Misfit:
            raise AccessDenied(
                "the caller has no rows here", why="its account cannot be a tenant of this data", fix="", status=403
            ) from None

    def check_reach(self, asked: Asked, filter: Any, include: Iterable[str] = ()) -> None:
        """Refuse relations to rows that the caller may not read."""
        relations = asked.schema.relations
        targets = [relations[name].target for name in include if name in relations]
        targets += _led_to(self._last.entities, asked.entity, filter)
        if not targets:
            return
        known = self.known()
        served = {one.schema.name: name for name, one in known.served.items()}
        for target in targets:
            name = served.get(target)
            if name is None or not Scope(READ, f"{READ}:{name}").admits(asked.principal):
                raise AccessDenied(
                    "the caller may not read what a relation leads to",
                    why="its credential has not the scope to read those rows, or they are not served",
                    fix="leave out the relation",
                    status=403,
                )

    def described_to(self, principal: Principal) -> dict[str, Any]:
        """What the caller may read or write: each entity's name, and what it has, by its path."""
        known = self.known()
        by_name = {schema.name: schema for schema in known.schemas}
        return {
            name: {"entity": one.schema.name, "names": described(one.schema, by_name)}
            for name, one in known.served.items()
            if any(Scope(scope, f"{scope}:{name}").admits(principal) for scope in (READ, WRITE))
        }


def _led_to(entities: Mapping[str, WireEntity], entity: WireEntity, filter: Any) -> Iterator[str]:
    """The names of the entities that a filter reaches through relations."""
    if not isinstance(filter, Mapping):
        return
    for name, operand in filter.items():
        head, _, rest = str(name).partition(".")
        if name in LOGICAL and isinstance(operand, list):
            for part in operand:
                yield from _led_to(entities, entity, part)
        elif rest and head in entity.schema.relations and rest.count(".") <= DEPTH:  # else it is refused later
            target = entity.schema.relations[head].target
            yield target
            yield from _led_to(entities, entities[target], {rest: operand})
