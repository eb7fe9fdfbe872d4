"""A page costs the same however many recordings an account has: what each database says of how it finds one.

Each status is asked for by itself: with `status IN (...)` an index gives either its order or its rows, and a database
would sort all of them, or read past those of other statuses until it has enough.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from objectkernel_media_server.contracts import MediaFilter
from objectkernel_media_server.entities import MEDIA, STATUSES
from objectkernel_media_server.paging import read
from objectkernel_media_server.repository import DialectMediaRepository, _listed, _order
from sqlalchemy import text

from tests.plugins.media_server.databases import KINDS, opened, place_of
from tests.plugins.system_dialect.databases import mariadb_database, mariadb_url, postgres_database, postgres_url

__all__ = ["mariadb_database", "mariadb_url", "postgres_database", "postgres_url"]  # fixtures

pytestmark = pytest.mark.anyio

BORN = datetime(2026, 1, 1, tzinfo=UTC)
BATCH = 5000
SESSIONS = 20


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One is enough: what is looked at is the database's plan."""
    return "asyncio"


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def dialect(anyio_backend: str, kind: str, request: pytest.FixtureRequest, tmp_path: Any) -> AsyncIterator[Any]:
    dialect = await opened(kind, place_of(kind, request, tmp_path))
    yield dialect
    await dialect.aclose()


async def fill(dialect: Any, account: str, count: int) -> None:
    """Recordings of an account, past the service; nearly all are ready, the newest are deleted."""
    for first in range(0, count, BATCH):
        numbers = range(first, min(first + BATCH, count))
        await dialect.create_many(MEDIA, [kept(account, number, count) for number in numbers])


def kept(account: str, number: int, count: int) -> dict[str, Any]:
    ago = count - number
    return {
        "id": f"{account}-{number:07}",
        "account_id": account,
        "bucket": "media-recordings",
        "key": f"{account}/{number:07}.webm",
        "mime_type": "video/webm",
        "size_bytes": 1,
        "kind": "video",
        "status": "deleted" if ago < count // 4 else "failed" if number % 100 == 0 else "ready",
        "session_id": f"s{number % SESSIONS}" if number % 2 else None,
        "take_order": number,
        "created_at": BORN + timedelta(seconds=number),
    }


async def analyze(dialect: Any, kind: str) -> None:
    """Fresh statistics; MariaDB answers with rows, which have to be read."""
    statement = "ANALYZE TABLE sys_media" if kind == "mariadb" else "ANALYZE"
    result = lambda core, _=None: core.execute(text(statement))  # noqa: E731
    await dialect.schema_work(lambda core, _: result(core).fetchall() if kind == "mariadb" else result(core).close())


FILTERS = [
    MediaFilter(),
    MediaFilter(status="failed"),
    MediaFilter(status=STATUSES),
    MediaFilter(session_id="s1"),
    MediaFilter(session_id="s1", status=("failed", "ready")),
]


async def plans(dialect: Any, kind: str, filter: MediaFilter) -> list[Any]:
    """How the database finds a page, of the first rows and behind a cursor: a plan for each statement."""
    asked = read(filter)
    repository = DialectMediaRepository(dialect)
    page = await repository.list("many", MediaFilter(status=filter.status, session_id=filter.session_id, limit=3))
    behind = read(MediaFilter(status=filter.status, session_id=filter.session_id, after=page.next_cursor))
    found = []
    for one in (asked, behind):
        for status in one.statuses:
            found.append(await explained(dialect, kind, _listed("many", status, one), _order(one)))
    return found


async def explained(dialect: Any, kind: str, wanted: Any, order: Any) -> Any:
    entity, statements = dialect._registered.known(MEDIA)
    condition, values, _ = entity.where(wanted, None)
    prepared = statements.find(entity.names, condition, sort=entity.sorting(order), limit=True)
    values = tuple(prepared.bind([*values, 51]))
    how = {
        "sqlite": "EXPLAIN QUERY PLAN",
        "postgres": "EXPLAIN (ANALYZE, FORMAT JSON)",
        "mariadb": "ANALYZE FORMAT=JSON",
    }[kind]
    run = lambda core, _: core.exec_driver_sql(f"{how} {prepared.sql}", values).fetchall()  # noqa: E731
    rows: Sequence[Any] = await dialect.schema_work(run)
    if kind == "sqlite":
        return [step for *_, step in rows]
    (found,) = rows[0]
    return json.loads(found) if isinstance(found, str) else found


def inner(plan: Any) -> Iterator[dict[str, Any]]:
    """A plan and all the plans within it."""
    if isinstance(plan, dict):
        yield plan
    for part in plan.values() if isinstance(plan, dict) else plan if isinstance(plan, list) else ():
        yield from inner(part)


def assert_bounded(kind: str, plan: Any, index: str, most: int) -> None:
    """The plan searches the index, sorts nothing, and reads no more rows than a page has."""
    if kind == "sqlite":
        assert len(plan) == 1 and re.match(f"SEARCH sys_media USING INDEX {index}", plan[0]), plan
        return
    nodes = list(inner(plan))
    if kind == "postgres":
        scans = [node for node in nodes if "Node Type" in node]
        kinds = {node["Node Type"] for node in scans}
        assert kinds <= {"Limit", "Index Scan", "Result"}, plan
        assert {node["Index Name"][: len(index)] for node in scans if "Index Name" in node} == {index}, plan
        read = sum(node["Actual Rows"] + node.get("Rows Removed by Filter", 0) for node in scans)
        assert read <= 2 * most, plan
        return
    tables = [node for node in nodes if "table_name" in node]
    assert tables and not [node for node in nodes if "filesort" in node or "temporary_table" in node], plan
    assert all(str(node["key"]).startswith(index) for node in tables), plan
    assert sum(node["r_rows"] * node["r_loops"] for node in tables) <= most, plan


async def test_a_page_is_read_from_the_index(dialect: Any, kind: str) -> None:
    """First rows and rows behind a cursor, of one status and of all, of an account and of a session."""
    count = 3000 if kind == "sqlite" else 20_000
    await fill(dialect, "many", count)
    await fill(dialect, "few", 100)
    await analyze(dialect, kind)
    for filter in FILTERS:
        by = "account_id_session_id" if filter.session_id else "account_id_status"
        for plan in await plans(dialect, kind, filter):
            assert_bounded(kind, plan, f"ix_sys_media_{by}", most=51 + 5)


@pytest.mark.parametrize("kind", ["sqlite"])
async def test_all_statuses_at_once_would_be_sorted(dialect: Any, kind: str) -> None:
    """Why each status is asked for by itself: the same index, asked for several, leaves all rows to be sorted."""
    await fill(dialect, "many", 3000)
    await analyze(dialect, kind)
    wanted = {"account_id": "many", "status": {"$in": list(STATUSES)}}
    plan = await explained(dialect, kind, wanted, _order(read(MediaFilter())))
    with pytest.raises(AssertionError):
        assert_bounded(kind, plan, "ix_sys_media_account_id_status", most=56)
    assert any("TEMP B-TREE" in step for step in plan)


@pytest.mark.slow
async def test_of_a_hundred_thousand(dialect: Any, kind: str) -> None:
    """With 100,000 rows of one account a page reads as many rows as with a thousand."""
    await fill(dialect, "many", 100_000)
    await fill(dialect, "few", 1000)
    await analyze(dialect, kind)
    for filter in FILTERS:
        by = "account_id_session_id" if filter.session_id else "account_id_status"
        for plan in await plans(dialect, kind, filter):
            assert_bounded(kind, plan, f"ix_sys_media_{by}", most=51 + 5)
