"""The settings of system-dialect."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args

import attrs
from attrs.validators import ge, gt, in_, le
from objectkernel.secret import Secret

from objectkernel_system_dialect.data_plug import DataMode, SchemaStrategy
from objectkernel_system_dialect.databases import locate
from objectkernel_system_dialect.errors import DialectUnsupported


def _fits(dialect: str | None, uri: Secret[str] | None) -> None:
    try:
        locate(dialect, uri)
    except DialectUnsupported as error:
        told = f"{error.what}: {error.why[0]}; {error.fix}"
    else:
        return
    raise ValueError(told)  # outside the except, so that the setting's own error is the only one


def _with_its_uri(settings: Any, option: attrs.Attribute[Any], value: str | None) -> None:
    _fits(value, settings.sgbd_uri)


def _with_system_uri(settings: Any, option: attrs.Attribute[Any], value: str | None) -> None:
    if (value is None) != (settings.system_uri is None):
        raise ValueError(
            "MOSTA_SYSTEM_DIALECT and MOSTA_SYSTEM_URI are given together or not at all: "
            f"{'the dialect' if value is None else 'the URI'} is missing"
        )
    if value is not None:
        _fits(value, settings.system_uri)


def _with_its_system(settings: Any, option: attrs.Attribute[Any], value: bool) -> None:
    if value and settings.system_dialect is None and settings.system_uri is None:
        raise ValueError(
            "the system's data would lie with the business data, which may be switched away: "
            "set MOSTA_SYSTEM_DIALECT and MOSTA_SYSTEM_URI"
        )


def _with_its_url(settings: Any, option: attrs.Attribute[Any], value: DataMode) -> None:
    in_(get_args(DataMode))(settings, option, value)
    if value == "net" and settings.net_url is None:
        raise ValueError("MOSTA_DATA=net needs MOSTA_NET_URL, the address of the server that has the data")


def _within_the_largest(settings: Any, option: attrs.Attribute[Any], value: int) -> None:
    if value > settings.http_page_max:
        raise ValueError(f"a page has at most {settings.http_page_max} rows (http_page_max)")


@attrs.frozen(kw_only=True)
class SystemDialectConfig:
    """Where the data lies, and how it is reached.

    Attributes:
        db_dialect: the kind of the business database; by default what the URI says, ``sqlite`` without one.
        sgbd_uri: its place: a URL, a bare file path or ``:memory:``; by default ``objectkernel.db`` in `data_dir`.
        db_schema_strategy: what is done about its tables; see `SchemaStrategy`.
        data: ``orm``, or ``net`` for business data on a server.
        net_url, net_transport, net_api_key: that server; the key may come from `API_KEY_SOURCE` too.
        system_dialect, system_uri: a database of its own for the system's data (keys, accounts, packages);
            without them it lies with the business data.
        system_schema_strategy: what is done about its tables.
        system_required: refuse to start without a database of its own for the system's data.
        data_dir: the folder that everything is written into; made when it is missing.
        schemas: JSON files with schemas of the business data, and folders of such.
        pool_size: the most connections to a server, for each database.
        pool_timeout: seconds that an operation waits for one of them.
        connect_timeout, command_timeout: seconds for a connection to a server, and for a statement on it.
        statement_cache: statements that a connection keeps prepared; 0 behind a pooler in transaction mode.
        synchronous: for SQLite: ``NORMAL`` keeps every acknowledged write when the process dies, ``FULL`` also
            when the machine does.
        busy_timeout: seconds to wait for another process that holds an SQLite file.
        readers: number of threads that read an SQLite file.
        immediate_reads: read a row of an SQLite file by its key in the event loop's own thread, where that is short.
        http_page, http_page_max: rows that a page of the HTTP routes has, if not said otherwise and at most.
        http_rows_max: rows, groups or values that one request makes or gets without pages.
        http_body_bytes: the longest body that they take.
    """

    db_dialect: str | None = attrs.field(default=None, validator=_with_its_uri, metadata={"env": "DB_DIALECT"})
    sgbd_uri: Secret[str] | None = attrs.field(default=None, metadata={"env": "SGBD_URI"})
    db_schema_strategy: SchemaStrategy = attrs.field(
        default="update", validator=in_(get_args(SchemaStrategy)), metadata={"env": "DB_SCHEMA_STRATEGY"}
    )
    data: DataMode = attrs.field(default="orm", validator=_with_its_url, metadata={"env": "MOSTA_DATA"})
    net_url: Secret[str] | None = attrs.field(default=None, metadata={"env": "MOSTA_NET_URL"})
    net_transport: str = attrs.field(default="rest", metadata={"env": "MOSTA_NET_TRANSPORT"})
    net_api_key: Secret[str] | None = attrs.field(default=None, metadata={"env": "MOSTA_NET_API_KEY"})
    system_dialect: str | None = attrs.field(
        default=None, validator=_with_system_uri, metadata={"env": "MOSTA_SYSTEM_DIALECT"}
    )
    system_uri: Secret[str] | None = attrs.field(default=None, metadata={"env": "MOSTA_SYSTEM_URI"})
    system_schema_strategy: SchemaStrategy = attrs.field(
        default="update", validator=in_(get_args(SchemaStrategy)), metadata={"env": "MOSTA_SYSTEM_SCHEMA_STRATEGY"}
    )
    system_required: bool = attrs.field(
        default=False, validator=_with_its_system, metadata={"env": "MOSTA_SYSTEM_REQUIRED"}
    )
    data_dir: Path = attrs.field(default=Path(".objectkernel"), metadata={"env": "OBJECTKERNEL_DATA_DIR"})
    schemas: tuple[Path, ...] = ()
    pool_size: int = attrs.field(default=10, validator=[ge(1), le(1000)])
    pool_timeout: float = attrs.field(default=30.0, validator=[gt(0), le(3600)])
    connect_timeout: float = attrs.field(default=10.0, validator=[gt(0), le(3600)])
    command_timeout: float = attrs.field(default=60.0, validator=[gt(0), le(3600)])
    statement_cache: int = attrs.field(default=100, validator=[ge(0), le(10_000)])
    synchronous: Literal["NORMAL", "FULL"] = attrs.field(default="NORMAL", validator=in_(("NORMAL", "FULL")))
    busy_timeout: float = attrs.field(default=5.0, validator=[ge(0), le(3600)])
    readers: int = attrs.field(default=3, validator=[ge(1), le(64)])
    immediate_reads: bool = True
    http_page: int = attrs.field(default=50, validator=[ge(1), _within_the_largest])
    http_page_max: int = attrs.field(default=1000, validator=[ge(1), le(100_000)])
    http_rows_max: int = attrs.field(default=10_000, validator=[ge(1), le(1_000_000)])
    http_body_bytes: int = attrs.field(default=10 * 2**20, validator=ge(1024))
