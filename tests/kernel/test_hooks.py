"""Hooks: their order, what fails the boot, and what is refused before it."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import anyio
import pytest
from objectkernel import (
    BootError,
    KernelError,
    ObjectKernel,
    Plugin,
    PluginContext,
    Service,
    ShutdownError,
    background,
    hookimpl,
    hookspec,
    needs,
    provides,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_task_left")]

A = Service[str]("test.a")
B = Service[str]("test.b")
SHOUT = Service[Any]("test.shout")
PHASES = ("kernel_ready", "kernel_bootstrapped", "kernel_listening", "kernel_stopping")


def kernel_of(*plugins: Any, **options: Any) -> ObjectKernel:
    return ObjectKernel(plugins=plugins, discover=False, **options)


def hooked(plugin: str, journal: list[str], fails_in: str = "", **attributes: Any) -> type[Plugin]:
    """A plugin that writes down each phase; every second hook of it is a plain function."""

    def implementation(phase: str, is_async: bool) -> Any:
        def called(self: Any, kernel: PluginContext) -> None:
            assert kernel.plugin == plugin
            journal.append(f"{phase.removeprefix('kernel_')} {plugin}")
            if phase == fails_in:
                raise ValueError(f"{plugin} in {phase}")

        async def awaited(self: Any, kernel: PluginContext) -> None:
            await anyio.sleep(0)
            called(self, kernel)

        return hookimpl(awaited if is_async else called)

    hooks = {phase: implementation(phase, bool(i % 2)) for i, phase in enumerate(PHASES)}
    return type("Hooked", (Plugin,), {"name": plugin, **hooks, **attributes})


def chain(journal: list[str], **fails: str) -> list[type[Plugin]]:
    """Three plugins, named against their order: zero gives to two, two to one."""
    return [
        hooked("one", journal, fails.get("one", ""), b=needs(B)),
        hooked("two", journal, fails.get("two", ""), a=needs(A), give=provides(B)(lambda self: "b")),
        hooked("zero", journal, fails.get("zero", ""), give=provides(A)(lambda self: "a")),
    ]


async def test_phases_follow_each_other_plugin_by_plugin() -> None:
    """Each phase is awaited in dependency order and ends before the next begins; stopping is in reverse."""
    journal: list[str] = []
    async with kernel_of(*chain(journal)):
        journal.append("body")
    order = ["zero", "two", "one"]
    assert journal == [
        *(f"{phase} {name}" for phase in ("ready", "bootstrapped", "listening") for name in order),
        "body",
        *(f"stopping {name}" for name in reversed(order)),
    ]


async def test_ties_are_by_name() -> None:
    """Plugins that do not depend on each other are called by name, whatever order they were given in."""
    journal: list[str] = []
    async with kernel_of(hooked("c", journal), hooked("a", journal), hooked("b", journal)):
        pass
    assert journal[:3] == ["ready a", "ready b", "ready c"]


@pytest.mark.parametrize("phase", PHASES[:3])
async def test_the_first_failure_fails_the_boot(phase: str) -> None:
    """Later implementations and phases do not run, and what is up is taken down."""
    journal: list[str] = []
    with pytest.raises(BootError) as caught:
        await kernel_of(*chain(journal, two=phase)).bootstrap()
    assert [str(e) for e in caught.value.exceptions] == [f"two in {phase}"]
    short = phase.removeprefix("kernel_")
    assert journal[-2:] == [f"{short} zero", f"{short} two"]


async def test_an_optional_plugin_may_not_fail_in_a_hook_either() -> None:
    """The first failure in a hook fails the boot, for others may have relied on the phase."""
    journal: list[str] = []
    with pytest.raises(BootError):
        await kernel_of(*chain(journal, one="kernel_ready"), optional=["one"]).bootstrap()


async def test_stopping_is_isolated() -> None:
    """One failing kernel_stopping keeps no other from being called; all errors come together."""
    journal: list[str] = []
    with pytest.raises(ShutdownError) as caught:
        async with kernel_of(*chain(journal, one="kernel_stopping", zero="kernel_stopping")):
            journal.clear()
    assert journal == ["stopping one", "stopping two", "stopping zero"]
    assert [str(e) for e in caught.value.exceptions] == ["one in kernel_stopping", "zero in kernel_stopping"]


async def test_services_are_up_in_every_phase_and_background_work_from_bootstrapped() -> None:
    """All services are up at kernel_ready; background tasks start after it, before kernel_bootstrapped."""
    seen: list[str] = []

    class Early(Plugin):
        name = "early"

        @background
        async def work(self) -> None:
            seen.append("work")

        @hookimpl
        async def kernel_ready(self) -> None:
            seen.append(f"ready with {len(kernel.services())}")

        @hookimpl
        async def kernel_bootstrapped(self) -> None:
            await anyio.sleep(0)
            seen.append("bootstrapped")

        @hookimpl
        async def kernel_stopping(self) -> None:
            seen.append(f"stopping with {len(kernel.services())}")

    kernel = kernel_of(Early, *chain([]))
    async with kernel:
        pass
    assert seen[0] == "ready with 2"
    assert set(seen[1:3]) == {"work", "bootstrapped"}
    assert seen[3:] == ["stopping with 2"]


async def test_a_hook_gets_the_view_of_its_plugin() -> None:
    """`kernel` is bound to the plugin: what the class does not declare is refused."""
    codes: list[str] = []

    class Bound(Plugin):
        name = "bound"
        a = needs(A)

        @hookimpl
        def kernel_ready(self, kernel: PluginContext) -> None:
            assert kernel is self.context
            assert kernel.get(A) == "a"
            with pytest.raises(KernelError) as caught:
                kernel.get(B)
            codes.append(caught.value.code)

    async with kernel_of(Bound, *chain([])):
        assert codes == ["K206"]


async def test_a_hook_that_hangs_is_cancelled_and_named() -> None:
    """A phase has the plugin's start timeout; the error names the hook and where it hangs."""

    class Hanging(Plugin):
        name = "hanging"
        start_timeout = 0.01

        @hookimpl
        async def kernel_ready(self) -> None:
            await anyio.sleep(10)

    with pytest.raises(BootError) as caught:
        await kernel_of(Hanging).bootstrap()
    (error,) = caught.value.exceptions
    assert isinstance(error, KernelError)
    assert error.code == "K502"
    assert "hanging.kernel_ready" in error.what
    assert "in kernel_ready" in error.facts["stack"]


