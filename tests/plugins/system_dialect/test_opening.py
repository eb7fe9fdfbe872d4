"""From a place to an open dialect: drivers that are missing, places that cannot be opened, and what an error shows."""

from __future__ import annotations

import logging
import traceback
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from objectkernel import Secret
from objectkernel_system_dialect import opening as module
from objectkernel_system_dialect import sqlite_engine
from objectkernel_system_dialect.contracts import (
    DatabaseUnavailable,
    DataError,
    Dialect,
    DialectClosed,
    DialectUnsupported,
    EntitySchema,
    Field,
    SchemaInvalid,
)
from objectkernel_system_dialect.databases import named
from objectkernel_system_dialect.net_opening import ApiKeys, NetOpening
from objectkernel_system_dialect.opening import ConnectionOptions, SqlOpening, attempted

pytestmark = pytest.mark.anyio

SECRET = "hunter2"
NOTE = EntitySchema(name="Note", collection="notes", fields={"text": Field("string")})


def at(dialect: str, uri: str) -> SqlOpening:
    """An opening that gives up soon."""
    return SqlOpening(named(dialect), Secret(uri), options=ConnectionOptions(connect_timeout=2.0, pool_size=7))


def on_server(url: str) -> NetOpening:
    """A server of data, with a key."""
    return NetOpening(Secret(url), "rest", Secret(SECRET), 2.0, ApiKeys(lambda: None))


def everything(error: BaseException) -> str:
    """All that can be told of an error and of those behind it, from its facts to its traceback's text."""
    told = "".join(traceback.format_exception(error))
    while True:
        told += f"{error!r} {error} {vars(error)} {error.args!r}"
        below = error.__cause__ or error.__context__
        if below is None:
            return told
        error = below


async def test_it_opens_with_tables_and_a_sign_of_life(tmp_path: Path) -> None:
    """What is opened knows the schemas, has their tables and answers."""
    async with aclosing(await at("sqlite", str(tmp_path / "a.db")).open([NOTE])) as dialect:
        assert dialect.schemas() == (NOTE,)
        assert await dialect.count(NOTE) == 0


async def test_equal_openings_open_the_same() -> None:
    """A comparison tells whether settings lead elsewhere; it shows no URI."""
    assert at("sqlite", "a.db") == at("sqlite", "a.db")
    assert at("sqlite", "a.db") != at("sqlite", "b.db")
    assert on_server("http://a") == on_server("http://a")
    assert on_server("http://a") != on_server("http://b")
    assert SECRET not in repr((at("sqlite", SECRET), on_server(f"http://{SECRET}")))


async def test_what_cannot_be_registered_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """A schema that does not fit is an error, and the connection is closed again."""
    opened: list[Any] = []
    engine_open = sqlite_engine.SqliteEngine.open

    async def noted(*args: Any) -> Any:
        opened.append(await engine_open(*args))
        return opened[-1]

    monkeypatch.setattr(sqlite_engine.SqliteEngine, "open", noted)
    with pytest.raises(SchemaInvalid):
        await at("sqlite", ":memory:").open([EntitySchema(name="Bad", collection="Bad", fields={})])
    with pytest.raises(DialectClosed):
        await opened[0].executor.ping()


