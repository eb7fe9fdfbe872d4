"""What `objectkernel projects` prints: JSON, tables, one project."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Any, Final

import attrs
import click
from objectkernel_contracts import CommandContext

from objectkernel_project_life.contracts import SERVED_TRANSPORTS, ProjectDTO

HEAD: Final = ("ID", "ACCOUNT", "SLUG", "STATUS", "DATABASE", "NAME")


def _ask_for_json(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted:
        context.obj.json = True


as_json = click.option(
    "--json", is_flag=True, expose_value=False, callback=_ask_for_json, help="Print JSON on standard output."
)


def confirm(question: str) -> None:
    """Ask whether to go on.

    Raises:
        click.Abort: no.
        click.UsageError: there is nobody to ask.
    """
    try:
        click.confirm(question, abort=True, err=True)
    except click.Abort as error:
        if isinstance(error.__context__, EOFError) and not sys.stdin.isatty():
            click.echo(err=True)  # the question ends no line
            raise click.UsageError("nobody answers, as standard input is no terminal: give --yes") from None
        raise


class Bar:
    """A bar on the terminal for work that tells how much of it is done; without a terminal, nothing."""

    def __init__(self, obj: CommandContext, label: str) -> None:
        self._obj = obj
        self._label = label
        self._done = 0
        self._steps: Iterator[None] | None = None

    def show(self, done: int, total: int) -> None:
        """So many are done."""
        if self._steps is None:
            self._steps = self._obj.progress(repeat(None, total + 1), self._label, total)
            next(self._steps, None)
        for _ in range(done - self._done):
            next(self._steps, None)
        self._done = max(done, self._done)

    def end(self) -> None:
        """Take the bar away."""
        for _ in self._steps or ():
            pass


def not_served(project: ProjectDTO) -> tuple[str, ...]:
    """The transports that this host stores and does not serve."""
    return tuple(name for name in project.transports if name not in SERVED_TRANSPORTS)


def document(project: ProjectDTO) -> dict[str, Any]:
    """A project for ``--json``."""
    told = attrs.asdict(project, recurse=False)
    return {
        **told,
        "schemas": [dict(schema) for schema in project.schemas],
        "transports": list(project.transports),
        "not_served": list(not_served(project)),
        "created_at": project.created_at.isoformat(),
        "updated_at": project.updated_at.isoformat(),
    }


def row(project: ProjectDTO) -> tuple[str, ...]:
    """A project in a table."""
    status = project.status if project.transition is None else f"{project.status} ({project.transition})"
    return project.id, project.account, project.slug, status, project.uri, project.name


def print_project(obj: CommandContext, project: ProjectDTO) -> None:
    """Everything of a project."""
    if obj.json:
        print_json(document(project))
        return
    unserved = not_served(project)
    lines = {
        "id": project.id,
        "account": project.account,
        "name": project.name,
        "slug": project.slug,
        "status": project.status if project.transition is None else f"{project.status}, {project.transition} now",
        "error": project.error or "",
        "database": f"{project.uri} ({project.dialect})",
        "entities": ", ".join(str(schema.get("name", "?")) for schema in project.schemas) or "none",
        "transports": ", ".join(project.transports) or "none",
        "not served": f"{', '.join(unserved)}: this host serves {', '.join(SERVED_TRANSPORTS)}" if unserved else "",
        "pool": f"{project.pool_min} to {project.pool_size} connections",
        "manager": project.mproject_name,
        "version": str(project.version),
        "made": f"{project.created_at:%Y-%m-%d %H:%M} UTC",
        "changed": f"{project.updated_at:%Y-%m-%d %H:%M} UTC",
    }
    for name, value in lines.items():
        if value:
            click.echo(f"{name:<10}  {plain(value)}")


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2))  # ASCII alone: right in every encoding that a terminal may have


def plain(text: str) -> str:
    """A text free of what could steer a terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as their widest cell."""
    lines = [[plain(cell) for cell in line] for line in [head, *rows]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())
