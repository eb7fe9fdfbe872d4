"""The reading threads: one serves what is short, and nothing waits long behind what is not."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import anyio
import pytest
from objectkernel_system_dialect.sqlite_executor import SqliteExecutor, SqliteOptions

READERS = 3


@pytest.fixture
async def executor(anyio_backend: str, tmp_path: Path) -> AsyncIterator[SqliteExecutor]:
    """An open file with three readers."""
    async with aclosing(await SqliteExecutor.open(str(tmp_path / "a.db"), SqliteOptions(readers=READERS))) as executor:
        yield executor


class Long:
    """A read that lasts until it is told to end, and which thread it has."""

    def __init__(self, executor: SqliteExecutor) -> None:
        self.free = threading.Event()
        self.begun = threading.Event()
        self.thread = 0
        self._executor = executor

    def job(self, _connection: sqlite3.Connection) -> None:
        self.thread = threading.get_ident()
        self.begun.set()
        assert self.free.wait(60)

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(self._executor.read, self.job)
            await anyio.to_thread.run_sync(self.begun.wait, 60)
            task_status.started()


def thread(_connection: sqlite3.Connection) -> int:
    """Which thread runs this."""
    return threading.get_ident()


@pytest.mark.anyio
async def test_short_calls_stay_with_one_thread(executor: SqliteExecutor) -> None:
    """Calls that come one after another are not handed from thread to thread."""
    assert len({await executor.read(thread) for _ in range(200)}) == 1


@pytest.mark.anyio
async def test_a_long_call_delays_no_short_ones(executor: SqliteExecutor) -> None:
    """While one reader is busy for long, the calls behind it and later ones are served by another."""
    long = Long(executor)
    async with anyio.create_task_group() as group:
        group.start_soon(executor.read, long.job)
        await anyio.lowlevel.checkpoint()
        with anyio.fail_after(30):
            others = {await executor.read(thread) for _ in range(200)}
        assert len(others - {long.thread}) == 1
        long.free.set()


@pytest.mark.anyio
async def test_a_long_call_of_a_cancelled_caller_delays_none_either(executor: SqliteExecutor) -> None:
    """A query goes on when its caller has given up; the others do not pay for it."""
    long = Long(executor)
    async with anyio.create_task_group() as group:
        await group.start(long.run)
        group.cancel_scope.cancel()
    with anyio.fail_after(30):
        assert await executor.read(thread) != long.thread
    long.free.set()


@pytest.mark.anyio
async def test_readers_take_turns(executor: SqliteExecutor) -> None:
    """Who was relieved serves again, when it has ended its long call and the others have theirs."""
    first, second, third = (Long(executor) for _ in range(READERS))
    async with anyio.create_task_group() as group:
        with anyio.fail_after(30):
            for long in (first, second):
                await group.start(long.run)
            last = await executor.read(thread)
            first.free.set()
            await group.start(third.run)
            assert third.thread == last
            assert await executor.read(thread) == first.thread
        second.free.set()
        third.free.set()


@pytest.mark.anyio
async def test_calls_wait_when_all_readers_are_busy(executor: SqliteExecutor) -> None:
    """What comes while every thread has a long call is served by the first that is free."""
    longs = [Long(executor) for _ in range(READERS)]
    found: list[int] = []

    async def read() -> None:
        found.append(await executor.read(thread))

    async with anyio.create_task_group() as group:
        with anyio.fail_after(30):
            for long in longs:
                await group.start(long.run)
            for _ in range(5):
                group.start_soon(read)
            await anyio.sleep(0.01)
            assert not found
            longs[1].free.set()
            while len(found) < 5:
                await anyio.sleep(0.001)
        assert set(found) == {longs[1].thread}
        for long in longs:
            long.free.set()


@pytest.mark.anyio
async def test_every_call_is_answered_once(executor: SqliteExecutor) -> None:
    """Calls about as long as the readers' patience, cancelled ones among them, all get their own answers."""
    chance = random.Random(1)
    answered: list[int] = []

    async def read(number: int) -> None:
        def job(_connection: sqlite3.Connection) -> int:
            time.sleep(chance.choice((0, 0, 0, 0.0005, 0.001, 0.002)))
            return number

        with anyio.move_on_after(0 if number % 7 == 0 else 60):
            assert await executor.read(job) == number
            answered.append(number)

    with anyio.fail_after(60):
        for start in range(0, 600, 60):
            async with anyio.create_task_group() as group:
                for number in range(start, start + 60):
                    group.start_soon(read, number)
        await executor.ping()
    assert sorted(answered) == [number for number in range(600) if number % 7]
    assert not executor._readers._line


@pytest.mark.anyio
async def test_closing_ends_every_reader(tmp_path: Path) -> None:
    """The leader, the relieved and the waiting end, behind the calls that are queued."""
    executor = await SqliteExecutor.open(str(tmp_path / "a.db"), SqliteOptions(readers=READERS))
    long = Long(executor)
    done: list[int] = []

    async def read() -> None:
        done.append(await executor.read(thread))

    async with anyio.create_task_group() as group:
        await group.start(long.run)
        for _ in range(5):
            group.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(executor.aclose)
        with anyio.fail_after(30):
            while len(done) < 5:
                await anyio.sleep(0.001)
        long.free.set()
    assert not [one for one in threading.enumerate() if one.name == "objectkernel-sqlite"]
