"""`DATA_PLUG` and `SCHEMAS`: what hosts and administrators do with the databases; plugins need the dialects alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Literal, Protocol, TypeAlias

import attrs
from attrs.validators import ge, gt, optional
from objectkernel.keys import Service

from objectkernel_system_dialect.connection_limit import ConnectionLimit
from objectkernel_system_dialect.dialect import Dialect
from objectkernel_system_dialect.schema import EntitySchema

DataMode: TypeAlias = Literal["orm", "net"]
"""``orm``: the business data is in a database; ``net``: on a server that speaks the REST data plane."""

SchemaStrategy: TypeAlias = Literal["none", "validate", "create", "update", "create-drop"]
"""What `Dialect.register` does about tables.

``none`` nothing; ``validate`` refuses what differs; ``create`` makes what is missing; ``update`` also brings older
tables up and drops no data; ``create-drop`` makes everything, and drops it at the end: for tests.
"""


@attrs.frozen(kw_only=True)
class IsolatedOptions:
    """How the connections of one isolated database behave; what is None is as the plugin's own settings say.

    SQLite has no connections in this sense, and heeds none of them.

    Attributes:
        pool_size: the most connections at a time.
        pool_min: how many of them stay open when they are idle; each is made when it is needed.
        connect_timeout, command_timeout: seconds for a connection, and for a statement.
        limit: which connections there may be together with those of other pools.
        migrations: whether the plugins' data migrations run there too, on tables with the names of theirs.
    """

    pool_size: int | None = attrs.field(default=None, validator=optional(ge(1)))
    pool_min: int = attrs.field(default=0, validator=ge(0))
    connect_timeout: float | None = attrs.field(default=None, validator=optional(gt(0)))
    command_timeout: float | None = attrs.field(default=None, validator=optional(gt(0)))
    limit: ConnectionLimit | None = None
    migrations: bool = True


KeyRenewal: TypeAlias = Callable[[], Awaitable[str]]
"""Gives a new API key for one that the server refuses."""


class Schemas(Protocol):
    """The entity schemas that this kernel knows: the business data's, then those of the system only."""

    async def register_schema(self, schema: EntitySchema) -> None:
        """Register a schema of the business data: its table exists when this returns. Again: nothing happens."""
        ...

    async def register_schemas(self, schemas: tuple[EntitySchema, ...] | list[EntitySchema]) -> None:
        """Register several together, so that they may relate to each other; all or none."""
        ...

    async def exchange_schemas(
        self, remove: Sequence[EntitySchema], add: Sequence[EntitySchema] = (), *, drop: Collection[str] = ()
    ) -> tuple[str, ...]:
        """Take schemas of the business data away and register others, of the same names or not: all of it or nothing.

        Operations that are under way end with what they began with. Tables and rows of what is taken away stay.

        Args:
            drop: collections of `remove` whose tables go, with every row and with their link tables.

        Returns:
            The collections whose tables were not there before.

        Raises:
            SchemaInvalid, SchemaOutdated: as `register_schemas`; also what is left leads to what is taken away.
            TableHeld: a foreign key of another table leads to one that should go.
            OperationUnsupported: the dialect cannot, such as one in NET mode, whose server has the tables.
        """
        ...

    def read_schema(self, document: Any) -> EntitySchema:
        """The schema that a JSON value describes, as in a schema file; whether it makes sense is not looked at.

        Raises:
            SchemaInvalid: `problems` has each with its JSON path behind an @.
        """
        ...

    def get_schema(self, name: str) -> EntitySchema:
        """The schema of an entity.

        Raises:
            EntityUnknown: there is none; the error offers the nearest name.
        """
        ...

    def get_schema_by_collection(self, collection: str) -> EntitySchema | None:
        """The schema whose rows are in a collection (the first, where entities share it), or None."""
        ...

    def get_all_schemas(self) -> tuple[EntitySchema, ...]:
        """Every schema, in the order of registration."""
        ...

    def get_entity_names(self) -> tuple[str, ...]:
        """The name of every schema, in the order of registration."""
        ...

    def has_schema(self, name: str) -> bool:
        """Whether an entity of this name is registered."""
        ...

    def validate_schemas(self, *more: EntitySchema) -> tuple[str, ...]:
        """Every problem of every schema, and of `more` if they were registered too, one sentence each."""
        ...

    def clear_registry(self) -> None:
        """Forget the business schemas: no later connection brings up their tables. Tables and rows stay."""
        ...


