"""What the distribution's page says of settings and errors is so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import attrs
from objectkernel_project_life import errors
from objectkernel_project_life.config import ProjectLifeConfig
from objectkernel_project_life.uri_policy import OPTIONS

PAGE = (Path(__file__).parents[3] / "plugins" / "project-life" / "README.md").read_text()


def table(heading: str) -> list[list[str]]:
    """The rows of the first table below a heading, without its head."""
    rows = []
    for line in PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0].splitlines():
        if line.startswith("|"):
            rows.append([cell.strip().strip("`") for cell in line.strip("|").split("|")])
        elif rows:
            break
    return rows[2:]


def test_every_setting_has_a_row_with_its_default() -> None:
    """In the order of the class."""
    told = [(name, default) for name, default, _ in table("Settings")]
    assert told == [(field.name, _shown(field.default)) for field in attrs.fields(ProjectLifeConfig)]


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, float):
        return f"{default:.0f}"
    if isinstance(default, tuple):
        return ", ".join(default) or "-"
    return "-" if default is None else str(default)


def every_error() -> Iterator[type[errors.ProjectError]]:
    waiting = [errors.ProjectError]
    while waiting:
        kind = waiting.pop()
        yield kind
        waiting += kind.__subclasses__()


def test_every_error_has_a_row_with_its_status() -> None:
    """Codes are stable: each belongs to one error."""
    found = {
        kind.code: (kind.__name__, str(int(kind.http_status)))
        for kind in every_error()
        if kind.__module__.startswith("objectkernel")
    }
    assert {code: (name, status) for code, name, status, _ in table("Errors")} == found
    assert len({kind.code for kind in every_error()}) == len(list(every_error()))


def test_the_options_of_uris_are_told() -> None:
    """Those that are harmless, all of them."""
    (line,) = [part for part in PAGE.split("\n* ") if part.startswith("**Options**")]
    assert all(f"`{name}`" in line for names in OPTIONS.values() for name in names)
