"""What is written in another way for MariaDB than for other databases."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import anyio
import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from objectkernel_system_dialect.contracts import (
    ConstraintViolated,
    DatabaseUnavailable,
    DuplicateKey,
    EntitySchema,
    Field,
    FilterInvalid,
    Relation,
    ValueInvalid,
)
from objectkernel_system_dialect.mariadb_connection import MariadbOptions
from objectkernel_system_dialect.mariadb_engine import MariadbEngine
from objectkernel_system_dialect.mariadb_executor import MariadbExecutor
from objectkernel_system_dialect.rows import PLAIN
from objectkernel_system_dialect.sql_dialect import SqlDialect

from tests.plugins.system_dialect.databases import (
    MARIADB_URL,
    Cuttable,
    mariadb_cuttable,
    mariadb_database,
    mariadb_url,
)

__all__ = ["mariadb_cuttable", "mariadb_database", "mariadb_url"]
pytestmark = [pytest.mark.anyio, pytest.mark.mariadb, pytest.mark.parametrize("anyio_backend", ["asyncio"])]

THING = EntitySchema(
    name="Thing",
    collection="things",
    fields={
        "name": Field("string"),
        "email": Field("string", unique=True),
        "count": Field("integer"),
        "json": Field("json"),
        "integers": Field("array", items="integer"),
        "numbers": Field("array", items="number"),
        "strings": Field("array", items="string"),
        "booleans": Field("array", items="boolean"),
    },
    version=True,
)
NODE = EntitySchema(
    name="Node",
    collection="nodes",
    fields={"number": Field("sequence"), "name": Field("string", unique=True)},
    relations={"parent": Relation("Node", on_delete="cascade")},
)


@pytest.fixture
async def dialect(anyio_backend: str, mariadb_url: str) -> AsyncIterator[SqlDialect]:
    async with aclosing(SqlDialect(await MariadbEngine.open(mariadb_url))) as dialect:
        await dialect.register(THING, NODE)
        yield dialect


async def found(dialect: SqlDialect, filter: dict[str, Any]) -> list[str]:
    return [row["name"] for row in await dialect.find(THING, filter, sort={"name": 1})]


# --- text ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filter", "names"),
    [
        ({"$like": "A%"}, ["Ab", "A\\%"]),
        ({"$like": "_b"}, ["Ab", "äb", "😀b"]),
        ({"$like": "A\\\\\\%"}, ["A\\%"]),
        ({"$like": "A\\b"}, ["Ab"]),
        ({"$ilike": "ÄB"}, ["äb"]),
        ({"$ilike": "a_"}, ["Ab"]),
        ({"$regex": "^[Aä]b$"}, ["Ab", "äb"]),
        ({"$regex": "^.b$"}, ["Ab", "äb", "😀b"]),
        ({"$contains": "\\%"}, ["A\\%"]),
        ({"$contains": "B"}, []),
        ({"$contains": ""}, ["Ab", "A\\%", "äb", "😀b"]),
    ],
)
async def test_patterns(dialect: SqlDialect, filter: dict[str, Any], names: list[str]) -> None:
    """Patterns heed case and accents, take a character of four bytes for one, and escape by a backslash."""
    await dialect.create_many(THING, [{"name": name} for name in ("Ab", "A\\%", "äb", "😀b")])
    assert sorted(await found(dialect, {"name": filter})) == sorted(names)


async def test_a_pattern_that_is_none(dialect: SqlDialect) -> None:
    """A regular expression that the server cannot read, and a pattern that ends half way, are the caller's mistakes."""
    await dialect.create(THING, {"name": "a"})
    with pytest.raises(FilterInvalid, match="pattern"):
        await dialect.count(THING, {"name": {"$regex": "("}})
    with pytest.raises(ValueInvalid, match="backslash"):
        await dialect.count(THING, {"name": {"$like": "a\\"}})


# --- arrays and json ------------------------------------------------------------------------------------------------

