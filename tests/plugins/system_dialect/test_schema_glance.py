"""A glance before work on the schema: where everything is as it is wanted there is none, and else all is as ever."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from objectkernel import Secret
from objectkernel_system_dialect.calls import Calls
from objectkernel_system_dialect.contracts import (
    Dialect,
    EntitySchema,
    Field,
    Migration,
    OperationUnsupported,
    SchemaStrategy,
    StatementFailed,
)
from objectkernel_system_dialect.databases import named
from objectkernel_system_dialect.opening import SqlOpening
from objectkernel_system_dialect.postgres_executor import PostgresExecutor

from tests.plugins.system_dialect.databases import run_on_postgres

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.postgres,
    pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True),
]

CAT = EntitySchema(name="Cat", collection="cats", fields={"name": Field("string", length=20)})
LONGER = EntitySchema(name="Cat", collection="cats", fields={"name": Field("string", length=90)})
DOG = EntitySchema(name="Dog", collection="dogs", fields={"name": Field("string", unique=True)})


@pytest.fixture
def works(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How often work on the schema was done."""
    done: list[str] = []
    work = Calls.schema_work

    async def counted(self: Calls, *args: Any) -> Any:
        done.append("work")
        return await work(self, *args)

    monkeypatch.setattr(Calls, "schema_work", counted)
    return done


@asynccontextmanager
async def opened(
    url: str, *schemas: EntitySchema, strategy: SchemaStrategy = "update", migrations: tuple[Migration, ...] = ()
) -> AsyncIterator[Dialect]:
    """The database with these schemas."""
    dialect = await SqlOpening(named("postgres"), Secret(url), strategy, migrations=migrations).open(schemas)
    try:
        yield dialect
    finally:
        await dialect.aclose()


async def test_tables_that_are_as_wanted_need_no_work(postgres_url: str, works: list[str]) -> None:
    """For the strategies that would find nothing to do; the one that looks for itself looks."""
    async with opened(postgres_url, CAT, DOG) as dialect:
        await dialect.create(CAT, {"name": "Tom"})
    assert len(works) == 1
    strategies: tuple[SchemaStrategy, ...] = ("update", "create")
    for strategy in strategies:
        async with opened(postgres_url, CAT, DOG, strategy=strategy) as dialect:
            assert await dialect.count(CAT) == 1
    assert len(works) == 1
    async with opened(postgres_url, CAT, DOG, strategy="validate"):
        assert len(works) == 2


async def test_whatever_is_not_as_wanted_is_worked_on(postgres_url: str, works: list[str]) -> None:
    """A schema that is another, one that is new, a table that is gone, and a record that is."""
    async with opened(postgres_url, CAT):
        pass
    async with opened(postgres_url, LONGER, DOG) as dialect:
        await dialect.create(LONGER, {"name": "x" * 90})
    run_on_postgres(postgres_url, "DROP TABLE dogs")
    async with opened(postgres_url, LONGER, DOG) as dialect:
        assert await dialect.count(DOG) == 0
    run_on_postgres(postgres_url, "DROP TABLE objectkernel_schema")
    async with opened(postgres_url, LONGER, DOG):
        pass
    assert len(works) == 4
    async with opened(postgres_url, LONGER, DOG):
        assert len(works) == 4


async def test_database_is_asked_once_if_it_remembers_something(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that has no record yet is not asked for it, which its server would note as an error."""
    asked: list[str] = []
    change = PostgresExecutor.change

    async def watched(self: PostgresExecutor, sql: str, values: Sequence[Any]) -> int:
        asked.append(sql)
        return await change(self, sql, values)

    monkeypatch.setattr(PostgresExecutor, "change", watched)
    for times in (0, 1, 2):
        async with opened(postgres_url, CAT, DOG):
            assert len(asked) == times


async def test_connection_that_was_lost_is_no_reason_to_fail(postgres_url: str, works: list[str]) -> None:
    """A glance on it is none; whoever looks closer makes a new one."""
    async with opened(postgres_url, CAT):
        pass
    async with opened(postgres_url) as dialect:
        run_on_postgres(
            postgres_url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        await dialect.register(CAT)
        assert await dialect.count(CAT) == 0
    assert len(works) == 2


async def test_table_of_that_name_elsewhere_is_none(postgres_url: str, works: list[str]) -> None:
    """Those of a schema that the connection does not look into do not count."""
    async with opened(postgres_url, CAT):
        pass
    run_on_postgres(postgres_url, "CREATE SCHEMA aside; ALTER TABLE cats SET SCHEMA aside")
    async with opened(postgres_url, CAT) as dialect:
        assert await dialect.count(CAT) == 0
    assert len(works) == 2


async def test_migrations_are_always_looked_at(postgres_url: str, works: list[str]) -> None:
    """With some in this host, or some that the database has behind it."""
    migration = Migration("pets", 1, "nothing", lambda step: None, collections=("cats",))
    for given in ((), (migration,), ()):
        async with opened(postgres_url, CAT, migrations=given):
            pass
    assert len(works) == 3


async def test_nothing_is_registered_within_a_transaction(postgres_url: str) -> None:
    """Also where there would be nothing to do."""
    async with opened(postgres_url, CAT):
        pass
    async with opened(postgres_url) as dialect, dialect.transaction():
        with pytest.raises(OperationUnsupported):
            await dialect.register(CAT)


async def test_database_that_gives_nothing_to_see_says_so(postgres_url: str) -> None:
    """A record that may not be read is the error that it was before."""
    async with opened(postgres_url, CAT):
        pass
    run_on_postgres(postgres_url, "ALTER TABLE objectkernel_schema RENAME COLUMN fingerprint TO other")
    with pytest.raises(StatementFailed):
        async with opened(postgres_url, CAT):
            pass