@pytest.mark.parametrize(
    ("opening", "driver", "extra"),
    [
        (at("postgres", "postgresql://host/db"), "asyncpg", "postgres"),
        (at("mariadb", "mysql://host/db"), "asyncmy", "mariadb"),
        (at("mysql", "mysql://host/db"), "asyncmy", "mariadb"),
        (on_server("http://host"), "httpx", "net"),
    ],
    ids=["postgres", "mariadb", "mysql", "net"],
)
async def test_a_missing_driver_is_named(
    opening: SqlOpening | NetOpening, driver: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the module, and what to install for it."""
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(DialectUnsupported) as caught:
        await opening.open([])
    assert caught.value.facts["driver"] == driver
    assert caught.value.fix == f"pip install 'objectkernel-system-dialect[{extra}]'"


async def test_an_error_that_shows_the_uri_becomes_one_of_data_access() -> None:
    """It is told by its kind and by where it was raised: nothing else of it is behind the error."""

    async def fails() -> Dialect:
        raise RuntimeError(f"cannot reach {SECRET}")

    with pytest.raises(DatabaseUnavailable) as caught:
        await attempted("the database", f"x://ada:{SECRET}@host", fails)
    assert caught.value.facts == {"database": "the database", "reason": "RuntimeError"}
    assert caught.value.where.startswith(f"{__file__}:")
    assert SECRET not in everything(caught.value)


async def test_an_error_of_data_access_loses_the_causes_that_show_the_uri() -> None:
    """It stays as it is otherwise."""

    async def fails() -> Dialect:
        try:
            raise RuntimeError(f"cannot reach {SECRET}")
        except RuntimeError as error:
            raise DatabaseUnavailable("no", database="shop", reason="test") from error

    with pytest.raises(DatabaseUnavailable) as caught:
        await attempted("the database", f"x://ada:{SECRET}@host", fails)
    assert caught.value.facts["database"] == "shop"
    assert SECRET not in everything(caught.value)


async def test_a_defect_stays_what_it_is() -> None:
    """An error that shows nothing of the URI is not hidden, so that it can be found."""

    async def fails() -> Dialect:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await attempted("the database", f"x://ada:{SECRET}@host", fails)


NOWHERE = [
    at("sqlite", f"/nowhere/{SECRET}/a.db"),
    at("postgres", f"postgresql://ada:{SECRET}@127.0.0.1:1/shop"),
    at("postgres", f"postgresql://ada:{SECRET}@127.0.0.1:x/db"),
    at("postgres", f"postgresql://ada@127.0.0.1:1/db?sslpassword={SECRET}&nonsense={SECRET}"),
    at("mariadb", f"mysql://ada:{SECRET}@127.0.0.1:1/shop"),
    at("mariadb", f"mysql://ada:{SECRET}@127.0.0.1:x/db?{SECRET}={SECRET}"),
    on_server(f"http://ada:{SECRET}@127.0.0.1:1/{SECRET}"),
    on_server(f"http://ada:{SECRET}@127.0.0.1:x/"),
]


@pytest.mark.parametrize("opening", NOWHERE, ids=range(len(NOWHERE)))
async def test_a_place_that_is_not_there_is_not_shown(
    opening: SqlOpening | NetOpening, caplog: pytest.LogCaptureFixture
) -> None:
    """No error, none behind it and no log shows the connection string or the password, on either event loop."""
    with caplog.at_level(logging.DEBUG), pytest.raises(DataError) as caught:
        await opening.open([])
    assert SECRET not in everything(caught.value)
    assert SECRET not in caplog.text


async def test_a_server_of_data_that_is_not_there_is_named() -> None:
    """An address that is a host and a port hides no error: it says which server, and what to check."""
    with pytest.raises(DatabaseUnavailable) as caught:
        await on_server("http://127.0.0.1:1").open([])
    assert caught.value.facts == {"database": "127.0.0.1:1", "reason": "ConnectError"}
    assert "MOSTA_NET_URL" in caught.value.fix
    assert SECRET not in everything(caught.value)


async def test_keys_come_from_whoever_has_them() -> None:
    """First from a source; for a refused one from whoever registered, then from the source; else there is none."""

    class Source:
        async def api_key(self, *, refresh: bool = False) -> str:
            return "renewed" if refresh else "first"

    async def renewal() -> str:
        return "registered"

    keys = ApiKeys(lambda: None)
    assert (await keys.first(), await keys.renew()) == (None, "")
    keys = ApiKeys(Source)
    assert (await keys.first(), await keys.renew()) == (Secret("first"), "renewed")
    keys.renewal = renewal
    assert await keys.renew() == "registered"


@pytest.mark.parametrize(
    ("dialect", "database"),
    [
        pytest.param("postgres", "postgres_url", marks=pytest.mark.postgres),
        pytest.param("mariadb", "mariadb_url", marks=pytest.mark.mariadb),
        pytest.param("mysql", "mariadb_url", marks=pytest.mark.mariadb),
    ],
)
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_each_server_is_opened_by_its_own_engine(
    anyio_backend: str, dialect: str, database: str, request: pytest.FixtureRequest
) -> None:
    """The settings of connections reach its driver; rows come and go."""
    opening = at(dialect, request.getfixturevalue(database))
    async with aclosing(await opening.open([NOTE])) as opened:
        row = await opened.create(NOTE, {"text": "a"})
        assert await opened.find_by_id(NOTE, row["id"]) == row
        assert opened.name == ("postgres" if dialect == "postgres" else "mariadb")
        usage = opened.usage()  # type: ignore[attr-defined]
        assert (usage.limit, usage.idle) == (7, 1)


@pytest.mark.parametrize(
    "uri", ["oracle+oracledb://ada:hunter2@127.0.0.1:1/x", "mssql+pyodbc://ada:hunter2@127.0.0.1:1/x"]
)
async def test_other_databases_go_to_the_generic_engine(uri: str) -> None:
    """Their driver is not there: the error names the package, and no URI."""
    with pytest.raises(DialectUnsupported) as caught:
        await at(uri.partition("+")[0], uri).open([])
    assert "oracledb" in str(caught.value) or "pyodbc" in str(caught.value)
    assert SECRET not in everything(caught.value)
