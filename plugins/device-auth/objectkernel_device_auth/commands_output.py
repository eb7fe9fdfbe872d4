"""What the commands over keys and clients print: JSON, tables, secrets once."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import click

from objectkernel_device_auth.contracts import UNTIL_REVOKED

LONGEST: Final = 200 * 366 * 86_400
"""Seconds."""
UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def _ask_for_json(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted:
        context.obj.json = True


as_json = click.option(
    "--json", is_flag=True, expose_value=False, callback=_ask_for_json, help="Print JSON on standard output."
)


def lifetime(context: click.Context, option: click.Parameter, value: str | None) -> timedelta | None:
    """What an option for a time says, such as ``90d``; None: it was not given. A callback of click's."""
    if value is None:
        return None
    found = re.fullmatch(r"([0-9]{1,9})([smhdw])", value)
    seconds = int(found[1]) * UNITS[found[2]] if found else LONGEST + 1
    if seconds > LONGEST:
        raise click.BadParameter("write 90d, 12h or 30m", context, option)
    return timedelta(seconds=seconds)


def lifetime_or_never(context: click.Context, option: click.Parameter, value: str | None) -> timedelta | None:
    """As `lifetime`; ``never`` is `UNTIL_REVOKED`."""
    return UNTIL_REVOKED if value == "never" else lifetime(context, option, value)


def moment(value: datetime | None, none: str) -> str:
    """A time for a table, in UTC; `none` where there is none."""
    return none if value is None else f"{value:%Y-%m-%d %H:%M}"


def iso(value: datetime | None) -> str | None:
    """A time for ``--json``."""
    return None if value is None else value.isoformat()


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2))  # ASCII alone: right in every encoding that a terminal may have


def print_secret(secret: str, what: str) -> None:
    """Print a secret alone on standard output, so that it can be piped, and what to know of it beside."""
    click.echo(f"{what}, shown this once:", err=True)
    click.echo(secret)


def plain(text: str) -> str:
    """A text free of what could steer a terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as their widest cell."""
    lines = [[plain(cell) for cell in line] for line in [head, *rows]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())
