"""Getting services: what `get` answers, for every value and in every state (G6)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from objectkernel import (
    Extension,
    KernelError,
    ObjectKernel,
    Plugin,
    PluginDef,
    Scope,
    Service,
    collects,
    needs,
    provides,
    wants,
)
from objectkernel.errors import (
    KernelStateInvalid,
    KeyInvalid,
    ServiceMissing,
    ServiceNotReady,
    ServiceTypeMismatch,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_task_left")]

VALUE = Service[Any]("test.value")
USER = Service[Any]("test.user")
ITEMS = Extension[Any]("test.items")
EMPTY = [None, False, 0, 0.0, "", (), []]


def kernel_of(*plugins: Any, **options: Any) -> ObjectKernel:
    return ObjectKernel(plugins=plugins, discover=False, **options)


def in_form(form: str, value: Any) -> Any:
    """A provider's function of one of the four forms."""

    def plain(self: Any) -> Any:
        return value

    async def coroutine(self: Any) -> Any:
        return value

    def generator(self: Any) -> Iterator[Any]:
        yield value

    async def async_generator(self: Any) -> AsyncIterator[Any]:
        yield value

    return {f.__name__: f for f in (plain, coroutine, generator, async_generator)}[form]


@pytest.mark.parametrize("form", ["plain", "coroutine", "generator", "async_generator"])
@pytest.mark.parametrize("lifetime", ["singleton", "lazy", "transient", "scoped"])
@pytest.mark.parametrize("value", EMPTY, ids=repr)
async def test_empty_values_are_services(value: Any, lifetime: Any, form: str) -> None:
    """None, False, 0 and their kind are services like any other, in every form and lifetime (G6)."""
    if lifetime == "transient" and "generator" in form:
        lifetime = "lazy"
    plugin = type("One", (Plugin,), {"name": "one", "give": provides(VALUE, lifetime=lifetime)(in_form(form, value))})
    async with kernel_of(plugin) as kernel, kernel.scope("request") as scope:
        got = await scope.aget(VALUE)
        assert got is value
        if lifetime != "scoped":
            assert await kernel.aget(VALUE) is value
        if lifetime == "singleton":
            assert kernel.get(VALUE) is value
            assert kernel.get_service("test.value") is value
        if lifetime != "transient":
            assert scope.get(VALUE) is value


@pytest.mark.parametrize("value", EMPTY, ids=repr)
async def test_empty_values_are_needs(value: Any) -> None:
    """A need, a want, a collected item and a host-given service of such a value are met by it."""
    item = PluginDef("item")
    item.contributes(ITEMS)(lambda: value)
    edges = {"need": needs(VALUE), "want": wants(USER), "items": collects(ITEMS)}
    user = type("User", (Plugin,), {"name": "user", **edges})
    async with kernel_of(user, item).provide(VALUE, value).provide(USER, value) as kernel:
        instance: Any = kernel.compose().records["user"].instance
        assert instance.need is value
        assert instance.want is value
        assert [i is value for i in instance.items] == [True]
        assert [i is value for i in kernel.contributions(ITEMS)] == [True]
        assert kernel.get(VALUE) is value
        assert kernel.state == "running"


@pytest.mark.parametrize("lifetime", ["given", "singleton", "lazy", "transient", "scoped"])
@pytest.mark.parametrize("value", EMPTY, ids=repr)
async def test_empty_values_replace_others(value: Any, lifetime: Any) -> None:
    """Such a value takes the place of a service of every lifetime, and of one that the host gave."""
    kernel = kernel_of()
    if lifetime == "given":
        kernel.provide(VALUE, "full")
    else:
        kernel.use(
            type("One", (Plugin,), {"name": "one", "give": provides(VALUE, lifetime=lifetime)(lambda _: "full")})
        )
    async with kernel:
        await kernel.replace(VALUE, value)
        if lifetime != "scoped":
            assert await kernel.aget(VALUE) is value
        async with kernel.scope("request") as scope:
            assert await scope.aget(VALUE) is value


