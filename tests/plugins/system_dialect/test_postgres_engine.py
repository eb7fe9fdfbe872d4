"""PostgreSQL as an engine: how it is opened, and the expressions that only it writes so."""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any
from urllib.parse import urlsplit

import pytest
from objectkernel_system_dialect import postgres_engine
from objectkernel_system_dialect.contracts import EntitySchema, Field
from objectkernel_system_dialect.errors import DatabaseUnavailable, DialectUnsupported, DuplicateKey, FilterInvalid
from objectkernel_system_dialect.postgres_engine import PostgresEngine
from objectkernel_system_dialect.postgres_executor import PostgresOptions
from objectkernel_system_dialect.rows import PLAIN
from objectkernel_system_dialect.sql_dialect import SqlDialect
from objectkernel_system_dialect.values import Misfit
from sqlalchemy import func, literal_column, select

from tests.plugins.system_dialect.databases import Cuttable, run_on_postgres

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]

NOTE = EntitySchema(
    name="Note",
    collection="notes",
    fields={
        "text": Field("string", unique=True),
        "json": Field("json"),
        "numbers": Field("array", items="number"),
        "words": Field("array"),
    },
)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The only event loop that the driver knows."""
    return "asyncio"


@pytest.fixture
async def dialect(anyio_backend: str, postgres_url: str) -> AsyncIterator[SqlDialect]:
    """A dialect that knows notes."""
    async with aclosing(SqlDialect(await PostgresEngine.open(postgres_url))) as dialect:
        await dialect.register(NOTE)
        yield dialect


async def found(dialect: SqlDialect, filter: dict[str, Any]) -> list[str]:
    """The texts of the notes that match."""
    return [row["text"] for row in await dialect.find(NOTE, filter, sort={"text": 1})]


async def test_no_server_is_unavailable(cuttable: Cuttable) -> None:
    """Where nothing answers, opening fails, and neither the error nor what led to it shows the password."""
    cuttable.cut()
    parts = urlsplit(cuttable.url)
    url = parts._replace(netloc=f"ada:hush-hush@127.0.0.1:{parts.port}").geturl()
    with pytest.raises(DatabaseUnavailable) as caught:
        await PostgresEngine.open(url)
    assert caught.value.database == f"the PostgreSQL database {parts.path[1:]!r} at 127.0.0.1:{parts.port}"
    assert "hush-hush" not in "".join(traceback.format_exception(caught.value))


async def test_silent_server_is_unavailable(cuttable: Cuttable) -> None:
    """A server that takes the connection and says nothing is given up after the connect timeout."""
    cuttable.proxy.stall()
    with pytest.raises(DatabaseUnavailable):
        await PostgresEngine.open(cuttable.url, PostgresOptions(connect_timeout=0.2))


async def test_missing_database_is_unavailable(postgres_url: str) -> None:
    """A database that the server has not is told by its code."""
    with pytest.raises(DatabaseUnavailable) as caught:
        await PostgresEngine.open(urlsplit(postgres_url)._replace(path="/no_such_database").geturl())
    assert caught.value.reason == "3D000"


@pytest.mark.parametrize("option", ["sslmode=hush-hush", "no_such_setting=hush-hush", "statement_timeout=hush-hush"])
async def test_option_that_means_nothing_is_refused(postgres_url: str, option: str) -> None:
    """What driver and server say of a URL shows parts of it, so it is not passed on."""
    with pytest.raises(DialectUnsupported) as caught:
        await PostgresEngine.open(f"{postgres_url}?{option}")
    assert "hush-hush" not in "".join(traceback.format_exception(caught.value))


async def test_other_encoding_is_refused(postgres_url: str) -> None:
    """A database that cannot hold every text is no place for any."""
    name = f"{urlsplit(postgres_url).path[1:]}_ascii"
    run_on_postgres(postgres_url, f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    try:
        with pytest.raises(DialectUnsupported, match="cannot hold every text"):
            await PostgresEngine.open(urlsplit(postgres_url)._replace(path=f"/{name}").geturl())
    finally:
        run_on_postgres(postgres_url, f"DROP DATABASE {name}")


async def test_case_is_that_of_all_letters(dialect: SqlDialect) -> None:
    """`$ilike` and regular expressions know the letters of all scripts, whatever the database's locale."""
    await dialect.create_many(NOTE, [{"text": text} for text in ("ÄRGER", "ärger", "Ярость", "arger")])
    assert await found(dialect, {"text": {"$ilike": "äR%"}}) == ["ÄRGER", "ärger"]
    assert await found(dialect, {"text": {"$ilike": "яР_сть"}}) == ["Ярость"]
    assert await found(dialect, {"text": {"$regex": r"(?i)^ä\w+$"}}) == ["ÄRGER", "ärger"]
    assert await found(dialect, {"text": {"$like": "ä%"}}) == ["ärger"]


