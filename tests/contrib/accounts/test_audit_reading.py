"""Reading the trail: the newest, a page, and what is added, whichever transaction ends first."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
from objectkernel import ObjectKernel
from objectkernel_accounts.audit import AuditTrail
from objectkernel_accounts.audit_reading import LATE, Follower, matching, newest, page
from objectkernel_contracts import Principal
from objectkernel_system_dialect.contracts import SYSTEM_DIALECT, Dialect, Row

from tests.contrib.accounts.trails import audited, database
from tests.plugins.system_dialect.databases import mariadb_database, mariadb_url, postgres_database, postgres_url

__all__ = ["database", "mariadb_database", "mariadb_url", "postgres_database", "postgres_url"]  # fixtures
pytestmark = pytest.mark.anyio

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The only event loop that the servers' drivers know."""
    return "asyncio"


@pytest.fixture
async def kernel(anyio_backend: str, database: dict[str, str]) -> AsyncIterator[ObjectKernel]:
    async with audited(database) as kernel:
        yield kernel


@pytest.fixture
def dialect(kernel: ObjectKernel) -> Dialect:
    return kernel.get(SYSTEM_DIALECT)


async def write(dialect: Dialect, *subjects: str, action: str = "a.b", account: str = "acme", age: int = 0) -> None:
    trail = AuditTrail(dialect, lambda: NOW - timedelta(seconds=age))
    for subject in subjects:
        await trail.record(action, subject, principal=Principal(account_id=account))


def subjects(rows: Any) -> str:
    return "".join(row["subject"] for row in rows)


async def test_newest(dialect: Dialect) -> None:
    """The newest so many that match, in the order in which they were made."""
    await write(dialect, "a", "b", age=60)
    await write(dialect, "c", account="umbrella")
    await write(dialect, "d", action="x.y")
    await write(dialect, "e")
    assert subjects(await newest(dialect, {}, 3)) == "cde"
    assert subjects(await newest(dialect, {}, 100)) == "abcde"
    assert subjects(await newest(dialect, {}, 0)) == ""
    assert subjects(await newest(dialect, matching("acme", None), 100)) == "abde"
    assert subjects(await newest(dialect, matching("acme", "a.b"), 2)) == "be"
    assert subjects(await newest(dialect, {}, 100, since=NOW)) == "cde"
    await write(dialect, "f", age=5)
    assert subjects(await newest(dialect, {}, 100, since=NOW)) == "cde", "one made late hides those before it"


async def test_page(dialect: Dialect) -> None:
    """Pages go from the newest to the oldest, each entry once."""
    await write(dialect, *"abcde")
    first = await page(dialect, {}, 2, None)
    await write(dialect, "f")
    second = await page(dialect, {}, 2, first.next)
    last = await page(dialect, {}, 2, second.next)
    assert [subjects(one.rows) for one in (first, second, last)] == ["ed", "cb", "a"]
    assert last.next is None


async def added(follower: Follower) -> list[Row]:
    return [row async for row in follower.added()]


async def test_follow(dialect: Dialect) -> None:
    """What is added is told once, and what was there before is not."""
    await write(dialect, "a", "b", age=60)
    await write(dialect, "c")
    follower = Follower(dialect, {}, lambda: NOW)
    await follower.begin()
    assert await added(follower) == []
    await write(dialect, "d", "e")
    await write(dialect, "f", age=60)
    assert subjects(await added(follower)) == "def"
    assert await added(follower) == []
    await write(dialect, "g")
    assert subjects(await added(follower)) == "g"


async def test_follow_some(dialect: Dialect) -> None:
    """Only what matches is told; what was told already can be passed over."""
    follower = Follower(dialect, matching("acme", None), lambda: NOW)
    await follower.begin()
    await write(dialect, "a", account="umbrella")
    await write(dialect, "b", "c")
    follower.pass_over((await newest(dialect, {}, 10))[1:2])
    assert subjects(await added(follower)) == "c"


@pytest.mark.parametrize("database", ["postgres", "mariadb"], indirect=True)
async def test_follow_what_ends_late(dialect: Dialect) -> None:
    """An entry whose transaction ends after that of one with a higher number is told too."""
    follower = Follower(dialect, {}, lambda: NOW)
    await follower.begin()
    written, end = anyio.Event(), anyio.Event()

    async def slowly() -> None:
        async with dialect.transaction():
            await write(dialect, "slow")
            written.set()
            await end.wait()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(slowly)
        await written.wait()
        await write(dialect, "quick")
        assert subjects(await added(follower)) == "quick"
        end.set()
    assert subjects(await added(follower)) == "slow"
    assert await added(follower) == []


async def test_memory_of_following(dialect: Dialect) -> None:
    """What is too old to be overtaken is forgotten."""
    clock = NOW
    follower = Follower(dialect, {}, lambda: clock)
    await write(dialect, *"abc")
    assert subjects(await added(follower)) == "abc"
    assert len(follower._seen) == 3
    clock = NOW + LATE + timedelta(seconds=1)
    assert await added(follower) == []
    assert follower._seen == set()
    await write(dialect, "d")
    assert subjects(await added(follower)) == "d"