BIG = 2**53


@pytest.mark.parametrize(
    ("field", "items", "there", "missing"),
    [
        ("integers", [1, BIG + 1, -3], [1, BIG + 1, -3], [BIG, 3, 11, 0]),
        ("numbers", [0.5, 1e300], [0.5, 1e300], [0.25, 1e299]),
        ("strings", ["a,", ',"b', "Ä", "", "1", "x\\"], ["a,", ',"b', "Ä", "", "1", "x\\"], [",", "A,", "ä", "b", "x"]),
        ("booleans", [True], [True], [False]),
    ],
)
async def test_items_of_arrays(
    dialect: SqlDialect, field: str, items: list[Any], there: list[Any], missing: list[Any]
) -> None:
    """An array has exactly the items that it has: numbers to the last digit, texts by case and as a whole."""
    await dialect.create_many(THING, [{field: items}, {field: []}, {}])
    for item in there:
        assert await dialect.count(THING, {field: {"$contains": item}}) == 1, item
    for item in missing:
        assert await dialect.count(THING, {field: {"$contains": item}}) == 0, item
    assert await dialect.count(THING, {field: items}) == 1
    assert await dialect.count(THING, {field: {"$ne": items}}) == 2


VALUES = [1, BIG, BIG + 1, 2**62, 10**40, 1.5, 1e300, -1e300, 5e-324, "abc", "1", "\x01é", True, None, [1], {"x": 1}]


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        (1, [1]),
        (True, [True]),
        ("1", ["1"]),
        ("\x01é", ["\x01é"]),
        (BIG, [BIG]),
        ({"$gt": BIG}, [BIG + 1, 2**62, 10**40, 1e300]),
        ({"$gte": BIG + 1, "$lt": 2**62}, [BIG + 1]),
        ({"$lt": 1}, [-1e300, 5e-324]),
        ({"$gte": 1e300}, [1e300]),
        ({"$gt": "1"}, ["abc"]),
        ({"$in": [1.5, "abc", True]}, [1.5, "abc", True]),
        (None, [None]),
        ({"$ne": None}, [value for value in VALUES if value is not None]),
    ],
)
async def test_values_in_json(dialect: SqlDialect, filter: Any, expected: list[Any]) -> None:
    """What lies in a json field is compared with values of its own type, numbers to the last digit."""
    await dialect.create_many(THING, [{"json": {"a-%": {"b c": value}}} for value in VALUES])
    rows = await dialect.find(THING, {"json.a-%.b c": filter})
    values = [row["json"]["a-%"]["b c"] for row in rows]
    assert sorted(map(repr, values)) == sorted(map(repr, expected))


async def test_writes_that_look_into_json(dialect: SqlDialect) -> None:
    """No value makes a write fail that looks for others: not of other types, not too large, not nested too deep."""
    deep: Any = 1
    for _ in range(50):
        deep = {"d": deep}
    await dialect.create_many(THING, [{"json": {"v": value}} for value in [*VALUES, deep]])
    assert await dialect.update_many(THING, {"json.v": {"$gt": BIG}}, {"name": "large"}) == 4
    assert await dialect.delete_many(THING, {"json.v": {"$lt": 1.5}}) == 3
    assert await dialect.delete_many(THING, {"json.v.d.d": 1}) == 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(key=st.text(st.characters(exclude_characters=".$[]\"'`\\*", min_codepoint=32, exclude_categories=["Cs", "Cc"])))
async def test_names_in_json(dialect: SqlDialect, key: str) -> None:
    """A name within json means itself, whatever its characters."""
    if not key.strip():
        return
    await dialect.delete_many(THING, {}, all=True)
    await dialect.create_many(THING, [{"json": {key: "here"}}, {"json": {f"{key}x": "there"}}])
    try:
        count = await dialect.count(THING, {f"json.{key}": "here"})
    except FilterInvalid:  # not every character may stand in a path
        return
    assert count == 1