async def test_findings_are_a_synchronous_broadcast() -> None:
    """Every running plugin is asked, in order; a generator and None are fine answers."""

    class Generous(Plugin):
        name = "a"

        @hookimpl
        def kernel_findings(self, kernel: PluginContext) -> Any:
            yield KernelError("one")
            yield KernelError("two")

    class Silent(Plugin):
        name = "b"

        @hookimpl
        def kernel_findings(self) -> Any:
            return None

    class Plain(Plugin):
        name = "c"

        @hookimpl
        def kernel_findings(self) -> Any:
            return [KernelError("three")]

    async with kernel_of(Plain, Silent, Generous) as kernel:
        assert [f.what for f in kernel.findings()] == ["one", "two", "three"]


# -- refused before boot -------------------------------------------------------------------------------


def problems_of(name: str, function: Any, **attributes: Any) -> tuple[KernelError, ...]:
    plugin = type("One", (Plugin,), {"name": "one", name: hookimpl(function), **attributes})
    return kernel_of(plugin).check()


async def nothing_async(self: Any) -> None: ...


async def test_a_misspelt_hook_has_the_nearest() -> None:
    """A hook that nobody specifies is an error, with its line and the nearest name."""

    def kernel_reddy(self: Any) -> None: ...

    (problem,) = problems_of("kernel_reddy", kernel_reddy)
    assert problem.code == "K104"
    assert problem.fix == "did you mean 'kernel_ready'?"
    assert problem.where == f"{__file__}:{kernel_reddy.__code__.co_firstlineno}"


async def test_an_optional_hook_may_be_nobodys() -> None:
    """pluggy's `optionalhook=True` says that the plugin which specifies the hook may be absent."""
    plugin = type("One", (Plugin,), {"name": "one", "of_another": hookimpl(optionalhook=True)(lambda self: None)})
    async with kernel_of(plugin) as kernel:
        assert kernel.state == "running"


async def test_forms_that_a_specification_refuses() -> None:
    """A synchronous hook takes no async def, and a lifecycle hook no yield."""

    async def coroutine(self: Any) -> None: ...

    async def async_generator(self: Any) -> Any:
        yield

    def generator(self: Any) -> Any:
        yield

    refused = [
        ("kernel_findings", coroutine),
        ("kernel_findings", async_generator),
        ("kernel_ready", async_generator),
        ("kernel_ready", generator),
    ]
    for name, function in refused:
        (problem,) = problems_of(name, function)
        assert (problem.code, problem.facts["name"]) == ("K105", name)


