"""Code of plugins that ends in what is neither a result nor an ordinary exception: nothing of it is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest
from objectkernel import BootError, ObjectKernel, Plugin, PluginDef, Service, ShutdownError, hookimpl, needs, provides
from objectkernel.errors import PluginExited, PluginStuck, ProviderInvalid, StartTimeout

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_task_left")]

A = Service[str]("test.a")
B = Service[str]("test.b")


class Odd(BaseException):
    """Passes every ``except Exception``."""


def kernel_of(*plugins: Any, **options: Any) -> ObjectKernel:
    return ObjectKernel(plugins=plugins, discover=False, **options)


async def boot_error(*plugins: Any, **options: Any) -> list[Exception]:
    with anyio.fail_after(20), pytest.raises(BootError) as caught:
        await kernel_of(*plugins, **options).bootstrap()
    return list(caught.value.exceptions)


@pytest.mark.parametrize("ending", [Odd(), SystemExit(3), BaseExceptionGroup("all", [SystemExit(1)])], ids=repr)
@pytest.mark.parametrize("form", ["async", "generator", "async_generator", "value"])
async def test_provider_that_ends_so_fails_the_boot(ending: BaseException, form: str) -> None:
    """It becomes an error of the plugin, with what it was as the cause (G3: a failed boot always raises)."""
    plugin = PluginDef("odd")

    if form == "async":

        async def provider() -> str:
            raise ending
    elif form == "generator":

        def provider() -> Iterator[str]:  # type: ignore[misc]
            if ending:
                raise ending
            yield ""
    elif form == "async_generator":

        async def provider() -> AsyncIterator[str]:  # type: ignore[misc]
            if ending:
                raise ending
            yield ""
    else:

        def provider() -> str:  # type: ignore[misc]
            raise ending

    plugin.provides(A)(provider)
    (error,) = await boot_error(plugin)
    assert isinstance(error, PluginExited)
    assert error.__cause__ is ending


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # trio raises its cancellation nowhere else
async def test_provider_cancelled_by_what_it_awaits_fails_the_boot() -> None:
    """On asyncio, awaiting what somebody else cancelled is an error of the step, not a wish of the kernel's."""
    plugin = PluginDef("odd")

    @plugin.provides(A)
    async def a() -> str:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        future.cancel()
        return await future

    (error,) = await boot_error(plugin)
    assert isinstance(error, PluginExited)
    assert "nobody asked for" in str(error)


async def test_background_task_that_ends_so_is_a_crash() -> None:
    """It is never lost (G12)."""
    plugin = PluginDef("odd")
    go = anyio.Event()

    @plugin.background()
    async def work() -> None:
        await go.wait()
        raise Odd

    with anyio.fail_after(20), pytest.raises(ShutdownError) as caught:
        async with kernel_of(plugin):
            go.set()
            await anyio.sleep_forever()
    (error,) = caught.value.exceptions
    assert isinstance(error, PluginExited)
    assert isinstance(error.__cause__, Odd)


async def test_keyboard_interrupt_in_a_group_passes() -> None:
    """An interrupt comes out of bootstrap, also where a task group has wrapped it."""
    plugin = PluginDef("odd")

    @plugin.provides(A)
    async def a() -> str:
        raise BaseExceptionGroup("all", [KeyboardInterrupt()])

    with pytest.raises(KeyboardInterrupt):
        await kernel_of(plugin).bootstrap()


async def test_transient_that_exits_is_wrapped() -> None:
    """SystemExit of a transient's provider is the plugin's error for whoever asks."""
    plugin = PluginDef("odd")

    @plugin.provides(A, lifetime="transient")
    async def a() -> str:
        raise SystemExit(2)

    @plugin.provides(B, lifetime="scoped", needs={"a": A})
    async def b(a: str) -> str:
        return a

    async with kernel_of(plugin) as kernel:
        with pytest.raises(PluginExited):
            await kernel.aget(A)
        async with kernel.scope("request") as scope:
            with pytest.raises(PluginExited):
                await scope.aget(B)


