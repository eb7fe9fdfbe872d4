"""Keys: equality by name, the type they carry, and what is no key."""

from __future__ import annotations

import copy
import pickle
from typing import Any, Protocol

import pytest
from objectkernel import Extension, ObjectKernel, PluginDef, Service
from objectkernel.errors import DeclarationInvalid, KeyInvalid


class Ledger(Protocol):
    def total(self) -> int: ...


def test_two_keys_of_one_name_are_one_key() -> None:
    """Keys are equal, and hash, by their name alone, so no registry of keys is needed."""
    one, other = Service[Ledger]("acme.ledger"), Service[Ledger]("acme.ledger")
    assert one == other == "acme.ledger"
    assert {one: 1}[other] == 1
    assert {one: 1}["acme.ledger"] == 1
    assert one != Service[Ledger]("acme.other")


async def _value(key: Service[Any]) -> Any:
    plugin = PluginDef("one")
    plugin.provides(Service[str]("acme.name"))(lambda: "value")
    async with ObjectKernel(plugins=[plugin], discover=False) as kernel:
        return kernel.get(key)


@pytest.mark.anyio
async def test_a_key_made_elsewhere_finds_the_service() -> None:
    """A second key of the name, with its own version or without a type, leads to the same object."""
    assert await _value(Service[str]("acme.name", version="1.0")) == "value"
    assert await _value(Service("acme.name")) == "value"


def test_a_key_carries_its_type_and_place() -> None:
    """`type` is the subscript, and `where` the line that made the key; both are None or told without a subscript."""
    typed, bare = Service[Ledger]("acme.ledger"), Extension("acme.rules")  # type: ignore[var-annotated]
    assert (typed.type, bare.type) == (Ledger, None)
    assert (
        typed.where == bare.where == f"{__file__}:{test_a_key_carries_its_type_and_place.__code__.co_firstlineno + 2}"
    )
    assert (repr(typed), repr(bare)) == ("Service[Ledger]('acme.ledger')", "Extension('acme.rules')")


def test_a_key_prints_as_its_name() -> None:
    """In messages, formats and joins a key is its name."""
    key = Service[Ledger]("acme.ledger")
    assert f"{key}" == str(key) == ".".join(["acme", "ledger"])


def test_a_key_survives_pickling_and_copying_as_its_name() -> None:
    """What leaves the process is the name, for the type may not be there on the other side."""
    key = Service[Ledger]("acme.ledger")
    assert pickle.loads(pickle.dumps(key)) == key
    assert copy.deepcopy({"key": key}) == {"key": key}


@pytest.mark.parametrize("name", ["a", "acme", "acme.ledger-2", "acme.tax_rules", "a1.b2-c3_d4"])
def test_legal_names(name: str) -> None:
    """A name is lower case letters and digits, parts joined by '.', '-' or '_'."""
    assert Service[str](name) == name


@pytest.mark.parametrize("name", ["", "Acme", "1a", "a..b", "a.", ".a", "a b", "a\n", "ä", None, 5, b"a", ["a"]])
@pytest.mark.parametrize("kind", [Service, Extension])
def test_illegal_names(kind: Any, name: Any) -> None:
    """Anything else is refused where the key is made, with its line and how to write it."""
    with pytest.raises(KeyInvalid) as caught:
        kind[str](name)
    assert caught.value.where.startswith(f"{__file__}:")
    assert caught.value.fix == f'write {kind.__name__}[Type]("vendor.name")'
    assert caught.value.facts["name"] == name


@pytest.mark.parametrize("version", ["", "latest", 1.2, 5])
def test_illegal_versions(version: Any) -> None:
    """A version that no range could be held against is refused where the key is made."""
    with pytest.raises(DeclarationInvalid):
        Service[str]("acme.ledger", version=version)


@pytest.mark.parametrize("scope", ["", 5, True])
def test_illegal_scopes(scope: Any) -> None:
    """A scope is named by a string."""
    with pytest.raises(KeyInvalid):
        Service[str]("acme.tenant", scope=scope)
