"""Scopes that can be granted, and how they are told to people."""

from __future__ import annotations

from pathlib import Path

import pytest
from objectkernel_contracts import SCOPES, GrantableScope

from tests.journeys.hosts import full_kernel

WRITE = GrantableScope(name="notes:write", description="Write notes", translations={"fr": "Écrire des notes"})


@pytest.mark.parametrize("language, told", [("en", "Write notes"), ("fr", "Écrire des notes"), ("de", "Write notes")])
def test_a_description_in_a_language(language: str, told: str) -> None:
    """In English where nobody has said it in that language."""
    assert WRITE.described(language) == told


def test_a_scope_is_a_value() -> None:
    """Its translations cannot be changed, neither there nor where they came from."""
    given = {"fr": "Lire"}
    scope = GrantableScope(name="notes:read", description="Read", translations=given)
    given["fr"] = "Écrire"
    assert scope.described("fr") == "Lire"
    with pytest.raises(TypeError):
        scope.translations["fr"] = "Écrire"  # type: ignore[index]
    assert hash(scope) == hash(GrantableScope(name="notes:read", description="Read"))


@pytest.mark.parametrize("name", ["", "Notes", "notes:", "notes write", "é"])
def test_a_name_that_is_none(name: str) -> None:
    """Said when it is made."""
    with pytest.raises(ValueError, match="is no scope"):
        GrantableScope(name=name, description="x")


def test_the_scopes_of_our_plugins_are_told_in_french(tmp_path: Path) -> None:
    """Whoever approves a device reads what it may."""
    scopes = full_kernel(tmp_path).contributions(SCOPES)
    assert [scope.name for scope in scopes if "fr" not in scope.translations] == []
    assert len(scopes) > 10
