"""What the settings mean: the business data's database or server, and the system's database if it has one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs
from objectkernel.secret import Secret

from objectkernel_system_dialect.config import SystemDialectConfig
from objectkernel_system_dialect.data_plug import IsolatedOptions, SchemaStrategy
from objectkernel_system_dialect.databases import locate
from objectkernel_system_dialect.generations import Opening
from objectkernel_system_dialect.location import DATA_DIR, DEFAULT_NAME, within_data_dir
from objectkernel_system_dialect.migrations import Migration
from objectkernel_system_dialect.net_opening import ApiKeys, NetOpening
from objectkernel_system_dialect.opening import ConnectionOptions, SqlOpening
from objectkernel_system_dialect.schema import EntitySchema

OPTIONS: Final = frozenset(attrs.fields_dict(ConnectionOptions))
SETTINGS: Final = OPTIONS.intersection(attrs.fields_dict(SystemDialectConfig))
"""The options of connections that are settings."""
OWN: Final = OPTIONS.intersection(attrs.fields_dict(IsolatedOptions))
"""Those that an isolated database may have of its own."""


def business_schemas(config: SystemDialectConfig, contributed: Sequence[EntitySchema]) -> tuple[EntitySchema, ...]:
    """The schemas of the business data: those that plugins contribute, then those of JSON files.

    Raises:
        SchemaInvalid: with every problem of every file.
    """
    if not config.schemas:
        return tuple(contributed)
    from objectkernel_system_dialect.schema_files import read_schemas

    return (*contributed, *read_schemas(config.schemas))


def business_opening(
    config: SystemDialectConfig, keys: ApiKeys | None = None, migrations: Sequence[Migration] = ()
) -> Opening:
    """What `DIALECT` opens.

    Args:
        keys: where a server's key comes from if no setting has it.
        migrations: of all plugins.

    Raises:
        DatabaseUnavailable: the data folder cannot be made.
    """
    if config.data == "net":
        assert config.net_url is not None  # the settings are refused without it
        keys = keys or ApiKeys(lambda: None)
        return NetOpening(config.net_url, config.net_transport, config.net_api_key, config.connect_timeout, keys)
    return database_opening(config, config.db_dialect, config.sgbd_uri, config.db_schema_strategy, migrations)


def system_opening(config: SystemDialectConfig, migrations: Sequence[Migration] = ()) -> Opening | None:
    """What `SYSTEM_DIALECT` opens, None where it has no database of its own."""
    if config.system_dialect is None:
        return None
    return database_opening(config, config.system_dialect, config.system_uri, config.system_schema_strategy, migrations)


def database_opening(
    config: SystemDialectConfig,
    dialect: str | None,
    uri: Secret[str] | None,
    strategy: SchemaStrategy,
    migrations: Sequence[Migration] = (),
    isolated: IsolatedOptions | None = None,
) -> Opening:
    """A database by its kind and URI, with the connection settings.

    Args:
        isolated: what of them is another.

    Raises:
        DialectUnsupported: there is no such kind, or the URI belongs to another.
        DatabaseUnavailable: the data folder cannot be made.
    """
    location = locate(dialect, uri)
    place = location.uri or Secret(f"{DATA_DIR}/{DEFAULT_NAME}")
    if location.database.name == "sqlite":
        place = Secret(within_data_dir(place.reveal(), config.data_dir))
    run = () if isolated is not None and not isolated.migrations else tuple(migrations)
    return SqlOpening(location.database, place, strategy, _options(config, isolated), run)


def _options(config: SystemDialectConfig, isolated: IsolatedOptions | None) -> ConnectionOptions:
    """The settings, and in their place what an isolated database has of its own."""
    options = ConnectionOptions(**{name: getattr(config, name) for name in SETTINGS})
    if isolated is None:
        return options
    own = {name: getattr(isolated, name) for name in OWN}
    return attrs.evolve(options, **{name: value for name, value in own.items() if value is not None})