async def test_asynchronous_transient_is_made_for_a_plugin_that_only_handles() -> None:
    """Handlers and hooks read it like everybody else; what goes wrong in its making fails the plugin."""
    seen: list[str] = []
    source = PluginDef("source")

    @source.provides(A, lifetime="transient")
    async def a() -> str:
        await anyio.sleep(0)
        return "made"

    class Handles(Plugin):
        name = "handles"
        a = needs(A)

        @hookimpl
        async def kernel_ready(self) -> None:
            seen.append(self.a)

    async with kernel_of(source, Handles):
        assert seen == ["made"]

    odd = PluginDef("source")

    @odd.provides(A, lifetime="transient")
    async def hangs() -> str:
        await anyio.sleep_forever()
        return ""

    (error,) = await boot_error(odd, Handles, start_timeouts={"handles": 0.05})
    assert isinstance(error, StartTimeout)
    assert error.facts["plugin"] == "handles"


async def test_hook_that_goes_on_after_it_was_cancelled_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The boot does not wait for it; it is named."""
    monkeypatch.setattr("objectkernel.deadlines.STUCK_AFTER", 0.05)
    release = anyio.Event()

    class Stubborn(Plugin):
        name = "stubborn"

        @hookimpl
        async def kernel_ready(self) -> None:
            with anyio.CancelScope(shield=True):
                await release.wait()

    (error,) = await boot_error(Stubborn, start_timeout=0.05)
    assert isinstance(error, PluginStuck)
    assert isinstance(error.__cause__, StartTimeout)
    release.set()


async def test_chain_of_stubborn_teardowns_ends_soon_after_the_overall_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Past the limit of the whole shutdown, each one that is stuck costs a moment, not the full patience."""
    monkeypatch.setattr("objectkernel.deadlines.STUCK_AFTER", 0.5)
    release = anyio.Event()
    plugins = []
    before: Any = None
    for number in range(6):
        key = Service[str](f"test.s{number}")
        plugin = PluginDef(f"stubborn{number}")

        @plugin.provides(key, needs={"before": before} if before is not None else None)
        async def provider(before: str = "") -> AsyncIterator[str]:
            yield "up"
            with anyio.CancelScope(shield=True):
                await release.wait()

        plugins.append(plugin)
        before = key
    kernel = await kernel_of(*plugins, shutdown_timeout=0.05).bootstrap()
    began = anyio.current_time()
    with anyio.fail_after(20), pytest.raises(ShutdownError) as caught:
        await kernel.shutdown()
    assert [type(e) for e in caught.value.exceptions] == [PluginStuck] * 6
    assert anyio.current_time() - began < 6 * 0.5, "the patience counts once from the limit"
    release.set()


async def test_provider_that_swallows_what_ends_its_group_is_told() -> None:
    """A generator whose scope is cancelled from inside, and that then ends as if nothing were, is a crash."""
    plugin = PluginDef("odd")
    scopes: list[anyio.CancelScope] = []

    @plugin.provides(A)
    def a() -> Iterator[str]:
        with anyio.CancelScope() as scope:
            scopes.append(scope)
            yield "up"

    with anyio.fail_after(20), pytest.raises(ShutdownError) as caught:
        async with kernel_of(plugin):
            scopes[0].cancel()
            await anyio.sleep_forever()
    (error,) = caught.value.exceptions
    assert isinstance(error, ProviderInvalid)
    assert "ended while its service was up" in str(error)


@pytest.mark.parametrize("form", ["generator", "async_generator"])
async def test_provider_that_yields_again_when_it_is_cancelled_is_told(form: str) -> None:
    """Whatever ends it, a provider yields once."""
    plugin = PluginDef("odd")
    scopes: list[anyio.CancelScope] = []

    if form == "generator":

        @plugin.provides(A)
        def a() -> Iterator[str]:
            with anyio.CancelScope() as scope:
                scopes.append(scope)
                yield "up"
            yield "again"
    else:

        @plugin.provides(A)
        async def b() -> AsyncIterator[str]:
            with anyio.CancelScope() as scope:
                scopes.append(scope)
                yield "up"
            yield "again"

    with anyio.fail_after(20), pytest.raises(ShutdownError) as caught:
        async with kernel_of(plugin):
            scopes[0].cancel()
            await anyio.sleep_forever()
    (error,) = caught.value.exceptions
    assert isinstance(error, ProviderInvalid)
    assert "yielded twice" in str(error)


class Tower(Plugin):
    name = "tower"

    @provides(Service[float]("test.float"))
    def number(self) -> int:
        return 3


async def test_an_integer_is_a_float_for_a_key_as_for_a_type_checker() -> None:
    """The numeric tower of PEP 484."""
    async with kernel_of(Tower) as kernel:
        assert kernel.get_service("test.float") == 3
