"""Connections to MariaDB and MySQL: from a URL to one whose session behaves as this plugin needs."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any, Final

import attrs
from asyncmy.connection import Connection
from asyncmy.constants import CLIENT
from asyncmy.constants.COMMAND import COM_QUIT
from asyncmy.errors import MySQLError

from objectkernel_system_dialect.connection_limit import ConnectionLimit
from objectkernel_system_dialect.connection_pool import LEAVE_PATIENCE
from objectkernel_system_dialect.mariadb_url import DEFAULT_HOST, MariadbUrl

TLS_MODES: Final = ("disabled", "required", "verify_ca", "verify_identity")
QUERY: Final = frozenset({"charset", "ssl_mode", "ssl_ca", "ssl_cert", "ssl_key", "unix_socket"})
SQL_MODE: Final = "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
COLLATION: Final = {True: "utf8mb4_nopad_bin", False: "utf8mb4_0900_bin"}
"""By code points, where case and spaces at the end count: on MariaDB (True) and on MySQL."""


@attrs.frozen(kw_only=True)
class MariadbOptions:
    """How the connections to one database behave. Times are in seconds.

    Attributes:
        pool_size: the most connections at a time; they are made when they are needed.
        pool_min: how many of them stay open when nobody uses them.
        pool_timeout: for one of them to become free.
        limit: which connections there may be together with those of other pools.
        connect_timeout: for reaching the server, the handshake included.
        command_timeout: for each sign of life of the server while a statement runs; changes of the schema have none.
        lock_timeout: whole seconds that a statement waits for rows that others hold.
        statement_cache_size: prepared statements for each connection; 0 for servers or proxies that have none.
    """

    pool_size: int = 10
    pool_min: int = 0
    pool_timeout: float = 30.0
    connect_timeout: float = 10.0
    command_timeout: float = 60.0
    lock_timeout: int = 5
    statement_cache_size: int = 128
    limit: ConnectionLimit | None = None


@attrs.frozen
class Server:
    """Where a database is and how to get in.

    Attributes:
        place: how messages call it: without user and password.
        arguments: what the driver takes.
    """

    place: str
    database: str
    arguments: Mapping[str, Any] = attrs.field(repr=False)


def server_of(uri: str) -> Server:
    """The server that ``mysql://user:password@host:3306/database`` means, or the same with ``mariadb://``.

    The query may have ``ssl_mode`` (``disabled``, ``required``, ``verify_ca``, ``verify_identity``), ``ssl_ca``,
    ``ssl_cert``, ``ssl_key`` and ``unix_socket``.

    Raises:
        DialectUnsupported: the URL is for another driver, or has parts that are not known. It is not shown.
    """
    url = MariadbUrl.parse(uri)
    if not url.database:
        raise url.refused("it names no database")
    query = dict(url.query)
    if unknown := sorted(set(query) - QUERY):
        raise url.refused(f"its query has what is not known: {', '.join(unknown)}")
    if query.get("charset", "utf8mb4") != "utf8mb4":
        raise url.refused("its charset is not utf8mb4, the one that holds all text")
    host = url.host or DEFAULT_HOST
    return Server(
        place=f"the database {url.database!r} at {query.get('unix_socket') or f'{host}:{url.port}'}",
        database=url.database,
        arguments={
            "host": host,
            "port": url.port,
            "user": url.user,
            "password": (url.password or "").encode(),  # of text the driver would make Latin-1
            "database": url.database,
            "unix_socket": query.get("unix_socket"),
            "ssl": _tls(query),
        },
    )


def _tls(query: Mapping[str, Any]) -> ssl.SSLContext | None:
    mode = query.get("ssl_mode", "verify_identity" if "ssl_ca" in query else "disabled").lower()
    if mode not in TLS_MODES:
        raise MariadbUrl.refused(f"its ssl_mode is none of {', '.join(TLS_MODES)}")
    if mode == "disabled":
        return None
    try:
        context = ssl.create_default_context(cafile=query.get("ssl_ca"))
        if certificate := query.get("ssl_cert"):
            context.load_cert_chain(certificate, query.get("ssl_key"))
    except OSError:  # of which ssl.SSLError is one
        raise MariadbUrl.refused("one of its certificate files cannot be read") from None
    context.check_hostname = mode == "verify_identity"
    if mode == "required":
        context.verify_mode = ssl.CERT_NONE
    return context


class SchemaConnection(Connection):
    """A connection that whoever closes it leaves as the pool does."""

    async def ensure_closed(self) -> None:
        await leave(self)


async def leave(connection: Any) -> None:
    """Take leave of the server, and wait until it has let go: then it has room for another connection."""
    try:
        if connection.connected:
            async with asyncio.timeout(LEAVE_PATIENCE):
                await connection._execute_command(COM_QUIT, b"")  # the driver's own way closes before the server does
                await connection.read_packet()
    except (MySQLError, OSError):  # the end of the connection, or of the patience
        pass
    finally:
        connection.close()


async def connect(server: Server, options: MariadbOptions, *, for_schema: bool = False) -> Connection:
    """A connection whose session is set up.

    Args:
        for_schema: statements may take as long as they need, and are not committed one by one.
    """
    connection: Any = (SchemaConnection if for_schema else Connection)(  # type: ignore[no-untyped-call]
        **server.arguments,
        charset="utf8mb4",
        client_flag=CLIENT.FOUND_ROWS,
        autocommit=not for_schema,
        connect_timeout=max(1, round(options.connect_timeout)),
        read_timeout=None if for_schema else options.command_timeout,
        stmt_cache_size=0 if for_schema else options.statement_cache_size,
        local_infile=False,
    )
    connection._client_flag &= ~CLIENT.MULTI_STATEMENTS  # the driver asks for it without being told to
    try:
        async with asyncio.timeout(options.connect_timeout):  # the driver's own ends before the handshake
            await connection.connect()
            for statement in _settings(connection, options):
                await connection.query(statement)
    except BaseException:
        connection.close()
        raise
    opened: Connection = connection
    return opened


def is_mariadb(connection: Connection) -> bool:
    """Whether the server is MariaDB and not MySQL."""
    return "mariadb" in connection.get_server_info().lower()


def version(connection: Connection) -> tuple[int, ...]:
    """The server's version in numbers, such as ``(10, 11, 6)``."""
    text = connection.get_server_info().removeprefix("5.5.5-")  # MariaDB's disguise for old clients
    return tuple(int(part) for part in text.partition("-")[0].split(".") if part.isdigit())


def _settings(connection: Connection, options: MariadbOptions) -> tuple[str, ...]:
    session = {
        "sql_mode": f"'{SQL_MODE}'",
        "time_zone": "'+00:00'",
        "lc_messages": "'en_US'",  # which index a duplicate is of is read from the message
        "innodb_lock_wait_timeout": str(options.lock_timeout),
        "default_storage_engine": "InnoDB",
        "sql_safe_updates": "0",
        "max_error_count": "0",  # the driver would write warnings, with values, to its log
    }
    return (
        f"SET NAMES utf8mb4 COLLATE {COLLATION[is_mariadb(connection)]}",
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        f"SET SESSION {', '.join(f'{name} = {value}' for name, value in session.items())}",
    )
