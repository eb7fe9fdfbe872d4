"""What the settings open: the business data's database or server, and the system's database if it has one."""

from __future__ import annotations

import attrs
from objectkernel.secret import Secret

from objectkernel_system_dialect.config import SystemDialectConfig
from objectkernel_system_dialect.data_plug import SchemaStrategy
from objectkernel_system_dialect.databases import locate
from objectkernel_system_dialect.generations import Opening
from objectkernel_system_dialect.location import default_path
from objectkernel_system_dialect.opening import ConnectionOptions, SqlOpening


def business_opening(config: SystemDialectConfig) -> Opening:
    """What `DIALECT` opens.

    Raises:
        DatabaseUnavailable: the data folder cannot be made.
    """
    return database_opening(config, config.db_dialect, config.sgbd_uri, config.db_schema_strategy)


def system_opening(config: SystemDialectConfig) -> Opening | None:
    """What `SYSTEM_DIALECT` opens, None where it has no database of its own."""
    if config.system_dialect is None:
        return None
    return database_opening(config, config.system_dialect, config.system_uri, config.system_schema_strategy)


def database_opening(
    config: SystemDialectConfig, dialect: str | None, uri: Secret[str] | None, strategy: SchemaStrategy
) -> Opening:
    """A database by its kind and URI, with the connection settings.

    Raises:
        DialectUnsupported: there is no such kind, or the URI belongs to another.
    """
    location = locate(dialect, uri)
    options = ConnectionOptions(
        **{field.name: getattr(config, field.name) for field in attrs.fields(ConnectionOptions)}
    )
    place = Secret(default_path(config.data_dir)) if location.uri is None else location.uri
    return SqlOpening(location.database, place, strategy, options)
