"""What is public is there, and is driven by a test (G20)."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import objectkernel
import pytest
from objectkernel import ObjectKernel, Plugin, PluginContext, PluginDef, Scope, Secret, testing
from objectkernel.events import Subscription
from objectkernel.portal import KernelPortal
from objectkernel.timeline import Timeline


def public(kind: type) -> list[tuple[str, str]]:
    """(class, name) of each public method and property that the class itself has."""
    return [(kind.__name__, name) for name in vars(kind) if not name.startswith("_")]


FACADES = [ObjectKernel, PluginContext, Scope, Plugin, PluginDef, Secret, KernelPortal, Subscription, Timeline]
METHODS = [pair for kind in FACADES for pair in public(kind)]


@cache
def written() -> str:
    """The text of all tests of the kernel but this one."""
    folder = Path(__file__).parent
    return "\n".join(p.read_text() for p in sorted(folder.glob("test_*.py")) if p != Path(__file__))


@pytest.mark.parametrize("name", objectkernel.__all__)
def test_every_public_name_is_there_and_used_by_a_test(name: str) -> None:
    """What `__all__` promises can be imported, is listed by dir(), and is used by a test of the kernel."""
    assert getattr(objectkernel, name) is not None
    assert name in dir(objectkernel)
    assert re.search(rf"\b{name}\b[(\[.,)]", written()), f"no test uses {name}"


@pytest.mark.parametrize(("kind", "name"), METHODS, ids=[f"{k}.{n}" for k, n in METHODS])
def test_every_public_method_is_used_by_a_test(kind: str, name: str) -> None:
    """Exported but undriven code is a defect: each method, property and class attribute occurs in a test."""
    assert re.search(rf"\.{name}\b|\b{name}\s*=|\b{name}: ", written()), f"no test uses {kind}.{name}"


def test_a_private_name_is_an_attribute_error() -> None:
    """A name that is not public is an AttributeError of the module, as Python has it."""
    module: Any = objectkernel
    with pytest.raises(AttributeError, match="Nothing"):
        _ = module.Nothing
    other: Any = testing
    with pytest.raises(AttributeError, match="Nothing"):
        _ = other.Nothing