async def test_unknown_arguments_are_refused() -> None:
    """An implementation may leave arguments out, but not add any."""
    (problem,) = problems_of("kernel_ready", lambda self, kernel, more: None)
    assert problem.code == "K105"
    assert "'more'" in problem.what
    assert problems_of("kernel_ready", lambda self: None) == ()


async def test_a_wrong_hook_leaves_an_optional_plugin_out_before_its_code_runs() -> None:
    """The plugin is not made, those that need it are skipped with the reason, and the boot goes on."""
    made: list[str] = []

    class Wrong(Plugin):
        name = "wrong"

        def __init__(self) -> None:
            made.append("wrong")

        @provides(A)
        def give(self) -> str:
            return "a"

        @hookimpl
        def kernel_redy(self) -> None: ...

    dependent = type("Dependent", (Plugin,), {"name": "dependent", "a": needs(A)})
    async with kernel_of(Wrong, dependent, optional=["wrong"]) as kernel:
        states = {p.name: (p.state, p.because) for p in kernel.plugins()}
    assert states == {"wrong": ("failed", ""), "dependent": ("skipped", "wrong")}
    assert made == []


# -- hooks that plugins specify ------------------------------------------------------------------------


def specifications(**functions: Any) -> ModuleType:
    module = ModuleType("acme_hookspecs")
    for name, function in functions.items():
        setattr(module, name, hookspec(function))
    return module


def shout(text: str) -> str:  # type: ignore[empty-body]
    """A specification."""


async def test_hooks_of_other_plugins_are_held_to_their_specifications_too() -> None:
    """`hookspecs` adds to what may be implemented, and is checked in the same way."""
    specified = {"hookspecs": specifications(acme_shout=shout)}
    assert problems_of("acme_shout", lambda self, text: text.upper(), **specified) == ()
    assert [p.code for p in problems_of("acme_shuot", lambda self, text: text, **specified)] == ["K104"]
    assert [p.code for p in problems_of("acme_shout", lambda self, txt: txt, **specified)] == ["K105"]
    assert [p.code for p in problems_of("acme_shout", nothing_async, **specified)] == ["K105"]


@pytest.mark.parametrize("wrong", [5, ModuleType("empty"), "acme_hookspecs"])
async def test_hookspecs_without_a_specification_are_refused(wrong: Any) -> None:
    """Something that specifies nothing is told before boot."""
    plugin = type("One", (Plugin,), {"name": "one", "hookspecs": wrong})
    (problem,) = kernel_of(plugin).check()
    assert problem.code == "K103"


class Asking(Plugin):
    """Specifies a hook, and calls it."""

    name = "asking"
    hookspecs = specifications(acme_shout=shout)

    @provides(SHOUT)
    def give(self) -> Any:
        return lambda text: self.context.hook.acme_shout(text=text)


def answering(plugin: str, answer: Any, **attributes: Any) -> type[Plugin]:
    return type("Answering", (Plugin,), {"name": plugin, "acme_shout": hookimpl(answer), **attributes})


async def test_a_plugin_calls_the_hooks_that_it_specifies() -> None:
    """The call goes to every plugin that is up; implementations take the arguments they want, and have their `self`."""
    one = answering("one", lambda self, text: f"{self.name} {text}")
    two = answering("two", lambda self: f"{self.name} quiet")
    async with kernel_of(Asking, one, two) as kernel:
        assert sorted(kernel.get(SHOUT)("hi")) == ["one hi", "two quiet"]
        assert sorted(kernel.hook.acme_shout(text="hi")) == ["one hi", "two quiet"]
        await kernel.disable("one")
        assert kernel.hook.acme_shout(text="hi") == ["two quiet"]
        await kernel.enable("one")
        assert len(kernel.hook.acme_shout(text="hi")) == 2


async def test_first_results_are_honoured() -> None:
    """A specification with `firstresult` has one answer, the first that is not None."""
    module = ModuleType("acme_hookspecs")
    module.acme_shout = hookspec(firstresult=True)(lambda text: None)  # type: ignore[attr-defined]
    asking = type("First", (Asking,), {"hookspecs": module})
    silent, loud = answering("a", lambda self, text: None), answering("b", lambda self, text: text.upper())
    async with kernel_of(asking, silent, loud) as kernel:
        assert kernel.hook.acme_shout(text="hi") == "HI"


async def test_hooks_of_two_kernels_do_not_meet() -> None:
    """No registry is shared: each kernel calls its own plugins."""
    async with kernel_of(Asking, answering("one", lambda self: 1)) as first, kernel_of(Asking) as second:
        assert first.hook.acme_shout(text="hi") == [1]
        assert second.hook.acme_shout(text="hi") == []
