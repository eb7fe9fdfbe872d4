"""What the commands print: JSON, tables, errors, progress. rich is imported when it draws something."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
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


def to_json(value: Any, indent: int | None = 2) -> str:
    """One document in ASCII, right in every encoding; what JSON has no form for is text, infinities too."""
    return json.dumps(_finite(value), indent=indent, default=str, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def print_json(value: Any) -> None:
    """One document, indented."""
    click.echo(to_json(value))


def aside() -> AbstractContextManager[object]:
    """Around code of hosts and plugins: it prints to standard error, since standard output is the command's."""
    return redirect_stdout(sys.stderr)


def printable(text: str) -> str:
    """`text` without what could steer a terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)


def counted(number: int, thing: str) -> str:
    """``1 plugin``, ``2 plugins``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def print_problem(problem: KernelError, *, as_json: bool = False) -> None:
    """A problem in the kernel's own words, or as JSON, on standard error."""
    if as_json:
        print_error_json(problem.as_dict())
    else:
        click.echo(printable(problem.text()), err=True)


def print_error_json(error: dict[str, Any]) -> None:
    """An error on standard error, in the one shape that they all have."""
    click.echo(to_json({"error": error}), err=True)


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
