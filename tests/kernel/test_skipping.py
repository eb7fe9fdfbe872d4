"""A plugin whose hard need failed is not started, and says because of whom (G5)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import attrs
import pytest
from objectkernel import (
    BootError,
    ObjectKernel,
    Plugin,
    Service,
    background,
    configured_by,
    hookimpl,
    lifespan,
    needs,
    on,
    provides,
    wants,
)
from objectkernel.errors import ServiceUnavailable

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_task_left")]

LOST = Service[str]("test.lost")
NEXT = Service[str]("test.next")
LAST = Service[str]("test.last")
SOFT = Service[str]("test.soft")


@attrs.frozen
class Settings:
    port: int = 80


def fails(self: Any) -> str:
    raise ConnectionError("no database")


async def hangs(self: Any) -> str:
    await anyio.sleep_forever()
    raise AssertionError


def exits(self: Any) -> str:
    raise SystemExit(1)


def lost(function: Any, **attributes: Any) -> type[Plugin]:
    namespace = {"name": "lost", "give": provides(LOST)(function), **attributes}
    return type("Lost", (Plugin,), namespace)


def failing_init() -> type[Plugin]:
    return lost(lambda self: "x", __init__=fails)


FAILURES: dict[str, Callable[[], type[Plugin]]] = {
    "provider": lambda: lost(lambda self: fails(self)),
    "time limit": lambda: lost(lambda self: hangs(self), give=provides(LOST)(_copy(hangs)), start_timeout=0.01),
    "exit": lambda: lost(lambda self: exits(self)),
    "init": failing_init,
    "type": lambda: lost(lambda self: 5),
    "configuration": lambda: lost(lambda self: "x", config=configured_by(Settings)),
    "hook": lambda: lost(lambda self: "x", kernel_redy=hookimpl(lambda self: None)),
    "kernel version": lambda: lost(lambda self: "x", requires_kernel=">=99"),
    "missing need": lambda: lost(lambda self: "x", need=needs(Service[str]("test.nobodys"))),
}


def _copy(function: Any) -> Any:
    async def copy(self: Any) -> str:
        result: str = await function(self)
        return result

    return copy


def _failing_lifespan() -> Any:
    async def span(self: Any) -> Any:
        fails(self)
        yield

    return span


class Recorder:
    """Plugins that write down what of them ran."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def dependent(self, plugin: str, needed: Service[str], gives: Service[str]) -> type[Plugin]:
        ran = self.ran

        class Dependent(Plugin):
            name = plugin
            need = needs(needed)

            @provides(gives)
            async def give(self) -> Any:
                ran.append(f"{plugin} provides")
                yield "x"
                ran.append(f"{plugin} ends")

            @lifespan
            async def span(self) -> Any:
                ran.append(f"{plugin} lives")
                yield

            @background
            async def work(self) -> None:
                ran.append(f"{plugin} works")

            @on(str)
            def heard(self, event: str) -> None:
                ran.append(f"{plugin} hears")

            @hookimpl
            def kernel_ready(self) -> None:
                ran.append(f"{plugin} is ready")

        return Dependent


class Soft(Plugin):
    name = "soft"
    lost = wants(LOST)
    last = wants(LAST)

    @provides(SOFT)
    def give(self) -> str:
        return f"{self.lost} {self.last}"


@pytest.mark.parametrize("failure", FAILURES)
async def test_what_needs_a_failed_plugin_is_skipped(failure: str) -> None:
    """However an optional plugin fails, none of its dependents' code runs, at any depth; soft users do without it."""
    recorder = Recorder()
    plugins = [
        FAILURES[failure](),
        recorder.dependent("next", LOST, NEXT),
        recorder.dependent("last", NEXT, LAST),
        Soft,
    ]
    kernel = ObjectKernel(
        plugins=plugins,
        discover=False,
        environ={},
        optional=["lost"],
        config={"plugins": {"lost": {"port": "x"}}} if failure == "configuration" else {},
    )
    async with kernel:
        assert kernel.state == "degraded"
        info = {p.name: p for p in kernel.plugins()}
        assert {n: (p.state, p.because) for n, p in info.items()} == {
            "lost": ("failed", ""),
            "next": ("skipped", "lost"),
            "last": ("skipped", "next"),
            "soft": ("running", ""),
        }
        assert "'test.lost'" in info["next"].reason
        assert info["lost"].error is not None
        assert info["lost"].reason
        assert kernel.get(SOFT) == "None None"
        await kernel.emit("event")
        health = await kernel.health()
        assert health.live
    assert recorder.ran == []