# --- writes ---------------------------------------------------------------------------------------------------------


async def test_upsert_goes_by_the_key_alone(dialect: SqlDialect) -> None:
    """A conflict on another unique column is an error, and the row that it is with stays as it is."""
    a = await dialect.create(THING, {"name": "a", "email": "a@x", "count": 1})
    b = await dialect.create(THING, {"name": "b", "email": "b@x", "count": 2})
    for id in (a["id"], "new"):
        with pytest.raises(DuplicateKey) as caught:
            await dialect.upsert(THING, {"id": id, "name": "c", "email": "b@x"})
        assert caught.value.fields == ("email",)
    assert await dialect.find(THING, sort={"name": 1}) == [a, b]
    changed = await dialect.upsert(THING, {"id": a["id"], "name": "c", "email": "c@x"})
    assert changed == {**a, "name": "c", "email": "c@x", "version": 2}
    made = await dialect.upsert(THING, {"id": "new", "email": "d@x"})
    assert (made["email"], made["version"]) == ("d@x", 1)


@pytest.mark.parametrize("write", ["update", "upsert"])
async def test_a_write_that_a_deadlock_undid_is_made(dialect: SqlDialect, write: str) -> None:
    """A write of several statements that the server undoes because of a deadlock is made when the other is done."""
    await dialect.create_many(THING, [{"id": "a", "email": "a@x"}, {"id": "b", "email": "b@x"}])
    waiting = "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
    begin = anyio.Event()

    async def light() -> None:
        await begin.wait()
        if write == "update":
            await dialect.update(THING, "a", {"email": "b@x"})
        else:
            await dialect.upsert(THING, {"id": "a", "email": "b@x"})

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(light)
        async with dialect.transaction():
            await dialect.create_many(THING, [{"name": f"weight {number}"} for number in range(50)])
            await dialect.update(THING, "b", {"email": "free"})
            begin.set()
            while await dialect.engine.executor.fetch(waiting, (), PLAIN) == [(0,)]:
                await anyio.sleep(0.2)  # asked more often, the server gives the answer before
            await dialect.update(THING, "a", {"count": 1})
    row = await dialect.find_by_id(THING, "a")
    assert row is not None
    assert (row["email"], row["count"], row["version"]) == ("b@x", 1, 3)


async def test_upsert_keeps_the_sequence(dialect: SqlDialect) -> None:
    """A row with a sequence keeps its number, though that is the primary key in the database."""
    first, second = await dialect.create_many(NODE, [{"name": "a"}, {"name": "b"}])
    changed = await dialect.upsert(NODE, {"id": first["id"], "name": "c"})
    assert changed["number"] == first["number"] == second["number"] - 1
    with pytest.raises(DuplicateKey):
        await dialect.upsert(NODE, {"id": first["id"], "name": "b"})


async def test_the_columns_of_a_duplicate(dialect: SqlDialect) -> None:
    """A duplicate names the fields that are not free, whether of a key or of another unique field."""
    row = await dialect.create(THING, {"email": "a@x"})
    for data, fields in (({"email": "a@x"}, ("email",)), ({"id": row["id"]}, ("id",))):
        with pytest.raises(DuplicateKey) as caught:
            await dialect.create(THING, data)
        assert caught.value.fields == fields


async def test_updates_return_the_row(dialect: SqlDialect) -> None:
    """An update, an increment and a change that changes nothing return the row as it is afterwards."""
    row = await dialect.create(THING, {"name": "a", "count": 1})
    assert (await dialect.update(THING, row["id"], {"name": "b"}) or {})["name"] == "b"
    assert (await dialect.increment(THING, row["id"], "count", 2**62) or {})["count"] == 2**62 + 1
    assert (await dialect.update(NODE, "nobody", {"name": "b"})) is None