@pytest.mark.parametrize("value", EMPTY, ids=repr)
async def test_empty_values_are_given_to_scopes(value: Any) -> None:
    """A key of a scope may be given such a value."""
    tenant = Service[Any]("test.tenant", scope="request")
    async with kernel_of() as kernel, kernel.scope("request", {tenant: value}) as scope:
        assert scope.get(tenant) is value
        assert await scope.aget(tenant) is value


async def test_a_missing_service_is_not_none() -> None:
    """What nobody provides is an error with near names, in each way of asking."""
    plugin = PluginDef("one")
    plugin.provides(VALUE)(lambda: None)
    lost = Service[Any]("test.valeu")
    async with kernel_of(plugin) as kernel, kernel.scope("request") as scope:
        for ask in (kernel.get, kernel.aget, kernel.lease, scope.aget, scope.get):
            with pytest.raises(ServiceMissing) as caught:
                await await_if_needed(ask(lost))  # type: ignore[operator]
            assert caught.value.facts["known"] == ("test.value",)
        with pytest.raises(ServiceMissing):
            kernel.get_service("test.valeu")


async def await_if_needed(result: Any) -> Any:
    return await result if hasattr(result, "__await__") else result


async def test_get_does_not_make() -> None:
    """`get` returns what is there; for lazy, transient and scoped ones the error names what to await."""
    plugin = PluginDef("one")
    keys = {lifetime: Service[Any](f"test.{lifetime}") for lifetime in ("lazy", "transient", "scoped")}
    for lifetime, key in keys.items():
        plugin.provides(key, lifetime=lifetime)(lambda: object())  # type: ignore[arg-type]
    async with kernel_of(plugin) as kernel, kernel.scope("request") as scope:
        for lifetime, key in keys.items():
            with pytest.raises(ServiceNotReady, match="aget"):
                kernel.get(key)
            with pytest.raises(ServiceNotReady, match="aget"):
                scope.get(key)
            if lifetime == "scoped":
                with pytest.raises(ServiceNotReady, match=r"kernel\.scope"):
                    await kernel.aget(key)
        made = await kernel.aget(keys["lazy"])
        assert kernel.get(keys["lazy"]) is made is await kernel.aget(keys["lazy"])
        assert await kernel.aget(keys["transient"]) is not await kernel.aget(keys["transient"])
        scoped = await scope.aget(keys["scoped"])
        assert scope.get(keys["scoped"]) is scoped is await scope.aget(keys["scoped"])


async def test_a_scope_may_be_closed_early() -> None:
    """`close` tears down what the scope made, the last first; a second call, and the end of the block, do nothing."""
    journal: list[str] = []
    plugin = PluginDef("one")

    @plugin.provides(VALUE, lifetime="scoped")
    async def value() -> AsyncIterator[str]:
        yield "value"
        journal.append("value down")

    @plugin.provides(USER, lifetime="scoped", needs={"value": VALUE})
    def user(value: str) -> Iterator[str]:
        yield f"user of {value}"
        journal.append("user down")

    async with kernel_of(plugin) as kernel, kernel.scope("request") as scope:
        assert isinstance(scope, Scope)
        assert await scope.aget(USER) == "user of value"
        await scope.close()
        await scope.close()
        assert journal == ["user down", "value down"]
    assert len(journal) == 2


async def test_services_are_listed_by_name() -> None:
    """`services()` has the names of what is up."""
    plugin = PluginDef("one")
    plugin.provides(VALUE)(lambda: 1)
    plugin.provides(USER, lifetime="lazy")(lambda: 2)
    kernel = kernel_of(plugin)
    assert kernel.services() == ()
    async with kernel:
        assert kernel.services() == ("test.value",)
        await kernel.aget(USER)
        assert set(kernel.services()) == {"test.value", "test.user"}
    assert kernel.services() == ()


