"""Where the URI of a database leads: read as its driver reads it, or refused, and never shown."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from asyncpg import ClientConfigurationError, connect_utils
from hypothesis import example, given
from hypothesis import strategies as st
from objectkernel_system_dialect.contracts import DatabasePlace, DialectUnsupported, database_place
from objectkernel_system_dialect.mariadb_connection import server_of

SECRET = "hunter2"


def postgres(*hosts: tuple[str, int], **more: Any) -> DatabasePlace:
    return DatabasePlace(dialect="postgres", hosts=hosts, **more)


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGSERVICE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        (
            "postgresql://ada:p%40ss@DB.example:5433/shop?sslmode=require&application_name=a+b",
            postgres(
                ("db.example", 5433),
                database="shop",
                user="ada",
                has_password=True,
                options={"sslmode": "require", "application_name": "a b"},
            ),
        ),
        ("postgres://host", postgres(("host", 5432))),
        ("PostgreSQL+asyncpg://host/%C3%A9%20b", postgres(("host", 5432), database="é b")),
        ("postgresql://one,two:5433,[::1]:5434/x", postgres(("one", 5432), ("two", 5433), ("::1", 5434), database="x")),
        ("postgresql://%2Frun%2Fpg:5433/x", postgres(("/run/pg", 5433), database="x")),
        ("postgresql:///x?host=/run/pg&port=5433", postgres(("/run/pg", 5433), database="x")),
        ("postgresql:///x?host=one,two&port=1,2", postgres(("one", 1), ("two", 2), database="x")),
        ("postgresql:///x?host=one,two:3", postgres(("one", 5432), ("two", 3), database="x")),
        ("postgresql://?dbname=x&user=ada&password=p", postgres(database="x", user="ada", has_password=True)),
        ("postgresql:///x", postgres(database="x")),
        ("postgresql:///x?port=5433&service=", postgres(database="x", options={"port": "5433"})),
        ("postgresql:///x?service=s", postgres(database="x", options={"service": "s"})),
    ],
)
def test_urls_of_postgres(uri: str, place: DatabasePlace) -> None:
    """Every host is told with its port; the rest is what the URL says, without its password."""
    assert database_place("postgres", uri) == place
    assert database_place(None, uri) == place


@pytest.mark.parametrize(
    "rest",
    [
        "u:hunter2@a@evil/x",
        "u:hunter2/@evil/x",
        "u:hunter2@host/x#@evil",
        "u:hunter2@host\\@evil/x",
        "u:hunter2@ho\tst/x",
        "u:hunter2@host /x",
        "u:hunter2@host%00/x",
        "u:hunter2@%zz/x",
        "u:hunter2@%ff/x",
        "u:hunter2@%2fa%0a/x",
        "u:hunter2@host%2Cevil/x",
        "u:hunter2@host:0/x",
        "u:hunter2@host:99999/x",
        "u:hunter2@host:1:2/x",
        "u:hunter2@host:1_0/x",
        "u:hunter2@one,,two/x",
        "u:hunter2@[::1]evil/x",
        "u:hunter2@[::1/x",
        "u:hunter2@höst/x",
        "u:hunter2@host/x?host=evil",
        "u:hunter2@host/x?port=1",
        "u:hunter2@host/x?user=evil",
        "u:hunter2@host/x?password=evil",
        "u:hunter2@host/x?dbname=y",
        "u:hunter2@host/?database=y",
        "u:hunter2@host?dbname=y&database=z",
        "u:hunter2@host/x?sslmode=a&sslmode=b",
        "u:hunter2@host/x?sslmode",
        "u:x@host/x?evil=%ff&a=hunter2",
        "u:hunter2@host/%ff",
        "/x?host=a:1&port=2",
        "/x?host=a,b&port=1,2,3",
        "/x?host=evil%20host",
    ],
)
def test_what_postgres_might_read_otherwise(rest: str) -> None:
    """What is doubtful is refused, whether the driver would take it or not; the URI is not shown."""
    with pytest.raises(DialectUnsupported) as caught:
        database_place("postgres", f"postgresql://{rest}")
    told = f"{caught.value}{caught.value!r}{caught.value.__cause__!r}{caught.value.__context__!r}"
    assert SECRET not in told and "evil" not in told


@pytest.mark.parametrize(("port", "found"), [("5433", ((("a", 5433), ("b", 1))))])
def test_the_port_of_the_environment(monkeypatch: pytest.MonkeyPatch, port: str, found: Any) -> None:
    """Where the URL has none the driver takes that of the environment; so does this."""
    monkeypatch.setenv("PGPORT", port)
    assert database_place(None, "postgresql://a,b:1/x").hosts == found
    monkeypatch.setenv("PGPORT", "nonsense")
    with pytest.raises(DialectUnsupported):
        database_place(None, "postgresql://a/x")


PARTS = """
    a b.c 1.2.3.4 [::1] %2Ftmp /tmp , : :5433 @ %40 ? / & = x host= port= user= password= dbname= database= service=
    5433 %zz # ;
"""
PART = st.sampled_from([*PARTS.split(), " ", "\n"])
ARGUMENTS = """
    host port user password passfile database ssl service servicefile direct_tls server_settings target_session_attrs
    krbsrvname gsslib
