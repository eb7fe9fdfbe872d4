"""A row that somebody else damaged is an error of its own, which says which row, and hurts nothing beside it."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from objectkernel_system_dialect.contracts import EntitySchema, Field, Repository, RowDamaged
from objectkernel_system_dialect.sqlite_dialect import open_sqlite
from objectkernel_system_dialect.sqlite_executor import SqliteOptions
from sqlalchemy import func, select

pytestmark = pytest.mark.anyio

RECORD = EntitySchema(
    name="Record",
    collection="records",
    key=("id", "version"),
    fields={
        "id": Field("string"),
        "version": Field("integer"),
        "text": Field("text"),
        "number": Field("integer"),
        "weight": Field("number"),
        "price": Field("decimal", scale=2),
        "flag": Field("boolean"),
        "moment": Field("datetime"),
        "data": Field("json"),
        "names": Field("array"),
        "uuid": Field("uuid"),
        "content": Field("binary"),
    },
)
SOUND: dict[str, Any] = {
    "text": "é",
    "number": 1,
    "weight": 1.5,
    "price": 3,
    "flag": True,
    "moment": datetime(2026, 1, 1, tzinfo=UTC),
    "data": {"a": 1},
    "names": ["a"],
    "uuid": UUID(int=1),
    "content": b"\xff",
}
NO_UTF8 = "CAST(x'ff' AS TEXT)"
DAMAGES = [
    ("text", NO_UTF8),
    ("text", "x'6100'"),
    ("number", "'many'"),
    ("number", NO_UTF8),
    ("weight", "'heavy'"),
    ("price", "1.5"),
    ("flag", "'yes'"),
    ("moment", "'yesterday'"),
    ("moment", "'2026-01-01 00:00:00'"),
    ("moment", NO_UTF8),
    ("moment", "x'00'"),
    ("data", "'{'"),
    ("data", f"'{'[' * 100_000}'"),
    ("names", "'{}'"),
    ("uuid", "'1'"),
    ("content", "'text'"),
]


@pytest.fixture
async def records(anyio_backend: str, tmp_path: Path) -> AsyncIterator[Repository]:
    """Three sound rows, read by one thread."""
    path = str(tmp_path / "records.db")
    async with aclosing(await open_sqlite(path, SqliteOptions(readers=1))) as dialect:
        await dialect.register(RECORD)
        await dialect.create_many(RECORD, [{"id": "a", "version": version, **SOUND} for version in (1, 2, 3)])
        yield Repository(dialect, RECORD)


def damage(tmp_path: Path, field: str, value: str) -> None:
    """Write `value`, an expression of SQL, into version 2, past the dialect."""
    connection = sqlite3.connect(tmp_path / "records.db")
    connection.execute(f"UPDATE records SET {field} = {value} WHERE version = 2")
    connection.commit()
    connection.close()


@pytest.mark.parametrize(("field", "value"), DAMAGES, ids=lambda value: value[:30])
async def test_a_damaged_row_is_named(records: Repository, tmp_path: Path, field: str, value: str) -> None:
    """Whatever reads the row says entity, key and field, and never a value; the others are read as ever."""
    damage(tmp_path, field, value)
    for read in (
        records.find_by_id(("a", 2)),
        records.find_all(),
        records.find_one({"version": 2}),
        records.find_page(sort={"version": -1}, limit=2),
        records.update(("a", 2), {"flag" if field != "flag" else "number": None}),
        records.upsert({"id": "a", "version": 2}),
    ):
        with pytest.raises(RowDamaged) as caught:
            await read
        assert caught.value.facts == {"entity": "Record", "key": ("a", 2), "field": field}
        assert "yesterday" not in str(caught.value)
    assert [row["version"] for row in await records.find_all({"version": {"$ne": 2}})] == [1, 3]
    assert await records.count() == 3
    assert await records.delete(("a", 2))
    assert len(await records.find_all()) == 2


@pytest.mark.parametrize(
    ("field", "value"), [damage for damage in DAMAGES if damage[0] != "price"], ids=lambda value: value[:30]
)
async def test_a_statement_that_reads_damage_says_so(
    records: Repository, tmp_path: Path, field: str, value: str
) -> None:
    """`execute` knows no entity and no key, but the same error; numbers may be what an expression made of others."""
    damage(tmp_path, field, value)
    table = records.dialect.table(RECORD)
    with pytest.raises(RowDamaged) as caught:
        await records.dialect.execute(select(table.c.id, table.c[field]))
    assert caught.value.facts["entity"] == ""
    assert caught.value.facts["field"] in (field, "")


async def test_a_write_that_meets_damage_is_undone(records: Repository, tmp_path: Path) -> None:
    """A write whose row cannot be returned has not happened."""
    damage(tmp_path, "moment", "'yesterday'")
    with pytest.raises(RowDamaged):
        await records.update(("a", 2), {"number": 99})
    assert await records.count({"number": 99}) == 0
    mended = await records.update(("a", 2), {"moment": SOUND["moment"]})
    assert mended == await records.find_by_id(("a", 2))


async def test_a_damaged_key_is_not_told(records: Repository, tmp_path: Path) -> None:
    """Where the key itself is damaged, or was not selected, the error has none."""
    damage(tmp_path, "id", NO_UTF8)
    with pytest.raises(RowDamaged) as caught:
        await records.find_all()
    assert (caught.value.facts["field"], caught.value.facts["key"]) == ("id", None)
    damage(tmp_path, "id", "'a'")
    damage(tmp_path, "moment", "''")
    with pytest.raises(RowDamaged) as caught:
        await records.find_all(select=["moment"])
    assert (caught.value.facts["field"], caught.value.facts["key"]) == ("moment", None)


async def test_after_damage_a_reader_sees_the_present(records: Repository, tmp_path: Path) -> None:
    """A read that ends in an error, even one that is kept, holds no reader to what was there before."""
    dialect = records.dialect
    damage(tmp_path, "text", NO_UTF8)
    table = dialect.table(RECORD)
    kept = []
    for read in (dialect.execute(select(table.c.text)), records.find_all(), records.find_by_id(("a", 2))):
        with pytest.raises(RowDamaged) as caught:
            await read
        kept.append(caught.value)
    made = await records.create({"id": "new", "version": 4})
    assert await records.find_by_id(("new", 4)) == made
    assert await dialect.execute(select(func.count().label("n")).select_from(table)) == [{"n": 4}]
    damage(tmp_path, "text", "'mended'")
    assert len(await records.find_all()) == 4
    assert len(kept) == 3
