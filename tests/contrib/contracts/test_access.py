"""Who may use a route: what is declared on its function, and whom that admits."""

from __future__ import annotations

import pytest
from objectkernel_contracts import Credentials, Principal, Public, Scope, access_of, public, requires


def principal(*scopes: str) -> Principal:
    return Principal(account_id="ada", scopes=frozenset(scopes))


def test_any_scope_admits() -> None:
    """One of the names is enough; names are whole, and not the beginnings of others."""
    scope = Scope("data:read", "data:admin")
    assert scope.admits(principal("data:read"))
    assert scope.admits(principal("data:admin", "x"))
    assert not scope.admits(principal("data", "data:rea", "data:read:users", "data:*"))
    assert not scope.admits(principal())


def test_no_names() -> None:
    """A scope without names admits everybody who is known."""
    assert Scope().admits(principal())


@pytest.mark.parametrize(
    ("granted", "path", "admitted"),
    [
        ("data:read:users", {"entity": "users"}, True),
        ("data:read:users", {"entity": "posts"}, False),
        ("data:read:users", {}, False),
        ("data:read:{entity}", {"entity": "users"}, False),
        ("data:read:users", {"entity": "{id}", "id": "users"}, False),
    ],
)
def test_path_parameters(granted: str, path: dict[str, str], admitted: bool) -> None:
    """A name in braces stands for the path parameter of the request, and what that holds is taken as it is."""
    assert Scope("data:read:{entity}").admits(principal(granted), path) is admitted


def test_declarations() -> None:
    """A function carries its declaration and stays what it is; one without has none."""

    async def route() -> None: ...

    assert access_of(route) is None
    assert requires(Scope("a"))(route) is route
    assert access_of(route) == Scope("a")
    assert access_of(public()(route)) == Public()


def test_values_are_frozen_and_silent() -> None:
    """A principal and a scope cannot be changed, and credentials show nothing of what is secret."""
    for value, name in ((principal(), "scopes"), (Scope("a"), "any_of"), (Credentials(), "bearer")):
        with pytest.raises(AttributeError):
            setattr(value, name, ("data:admin",))
    assert "hunter2" not in repr(Credentials(bearer="hunter2", cookies={"session": "hunter2"}))
