"""The end of entries: bounded batches, that record themselves and let others write."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import anyio
import pytest
from objectkernel import ObjectKernel
from objectkernel_accounts import audit_expiry
from objectkernel_accounts.audit import AUDIT_ENTRY, AuditTrail
from objectkernel_accounts.audit_expiry import BATCH, AuditExpiry
from objectkernel_contracts import AUDIT
from objectkernel_system_dialect.contracts import SYSTEM_DIALECT, DatabaseUnavailable, Dialect

from tests.contrib.accounts.trails import audited, database, entries
from tests.plugins.system_dialect.databases import mariadb_database, mariadb_url, postgres_database, postgres_url

__all__ = ["database", "mariadb_database", "mariadb_url", "postgres_database", "postgres_url"]  # fixtures
pytestmark = pytest.mark.anyio

NOW = datetime(2026, 6, 1, tzinfo=UTC)
LIFETIME = timedelta(days=30)


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


async def fill(dialect: Dialect, old: int, young: int) -> None:
    """So many entries that are too old, then so many that are not."""
    ages = [LIFETIME + timedelta(seconds=1)] * old + [LIFETIME - timedelta(seconds=1)] * young
    rows = [{"at": NOW - age, "action": "a.b", "subject": str(number)} for number, age in enumerate(ages)]
    for begin in range(0, len(rows), 2000):
        await dialect.create_many(AUDIT_ENTRY, rows[begin : begin + 2000])


def expiry(dialect: Dialect) -> AuditExpiry:
    return AuditExpiry(dialect, LIFETIME, lambda: NOW)


async def test_only_the_old(dialect: Dialect) -> None:
    """What is older than its lifetime goes, what is younger stays, and the removal is an entry of its own."""
    await fill(dialect, old=3, young=2)
    assert await expiry(dialect).sweep() == 3
    *left, told = await entries(dialect)
    assert [entry["subject"] for entry in left] == ["3", "4"]
    assert (told["action"], told["subject"], told["account_id"]) == ("audit.expire", "sys_audit", None)
    assert told["details"] == {"removed": 3, "until": (NOW - LIFETIME).isoformat()}
    assert await expiry(dialect).sweep() == 0
    assert len(await entries(dialect)) == 3


async def test_two_hosts_at_once(dialect: Dialect) -> None:
    """Hosts that sweep one trail at once remove each entry once, and record no more than that."""
    await fill(dialect, old=BATCH * 2, young=1)
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(expiry(dialect).sweep)
    told = [entry["details"]["removed"] for entry in await entries(dialect) if entry["action"] == "audit.expire"]
    assert sum(told) == BATCH * 2


async def test_nothing_without_its_entry(dialect: Dialect, monkeypatch: pytest.MonkeyPatch) -> None:
    """A removal that cannot be recorded does not happen."""

    async def refuse(*args: Any, **kwargs: Any) -> None:
        raise DatabaseUnavailable("gone", database="x", reason="y")

    await fill(dialect, old=2, young=0)
    monkeypatch.setattr(AuditTrail, "record", refuse)
    with pytest.raises(DatabaseUnavailable):
        await expiry(dialect).sweep()
    assert len(await entries(dialect)) == 2


async def test_ten_thousand(dialect: Dialect) -> None:
    """A long trail goes in batches of bounded size, and others write between them."""
    await fill(dialect, old=10_000, young=0)
    await AuditTrail(dialect).record("order.pay", "before")
    written = 0
    done = anyio.Event()

    async def write() -> None:
        nonlocal written
        while not done.is_set():
            await AuditTrail(dialect, lambda: NOW).record("order.pay", "meanwhile")
            written += 1
            await anyio.sleep(0)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(write)
        assert await expiry(dialect).sweep() == 10_000
        done.set()
    found = await entries(dialect)
    batches = [entry["details"]["removed"] for entry in found if entry["action"] == "audit.expire"]
    assert (sum(batches), max(batches)) == (10_000, BATCH)
    numbers = [entry["sequence"] for entry in found if entry["action"] == "audit.expire"]
    between = [entry["sequence"] for entry in found if entry["subject"] == "meanwhile"]
    passed = sum(any(low < number < high for number in between) for low, high in pairwise(numbers))
    assert passed >= len(batches) // 2, "others had to wait for the whole sweep"
    assert len(between) == written


async def test_background_task(database: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin sweeps by itself; a database that is away for a while does not end that."""
    swept: list[timedelta] = []
    twice = anyio.Event()

    async def sweep(self: AuditExpiry) -> int:
        swept.append(self._lifetime)
        if len(swept) == 1:
            raise DatabaseUnavailable("gone", database="x", reason="y")
        twice.set()
        return 0

    monkeypatch.setattr(audit_expiry.AuditExpiry, "sweep", sweep)
    prefix = "OBJECTKERNEL_PLUGINS__AUDIT__"
    settings = {f"{prefix}SWEEP_SECONDS": "0.001", f"{prefix}LIFETIME_DAYS": "7"}
    async with audited({**database, **settings}) as kernel:
        with anyio.fail_after(30):
            await twice.wait()
        await kernel.get(AUDIT).record("order.pay", "x")
    assert set(swept) == {timedelta(days=7)}