"""


@given(st.lists(PART, max_size=12).map("".join))
@example("a:1,b/x?user=u")
@example("u:p@a,b:2/x?sslmode=disable")
@example("/x?host=a,b&port=1")
def test_it_is_read_as_the_driver_reads_it(rest: str) -> None:
    """Whatever neither refuses, asyncpg reads in the same way: the same places, database and user."""
    uri = f"postgresql://{rest}"
    try:
        place = database_place(None, uri)
    except DialectUnsupported:
        return
    asked: dict[str, Any] = {**dict.fromkeys(ARGUMENTS.split()), "dsn": uri, "ssl": False}
    try:
        addresses, parameters = connect_utils._parse_connect_dsn_and_args(**asked)
    except (ValueError, ClientConfigurationError):
        return
    if place.hosts:
        assert addresses == [
            os.path.join(host, f".s.PGSQL.{port}") if host.startswith("/") else (host, port)
            for host, port in place.hosts
        ]
    if place.user is not None:
        assert parameters.user == place.user
    if place.database is not None:
        assert parameters.database == place.database
    assert place.has_password == bool(parameters.password)


def mariadb(*hosts: tuple[str, int | None], **more: Any) -> DatabasePlace:
    return DatabasePlace(dialect="mariadb", hosts=hosts, **more)


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        (
            "mariadb://ada:p%40ss@DB.example:3307/shop?ssl_mode=required",
            mariadb(
                ("db.example", 3307),
                database="shop",
                user="ada",
                has_password=True,
                options={"ssl_mode": "required"},
            ),
        ),
        ("mariadb:///shop", mariadb(("127.0.0.1", 3306), database="shop")),
        ("MariaDB+asyncmy://[::1]/shop", mariadb(("::1", 3306), database="shop")),
        ("mariadb:///shop?unix-socket=/run/a.sock", mariadb(("/run/a.sock", None), database="shop")),
        (
            "mariadb://host/shop?unix_socket=/run/a.sock",
            mariadb(("/run/a.sock", None), ("host", 3306), database="shop"),
        ),
        ("mariadb://host", mariadb(("host", 3306))),
    ],
)
def test_urls_of_mariadb(uri: str, place: DatabasePlace) -> None:
    """Host, port and database are those that the driver is given; a socket stands before a host."""
    assert database_place("mariadb", uri) == place
    assert database_place("mysql", uri).dialect == "mysql"
    if place.database is not None:
        arguments = server_of(uri).arguments
        where = (arguments["unix_socket"], None) if arguments["unix_socket"] else (arguments["host"], arguments["port"])
        assert (where[0].lower(), where[1]) == place.hosts[0]
        assert (arguments["database"], arguments["user"]) == (place.database, place.user)


@pytest.mark.parametrize(
    "rest",
    [
        "u:hunter2@host@evil/x",
        "u:hunter2/@evil/x",
        "u:hunter2@ho st/x",
        "u:hunter2@host%2Eevil/x",
        "u:hunter2@host:port/x",
        "u:hunter2@host:99999/x",
        "u:hunter2@host/x?unix_socket=/a&unix-socket=/evil",
        "u:hunter2@host/x?unix_socket=/a&unix_socket=/evil",
        "u:hunter2@host/%ff",
    ],
)
def test_what_mariadb_might_read_otherwise(rest: str) -> None:
    """What is doubtful is refused and not shown."""
    with pytest.raises(DialectUnsupported) as caught:
        database_place(None, f"mysql://{rest}")
    told = f"{caught.value}{caught.value!r}{caught.value.__cause__!r}{caught.value.__context__!r}"
    assert SECRET not in told and "evil" not in told


def test_files_of_sqlite() -> None:
    """The path is the one that is opened."""
    for uri, path in (
        (":memory:", ":memory:"),
        ("sqlite://", ":memory:"),
        ("sqlite:////srv/app.db", "/srv/app.db"),
        ("~/app.db", str(Path("~/app.db").expanduser())),
        ("{data_dir}/a.db", "{data_dir}/a.db"),
    ):
        assert database_place("sqlite", uri) == DatabasePlace(dialect="sqlite", database=path)
    place = database_place(None, "a.db")
    assert (place.dialect, place.host, place.port) == ("sqlite", None, None)


def test_other_kinds() -> None:
    """Their URLs are read too; an option that leads elsewhere is refused."""
    oracle = database_place("oracle", "oracle+oracledb://ada:p@DB/?service_name=x")
    assert (oracle.host, oracle.port, oracle.user, oracle.has_password) == ("db", 1521, "ada", True)
    assert database_place(None, "mssql+pyodbc://host:1/x").hosts == (("host", 1),)
    assert database_place(None, "duckdb:///a.db") == DatabasePlace(dialect="duckdb", database="a.db")
    assert database_place("duckdb", "duckdb://").database == ":memory:"
    for doubtful in ("mssql+pyodbc://?odbc_connect=Server%3Devil", "oracle://host/?DSN=evil", "oracle://host:x/y"):
        with pytest.raises(DialectUnsupported) as caught:
            database_place(None, doubtful)
        assert "evil" not in str(caught.value)


@pytest.mark.parametrize(
    ("dialect", "uri"),
    [
        ("postgres", "mysql://host/x"),
        ("nothing", "postgresql://host/x"),
        (None, "ftp://host/x"),
        (None, "postgresql+psycopg2://host/x"),
        (None, "mysql+pymysql://host/x"),
        (None, ""),
        (None, "sqlite://host/x"),
    ],
)
def test_uris_of_others(dialect: str | None, uri: str) -> None:
    """What belongs to another dialect or driver, or to none, is refused as it is when it is opened."""
    with pytest.raises(DialectUnsupported):
        database_place(dialect, uri)


def test_reading_one_of_postgres_loads_no_driver() -> None:
    """Neither SQLAlchemy nor a driver is imported for it."""
    code = (
        "import sys; from objectkernel_system_dialect.contracts import database_place; "
        "database_place(None, 'postgresql://a/b'); database_place(None, 'a.db'); "
        "print([name for name in sys.modules if name.split('.')[0] in ('sqlalchemy', 'asyncpg', 'asyncio')])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
