"""The kinds of databases that can be opened, and which of them a setting means."""

from __future__ import annotations

import re
from typing import Final

import attrs
from objectkernel.errors import nearest
from objectkernel.secret import Secret

from objectkernel_system_dialect.errors import DialectUnsupported
from objectkernel_system_dialect.location import sqlite_path


@attrs.frozen
class Database:
    """One kind of database.

    Attributes:
        name: as ``DB_DIALECT`` spells it.
        schemes: those of its URLs, without a driver; each is a spelling of the name too.
        driver, extra: the module that has to be installed, and the extra of this distribution that brings it.
    """

    name: str
    schemes: tuple[str, ...]
    driver: str = ""
    extra: str = ""


DATABASES: Final = (
    Database("sqlite", ("sqlite",)),
    Database("postgres", ("postgres", "postgresql"), "asyncpg", "postgres"),
    Database("mariadb", ("mariadb",), "asyncmy", "mariadb"),
    Database("mysql", ("mysql",), "asyncmy", "mariadb"),
    Database("oracle", ("oracle",)),
    Database("mssql", ("mssql",)),
    Database("duckdb", ("duckdb",)),
)
SPELLINGS: Final = {scheme: database for database in DATABASES for scheme in database.schemes}
NAME_LIKE: Final = re.compile(r"[\w +.-]{0,40}")
"""What may be shown of a name that nobody knows: not a URL that was put in its place."""
RELATED: Final = {"mariadb", "mysql"}
"""They speak one protocol: the URL of one does for the other."""


@attrs.frozen
class Location:
    """Which database, and where; `uri` is None for the file in the data folder."""

    database: Database
    uri: Secret[str] | None


def locate(dialect: str | None, uri: Secret[str] | None) -> Location:
    """What two settings mean together: the kind of a database, or None, and its URI, or None.

    Raises:
        DialectUnsupported: the kind is unknown, or the URI belongs to another one. It is not shown.
    """
    database = None if dialect is None else named(dialect)
    if uri is None:
        if database is not None and database.name != "sqlite":
            raise DialectUnsupported(
                f"{database.name} has no URI",
                why="only SQLite has a place of its own, in the data folder",
                fix=f"set SGBD_URI to one such as {database.schemes[-1]}://user@host/name",
            )
        return Location(database or SPELLINGS["sqlite"], None)
    meant = _of_uri(uri.reveal())
    if database is None or database is meant:
        return Location(meant, uri)
    if {database.name, meant.name} == RELATED:
        return Location(database, uri)
    raise DialectUnsupported(
        f"the dialect is {database.name} and the URI is one of {meant.name}",
        why="the scheme of a URL says which database it leads to; what has no scheme is a file of SQLite's",
        fix=f"give a URI of {database.name}, or the dialect {meant.name}, or leave the dialect out",
    )


def named(dialect: str) -> Database:
    """The kind of database with this name.

    Raises:
        DialectUnsupported: there is none; the error offers the nearest name.
    """
    database = SPELLINGS.get(dialect.strip().lower())
    if database is None:
        if dialect.strip().lower() == "net":
            raise DialectUnsupported(
                "'net' is no database",
                why="it is the mode in which the data is on a server",
                fix="set MOSTA_DATA=net and MOSTA_NET_URL; a running host then needs `await plug.reload_config()`",
                known=(),
            )
        near = nearest(dialect, SPELLINGS)
        shown = repr(dialect) if NAME_LIKE.fullmatch(dialect) else "what is given as the dialect"
        raise DialectUnsupported(
            f"{shown} is no database that can be opened",
            why=f"there are {', '.join(known.name for known in DATABASES)}",
            fix=f"did you mean {near[0]!r}?" if near else "name one of them",
            known=near,
        )
    return database


def _of_uri(uri: str) -> Database:
    scheme, separator, _ = uri.partition("://")
    database = SPELLINGS.get(scheme.partition("+")[0].strip().lower()) if separator else SPELLINGS["sqlite"]
    if database is None:
        raise DialectUnsupported(
            "the URI has the scheme of no database that can be opened",
            why=f"there are {', '.join(SPELLINGS)}",
            fix="give a URL with one of these schemes, a bare file path or :memory:",
        )
    if database.name == "sqlite":
        sqlite_path(uri)
    return database