async def test_rows_that_look_at_their_own_table(dialect: SqlDialect) -> None:
    """A write may choose its rows by others of the same table."""
    root = await dialect.create(NODE, {"name": "root"})
    await dialect.create_many(NODE, [{"name": f"leaf {n}", "parent": root["id"]} for n in range(3)])
    assert await dialect.update_many(NODE, {"parent.name": "root", "name": "leaf 0"}, {"name": "changed"}) == 1
    assert await dialect.delete_many(NODE, {"parent.name": "root"}) == 3
    with pytest.raises(ConstraintViolated) as caught:
        await dialect.create(NODE, {"name": "lost", "parent": "nobody"})
    assert caught.value.constraint == "foreign key"


async def test_percent_signs_in_statements(dialect: SqlDialect) -> None:
    """A percent sign that stands in the statement itself stays one."""
    await dialect.create(THING, {"name": "100%", "count": 7})
    table = dialect.table(THING)
    statement = table.select().with_only_columns(table.c.name, (table.c.count % 4).label("rest%"))
    assert await dialect.execute(statement.where(table.c.name.like("%\\%"))) == [{"name": "100%", "rest%": 3}]


async def test_many_writers(dialect: SqlDialect) -> None:
    """Tasks that count up one row at the same time lose nothing."""
    row = await dialect.create(THING, {"count": 0})

    async def count_up() -> None:
        for _ in range(10):
            await dialect.increment(THING, row["id"], "count")

    async with anyio.create_task_group() as tasks:
        for _ in range(16):
            tasks.start_soon(count_up)
    assert (await dialect.find_by_id(THING, row["id"]) or {})["count"] == 160


async def test_new_tables_are_made_without_a_word(dialect: SqlDialect, caplog: pytest.LogCaptureFixture) -> None:
    """Neither driver nor SQLAlchemy passes on what the server remarks on names that it does not keep."""
    other = attrs.evolve(THING, name="Other", collection="others")
    await dialect.register(other)
    assert await dialect.count(other) == 0
    assert [record.getMessage() for record in caplog.records if record.levelno > logging.INFO] == []


# --- the engine -------------------------------------------------------------------------------------------------------


async def test_opening_what_is_not_there() -> None:
    """A server that is not there is an error of data access, which names the place and no password."""
    with pytest.raises(DatabaseUnavailable, match=r"'shop' at 127\.0\.0\.1:1") as caught:
        await MariadbEngine.open("mysql://root:tell-nobody@127.0.0.1:1/shop")
    assert "tell-nobody" not in str(caught.value)
    assert caught.value.reason == "CR_CONN_HOST_ERROR"


async def test_errors_while_the_server_is_away(mariadb_cuttable: Cuttable) -> None:
    """Operations fail as unavailable while the server is away, and work when it is back."""
    options = MariadbOptions(connect_timeout=2)
    async with aclosing(SqlDialect(await MariadbEngine.open(mariadb_cuttable.url, options))) as dialect:
        await dialect.register(THING)
        mariadb_cuttable.cut()
        for call in (dialect.ping(), dialect.count(THING), dialect.create(THING, {})):
            with pytest.raises(DatabaseUnavailable):
                await call
        mariadb_cuttable.mend()
        await dialect.create(THING, {"name": "a"})
        assert await dialect.count(THING) == 1


async def test_mysql_expressions(monkeypatch: pytest.MonkeyPatch, dialect: SqlDialect) -> None:
    """On MySQL texts within json are compared in the collation by code points that it has."""
    executor = dialect.engine.executor
    assert isinstance(executor, MariadbExecutor)
    monkeypatch.setattr(executor, "mariadb", False)
    monkeypatch.setattr(executor, "version", (8, 0, 36))
    engine = MariadbEngine(executor, MARIADB_URL)
    column = dialect.table(THING).c.json
    compared = engine.json_compare(column, ("a",), "$eq", column, "string")
    assert engine.name == engine.core.name == "mysql"
    assert "COLLATE utf8mb4_0900_bin" in str(compared.compile(dialect=engine.core))