class DataPlug(Schemas, Protocol):
    """The databases of one kernel: which they are, and how they change while they are in use.

    What `DIALECT` gave stays the same object, whatever database is behind it.
    """

    # --- the business data ------------------------------------------------------------------------------

    async def get_dialect(self) -> Dialect:
        """The dialect of the business data, connected."""
        ...

    async def set_dialect(self, dialect: Dialect) -> None:
        """Put a dialect behind `DIALECT`, until `reset_dialect`: every schema is registered with it.

        It stays its maker's: it is never closed here.

        Raises:
            OperationUnsupported: it is what `DIALECT` gave, or a tenant's view of it.
            DataError: it does not answer, or the schemas do not fit it; nothing has changed.
        """
        ...

    async def reset_dialect(self) -> None:
        """Let go of what `set_dialect` and `change_dialect` gave; the next operation opens what the settings say."""
        ...

    def get_data_mode(self) -> DataMode:
        """Where the business data is."""
        ...

    def is_net_mode(self) -> bool:
        """Whether the business data is on a server."""
        ...

    def is_orm_mode(self) -> bool:
        """Whether the business data is in a database."""
        ...

    async def disconnect(self) -> None:
        """Close the business connection behind the last operation; the next one connects, once however many ask.

        It goes where `change_dialect` went, otherwise to what the settings say then.
        """
        ...

    async def change_dialect(self, dialect: str, uri: str, schema_strategy: SchemaStrategy | None = None) -> None:
        """Switch the business data to another database, which is tried before the present one is left.

        Nothing is written to a file: a restart, `reload_config` and `reset_dialect` go back to the settings.

        Args:
            dialect: as ``DB_DIALECT`` has it.
            uri: as ``SGBD_URI`` has it.
            schema_strategy: by default that of the settings.

        Raises:
            DialectUnsupported: there is no such dialect, or the URI belongs to another.
            DataError: the database cannot be opened, or the schemas do not fit it; nothing has changed.
        """
        ...

    async def reload_config(self) -> bool:
        """Read the settings again and switch to the database that they name, unless it is the present one.

        Returns:
            Whether it was another.

        Raises:
            ConfigError: the settings are refused; nothing has changed.
            DataError: the database cannot be opened, or the schemas do not fit it; nothing has changed.
        """
        ...

    async def reconnect(self) -> None:
        """Open the business database anew, bring up the tables of every schema, and close the old connection.

        Raises:
            DataError: it cannot be opened; nothing has changed.
        """
        ...

    def on_api_key_invalid(self, renew: KeyRenewal) -> None:
        """Have `renew` asked for another key when the server of the data refuses the present one."""
        ...

    # --- the system's data --------------------------------------------------------------------------------

    async def get_system_dialect(self) -> Dialect:
        """The dialect of the system's data; the business one where there is no other."""
        ...

    async def bootstrap_system_dialect(self) -> Dialect:
        """Open the system's database if the settings name one, else take the business one; once: then it is kept.

        After a reset it takes the connection that is there, unless the settings name another database.

        Raises:
            DataError: it cannot be opened.
        """
        ...

    async def set_system_dialect(self, dialect: Dialect) -> None:
        """Let `get_system_dialect` give this one: every system schema is registered with it.

        Plugins that hold `SYSTEM_DIALECT` keep theirs; `kernel.replace(SYSTEM_DIALECT, dialect)` restarts them
        with another.
        """
        ...

    def reset_system_dialect(self) -> None:
        """Take back `set_system_dialect` and `bootstrap_system_dialect`; no connection is closed."""
        ...

    # --- others ---------------------------------------------------------------------------------------------

    async def open_isolated_dialect(
        self,
        dialect: str,
        uri: str,
        schema_strategy: SchemaStrategy = "none",
        *,
        schemas: Sequence[EntitySchema] = (),
        options: IsolatedOptions | None = None,
    ) -> Dialect:
        """Open a database for the caller alone, who closes it with `Dialect.aclose`.

        Where that fails, or is cancelled, nothing is left open. The settings hold as they were read last: for the first
        such database, or since then by `reload_config` and whatever else leads to the business database.

        Args:
            schemas: registered while it is opened, as the strategy says.
            options: by default as the plugin's own databases are opened.

        Raises:
            DialectUnsupported: there is no such dialect, or the URI belongs to another.
            DataError: it cannot be opened, or the schemas do not fit it.
        """
        ...

    async def plan_schemas(self, dialect: Dialect, schemas: Sequence[EntitySchema]) -> tuple[str, ...]:
        """What the strategy ``update`` would do to a database that has `schemas` instead of those registered.

        Nothing is changed, neither in the database nor in what the dialect knows. Tables of entities that are gone
        stay, so nothing is said of them.

        Returns:
            A line for each step; none where the tables are as wanted.

        Raises:
            SchemaInvalid: the schemas contradict themselves or each other.
            SchemaOutdated: what ``update`` would refuse; `differences` has all of it.
            SchemaNewer: see there.
            OperationUnsupported: the dialect cannot tell, such as one in NET mode.
        """
        ...

    async def database_identity(self, dialect: Dialect) -> str:
        """A text that is the same for two dialects of one database, however their URIs spell its place.

        Different databases have different ones. It holds while the server runs, and of a database in memory while the
        dialect is open; it is to be compared and not to be stored. Of what `DIALECT` gave it is that of the database
        that is behind it now.

        Raises:
            OperationUnsupported: the dialect cannot tell, such as one in NET mode.
            DatabaseUnavailable: the database does not answer.
        """
        ...


class ApiKeySource(Protocol):
    """Who gives this host the key with which it reaches the data of another."""

    async def api_key(self, *, refresh: bool = False) -> str:
        """A key; with `refresh` a new one, since the one given before is refused."""
        ...


DATA_PLUG = Service[DataPlug]("data-plug")
"""The databases of the kernel, for hosts and administrators."""
SCHEMAS = Service[Schemas]("schemas")
"""The entity schemas of the kernel."""
API_KEY_SOURCE = Service[ApiKeySource]("api-key-source")
"""Optional: who gives and renews the key of NET mode."""