async def test_skipped_services_tell_why_they_are_not_there() -> None:
    """Asking for a service of a skipped plugin names the plugin behind it."""
    recorder = Recorder()
    plugins = [FAILURES["provider"](), recorder.dependent("next", LOST, NEXT)]
    async with ObjectKernel(plugins=plugins, discover=False, optional=["lost"]) as kernel:
        with pytest.raises(ServiceUnavailable) as caught:
            kernel.get(NEXT)
    assert "next is skipped: it needs 'test.lost' of lost, which failed" in caught.value.why


@pytest.mark.parametrize("failure", FAILURES)
async def test_a_critical_plugin_that_fails_fails_the_boot(failure: str) -> None:
    """Without `optional` the same failures end the boot, and no dependent's code runs."""
    recorder = Recorder()
    plugins = [FAILURES[failure](), recorder.dependent("next", LOST, NEXT)]
    config = {"plugins": {"lost": {"port": "x"}}} if failure == "configuration" else {}
    with pytest.raises(BootError) as caught:
        await ObjectKernel(plugins=plugins, discover=False, environ={}, config=config).bootstrap()
    assert len(caught.value.exceptions) == 1
    assert recorder.ran == []


async def test_an_independent_plugin_is_not_concerned() -> None:
    """A failure takes down what hangs on it, and nothing else."""
    recorder = Recorder()
    other = type("Other", (Plugin,), {"name": "other", "give": provides(NEXT)(lambda self: "other")})
    plugins = [FAILURES["provider"](), other, recorder.dependent("last", NEXT, LAST)]
    async with ObjectKernel(plugins=plugins, discover=False, optional=["lost"]) as kernel:
        assert kernel.get(NEXT) == "other"
    assert recorder.ran[:3] == ["last provides", "last lives", "last is ready"]


async def test_what_a_skipped_plugin_had_entered_is_exited() -> None:
    """A plugin is skipped as a whole: a service of it that is up already, and needs nothing, is stopped again."""
    journal: list[str] = []
    entered = anyio.Event()

    async def fail(self: Any) -> str:
        await entered.wait()
        raise OSError("lost")

    class Half(Plugin):
        name = "half"
        lost = needs(LOST)

        @provides(NEXT, uses=())
        async def free(self) -> AsyncIterator[str]:
            journal.append("up")
            entered.set()
            yield "free"
            journal.append("down")

        @provides(LAST)
        def bound(self) -> str:
            journal.append("ran")
            return "bound"

    async with ObjectKernel(plugins=[lost(fail), Half], discover=False, optional=["lost"]) as kernel:
        assert {p.name: p.state for p in kernel.plugins()} == {"lost": "failed", "half": "skipped"}
        assert journal == ["up", "down"]
        assert kernel.services() == ()


async def test_who_started_meanwhile_is_stopped_again() -> None:
    """A plugin that fails after one of its services was up takes along who had started on that service."""
    recorder = Recorder()
    failing = lost(lambda self: "x", span=lifespan(_failing_lifespan()))
    plugins = [failing, recorder.dependent("next", LOST, NEXT), recorder.dependent("last", NEXT, LAST), Soft]
    async with ObjectKernel(plugins=plugins, discover=False, optional=["lost"]) as kernel:
        states = {p.name: p.state for p in kernel.plugins()}
        assert states == {"lost": "failed", "next": "skipped", "last": "skipped", "soft": "running"}
        assert kernel.get(SOFT) == "None None"
    assert recorder.ran.count("next provides") == recorder.ran.count("next ends")
    assert {line for line in recorder.ran if line.split()[1] in ("works", "hears", "is")} == set()
