"""Health: live, ready and degraded, per service, within a timeout (G17)."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from objectkernel import BootError, ObjectKernel, Plugin, PluginDef, Service, hookimpl, provides
from objectkernel.health import Health

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_task_left")]


class Pinged:
    """A service that answers a ping as it is told."""

    def __init__(self, error: Exception | None = None, hang: bool = False) -> None:
        self.error = error
        self.hang = hang
        self.pings = 0

    async def ping(self) -> None:
        self.pings += 1
        if self.hang:
            await anyio.sleep(10)
        if self.error is not None:
            raise self.error


DB = Service[Pinged]("test.db")
CACHE = Service[Pinged]("test.cache")
QUIET = Service[str]("test.quiet")


def kernel_of(*plugins: Any, **options: Any) -> ObjectKernel:
    return ObjectKernel(plugins=plugins, discover=False, **options)


def serving(name: str, key: Service[Any], value: Any) -> PluginDef:
    plugin = PluginDef(name)

    @plugin.provides(key)
    def service() -> Any:
        return value

    return plugin


def told(health: Health) -> dict[str, str]:
    return {s.service: s.state for s in health.services}


async def test_kernel_whose_services_answer_is_live_and_ready() -> None:
    """Each service that offers ``async ping()`` is asked; one without it is up."""
    db = Pinged()
    async with kernel_of(serving("db", DB, db), serving("quiet", QUIET, "quiet")) as kernel:
        health = await kernel.health()
    assert (health.live, health.ready, health.state) == (True, True, "running")
    assert told(health) == {"test.db": "up", "test.quiet": "up"}
    assert [s.plugin for s in health.services] == ["db", "quiet"]
    assert db.pings == 1


async def test_failing_ping_degrades_and_tells_no_secret() -> None:
    """The type of the error is told and not its text, which may hold a password."""
    db = Pinged(OSError("postgres://user:hunter2@host"))
    async with kernel_of(serving("db", DB, db)) as kernel:
        health = await kernel.health()
        assert kernel.state == "running"
    assert (health.live, health.ready, health.state) == (True, False, "degraded")
    (service,) = health.services
    assert (service.state, service.detail) == ("degraded", "OSError")
    assert "hunter2" not in repr(health)


async def test_hanging_ping_is_cancelled_at_the_timeout_and_the_others_are_asked() -> None:
    """All are asked at once, each for the timeout at most."""
    db, cache = Pinged(hang=True), Pinged(hang=True)
    quick = Pinged()
    third = Service[Pinged]("test.third")
    plugins = [serving("db", DB, db), serving("cache", CACHE, cache), serving("third", third, quick)]
    async with kernel_of(*plugins) as kernel:
        with anyio.fail_after(20):
            health = await kernel.health(timeout=0.05)
    assert told(health) == {"test.db": "degraded", "test.cache": "degraded", "test.third": "up"}
    assert "0.05 s" in health.services[0].detail
    assert all(s.seconds >= 0.04 for s in health.services if s.state == "degraded")


async def test_optional_plugins_ping_degrades_but_leaves_the_kernel_ready() -> None:
    """Only a critical service that is unwell takes the kernel out of service."""
    async with kernel_of(serving("cache", CACHE, Pinged(OSError())), optional=["cache"]) as kernel:
        health = await kernel.health()
    assert (health.ready, health.state) == (True, "degraded")


async def test_service_that_is_not_up_is_down_with_the_reason() -> None:
    """A failed or disabled plugin's services are told as down, and why."""
    failing = PluginDef("failing")

    @failing.provides(CACHE)
    async def cache() -> Pinged:
        raise OSError("no cache")

    async with kernel_of(serving("db", DB, Pinged()), failing, optional=["failing"]) as kernel:
        health = await kernel.health()
        assert told(health) == {"test.db": "up", "test.cache": "down"}
        assert (health.ready, health.state) == (True, "degraded")
        assert "no cache" in {s.service: s.detail for s in health.services}["test.cache"]
        await kernel.disable("db")
        health = await kernel.health()
        assert told(health)["test.db"] == "down"
        assert not health.ready


async def test_lazy_services_are_asked_once_they_are_made() -> None:
    """What has not been made is neither well nor unwell; transient and scoped objects are not the kernel's."""
    db = Pinged()
    plugin = PluginDef("lazy")

    @plugin.provides(DB, lifetime="lazy")
    def lazy() -> Pinged:
        return db

    @plugin.provides(CACHE, lifetime="transient")
    def transient() -> Pinged:
        return Pinged(OSError())

    async with kernel_of(plugin) as kernel:
        assert told(await kernel.health()) == {}
        await kernel.aget(DB)
        assert told(await kernel.health()) == {"test.db": "up"}


async def test_host_given_service_is_asked_too() -> None:
    """A service that the host gave is as critical as its own code."""
    async with kernel_of().provide(DB, Pinged(OSError())) as kernel:
        health = await kernel.health()
    assert (health.ready, told(health)) == (False, {"test.db": "degraded"})


async def test_ready_only_after_the_boot_and_until_the_stop() -> None:
    """While it boots or stops a kernel is live and not ready; before, it is idle; a failed one is not live."""
    seen: list[Health] = []

    class Watching(Plugin):
        name = "watching"

        @provides(DB)
        def db(self) -> Pinged:
            return Pinged()

        @hookimpl
        async def kernel_ready(self) -> None:
            seen.append(await kernel.health())

        @hookimpl
        async def kernel_listening(self) -> None:
            seen.append(await kernel.health())

        @hookimpl
        async def kernel_stopping(self) -> None:
            seen.append(await kernel.health())

    kernel = kernel_of(Watching)
    seen.append(await kernel.health())
    async with kernel:
        assert (await kernel.health()).ready
    seen.append(await kernel.health())
    assert [(h.live, h.ready, h.state) for h in seen] == [
        (True, False, "idle"),
        (True, False, "initializing"),
        (True, False, "initializing"),
        (True, False, "stopping"),
        (False, False, "stopped"),
    ]


async def test_failed_kernel_is_not_live() -> None:
    """A kernel that did not boot should be started anew."""
    failing = PluginDef("failing")

    @failing.provides(DB)
    async def db() -> Pinged:
        raise OSError("no")

    kernel = kernel_of(failing)
    with pytest.raises(BootError):
        await kernel.bootstrap()
    health = await kernel.health()
    assert (health.live, health.ready, health.state) == (False, False, "failed")
