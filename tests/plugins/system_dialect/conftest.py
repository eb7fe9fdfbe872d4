"""A dialect to test with, in memory and in a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
from objectkernel_system_dialect.contracts import EntitySchema, Field, Index, Relation, Repository
from objectkernel_system_dialect.sql_dialect import SqlDialect
from objectkernel_system_dialect.sqlite_dialect import open_sqlite

from tests.plugins.system_dialect.databases import (  # noqa: F401 - fixtures
    cuttable,
    mariadb_cuttable,
    mariadb_database,
    mariadb_url,
    pgbouncer_database,
    pgbouncer_url,
    postgres_database,
    postgres_url,
)

USER = EntitySchema(
    name="User",
    collection="users",
    fields={
        "name": Field("string", required=True),
        "email": Field("string", unique=True),
        "age": Field("integer", min=0),
        "role": Field("enum", enum=("admin", "member"), default="member"),
        "tags": Field("array", default=list),
    },
    indexes=(Index({"role": 1, "age": -1}),),
    timestamps=True,
)
POST = EntitySchema(
    name="Post",
    collection="posts",
    fields={"title": Field("string"), "number": Field("sequence")},
    relations={"author": Relation("User", required=True, on_delete="cascade")},
)


@pytest.fixture(params=["memory", "file"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the database of a test is."""
    return ":memory:" if request.param == "memory" else str(tmp_path / "test.db")


@pytest.fixture
async def dialect(anyio_backend: str, database: str) -> AsyncIterator[SqlDialect]:
    """An open dialect with users and posts."""
    async with aclosing(await open_sqlite(database)) as dialect:
        await dialect.register(USER, POST)
        yield dialect


@pytest.fixture
def users(dialect: SqlDialect) -> Repository:
    """Users: an implied id, a unique email, defaults and timestamps."""
    return Repository(dialect, USER)


@pytest.fixture
def posts(dialect: SqlDialect) -> Repository:
    """Posts: a sequence and a relation to users."""
    return Repository(dialect, POST)
