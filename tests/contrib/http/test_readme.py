"""The README is held to the code."""

from __future__ import annotations

from pathlib import Path

import attrs
import objectkernel_http
import pytest
from objectkernel.errors import KernelError
from objectkernel_http import errors
from objectkernel_http.config import HttpConfig

README = (Path(__file__).parents[3] / "contrib" / "http" / "README.md").read_text()
CLASSES = [
    c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, KernelError) and c is not KernelError
]


@pytest.mark.parametrize("error", CLASSES)
def test_every_error_is_told(error: type[KernelError]) -> None:
    """By its code and its name."""
    assert f"| {error.code} | `{error.__name__}` |" in README


@pytest.mark.parametrize("name", [field.name for field in attrs.fields(HttpConfig)])
def test_every_setting_is_told(name: str) -> None:
    """In the table of settings."""
    (table,) = [part for part in README.split("\n\n") if part.startswith("| setting |")]
    assert f"`{name}`" in table


@pytest.mark.parametrize("name", objectkernel_http.__all__)
def test_every_public_name_is_told(name: str) -> None:
    """In the first table; and it is there."""
    (table,) = [part for part in README.split("\n\n") if part.startswith("| name |")]
    assert f"`{name}" in table
    assert hasattr(objectkernel_http, name)
