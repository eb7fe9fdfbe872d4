"""What the commands print: JSON, tables, errors, progress. rich is imported when it draws something."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Final, TextIO, TypeVar

import click

if TYPE_CHECKING:
    from objectkernel.errors import KernelError
    from rich.console import Console

T = TypeVar("T")

WIDE: Final = 1_000
"""Columns of an output that is no terminal: nothing in it is wrapped."""

STATE_STYLES: Final = {
    "discovered": "cyan",
    "running": "green",
    "starting": "cyan",
    "degraded": "yellow",
    "waiting": "yellow",
    "draining": "yellow",
    "skipped": "yellow",
    "failed": "red",
    "blocked": "dim",
    "disabled": "dim",
    "stopped": "dim",
}


def print_json(value: Any) -> None:
    """One document, indented; what JSON has no form for is printed as text."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def print_json_line(value: Any) -> None:
    """One document on one line, for a reader that follows."""
    click.echo(json.dumps(value, ensure_ascii=False, default=str))


def printable(text: str) -> str:
    """`text` without what could steer a terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)


def print_problem(problem: KernelError, *, as_json: bool = False) -> None:
    """A problem in the kernel's own words, or as JSON, on standard error."""
    if as_json:
        print_error_json(problem.as_dict())
    else:
        click.echo(printable(problem.text()), err=True)


def print_error_json(error: dict[str, Any]) -> None:
    """An error on standard error, in the one shape that they all have."""
    click.echo(json.dumps({"error": error}, ensure_ascii=False, indent=2, default=str), err=True)


def _terminal(stream: TextIO) -> bool:
    return stream.isatty()


def console(*, no_color: bool, stderr: bool = False) -> Console:
    from rich.console import Console

    terminal = _terminal(sys.stderr if stderr else sys.stdout)
    return Console(
        stderr=stderr,
        no_color=no_color or None,
        width=None if terminal else WIDE,
        highlight=False,
        markup=False,
        emoji=False,
    )


def print_table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, no_color: bool, styles: Sequence[str] = ()
) -> None:
    """Columns under `head`, each cell its own text.

    Args:
        styles: the style of each row, "" for none.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in head:
        table.add_column(name, overflow="fold")
    for index, row in enumerate(rows):
        style = styles[index] if index < len(styles) else ""
        table.add_row(*(Text(printable(cell)) for cell in row), style=style)
    console(no_color=no_color).print(table)


def progress(items: Iterable[T], label: str, total: int | None, *, no_color: bool) -> Iterator[T]:
    if not _terminal(sys.stderr):
        yield from items
        return
    from rich.progress import track

    yield from track(items, label, total, console=console(no_color=no_color, stderr=True), transient=True)


def status(text: str, *, no_color: bool) -> AbstractContextManager[object]:
    if not _terminal(sys.stderr):
        return nullcontext()
    return console(no_color=no_color, stderr=True).status(text)