async def test_like_takes_signs_as_themselves(dialect: SqlDialect) -> None:
    """A backslash makes a sign of the pattern one of the text; nothing else has a meaning."""
    await dialect.create_many(NOTE, [{"text": text} for text in ("100%", "1000", "a_b", "acb", "a\\b", "[a]*?'$1")])
    assert await found(dialect, {"text": {"$like": r"100\%"}}) == ["100%"]
    assert await found(dialect, {"text": {"$like": r"a\_b"}}) == ["a_b"]
    assert await found(dialect, {"text": {"$like": r"a\\b"}}) == ["a\\b"]
    assert await found(dialect, {"text": {"$like": "[a]*?'$1"}}) == ["[a]*?'$1"]


async def test_pattern_ends_with_no_backslash(postgres_url: str) -> None:
    """A backslash at the end has nothing to escape, which is refused before the database is asked."""
    engine = await PostgresEngine.open(postgres_url)
    async with aclosing(engine.executor):
        assert engine.like_pattern("a\\\\") == "a\\\\"
        with pytest.raises(Misfit):
            engine.like_pattern("a\\\\\\")


async def test_bad_expression_is_refused(dialect: SqlDialect) -> None:
    """A regular expression that the database cannot read is the filter's fault."""
    with pytest.raises(FilterInvalid):
        await dialect.count(NOTE, {"text": {"$regex": "("}})


async def test_json_is_compared_by_its_types(dialect: SqlDialect) -> None:
    """A comparison sees values of its own JSON type; others neither match nor make the statement fail."""
    values = {"number": 5, "float": 5.0, "text": "5", "truth": True, "list": [5], "object": {"5": 5}, "null": None}
    await dialect.create_many(NOTE, [{"text": name, "json": {"a": value}} for name, value in values.items()])
    await dialect.create_many(NOTE, [{"text": "bare", "json": 5}, {"text": "nothing"}])
    assert await found(dialect, {"json.a": 5}) == ["float", "number"]
    assert await found(dialect, {"json.a": {"$gt": 4.5}}) == ["float", "number"]
    assert await found(dialect, {"json.a": "5"}) == ["text"]
    assert await found(dialect, {"json.a": True}) == ["truth"]
    assert await found(dialect, {"json.a.5": 5}) == ["object"]
    assert await found(dialect, {"json.a.0": 5}) == []
    assert await found(dialect, {"json.a": {"$exists": False}}) == ["bare", "nothing", "null"]


async def test_json_numbers_are_exact(dialect: SqlDialect) -> None:
    """Whole numbers beyond those of a float are told apart."""
    await dialect.create_many(NOTE, [{"text": str(n), "json": {"a": 2**53 + n}} for n in (0, 1, 2)])
    assert await found(dialect, {"json.a": {"$gt": 2**53}}) == ["1", "2"]
    assert await found(dialect, {"json.a": 2**53 + 1}) == ["1"]


