"""What the commands over keys and clients read and print: times, secrets once."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final

import click

from objectkernel_device_auth.contracts import UNTIL_REVOKED

LONGEST: Final = 200 * 366 * 86_400
"""Seconds."""
UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


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


def print_secret(secret: str, what: str) -> None:
    """Print a secret alone on standard output, so that it can be piped, and what to know of it beside."""
    click.echo(f"{what}, shown this once:", err=True)
    click.echo(secret)
