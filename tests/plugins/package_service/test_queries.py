"""What a page costs does not grow with the registry: no statement of a list scans or sorts a table."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest
from objectkernel_package_service.queries import Queries
from objectkernel_package_service.table import CHANGE, HEAD, PACKAGE, SCHEMAS
from sqlalchemy import text

from tests.plugins.package_service.databases import package

pytestmark = pytest.mark.anyio

PARAMS = {"package": "p7", "this": "1.0.0", "before": 2**62, "rows": 51, "account": "ada", "place": 7, "word0": "%x%"}
LISTS = ["newest", "newest of an account", "versions", "versions of an account", "everything", "history", "latest"]
READS = ["exact", "head", "state", "summary", "candidates", "ranges", "search", "search all versions"]


def the_query(queries, which):
    """A statement by its name."""
    name, _, account = which.partition(" of an ")
    if name.startswith("search"):
        return queries.search(1, all_versions=name != "search").rows.of_account
    found = getattr(queries, name)
    return found if not hasattr(found, "of_host") else found.of_account if account else found.of_host


def compiled(dialect, query):
    """The text and the values of a statement, for an EXPLAIN."""
    core = dialect._core_statements.prepared(query, None)
    return core.bind({name: value for name, value in PARAMS.items() if name in core._compiled.binds})


async def explained(place, how, which):
    """What the database says of how it runs a list."""
    sql, values = compiled(place.dialect, the_query(Queries(place.dialect), which))
    run = lambda core, _: core.exec_driver_sql(f"{how} {sql}", values).scalar()  # noqa: E731
    found = await place.dialect.schema_work(run)
    return json.loads(found) if isinstance(found, str) else found


@pytest.fixture
def anyio_backend():
    """One is enough: what is looked at is the database's plan."""
    return "asyncio"


@pytest.mark.parametrize("which", [*LISTS, *READS])
async def test_sqlite_reads_no_table_from_end_to_end(store, open_dialect, database, which):
    """Every step is a search in an index, and no step sorts but where a few rows are merged."""
    dialect = store._changes.dialect
    sql, values = compiled(dialect, the_query(Queries(dialect), which))
    with closing(sqlite3.connect(database)) as connection:
        plan = [step for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
    steps = [step for step in plan if re.match("SCAN|SEARCH|USE", step)]
    assert steps
    tables = [step for step in steps if "sys_package" in step or step.startswith("SEARCH")]
    assert all(step.startswith("SEARCH") for step in tables), plan
    if which in LISTS and "newest" not in which:  # which joins and sorts the rows of one page
        assert not [step for step in steps if step.startswith("USE")], plan


async def fill(dialect, packages, versions):
    """Packages, past the service, with rows as it writes them."""
    now = datetime.now(UTC)
    for first in range(0, packages, 500):
        numbers = range(first, min(first + 500, packages))
        rows = [
            {
                "id": f"p{number}",
                "version": f"1.{step}.0",
                "hash": "0" * 64,
                "created_at": now,
                "updated_at": now,
                "size": 4,
                "manifest": "{}",
                "metadata": "{}",
            }
            for number in numbers
            for step in range(versions)
        ]
        made = await dialect.create_many(PACKAGE, rows)
        said = {"number": 1, "action": "publish", "details": {}, "at": now}
        await dialect.create_many(CHANGE, [{"id": f"p{number}", **said} for number in numbers])
        latest = {row["id"]: row["sequence"] for row in made}
        await dialect.create_many(
            HEAD,
            [
                {
                    "id": f"p{number}",
                    "owner": "ada" if number % 50 == 0 else "bob",
                    "visibility": "private" if number % 2 == 0 else "public",
                    "policy": "mutable",
                    "tags": {},
                    "words": f"p{number}",
                    "latest": latest[f"p{number}"],
                }
                for number in numbers
            ],
        )


def inner(plan):
    """A plan and all the plans within it."""
    if isinstance(plan, dict):
        yield plan
    for part in plan.values() if isinstance(plan, dict) else plan if isinstance(plan, list) else ():
        yield from inner(part)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [pytest.param("postgres", marks=pytest.mark.postgres)])
async def test_postgres_reads_no_table_from_end_to_end(place):
    """With 20,000 packages and fresh statistics a page reads a few hundred rows, none by a sequential scan."""
    await fill(place.dialect, 20_000, 2)
    await place.dialect.schema_work(lambda core, _: core.execute(text("ANALYZE")))
    for which in LISTS:
        plan = await explained(place, "EXPLAIN (ANALYZE, FORMAT JSON)", which)
        nodes = [node for node in inner(plan) if "Node Type" in node]
        assert not [node for node in nodes if node["Node Type"] == "Seq Scan"], (which, plan)
        assert sum(node["Actual Rows"] * node["Actual Loops"] for node in nodes) <= 1000, (which, plan)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [pytest.param("mariadb", marks=pytest.mark.mariadb)])
async def test_mariadb_reads_a_few_rows_for_a_page(place):
    """With 4,000 packages and fresh statistics the rows that it reads for a page are a few hundred."""
    await fill(place.dialect, 4000, 2)
    tables = ", ".join(schema.collection for schema in SCHEMAS)
    await place.dialect.schema_work(lambda core, _: core.execute(text(f"ANALYZE TABLE {tables}")).fetchall())
    for which in LISTS:
        plan = await explained(place, "ANALYZE FORMAT=JSON", which)
        tables_read = [node for node in inner(plan) if "table_name" in node]
        assert tables_read
        rows = sum((node.get("r_rows") or 0) * (node.get("r_loops") or 0) for node in tables_read)
        assert rows <= 1000, (which, plan)


async def test_old_versions_make_no_page_dearer(registry, store, database):
    """The last page takes the database as many steps with 40 versions lying between the packages as with one."""
    dialect = store._changes.dialect
    query = Queries(dialect).newest.of_host

    def steps_of_the_last_page():
        sql, values = compiled(dialect, query)
        steps = []
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
            connection.set_progress_handler(lambda: steps.append(1) and None, 1)
            assert len(connection.execute(sql, values).fetchall()) == 4
        return len(steps)

    for id in ("a", "b", "c", "d"):
        await registry.publish(package(id))
    few = steps_of_the_last_page()
    for id in ("d", "c", "b"):
        for number in range(1, 21):
            await registry.publish(package(id, f"1.{number}.0"))
    assert steps_of_the_last_page() <= few * 1.1
