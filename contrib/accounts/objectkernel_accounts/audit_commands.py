"""``objectkernel audit``: the trail at a terminal."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Final

import anyio
import click
from objectkernel_contracts import CommandContext, Services
from objectkernel_contracts.terminal import json_option, plain
from objectkernel_system_dialect.contracts import SYSTEM_DIALECT, Row

from objectkernel_accounts.audit_reading import Follower, matching, newest

POLL: Final = 0.5
"""Seconds between two looks at the table."""
UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
WHO: Final = {"account": "account_id", "user": "user_id", "key": "key_id", "request": "request_id"}


def _moment(context: click.Context, option: click.Parameter, value: str | None) -> datetime | None:
    """What `--since` says: a time, in UTC where it does not say, or so long ago."""
    if value is None:
        return None
    try:
        if ago := re.fullmatch(r"([0-9]{1,9})([smhd])", value):
            return datetime.now(UTC) - timedelta(**{UNITS[ago[2]]: int(ago[1])})
        moment = datetime.fromisoformat(value)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise click.BadParameter("write a time, 2026-03-01T09:00, or so long ago: 90m, 2d", context, option) from None


@click.group()
def audit() -> None:
    """Read the trail of who changed what."""


@audit.command()
@click.option("-f", "--follow", is_flag=True, help="Go on with what is added, until interrupted.")
@click.option("-n", "--lines", default=20, show_default=True, type=click.IntRange(0, 100_000), help="How many.")
@click.option("--account", help="Only entries of this account.")
@click.option("--action", help="Only entries of this action, such as data.delete.")
@click.option(
    "--since", callback=_moment, metavar="TIME", help="Only entries since then: 2026-03-01T09:00 (UTC), or 90m, 2d."
)
@json_option("Print a JSON object a line.")
@click.pass_obj
def tail(
    obj: CommandContext, follow: bool, lines: int, account: str | None, action: str | None, since: datetime | None
) -> None:
    """Print the newest entries, the newest last."""
    filter = matching(account, action)

    async def show(kernel: Services) -> None:
        dialect = kernel.get(SYSTEM_DIALECT)
        follower = Follower(dialect, filter)
        if follow:
            await follower.begin()
        rows = await newest(dialect, filter, lines, since)
        follower.pass_over(rows)  # one may have come since it has begun
        for row in rows:
            click.echo(_line(row, as_json=obj.json))
        while follow:
            await anyio.sleep(POLL)
            async for row in follower.added():
                click.echo(_line(row, as_json=obj.json))

    obj.run(show)


def _line(row: Row, *, as_json: bool) -> str:
    at = row["at"].isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if as_json:
        return json.dumps({**row, "at": at})  # ASCII alone: right in every encoding of a terminal
    who = [f"{word}={row[name]}" for word, name in WHO.items() if row[name] is not None]
    details = [json.dumps(row["details"], ensure_ascii=False)] if row["details"] else []
    return plain("  ".join([at, row["action"], row["subject"], *who, *details]))
