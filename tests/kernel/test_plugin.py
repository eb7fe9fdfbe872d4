"""Plugins on their own: fakes, the functional form, logger and context outside of a kernel."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import attrs
import pytest
from objectkernel import (
    Extension,
    ObjectKernel,
    Plugin,
    PluginDef,
    Service,
    collects,
    configured_by,
    contributes,
    needs,
    on,
    provides,
    wants,
)
from objectkernel.errors import DeclarationInvalid, ServiceUndeclared, ServiceUnset

DB = Service[str]("test.db")
CACHE = Service[str]("test.cache")
LEDGER = Service[str]("test.ledger")
RULES = Extension[str]("test.rules")


@attrs.frozen
class Settings:
    currency: str = "EUR"


@attrs.frozen
class Demanding:
    url: str


class Billing(Plugin):
    name = "billing"
    config = configured_by(Settings)
    db = needs(DB)
    cache = wants(CACHE)
    rules = collects(RULES)

    @provides(LEDGER)
    def ledger(self) -> str:
        return f"{self.db} {self.cache} {self.rules} {self.config.currency}"


class Strict(Plugin):
    name = "strict"
    config = configured_by(Demanding)


# -- fakes ---------------------------------------------------------------------------------------------


def test_a_fake_has_what_it_is_given() -> None:
    """A plugin is tested without a kernel: its attributes are given, and its methods called."""
    fake = Billing.fake(db="db", cache="cache", rules=("a", "b"), config=Settings(currency="USD"))
    assert fake.ledger() == "db cache ('a', 'b') USD"


def test_what_a_fake_is_not_given() -> None:
    """An unset want is None, an unset collection empty, and the settings have their defaults."""
    assert Billing.fake(db="db").ledger() == "db None () EUR"


def test_an_unset_need_of_a_fake_is_an_error_when_read() -> None:
    """The error names the attribute, the service, the line of the edge, and how to give it."""
    with pytest.raises(ServiceUnset) as caught:
        Billing.fake().ledger()
    assert "Billing.db (test.db)" in caught.value.what
    assert caught.value.where == Billing.db.where
    assert "Billing.fake(db=...)" in caught.value.fix


def test_settings_without_defaults_are_unset_in_a_fake() -> None:
    """Settings that cannot be made from defaults are an error when they are read, not before."""
    fake = Strict.fake()
    with pytest.raises(ServiceUnset, match="config"):
        _ = fake.config
    assert Strict.fake(config=Demanding("x")).config.url == "x"


def test_a_fake_refuses_unknown_names() -> None:
    """An unknown name is an error with the nearest declared one."""
    with pytest.raises(ServiceUndeclared) as caught:
        Billing.fake(db="db", cahce="x")
    assert caught.value.fix == "did you mean 'cache'?"
    assert caught.value.facts["known"] == ("cache",)


def test_fakes_do_not_share() -> None:
    """What one fake is given no other has."""
    Billing.fake(db="mine")
    with pytest.raises(ServiceUnset):
        _ = Billing.fake().db


def test_a_context_outside_of_a_kernel_is_an_error() -> None:
    """A fake has no kernel to look into."""
    with pytest.raises(ServiceUnset, match="context"):
        _ = Billing.fake(db="db").context


def test_the_logger_goes_by_the_plugins_name(caplog: pytest.LogCaptureFixture) -> None:
    """`self.log` is the standard library's logger of that name, and no import installs a handler."""
    import logging

    Billing.fake().log.warning("hello")
    assert [(r.name, r.message) for r in caplog.records] == [("objectkernel.plugin.billing", "hello")]
    assert logging.getLogger("objectkernel").handlers == []


