"""Misuse of the public API: each ends in the kernel's own error, with a code and what to do, and in time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import anyio
import pytest
from objectkernel import (
    BootError,
    Extension,
    KernelError,
    ObjectKernel,
    Plugin,
    PluginDef,
    Service,
    background,
    hookimpl,
    lifespan,
    needs,
    on,
    provides,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_task_left")]

A = Service[str]("test.a")
ITEMS = Extension[str]("test.items")
TENANT = Service[str]("test.tenant", scope="request")

MISUSES: dict[str, tuple[str, Callable[[], Awaitable[Any]]]] = {}


def misuse(code: str) -> Callable[[Callable[[], Awaitable[Any]]], Any]:
    """Register a misuse with the code that it must end in."""

    def register(run: Callable[[], Awaitable[Any]]) -> Any:
        MISUSES[run.__name__] = code, run
        return run

    return register


def kernel_of(*plugins: Any, **options: Any) -> ObjectKernel:
    return ObjectKernel(plugins=plugins, discover=False, environ={}, **options)


async def boot(*plugins: Any, **options: Any) -> None:
    async with kernel_of(*plugins, **options):
        pass


def one(function: Any = None, key: Service[Any] = A, **attributes: Any) -> type[Plugin]:
    """A plugin of one provider."""
    if function is not None:
        attributes["give"] = provides(key)(function)
    return type("One", (Plugin,), {"name": "one", **attributes})


def ready() -> type[Plugin]:
    return one(lambda self: "a")


# -- the kernel's states


@misuse("K501")
async def get_before_bootstrap() -> None:
    kernel_of(ready()).get(A)


@misuse("K501")
async def get_after_shutdown() -> None:
    kernel = kernel_of(ready())
    async with kernel:
        pass
    kernel.get(A)


@misuse("K501")
async def bootstrap_twice() -> None:
    async with kernel_of(ready()) as kernel:
        await kernel.bootstrap()


@misuse("K501")
async def bootstrap_after_shutdown() -> None:
    kernel = kernel_of(ready())
    async with kernel:
        pass
    await kernel.bootstrap()


@misuse("K501")
async def bootstrap_after_a_failed_boot() -> None:
    kernel = kernel_of(one(a=needs(Service[str]("test.b"))))
    with pytest.raises(BootError):
        await kernel.bootstrap()
    await kernel.bootstrap()


@misuse("K501")
async def shutdown_of_a_kernel_that_never_ran() -> None:
    await kernel_of().shutdown()


@misuse("K501")
async def wait_for_the_end_of_a_kernel_that_never_ran() -> None:
    await kernel_of().wait_stopped()


@misuse("K501")
async def use_after_bootstrap() -> None:
    async with kernel_of() as kernel:
        kernel.use(ready())


@misuse("K501")
async def provide_after_bootstrap() -> None:
    async with kernel_of() as kernel:
        kernel.provide(A, "a")


@misuse("K501")
async def a_timeline_before_bootstrap() -> None:
    _ = kernel_of().timeline


@misuse("K501")
async def a_scope_of_a_kernel_that_has_stopped() -> None:
    async with kernel_of() as kernel:
        pass
    kernel.scope("request")


# -- names and keys


@misuse("K201")
async def an_unknown_service() -> None:
    async with kernel_of(ready()) as kernel:
        kernel.get(Service[str]("test.b"))


@misuse("K201")
async def an_unknown_service_by_name() -> None:
    async with kernel_of(ready()) as kernel:
        kernel.get_service("test.b")


@misuse("K110")
async def an_extension_key_for_a_service() -> None:
    async with kernel_of(ready()) as kernel:
        kernel.get(ITEMS)  # type: ignore[arg-type]


@misuse("K110")
async def a_service_key_for_an_extension() -> None:
    async with kernel_of(ready()) as kernel:
        kernel.contributions(A)  # type: ignore[arg-type]


@misuse("K108")
async def disable_an_unknown_plugin() -> None:
    async with kernel_of(ready()) as kernel:
        await kernel.disable("two")


@misuse("K108")
async def reload_something_that_is_no_name() -> None:
    async with kernel_of(ready()) as kernel:
        await kernel.reload(["one"])  # type: ignore[arg-type]


@misuse("K104")
async def call_an_unknown_hook() -> None:
    async with kernel_of(one(kernel_ready=hookimpl(lambda self: None))) as kernel:
        kernel.hook.kernel_redy()


@misuse("K104")
async def call_a_hook_where_nobody_has_any() -> None:
    async with kernel_of() as kernel:
        kernel.hook.acme_shout()


# -- what is given to the kernel


@misuse("K109")
async def plugins_that_are_no_list() -> None:
    await boot_with(plugins=ready())


@misuse("K109")
async def a_number_of_plugins() -> None:
    await boot_with(plugins=5)


async def boot_with(**arguments: Any) -> None:
    async with ObjectKernel(discover=False, **arguments):
        pass


@misuse("K109")
async def a_configuration_that_is_none() -> None:
    await boot_with(config=5)


@misuse("K109")
async def an_unknown_option() -> None:
    await boot(star_timeout=3)


@misuse("K207")
async def a_host_service_of_another_type() -> None:
    async with kernel_of().provide(A, 5):  # type: ignore[arg-type]
        pass


@misuse("K402")
async def something_that_is_no_plugin() -> None:
    await boot("acme-billing")


# -- plugins


@misuse("K101")
async def a_plugin_without_a_name() -> None:
    await boot(Plugin)


@misuse("K101")
async def a_plugin_with_an_illegal_name() -> None:
    await boot(type("Two", (Plugin,), {"name": "Acme Billing"}))


@misuse("K102")
async def one_class_twice() -> None:
    plugin = ready()
    await boot(plugin, plugin)


@misuse("K102")
async def one_instance_in_two_kernels() -> None:
    instance = ready()()
    first, second = kernel_of(instance), kernel_of(instance)
    assert first.check() == second.check() == ()
    async with first:
        await second.bootstrap()


@misuse("K210")
async def a_need_read_in_init() -> None:
    class Hasty(Plugin):
        name = "hasty"
        a = needs(A)

        def __init__(self) -> None:
            self.copy = self.a

    await boot(ready(), Hasty)


@misuse("K210")
async def a_context_read_in_init() -> None:
    class Hasty(Plugin):
        name = "hasty"

        def __init__(self) -> None:
            self.copy = self.context

    await boot(Hasty)


@misuse("K103")
async def two_marks_on_one_function() -> None:
    one(background(provides(A)(lambda self: "a")))


@misuse("K105")
async def an_asynchronous_implementation_of_a_synchronous_hook() -> None:
    async def kernel_findings(self: Any) -> None: ...

    await boot(one(kernel_findings=hookimpl(kernel_findings)))


# -- providers


@misuse("K504")
async def a_provider_that_yields_twice() -> None:
    def twice(self: Any) -> Iterator[str]:
        yield "a"
        yield "b"

    await boot(one(twice))


@misuse("K504")
async def an_asynchronous_provider_that_yields_twice() -> None:
    async def twice(self: Any) -> AsyncIterator[str]:
        yield "a"
        yield "b"

    await boot(one(twice))


@misuse("K504")
async def a_provider_that_never_yields() -> None:
    def never(self: Any) -> Iterator[str]:
        if False:
            yield "a"

    await boot(one(never))


@misuse("K504")
async def an_asynchronous_provider_that_never_yields() -> None:
    async def never(self: Any) -> AsyncIterator[str]:
        if False:
            yield "a"

    await boot(one(never))


@misuse("K504")
async def a_lifespan_that_never_yields() -> None:
    async def never(self: Any) -> AsyncIterator[None]:
        if False:
            yield

    await boot(one(span=lifespan(never)))


@misuse("K502")
async def a_provider_that_asks_for_itself() -> None:
    class Circular(Plugin):
        name = "circular"
        start_timeout = 0.05

        @provides(A, lifetime="lazy")
        async def give(self) -> str:
            return await self.context.aget(A)

    async with kernel_of(Circular) as kernel:
        await kernel.aget(A)


@misuse("K207")
async def a_provider_of_another_type() -> None:
    await boot(one(lambda self: 5))


@misuse("K505")
async def a_provider_that_exits() -> None:
    def leave(self: Any) -> str:
        raise SystemExit(2)

    await boot(one(leave))


@misuse("K505")
async def an_init_that_exits() -> None:
    class Leaving(Plugin):
        name = "leaving"

        def __init__(self) -> None:
            raise SystemExit(2)

    await boot(Leaving)


# -- scopes and leases


@misuse("K211")
async def a_scope_entered_twice() -> None:
    async with kernel_of() as kernel:
        scope = kernel.scope("request")
        async with scope, scope:
            pass


@misuse("K211")
async def a_scope_used_after_its_end() -> None:
    async with kernel_of() as kernel:
        async with kernel.scope("request", {TENANT: "t"}) as scope:
            pass
        await scope.aget(TENANT)


@misuse("K211")
async def a_scope_used_before_it_is_entered() -> None:
    async with kernel_of() as kernel:
        kernel.scope("request", {TENANT: "t"}).get(TENANT)


@misuse("K211")
async def a_scope_given_a_service_of_another() -> None:
    async with kernel_of() as kernel:
        kernel.scope("session", {TENANT: "t"})


@misuse("K211")
async def a_scope_given_a_plain_name() -> None:
    async with kernel_of() as kernel:
        kernel.scope("request", {"test.tenant": "t"})  # type: ignore[dict-item]


@misuse("K211")
async def a_scope_without_a_name() -> None:
    async with kernel_of() as kernel:
        kernel.scope(None)  # type: ignore[arg-type]


@misuse("K205")
async def a_singleton_that_needs_what_is_scoped() -> None:
    await boot(one(lambda self: "a", tenant=needs(TENANT)))


# -- events


@misuse("K601")
async def a_handler_that_cannot_be_called() -> None:
    async with kernel_of() as kernel:
        kernel.on(int, 5)  # type: ignore[arg-type]


@misuse("K602")
async def a_subscription_to_no_class() -> None:
    async with kernel_of() as kernel:
        kernel.on("paid", print)  # type: ignore[arg-type]


@misuse("K602")
async def an_emitted_class() -> None:
    async with kernel_of() as kernel:
        await kernel.emit(int)


@misuse("K602")
async def a_decorator_without_its_event() -> None:
    on(lambda self, event: None)  # type: ignore[arg-type]


# -- run time


@misuse("K506")
async def enable_a_plugin_that_runs() -> None:
    async with kernel_of(ready()) as kernel:
        await kernel.enable("one")


@misuse("K506")
async def restore_what_is_not_replaced() -> None:
    async with kernel_of(ready()) as kernel:
        await kernel.restore(A)


@misuse("K207")
async def replace_with_another_type() -> None:
    async with kernel_of(ready()) as kernel:
        await kernel.replace(A, 5)  # type: ignore[arg-type]


@misuse("K506")
async def a_plugin_that_disables_itself() -> None:
    class Suicidal(Plugin):
        name = "suicidal"

        @background
        async def work(self) -> None:
            await kernel.disable("suicidal")

    kernel = kernel_of(Suicidal)
    async with kernel:
        await anyio.sleep_forever()


def codes_of(error: BaseException) -> list[str]:
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    own = [error.code] if isinstance(error, KernelError) else [type(error).__name__]
    return own + [code for e in inner for code in codes_of(e)]


@pytest.mark.parametrize("name", MISUSES)
async def test_it_ends_in_the_kernels_own_error(name: str) -> None:
    """Each misuse raises a KernelError of its code that says what to do; nothing hangs."""
    code, run = MISUSES[name]
    with anyio.fail_after(20), pytest.raises(KernelError) as caught:
        await run()
    codes = codes_of(caught.value)
    assert code in codes
    assert {c for c in codes if c not in ("K510", "K511")} == {code}
    errors = caught.value.exceptions if isinstance(caught.value, ExceptionGroup) else [caught.value]
    assert all(isinstance(e, KernelError) and e.fix for e in errors)


async def test_shutdown_after_a_failed_boot_is_quiet() -> None:
    """`shutdown()` in a finally clause does not hide why the boot failed."""
    kernel = kernel_of(one(a=needs(A)))
    with pytest.raises(BootError):
        await kernel.bootstrap()
    await kernel.shutdown()
    assert kernel.state == "failed"


async def test_a_functional_plugin_serves_two_kernels() -> None:
    """A PluginDef is a declaration like a class: no misuse at all."""
    plugin = PluginDef("one")
    plugin.provides(A)(lambda: "a")
    async with kernel_of(plugin) as first, kernel_of(plugin) as second:
        assert first.get(A) == second.get(A)
