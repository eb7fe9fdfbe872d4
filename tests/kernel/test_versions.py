"""Versions and ranges."""

from __future__ import annotations

from typing import Any

import pytest
from objectkernel import KernelError, ObjectKernel, Plugin, Service, needs, provides, wants
from objectkernel.errors import DeclarationInvalid
from objectkernel.versions import admits


@pytest.mark.parametrize(
    ("specifier", "inside", "outside"),
    [
        (">=1.2", ["1.2", "1.10", "2", "1.2.0rc1"], ["1.1.9", "0"]),
        (">1.2,<2", ["1.2.1", "1.99"], ["1.2", "1.2.0", "2", "2.0"]),
        ("==1.2", ["1.2", "1.2.0", "v1.2"], ["1.2.1", "1"]),
        ("1.2", ["1.2.0"], ["1.3"]),
        ("!=1.2", ["1.3"], ["1.2.0"]),
        ("<=2", ["2", "2.0.0", "1.9"], ["2.0.1"]),
        ("~=1.2", ["1.2", "1.9"], ["1.1", "2.0"]),
        ("~=1.2.3", ["1.2.3", "1.2.10"], ["1.2.2", "1.3"]),
        ("~=1.0.0", ["1.0", "1", "1.0.7"], ["1.1", "2"]),
    ],
)
def test_ranges(specifier: str, inside: list[str], outside: list[str]) -> None:
    """Numbers are compared as numbers, trailing zeros do not count, and every clause must hold."""
    assert [v for v in inside if not admits(specifier, v)] == []
    assert [v for v in outside if admits(specifier, v)] == []


@pytest.mark.parametrize("specifier", ["newest", ">=", ">=1,", "1.2 - 1.4", 5, ["1"]])
@pytest.mark.parametrize("edge", [needs, wants])
def test_an_unreadable_range_is_refused_where_it_is_written(edge: Any, specifier: Any) -> None:
    """`needs(KEY, version=...)` refuses at once what it could not hold a version against."""
    with pytest.raises(DeclarationInvalid) as caught:
        edge(Service[str]("test.a"), version=specifier)
    assert caught.value.where.startswith(f"{__file__}:")


def problems(provided: str | None, **edges: Any) -> tuple[KernelError, ...]:
    one = type(
        "One", (Plugin,), {"name": "one", "a": provides(Service[str]("test.a", version=provided))(lambda self: "x")}
    )
    two = type("Two", (Plugin,), {"name": "two", **edges})
    return ObjectKernel(plugins=[one, two], discover=False).check()


@pytest.mark.parametrize("edge", [needs, wants])
def test_a_provided_version_must_meet_the_range(edge: Any) -> None:
    """A range, of a soft edge too, is checked before boot; a key without a version meets none."""
    key = Service[str]("test.a")
    assert problems("1.3", a=edge(key, version=">=1.2")) == ()
    assert problems(None, a=edge(key)) == ()
    for provided in ("1.1", None):
        (problem,) = problems(provided, a=edge(key, version=">=1.2"))
        assert problem.code == "K204"
        assert problem.where.startswith(f"{__file__}:")
        assert problem.facts["name"] == "test.a"


def test_a_want_for_which_nobody_provides_meets_every_range() -> None:
    """The range of an absent soft need is nobody's problem."""
    assert problems("1.0", b=wants(Service[str]("test.b"), version=">=9")) == ()


def test_requires_kernel_is_held_against_this_kernel() -> None:
    """`requires_kernel` is checked before boot, and one that cannot be read is a problem of its own."""
    assert problems("1", requires_kernel=">=0.1,<99") == ()
    (problem,) = problems("1", requires_kernel=">=99")
    assert (problem.code, problem.facts["name"]) == ("K106", "two")
    for unreadable in ("newest", 5):
        (problem,) = problems("1", requires_kernel=unreadable)
        assert problem.code == "K103"
