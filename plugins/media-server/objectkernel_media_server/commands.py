"""``objectkernel media``."""

from __future__ import annotations

from typing import Any, Final, get_args

import click
from objectkernel_contracts import CommandContext, Services
from objectkernel_contracts.terminal import Bar, as_json, confirm, plain, print_json, print_table

from objectkernel_media_server.collected import KINDS, Report
from objectkernel_media_server.commands_content import get, of_account, put, row_of
from objectkernel_media_server.commands_output import HEAD, ByteBar, document, line, size
from objectkernel_media_server.contracts import MEDIA, MediaFilter, MediaRow, MediaStatus
from objectkernel_media_server.entities import USAGE
from objectkernel_media_server.parts import PARTS
from objectkernel_media_server.recordings import missing
from objectkernel_media_server.verifying import Finding
from objectkernel_media_server.verifying import verify as verified

PAGE: Final = 200
WRONG: Final[dict[Finding, str]] = {
    "missing": "it is not in the store",
    "size": "it has another size than it had",
    "checksum": "it has another content than it had",
}


@click.group()
def media() -> None:
    """Recordings: list, store, read and remove them, collect garbage, verify what is stored.

    Whoever runs this runs the host, and may do so for all accounts.
    """


media.add_command(put)
media.add_command(get)


@media.command("list")
@click.option("--account", "account_id", help="Only those of the account of this id.")
@click.option("--session", "session_id", help="Only the takes of this session, in their order.")
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(get_args(MediaStatus)),
    help="Only those in this state, or these; by default ready.",
)
@click.option("--limit", type=click.IntRange(min=1), help="So many at most; by default all.")
@as_json
@click.pass_obj
def list_(
    obj: CommandContext,
    account_id: str | None,
    session_id: str | None,
    statuses: tuple[MediaStatus, ...],
    limit: int | None,
) -> None:
    """List recordings, account by account, the newest first."""

    async def job(kernel: Services) -> list[MediaRow]:
        found: list[MediaRow] = []
        for account in await _accounts(kernel, account_id):
            after: str | None = None
            while limit is None or len(found) < limit:
                asked = MediaFilter(status=statuses or "ready", session_id=session_id, limit=PAGE, after=after)
                page = await kernel.get(MEDIA).list_for_account(account, asked)
                found += page.items
                after = page.next_cursor
                if after is None:
                    break
        return found[:limit]

    found = obj.run(job)
    if obj.json:
        print_json([document(row) for row in found])
    elif found:
        print_table(HEAD, [line(row) for row in found])
    else:
        click.echo("there are no recordings", err=True)


async def _accounts(kernel: Services, account_id: str | None) -> list[str]:
    """The one that was named, or all that have ever had a recording."""
    if account_id is not None:
        return [account_id]
    rows = kernel.get(PARTS).repo.dialect.stream(USAGE, {}, select=("account_id",), sort={"account_id": 1})
    return [row["account_id"] async for row in rows]


@media.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID…")
@of_account
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
@click.pass_obj
def rm(obj: CommandContext, ids: tuple[str, ...], account_id: str | None, yes: bool) -> None:
    """Delete recordings, with their content."""
    if not yes:
        what = f"the recording {ids[0]}" if len(ids) == 1 else f"{len(ids)} recordings"
        confirm(f"Delete {what} for good?")
    gone: list[str] = []

    async def job(kernel: Services) -> None:
        for id in ids:
            row = await row_of(kernel, id, account_id)
            if not await kernel.get(MEDIA).delete_media(row.account_id, id):
                raise missing()
            gone.append(id)
            if not obj.json:
                click.echo(f"the recording {id} is deleted")

    try:
        obj.run(job)
    finally:  # one that is not there leaves those before it deleted
        if obj.json:
            print_json([{"id": id, "deleted": True} for id in gone])


@media.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@as_json
@click.pass_obj
@click.pass_context
def gc(context: click.Context, obj: CommandContext, dry_run: bool) -> None:
    """Collect garbage: blobs and parts that nobody needs, uploads and recordings that come no more.

    Ends with 1 where something could not be done now; it is tried again by itself.
    """

    async def job(kernel: Services) -> Report:
        collector = kernel.get(PARTS).collector
        bar = Bar(obj, "looking" if dry_run else "collecting", len(KINDS))
        try:
            return await collector.collect(dry_run=dry_run, progress=bar.show)
        finally:
            bar.end()

    report = obj.run(job)
    if obj.json:
        print_json(_report(report))
    elif report.total:
        rows = [(kind, str(report.counts[kind]), size(report.bytes[kind])) for kind in KINDS if report.counts[kind]]
        print_table(("WOULD GO" if dry_run else "GONE", "COUNT", "SIZE"), rows)
    else:
        click.echo("there is no garbage", err=True)
    for trouble in report.trouble:
        click.echo(f"not all could be done: {plain(trouble)}", err=True)
    context.exit(1 if report.trouble else 0)


def _report(report: Report) -> dict[str, Any]:
    names = ("kind", "account_id", "bucket", "key", "size", "why")
    return {
        "dry_run": report.dry_run,
        "kinds": {kind: {"count": report.counts[kind], "bytes": report.bytes[kind]} for kind in KINDS},
        "items": [{name: getattr(item, name) for name in names} for item in report.items],
        "trouble": report.trouble,
    }


@media.command()
@click.option("--account", "account_id", help="Only recordings of the account of this id.")
@as_json
@click.pass_obj
@click.pass_context
def verify(context: click.Context, obj: CommandContext, account_id: str | None) -> None:
    """Read every blob, and hold its hash against its row.

    Ends with 1 where a blob is missing or damaged, and names each.
    """
    wrong: list[dict[str, Any]] = []

    async def job(kernel: Services) -> tuple[int, int]:
        parts, count, read = kernel.get(PARTS), 0, 0
        usages = [await parts.repo.quota.usage(account) for account in await _accounts(kernel, account_id)]
        bar = ByteBar(obj, "verifying", sum(usage.bytes for usage in usages))
        async for one in verified(parts.repo, parts.storage, account_id):
            count, read = count + 1, read + one.bytes
            bar.add(one.bytes)
            if one.finding != "good":
                wrong.append({"id": one.row.id, "account_id": one.row.account_id, "finding": one.finding})
                if not obj.json:
                    click.echo(
                        f"{one.row.id}  {one.finding}: {WRONG[one.finding]} (account {plain(one.row.account_id)})"
                    )
        bar.end()
        return count, read

    count, read = obj.run(job)
    if obj.json:
        print_json({"recordings": count, "bytes": read, "wrong": wrong})
    else:
        click.echo(f"{count} recordings, {size(read)}: {len(wrong) or 'none'} missing or damaged", err=True)
    context.exit(1 if wrong else 0)
