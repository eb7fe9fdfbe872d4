"""The README is held to the code."""

from __future__ import annotations

from pathlib import Path

from objectkernel_cli import errors, exits
from objectkernel_cli.root import BUILT_IN

README = (Path(__file__).parents[3] / "contrib" / "cli" / "README.md").read_text()


def test_every_command_has_a_heading():
    """And a row in the first table."""
    for name in BUILT_IN:
        heading = "new plugin" if name == "new" else name
        assert f"\n### {heading}\n" in README
        assert f"| `objectkernel {heading}` |" in README


def test_every_exit_code_is_told():
    """In the words of --help."""
    for code, meaning in exits.TABLE:
        assert f"| {code} | {meaning} |" in README


def test_every_error_is_told():
    """By its code and its name."""
    classes = [c for c in vars(errors).values() if isinstance(c, type) and c.__module__ == errors.__name__]
    for error in classes:
        assert error is errors.HostError or f"| {error.code} | `{error.__name__}` |" in README
