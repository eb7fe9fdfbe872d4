"""What the commands of plugins say at a terminal: JSON, words, tables, questions and bars, alike in all of them.

It imports click, so only modules of commands import it, and `objectkernel_contracts` itself does not.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from typing import Any, TypeVar

import click

from objectkernel_contracts.commands import CommandContext

F = TypeVar("F", bound="Callable[..., Any] | click.Command")


def json_option(help: str) -> Callable[[F], F]:
    """The option ``--json``, which sets `CommandContext.json`: a decorator for a command.

    Args:
        help: what it prints.
    """
    return click.option("--json", is_flag=True, expose_value=False, callback=_ask_for_json, help=help)


def _ask_for_json(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted:
        context.obj.json = True


as_json = json_option("Print JSON on standard output.")
"""`json_option` of a command that prints one document."""


def confirm(question: str) -> None:
    """Ask on standard error whether to go on: for a command whose option ``--yes`` leaves the question out.

    Raises:
        click.Abort: no.
        click.UsageError: there is nobody to ask; it names ``--yes``.
    """
    try:
        click.confirm(question, abort=True, err=True)
    except click.Abort as error:
        if isinstance(error.__context__, EOFError) and not sys.stdin.isatty():
            click.echo(err=True)  # the question ends no line
            raise click.UsageError("nobody answers, as standard input is no terminal: give --yes") from None
        raise


class Bar:
    """A bar on the terminal for work that tells how much of it is done; without a terminal, nothing.

    Args:
        obj: what the command found in ``ctx.obj``.
        total: how many steps there are, where that is known: the bar is there at once.
    """

    def __init__(self, obj: CommandContext, label: str, total: int | None = None) -> None:
        self._obj = obj
        self._label = label
        self._done = 0
        self._steps: Iterator[None] | None = None
        if total is not None:
            self.show(0, total)

    def show(self, done: int, total: int | None = None) -> None:
        """So many are done.

        Args:
            total: how many there are, where that was not known before; the first one counts.
        """
        if self._steps is None:
            if total is None:
                return
            self._steps = self._obj.progress(repeat(None, total + 1), self._label, total)
            next(self._steps, None)
        for _ in range(done - self._done):
            next(self._steps, None)
        self._done = max(done, self._done)

    def end(self) -> None:
        """Take the bar away."""
        for _ in self._steps or ():
            pass


def print_json(value: Any) -> None:
    """Print one document, indented; what JSON has no form for is text.

    It is ASCII alone, which is right in every encoding that a terminal may have.
    """
    click.echo(json.dumps(value, indent=2, default=str))


def print_result(obj: CommandContext, value: Any, text: str) -> None:
    """Print what a command has done: `value` where JSON is asked for, and otherwise `text`, as `plain_lines`."""
    if obj.json:
        print_json(value)
    else:
        click.echo(plain_lines(text))


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print columns as wide as their widest cell; a cell is one line, as `plain`.

    Args:
        head: the titles of the columns; none: the table has no head.
    """
    lines = [[plain(cell.replace("\n", " ")) for cell in line] for line in ([head] if head else []) + list(rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())


def plain(text: str) -> str:
    """A text in one line, free of what could steer a terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def plain_lines(text: str) -> str:
    """As `plain`; lines stay lines."""
    return "\n".join(map(plain, text.split("\n")))
