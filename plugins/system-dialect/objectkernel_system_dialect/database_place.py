"""`database_place`: what the URI of a database says about where it is, without a driver and without showing it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from objectkernel.secret import Secret

from objectkernel_system_dialect.databases import locate
from objectkernel_system_dialect.location import MEMORY, sqlite_path
from objectkernel_system_dialect.mariadb_url import DEFAULT_HOST, MariadbUrl
from objectkernel_system_dialect.places import (
    DatabasePlace,
    checked_url,
    decoded,
    doubtful,
    host_of,
    options_of,
    port_of,
)
from objectkernel_system_dialect.postgres_place import postgres_place
from objectkernel_system_dialect.sqlalchemy_url import parsed_url

PORTS: Final = {"oracle": 1521, "mssql": 1433}
ELSEWHERE: Final = frozenset({"addr", "address", "dsn", "host", "odbc_connect", "port", "server"})
"""Options with which drivers of the other kinds are led to another place than the URL's."""


def database_place(dialect: str | None, uri: str) -> DatabasePlace:
    """Read where a URI leads, exactly as the driver will.

    Args:
        dialect: as for `DataPlug.open_isolated_dialect`; None: what the URI says.

    Raises:
        DialectUnsupported: there is no such dialect, the URI belongs to another, or it can be read in more ways than
            one, as one that says a host twice. The URI is not shown.
    """
    kind = locate(dialect, Secret(uri)).database.name
    match kind:
        case "sqlite":
            return DatabasePlace(dialect=kind, database=sqlite_path(uri))
        case "postgres":
            return postgres_place(uri)
        case "mariadb" | "mysql":
            return _mariadb_place(kind, uri)
        case _:
            return _other_place(kind, uri)


def _mariadb_place(kind: str, uri: str) -> DatabasePlace:
    decoded(checked_url(uri))
    url = MariadbUrl.parse(uri)
    options = options_of(_pairs(url.query))
    socket = options.pop("unix_socket", None)
    hosts: tuple[tuple[str, int | None], ...] = () if socket is None else ((socket, None),)
    if url.host is not None or socket is None:
        hosts += ((host_of(url.host or DEFAULT_HOST), port_of(str(url.port))),)
    return DatabasePlace(
        dialect=kind,
        hosts=hosts,
        database=url.database or None,
        user=url.user or None,
        has_password=bool(url.password),
        options=options,
    )


def _other_place(kind: str, uri: str) -> DatabasePlace:
    """The place of a database that no driver of ours reaches: SQLAlchemy reads the URL, and its driver the options."""
    decoded(checked_url(uri))
    url = parsed_url(uri)
    if url is None:
        raise doubtful("it is no URL that can be read")
    options = options_of(_pairs(url.query))
    if not ELSEWHERE.isdisjoint(name.lower() for name in options):
        raise doubtful("one of its options names a place too")
    port = url.port or PORTS.get(kind)
    is_file = kind == "duckdb"
    return DatabasePlace(
        dialect=kind,
        hosts=() if url.host is None else ((host_of(url.host), None if port is None else port_of(str(port))),),
        database=url.database or (MEMORY if is_file else None),
        user=url.username or None,
        has_password=bool(url.password),
        options=options,
    )


def _pairs(query: Mapping[str, str | tuple[str, ...]]) -> Iterator[tuple[str, str]]:
    for name, value in query.items():
        for one in (value,) if isinstance(value, str) else value:
            yield name, one
