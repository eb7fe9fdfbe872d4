"""One query at a time for all who ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import anyio
import anyio.lowlevel
import pytest
from objectkernel_device_auth.loading import Loader

pytestmark = pytest.mark.anyio


class Table:
    """Answers queries when it is let.

    Attributes:
        queries: the keys of each, as they came.
    """

    def __init__(self) -> None:
        self.queries: list[tuple[int, ...]] = []
        self.gate = anyio.Event()
        self.running = 0
        self.error: Exception | None = None

    async def read(self, keys: Sequence[int]) -> Mapping[int, str]:
        self.queries.append(tuple(keys))
        self.running += 1
        assert self.running == 1, "there are two queries at once"
        try:
            await self.gate.wait()
            if self.error is not None:
                raise self.error
            return {key: str(key) for key in keys if key >= 0}
        finally:
            self.running -= 1


async def settled() -> None:
    """Everything that can go on has done so."""
    for _ in range(20):
        await anyio.lowlevel.checkpoint()


async def test_many_who_ask_share_queries() -> None:
    """A thousand questions while one is read are one more query, or as few as its size lets."""
    table = Table()
    loader = Loader(table.read, batch=400)
    found: dict[int, str | None] = {}

    async def ask(key: int) -> None:
        found[key] = await loader.load(key)

    async with anyio.create_task_group() as group:
        group.start_soon(ask, -1)
        await settled()
        for key in range(999):
            group.start_soon(ask, key)
        await settled()
        table.gate.set()
    assert [len(query) for query in table.queries] == [1, 400, 400, 199]
    assert found == {-1: None} | {key: str(key) for key in range(999)}


async def test_who_asks_for_the_same_shares_the_answer() -> None:
    """But not one whose query had begun before the question."""
    table = Table()
    loader = Loader(table.read)
    async with anyio.create_task_group() as group:
        group.start_soon(loader.load, 7)
        await settled()
        for _ in range(50):
            group.start_soon(loader.load, 7)
        await settled()
        table.gate.set()
    assert table.queries == [(7,), (7,)]
    assert loader.queries == 2


async def test_a_failure_is_told_to_all_who_waited() -> None:
    """And is not remembered."""
    table = Table()
    loader = Loader(table.read)
    table.error = OSError("away")
    failed: list[int] = []

    async def ask(key: int) -> None:
        with pytest.raises(OSError, match="away"):
            await loader.load(key)
        failed.append(key)

    async with anyio.create_task_group() as group:
        for key in range(5):
            group.start_soon(ask, key)
        await settled()
        table.gate.set()
    assert sorted(failed) == [0, 1, 2, 3, 4]
    table.error = None
    assert await loader.load(3) == "3"


async def test_one_who_gives_up_keeps_nobody_waiting() -> None:
    """Those who shared the query get their answer from another one."""
    table = Table()
    loader = Loader(table.read)
    found: list[str | None] = []

    async def ask(key: int) -> None:
        found.append(await loader.load(key))

    async with anyio.create_task_group() as group:
        group.start_soon(ask, 1)  # holds the others up, so that they share what comes next
        await settled()
        impatient = anyio.CancelScope()

        async def give_up() -> None:
            with impatient:
                await loader.load(2)

        group.start_soon(give_up)
        for key in (3, 4):
            group.start_soon(ask, key)
        await settled()
        table.gate.set()
        table.gate = anyio.Event()
        await settled()
        impatient.cancel()
        await settled()
        table.gate.set()
    assert sorted(map(str, found)) == ["1", "3", "4"]
    assert not loader._wishes


async def test_who_gives_up_leaves_nothing_behind() -> None:
    """However many ask and go away before they are answered: memory does not grow, and nobody reads for them."""
    table = Table()
    loader = Loader(table.read)
    async with anyio.create_task_group() as group:
        group.start_soon(loader.load, -1)
        await settled()
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as crowd:
                for key in range(500):
                    crowd.start_soon(loader.load, key)
                await settled()
                scope.cancel()
        assert not loader._wishes
        table.gate.set()
    assert table.queries == [(-1,)]