@pytest.mark.parametrize("form", ["plain", "coroutine", "generator", "async_generator"])
@pytest.mark.parametrize("lifetime", ["lazy", "transient", "scoped"])
async def test_what_is_made_on_demand_is_of_its_keys_type_too(lifetime: Any, form: str) -> None:
    """An object that is not of its key's type is refused for whoever asked, and the kernel runs on."""
    if lifetime == "transient" and "generator" in form:
        form = "plain"
    key = Service[str]("test.text")
    plugin = type("One", (Plugin,), {"name": "one", "give": provides(key, lifetime=lifetime)(in_form(form, 5))})
    async with kernel_of(plugin) as kernel, kernel.scope("request") as scope:
        with pytest.raises(ServiceTypeMismatch) as caught:
            await scope.aget(key)
        assert caught.value.facts == {"name": "test.text", "plugin": "one"}
        assert kernel.state == "running"


async def test_contributions_before_and_after_boot() -> None:
    """Before the boot those that depend on nothing are made for the asker; after it all are there, in plugin order."""
    one, two = PluginDef("b-one"), PluginDef("a-two")
    one.provides(VALUE)(lambda: "value")
    one.contributes(ITEMS)(lambda: "free")
    two.contributes(ITEMS, needs={"value": VALUE})(lambda value: f"with {value}")
    kernel = kernel_of(one, two)
    assert kernel.contributions(ITEMS) == ("free",)
    assert [name for name, _ in kernel.contributors(ITEMS)] == ["b-one"]
    assert kernel.contributors(ITEMS)[0][1]() == "free"
    assert kernel.state == "idle"
    async with kernel:
        assert kernel.contributions(ITEMS) == ("free", "with value")
        assert kernel.contributions(Extension[Any]("test.nobodys")) == ()


@pytest.mark.parametrize("key", ["test.value", None, 5, ["x"], object(), ITEMS])
async def test_what_is_no_service_key(key: Any) -> None:
    """Every way of asking refuses what is no service key, but for the plain name of what is up in `get`."""
    async with kernel_of().provide(VALUE, 1) as kernel, kernel.scope("request") as scope:
        asks: list[Any] = [kernel.lease, kernel.restore, scope.aget, scope.get]
        asks += [lambda k: kernel.replace(k, 1), lambda k: kernel.override(k, 1)]
        if key != "test.value":
            asks += [kernel.get, kernel.aget, kernel.get_service]
        for ask in asks:
            if ask == kernel.get_service and key == ITEMS:
                continue
            with pytest.raises(KernelError) as caught:
                await await_if_needed(ask(key))
            assert isinstance(caught.value, KeyInvalid), ask
    with pytest.raises(KeyInvalid):
        kernel_of().provide(key, 1)


@pytest.mark.parametrize("key", ["test.items", None, 5, ["x"], VALUE])
async def test_what_is_no_extension_key(key: Any) -> None:
    """Contributions go by extension keys, before and after the boot."""
    kernel = kernel_of()
    for ask in (kernel.contributions, kernel.contributors):
        with pytest.raises(KeyInvalid):
            ask(key)
    async with kernel:
        for ask in (kernel.contributions, kernel.contributors):
            with pytest.raises(KeyInvalid):
                ask(key)


async def test_services_before_and_after() -> None:
    """Every way of asking tells the state of a kernel that does not run, and what to do."""
    kernel = kernel_of().provide(VALUE, 1)

    async def ask_all() -> None:
        asks: list[Any] = [kernel.get, kernel.aget, kernel.lease, kernel.restore, kernel.get_service]
        asks += [lambda k: kernel.replace(k, 1), lambda k: kernel.override(k, 1), lambda k: kernel.scope("request")]
        asks += [lambda k: kernel.disable("x"), lambda k: kernel.enable("x"), lambda k: kernel.reload("x")]
        asks += [lambda k: kernel.findings(), lambda k: kernel.hook]
        for ask in asks:
            with pytest.raises(KernelStateInvalid) as caught:
                await await_if_needed(ask(VALUE))
            assert caught.value.facts["state"] == kernel.state
            assert caught.value.fix

    await ask_all()
    async with kernel:
        assert kernel.get(VALUE) == 1
    assert kernel.state == "stopped"
    await ask_all()
