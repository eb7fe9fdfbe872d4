"""What `objectkernel media` prints: JSON, tables, bars."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Any, Final

import attrs
import click
from objectkernel_contracts import CommandContext

from objectkernel_media_server.contracts import MediaRow

HEAD: Final = ("ID", "ACCOUNT", "STATUS", "TYPE", "SIZE", "SESSION", "MADE (UTC)")
STEP: Final = 2**20
"""Bytes of one step of a bar."""
UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")


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
    """A bar on the terminal for work of `total` steps; without a terminal, nothing."""

    def __init__(self, obj: CommandContext, label: str, total: int) -> None:
        self._steps: Iterator[None] = iter(obj.progress(repeat(None, total + 1), label, total))
        self._done = -1
        self.show(0)

    def show(self, done: int) -> None:
        """So many are done."""
        for _ in range(done - self._done):
            next(self._steps, None)
        self._done = max(done, self._done)

    def end(self) -> None:
        """Take the bar away."""
        for _ in self._steps:
            pass


class ByteBar:
    """A bar for bytes.

    Args:
        total: how many there will be.
    """

    def __init__(self, obj: CommandContext, label: str, total: int) -> None:
        self._bar = Bar(obj, label, -(-total // STEP))
        self._count = 0

    def add(self, count: int) -> None:
        """So many more."""
        self._count += count
        self._bar.show(self._count // STEP)

    def end(self) -> None:
        """Take the bar away."""
        self._bar.end()


def document(row: MediaRow) -> dict[str, Any]:
    """A recording for ``--json``."""
    told = attrs.asdict(row, recurse=False)
    return {
        **told,
        "metadata": None if row.metadata is None else dict(row.metadata),
        "created_at": row.created_at.isoformat(),
        "updated_at": None if row.updated_at is None else row.updated_at.isoformat(),
    }


def line(row: MediaRow) -> tuple[str, ...]:
    """A recording in a table."""
    session = "-" if row.session_id is None else row.session_id
    take = "" if row.take_index is None else f" #{row.take_index}"
    made = f"{row.created_at:%Y-%m-%d %H:%M}"
    return row.id, row.account_id, row.status, row.mime_type, size(row.size_bytes), f"{session}{take}", made


def size(count: int) -> str:
    """Bytes for people."""
    value, unit = float(count), 0
    while value >= 1024 and unit < len(UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.0f} {UNITS[unit]}" if unit == 0 or value >= 100 else f"{value:.1f} {UNITS[unit]}"


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2))  # ASCII alone: right in every encoding that a terminal may have


def plain(text: str) -> str:
    """A text free of what could steer a terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as their widest cell."""
    lines = [[plain(cell) for cell in one] for one in [head, *rows]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for one in lines:
        click.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(one, widths, strict=True)).rstrip())