async def test_json_texts_sort_by_code_points(dialect: SqlDialect) -> None:
    """Text within JSON compares as text in a column does, and U+0000, which PostgreSQL cannot hold, is no exception."""
    texts = ["", "\0", "\0\0", "\0a", "\1", "\1\1", "\2", "A", "\\u0000", "\\\0", "a", "ä", "𝄞"]
    await dialect.create_many(NOTE, [{"text": str(n), "json": {"k": text}} for n, text in enumerate(texts)])
    for text in texts:
        expected = sorted(str(n) for n, other in enumerate(texts) if other > text)
        assert await found(dialect, {"json.k": {"$gt": text}}) == expected
        assert await found(dialect, {"json.k": text}) == [str(texts.index(text))]


NAMES = ["a'b", 'a"b', "a\\b", "a\\'b", "a%sb", "a:b", "$1", "é", "\0", "\\u0000", "0", "*", "{}"]


@pytest.mark.parametrize("conforming", ["on", "off"])
async def test_names_in_json_are_names(postgres_url: str, conforming: str) -> None:
    """Whatever a name in a path consists of, it is one name, and never a part of the statement's own text."""
    database = urlsplit(postgres_url).path[1:]
    run_on_postgres(postgres_url, f"ALTER DATABASE {database} SET standard_conforming_strings = {conforming}")
    try:
        engine = await PostgresEngine.open(postgres_url)
        async with aclosing(SqlDialect(engine)) as dialect:
            await dialect.register(NOTE)
            await dialect.create_many(NOTE, [{"text": str(n), "json": {a: {a: n}}} for n, a in enumerate(NAMES)])
            column = dialect.table(NOTE).c.json
            for number, name in enumerate(NAMES):
                value = literal_column(str(number))
                there = engine.json_compare(column, (name, name), "$eq", value, "number")
                sql = str(select(func.count()).where(there).compile(dialect=engine.core))
                assert [tuple(row) for row in await engine.executor.fetch(sql, (), PLAIN)] == [(1,)]
    finally:
        run_on_postgres(postgres_url, f"ALTER DATABASE {database} RESET standard_conforming_strings")


async def test_arrays_are_compared_by_their_items(dialect: SqlDialect) -> None:
    """`$contains` finds an equal item; an array equals another with the same items in the same order."""
    await dialect.create_many(
        NOTE,
        [
            {"text": "a", "numbers": [1, 2.5], "words": ["x", "y"]},
            {"text": "b", "numbers": [2.5, 1], "words": ["xy"]},
            {"text": "c", "numbers": [], "words": None},
        ],
    )
    assert await found(dialect, {"numbers": {"$contains": 1}}) == ["a", "b"]
    assert await found(dialect, {"numbers": [1, 2.5]}) == ["a"]
    assert await found(dialect, {"numbers": {"$ne": [1, 2.5]}}) == ["b", "c"]
    assert await found(dialect, {"words": {"$contains": "x"}}) == ["a"]
    assert await found(dialect, {"numbers": []}) == ["c"]


async def test_upsert_meets_its_own_key_alone(dialect: SqlDialect) -> None:
    """An upsert changes the row of its key; another row with its unique value is a conflict and stays as it is."""
    first = await dialect.create(NOTE, {"text": "first"})
    await dialect.create(NOTE, {"text": "second"})
    assert (await dialect.upsert(NOTE, {"id": first["id"], "json": 1}))["text"] == "first"
    with pytest.raises(DuplicateKey) as caught:
        await dialect.upsert(NOTE, {"id": "new", "text": "second"})
    assert caught.value.fields == ("text",)
    assert await found(dialect, {}) == ["first", "second"]


async def test_identity_is_asked_for_again(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the opening has found is told for a moment, then what the server says; both are the same text."""
    engine = await PostgresEngine.open(postgres_url)
    async with aclosing(engine.executor) as executor:
        asked: list[str] = []
        fetch = executor.fetch

        async def watched(sql: str, *args: Any) -> list[Any]:
            asked.append(sql)
            return await fetch(sql, *args)

        monkeypatch.setattr(executor, "fetch", watched)
        found = await engine.identity(executor)
        assert asked == []
        monkeypatch.setattr(postgres_engine, "MOMENT", 0.0)
        assert await engine.identity(executor) == found
        assert len(asked) == 1