# -- the functional form -------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_functions_make_a_plugin() -> None:
    """A PluginDef provides, contributes, holds a lifespan, runs in the background and handles events like a class."""
    seen: list[str] = []
    base, plugin = PluginDef("base"), PluginDef("functional")

    class Paid:
        pass

    @base.provides(DB)
    def db() -> str:
        return "db"

    @base.contributes(RULES)
    def rule() -> str:
        return "rule"

    @plugin.provides(LEDGER, needs={"source": DB, "cache": wants(CACHE), "rules": RULES})
    async def ledger(source: str, cache: str | None, rules: tuple[str, ...]) -> AsyncIterator[str]:
        yield f"{source} {cache} {rules}"
        seen.append("ledger down")

    @plugin.lifespan(needs={"ledger": LEDGER})
    def span(ledger: str) -> Iterator[None]:
        seen.append("span up")
        yield
        seen.append("span down")

    @plugin.background(needs={"ledger": LEDGER})
    async def work(ledger: str) -> None:
        seen.append("work")

    @plugin.on(Paid, needs={"ledger": LEDGER})
    async def paid(event: Paid, ledger: str) -> None:
        seen.append(f"paid with {ledger}")

    async with ObjectKernel(plugins=[plugin, base], discover=False) as kernel:
        assert kernel.get(LEDGER) == "db None ('rule',)"
        await kernel.emit(Paid())
    assert sorted(seen[:2]) == ["span up", "work"]
    assert seen[2:] == ["paid with db None ('rule',)", "span down", "ledger down"]


def test_needs_of_a_function_are_a_mapping_of_keys() -> None:
    """A list, or something that is no key, is refused where it is written."""
    plugin = PluginDef("functional")
    with pytest.raises(DeclarationInvalid, match="no mapping"):
        plugin.provides(LEDGER, needs=[DB])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="takes a service key"):
        plugin.provides(LEDGER, needs={"db": "test.db"})


def test_a_function_must_take_what_its_needs_name() -> None:
    """A keyword that the function does not take, or an argument that nobody gives, is told before boot."""
    plugin = PluginDef("functional")
    plugin.provides(LEDGER, needs={"db": DB})(lambda: "x")
    plugin.provides(CACHE)(lambda more: "x")
    plugin.provides(DB)(lambda *, more=1: "x")
    problems = ObjectKernel(plugins=[plugin], discover=False).check()
    assert [p.code for p in problems] == ["K103", "K103"]
    assert "'db'" in problems[0].why[0]
    assert "'more'" in problems[1].why[0]


# -- inheritance ---------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_subclass_inherits_the_declaration_and_may_change_it() -> None:
    """Edges and providers are inherited; an attribute of the same name takes the place of the inherited one."""

    class Other(Billing):
        name = "other"
        cache = None  # type: ignore[assignment]

        @provides(Service[str]("test.other"))
        def ledger(self) -> str:
            return f"other {self.db} {self.cache}"

    db = PluginDef("db")
    db.provides(DB)(lambda: "db")
    async with ObjectKernel(plugins=[Other, db], discover=False) as kernel:
        assert kernel.services() == ("test.db", "test.other")
        assert kernel.get_service("test.other") == "other db None"


@pytest.mark.anyio
async def test_a_host_may_make_the_instance() -> None:
    """An instance given to the kernel keeps what its __init__ was given, and gets its needs."""

    class Parametrised(Plugin):
        name = "parametrised"
        db = needs(DB)

        def __init__(self, prefix: str) -> None:
            self.prefix = prefix

        @provides(LEDGER)
        def ledger(self) -> str:
            return self.prefix + self.db

    kernel: Any = ObjectKernel(plugins=[Parametrised("my-")], discover=False).provide(DB, "db")
    async with kernel:
        assert kernel.get(LEDGER) == "my-db"


def test_one_function_does_one_thing() -> None:
    """A function marked twice is refused where the second decorator stands."""
    with pytest.raises(DeclarationInvalid, match="marked twice: provides and contributes"):
        contributes(RULES)(provides(DB)(lambda self: "x"))


@pytest.mark.parametrize("target", [5, "x", Settings, len])
def test_decorators_mark_functions(target: Any) -> None:
    """Something that is no function is refused by the decorator."""
    for decorator in (provides(DB), contributes(RULES), on(int)):
        with pytest.raises(DeclarationInvalid, match="marks a function"):
            decorator(target)
