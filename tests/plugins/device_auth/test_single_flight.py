"""One job for many callers."""

from __future__ import annotations

import anyio
import pytest
from objectkernel_device_auth.single_flight import SingleFlight

pytestmark = pytest.mark.anyio


async def test_many_share_one_job(anyio_backend: str) -> None:
    """All who come while it is under way get what it gives; who comes later begins another."""
    flights: SingleFlight[int] = SingleFlight()
    go, begun = anyio.Event(), []

    async def job() -> int:
        begun.append("job")
        await go.wait()
        return len(begun)

    got: list[int] = []

    async def caller() -> None:
        got.append(await flights.run("key", job))

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(caller)
        await anyio.wait_all_tasks_blocked()
        go.set()
    assert got == [1] * 20
    assert await flights.run("key", job) == 2


async def test_keys_are_apart(anyio_backend: str) -> None:
    """A job of one key waits for none of another."""
    flights: SingleFlight[str] = SingleFlight()
    met = [anyio.Event(), anyio.Event()]

    async def job(mine: int) -> str:
        met[mine].set()
        await met[1 - mine].wait()
        return "met"

    async def first() -> None:
        assert await flights.run("first", lambda: job(0)) == "met"

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(first)
        assert await flights.run("second", lambda: job(1)) == "met"


async def test_a_failure_is_shared(anyio_backend: str) -> None:
    """Nobody is asked sixteen times for what was denied once."""
    flights: SingleFlight[str] = SingleFlight()
    go, begun = anyio.Event(), []

    async def job() -> str:
        begun.append("job")
        await go.wait()
        raise LookupError("denied")

    failed: list[str] = []

    async def caller() -> None:
        try:
            await flights.run("key", job)
        except LookupError as error:
            failed.append(str(error))

    async with anyio.create_task_group() as tasks:
        for _ in range(16):
            tasks.start_soon(caller)
        await anyio.wait_all_tasks_blocked()
        go.set()
    assert (failed, begun) == (["denied"] * 16, ["job"])


async def test_a_cancelled_job_fails_nobody(anyio_backend: str) -> None:
    """The next who waits does it."""
    flights: SingleFlight[str] = SingleFlight()
    begun: list[anyio.CancelScope] = []

    async def job() -> str:
        if len(begun) == 1:
            await anyio.sleep_forever()
        return "done"

    got: list[str] = []

    async def caller() -> None:
        with anyio.CancelScope() as scope:
            begun.append(scope)
            got.append(await flights.run("key", job))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(caller)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(caller)
        await anyio.wait_all_tasks_blocked()
        begun[0].cancel()
    assert got == ["done"]


async def test_the_strong_take_nothing_from_the_weak(anyio_backend: str) -> None:
    """Who needs another key is not content with what others got from what was kept; the others are with theirs."""
    flights: SingleFlight[str] = SingleFlight()
    go = anyio.Event()
    got: dict[str, str] = {}

    async def job(gives: str) -> str:
        await go.wait()
        return gives

    async def caller(name: str, strong: bool) -> None:
        got[name] = await flights.run("key", lambda: job(f"of {name}"), strong=strong)

    async with anyio.create_task_group() as tasks:
        for name, strong in (("a", False), ("b", True), ("c", False)):
            tasks.start_soon(caller, name, strong)
            await anyio.wait_all_tasks_blocked()
        go.set()
    assert got == {"a": "of a", "b": "of b", "c": "of a"}

    got.clear()
    go = anyio.Event()
    async with anyio.create_task_group() as tasks:
        for name, strong in (("a", True), ("b", False)):
            tasks.start_soon(caller, name, strong)
            await anyio.wait_all_tasks_blocked()
        go.set()
    assert got == {"a": "of a", "b": "of a"}
