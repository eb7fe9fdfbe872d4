"""Declarations: what cannot be meant is told before boot, by the line that says it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import attrs
import pytest
from objectkernel import (
    Extension,
    KernelError,
    ObjectKernel,
    Plugin,
    PluginDef,
    Service,
    background,
    collects,
    configured_by,
    contributes,
    hookimpl,
    lifespan,
    needs,
    on,
    provides,
    wants,
)
from objectkernel.errors import DeclarationInvalid, EventUndeclared, KeyInvalid

A = Service[str]("test.a")
B = Service[str]("test.b")
ITEMS = Extension[str]("test.items")


@attrs.frozen
class Settings:
    size: int = 1


def problems(name: Any = "one", **attributes: Any) -> tuple[KernelError, ...]:
    """What a plugin class of these attributes is refused for."""
    plugin = type("One", (Plugin,), {"name": name, **attributes})
    return ObjectKernel(plugins=[plugin], discover=False).check()


def generator(self: Any) -> Iterator[str]:
    yield "x"


async def async_generator(self: Any) -> AsyncIterator[str]:
    yield "x"


async def coroutine(self: Any) -> str:
    return "x"


def plain(self: Any) -> str:
    return "x"


def fresh(function: Any) -> Any:
    """A copy, for a function carries one mark only."""
    from types import FunctionType

    return FunctionType(function.__code__, function.__globals__, function.__name__)


FORMS = {"value": plain, "async": coroutine, "generator": generator, "async_generator": async_generator}
KINDS = {
    "provides": (lambda: provides(A), {"value", "async", "generator", "async_generator"}),
    "transient": (lambda: provides(A, lifetime="transient"), {"value", "async"}),
    "lazy": (lambda: provides(A, lifetime="lazy"), {"value", "async", "generator", "async_generator"}),
    "scoped": (lambda: provides(A, lifetime="scoped"), {"value", "async", "generator", "async_generator"}),
    "contributes": (lambda: contributes(ITEMS), {"value"}),
    "lifespan": (lambda: lifespan, {"generator", "async_generator"}),
    "background": (lambda: background, {"async"}),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_function_has_its_forms(kind: str, form: str) -> None:
    """A transient yields nothing, a contribution is plain, a lifespan yields, a background task is an async def."""
    decorator, allowed = KINDS[kind]
    found = problems(step=decorator()(fresh(FORMS[form])))
    assert [p.code for p in found] == ([] if form in allowed else ["K103"])
    for problem in found:
        assert "one.step" in problem.what
        assert problem.where == f"{__file__}:{FORMS[form].__code__.co_firstlineno}"
        assert problem.fix


@pytest.mark.parametrize("form", ["generator", "async_generator"])
def test_a_handler_does_not_yield(form: str) -> None:
    """An event handler is called or awaited once for each event."""

    def handler(self: Any, event: int) -> Iterator[None]:
        yield

    async def async_handler(self: Any, event: int) -> AsyncIterator[None]:
        yield

    (problem,) = problems(step=on(int)(handler if form == "generator" else async_handler))
    assert "a handler yields" in problem.what


def test_unknown_words_have_the_nearest() -> None:
    """An unknown lifetime or crash policy is told with those that there are, and the nearest."""
    (lifetime,) = problems(a=provides(A, lifetime="transcient")(plain_copy()))  # type: ignore[call-overload]
    assert lifetime.fix == "write 'transient'"
    (policy,) = problems(a=background(on_crash="restrat")(fresh(coroutine)))  # type: ignore[call-overload]
    assert "fail, degrade, restart" in policy.why[0]


def plain_copy() -> Any:
    return fresh(plain)


def test_uses_names_declared_attributes() -> None:
    """`uses=` with a name that no edge has is told with the nearest."""
    (problem,) = problems(database=wants(A), b=provides(B, uses=("databse",))(plain_copy()))
    assert problem.fix == "did you mean 'database'?"
    (problem,) = problems(b=provides(B, uses=("something",))(plain_copy()))
    assert "something = needs(KEY)" in problem.fix


@pytest.mark.parametrize(
    "function",
    [lambda: "x", lambda self, more: "x", lambda self, *, more: "x"],
    ids=["no self", "one more", "a keyword more"],
)
def test_a_provider_takes_its_plugin_and_nothing_else(function: Any) -> None:
    """Arguments that nobody gives are told before boot, not as a TypeError of the start."""
    (problem,) = problems(a=provides(A)(function))
    assert (problem.code, problem.what) == ("K103", "one.a: it cannot be called")
    assert problem.why[0].startswith("it is called with self: ")


@pytest.mark.parametrize("function", [lambda self: "x", lambda self, event, more: "x"])
def test_a_handler_takes_its_plugin_and_the_event(function: Any) -> None:
    """A handler without room for the event, or with more, is told before boot."""
    (problem,) = problems(a=on(int)(function))
    assert problem.why[0].startswith("it is called with self, the event: ")


def test_arguments_with_defaults_do_no_harm() -> None:
    """What the kernel does not give may have a default; a callable that tells nothing is believed."""
    from functools import partial

    def with_default(self: Any, more: int = 1, *rest: int, other: int = 2) -> str:
        return "x"

    assert problems(a=provides(A)(with_default), b=provides(B)(partial(min))) == ()


@pytest.mark.parametrize("wrapper", [staticmethod, classmethod])
def test_static_and_class_methods_are_refused(wrapper: Any) -> None:
    """The kernel calls functions with the instance; one that cannot take it is told before boot."""
    with pytest.raises(DeclarationInvalid, match="marks a function"):
        provides(A)(wrapper(plain_copy()))
    (problem,) = problems(a=wrapper(provides(A)(plain_copy())))
    assert problem.what == f"one.a is a {wrapper.__name__}"
    (problem,) = problems(kernel_ready=wrapper(hookimpl(plain_copy())))
    assert problem.code == "K103"
    assert problems(helper=wrapper(plain_copy())) == ()


@pytest.mark.parametrize("option", ["start_timeout", "stop_timeout"])
@pytest.mark.parametrize("value", [0, -1, "5", True, float("nan")])
def test_time_limits_are_numbers_above_zero(option: str, value: Any) -> None:
    """A time limit of a class that is none is told before boot."""
    (problem,) = problems(**{option: value})
    assert option in problem.what
    assert problems(**{option: 0.5}) == problems(**{option: None}) == ()


def test_settings_are_one_attrs_class() -> None:
    """`configured_by` refuses what is no attrs class, and a plugin two of them."""
    for wrong in (None, dict, Settings(), "Settings"):
        with pytest.raises(DeclarationInvalid, match="not an attrs class"):
            configured_by(wrong)  # type: ignore[type-var]
    (problem,) = problems(config=configured_by(Settings), other=configured_by(Settings))
    assert problem.what == "one is configured twice: config and other"


@pytest.mark.parametrize("wrong", ["test.a", None, 5, str, ITEMS])
def test_edges_take_keys_of_their_kind(wrong: Any) -> None:
    """needs, wants and provides take a service key; collects and contributes take an extension key."""
    for decorator in (needs, wants, provides):
        with pytest.raises(KeyInvalid) as caught:
            decorator(wrong)
        assert caught.value.where.startswith(f"{__file__}:")
    for decorator in (collects, contributes):
        with pytest.raises(KeyInvalid) as caught:
            decorator(A if wrong is ITEMS else wrong)
        assert caught.value.where.startswith(f"{__file__}:")


def test_a_decorator_without_its_parentheses_is_refused() -> None:
    """`@provides`, `@contributes` and `@on` above a def take the function for their argument, and say so."""
    with pytest.raises(KeyInvalid):
        provides(plain)  # type: ignore[arg-type]
    with pytest.raises(KeyInvalid):
        contributes(plain)  # type: ignore[arg-type]
    with pytest.raises(EventUndeclared):
        on(plain)  # type: ignore[arg-type]
    with pytest.raises(EventUndeclared):
        PluginDef("one").on("paid")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", None, 5, ["one"], "One", "one plugin", "one-", "1", "a\n"])
def test_a_plugin_needs_a_legal_name(name: Any) -> None:
    """A plugin without a name, or with one that could not be written in a configuration, is refused."""
    found = problems(name, b=needs(B))
    assert found[0].code == "K101"
    assert found[0].facts["name"] == name
    assert __file__ in found[0].where


def test_a_functional_plugin_needs_a_legal_name_too() -> None:
    """The same for a PluginDef, with the line that made it."""
    for name in ("", None, "A B"):
        plugin = PluginDef(name)  # type: ignore[arg-type]
        (problem,) = ObjectKernel(plugins=[plugin], discover=False).check()
        assert (problem.code, problem.where) == ("K101", plugin.where)


def test_a_name_belongs_to_the_class() -> None:
    """An instance with a name of its own is refused: configuration and metadata go by the class's."""

    class One(Plugin):
        name = "one"

        def __init__(self) -> None:
            self.name = "other"  # type: ignore[misc]

    (problem,) = ObjectKernel(plugins=[One()], discover=False).check()
    assert (problem.code, problem.facts["name"]) == ("K101", "other")


def test_all_problems_of_one_class_are_told() -> None:
    """One wrong line does not hide the next."""
    found = problems(
        "Wrong Name",
        requires_kernel=">=99",
        start_timeout=-1,
        a=provides(A, lifetime="x")(plain_copy()),  # type: ignore[call-overload]
        b=background(fresh(generator)),
    )
    assert sorted(p.code for p in found) == ["K101", "K103", "K103", "K103", "K106"]
