"""The events of run-time changes: a host that holds what plugins contribute lets go of it, and takes the new."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import anyio
import pytest
from objectkernel import Extension, ObjectKernel, Plugin, Service, background, contributes, needs, on, provides
from objectkernel.changes import PluginsChanged, PluginsChanging
from objectkernel.errors import ChangeError, KernelStateInvalid, ShutdownError

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_task_left")]

DB = Service[str]("test.db")
ITEMS = Extension[str]("test.items")


class Db(Plugin):
    name = "db"

    def __init__(self) -> None:
        self.broken = False
        self.crash = anyio.Event()
        self.told: list[str] = []

    @provides(DB)
    def db(self) -> Iterator[str]:
        if self.broken:
            raise OSError("no disk")
        yield "db"
        self.told.append("db is down")

    @background
    async def fail(self) -> None:
        await self.crash.wait()
        raise OSError("the disk is full")


class User(Plugin):
    name = "user"
    db = needs(DB)

    @contributes(ITEMS)
    def item(self) -> str:
        return self.db


class Other(Plugin):
    """A plugin that listens too, and that nothing touches."""

    name = "other"

    def __init__(self) -> None:
        self.changes = 0

    @on(PluginsChanged)
    async def changed(self, change: PluginsChanged) -> None:
        self.changes += 1


@pytest.fixture
def db() -> Db:
    return Db()


def watched(db: Db, *plugins: Any) -> ObjectKernel:
    """A kernel that writes what it tells into the journal of `db`."""
    kernel = ObjectKernel(plugins=[db, User, *plugins], discover=False, optional=["db", "user"])

    def changing(change: PluginsChanging) -> None:
        db.told.append(f"changing {sorted(change.plugins)} of {kernel.contributions(ITEMS)}")

    async def changed(change: PluginsChanged) -> None:
        await anyio.sleep(0)
        db.told.append(f"changed to {kernel.contributions(ITEMS)}")

    kernel.on(PluginsChanging, changing)
    kernel.on(PluginsChanged, changed)
    return kernel


async def test_a_change_is_told_before_anything_stops_and_when_it_is_over(db: Db) -> None:
    """Who asked for it gets control when the handlers have returned."""
    async with watched(db) as kernel:
        assert db.told == []
        await kernel.reload("db")
        assert db.told == ["changing ['db', 'user'] of ('db',)", "db is down", "changed to ('db',)"]
        db.told.clear()
        await kernel.disable("user")
        assert db.told == ["changing ['user'] of ('db',)", "changed to ()"]
        db.told.clear()
    assert db.told == ["changing ['db'] of ()", "db is down"]


async def test_a_change_that_does_not_work_out_is_over_too(db: Db) -> None:
    """What is there then is told."""
    async with watched(db) as kernel:
        db.broken = True
        with pytest.raises(ChangeError):
            await kernel.reload("db")
        assert db.told[-1] == "changed to ()"


async def test_a_crash_is_a_change(db: Db) -> None:
    """Nobody asked for it, and it is told all the same."""
    async with watched(db) as kernel:
        db.crash.set()
        with anyio.fail_after(20):
            while "changed to ()" not in db.told:
                await anyio.sleep(0.001)
        assert db.told == ["changing ['db', 'user'] of ('db',)", "db is down", "changed to ()"]
        assert kernel.state == "degraded"


async def test_the_kernels_own_stop_is_told(db: Db) -> None:
    """Before anything stops, also when it stops since a critical plugin has crashed; nothing is over then."""
    kernel = watched(db)
    kernel.set_options(optional=[])
    with pytest.raises(ShutdownError):
        async with kernel:
            db.crash.set()
            await anyio.sleep_forever()
    assert db.told == ["changing ['db', 'user'] of ('db',)", "db is down"]


@pytest.mark.parametrize("when", ["in a change", "at the stop"])
async def test_a_handler_that_hangs_does_not_keep_the_kernel(
    when: str, db: Db, caplog: pytest.LogCaptureFixture
) -> None:
    """It is cancelled when the kernel has no more time to stop."""
    hung = anyio.Event()

    async def hang(change: PluginsChanging) -> None:
        hung.set()
        await anyio.sleep_forever()

    kernel = await watched(db).bootstrap()
    kernel.on(PluginsChanging, hang)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            if when == "in a change":
                tasks.start_soon(ended, kernel.disable, "user")
                await hung.wait()
            with suppress(ShutdownError):  # who had no time left to stop
                await kernel.shutdown(timeout=0)
    assert kernel.state == "stopped"
    assert "the handlers of PluginsChanging were cancelled" in caplog.text


async def ended(change: Any, *args: Any) -> None:
    """A change that a shutdown ends."""
    with pytest.raises(KernelStateInvalid):
        await change(*args)


async def test_a_handler_that_raises_does_not_end_the_change(db: Db, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged."""

    def broken(change: Any) -> None:
        raise OSError("no disk")

    async with watched(db) as kernel:
        kernel.on(PluginsChanging, broken)
        kernel.on(PluginsChanged, broken)
        await kernel.reload("db")
        assert caplog.text.count("OSError: no disk") == 2


async def test_a_handler_may_make_a_change_of_its_own(db: Db) -> None:
    """Once the first one is over."""
    other = Other()
    async with watched(db, other) as kernel:

        async def enable(change: PluginsChanged) -> None:
            if kernel.plugins()[-1].state == "disabled":
                await kernel.enable("user")

        kernel.on(PluginsChanged, enable)
        await kernel.disable("user")
        assert kernel.contributions(ITEMS) == ("db",)
    assert other.changes == 2
