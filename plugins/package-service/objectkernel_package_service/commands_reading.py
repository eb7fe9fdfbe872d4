"""``objectkernel packages list``, search, show, get, versions, tags, history and verify."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import IO, Final

import attrs
import click
from objectkernel_contracts import CommandContext, Services
from objectkernel_contracts.terminal import as_json, plain_lines, print_json, print_result, print_table

from objectkernel_package_service.absence import explained, missing
from objectkernel_package_service.commands_output import as_text, damage, document, named, notes
from objectkernel_package_service.contracts import (
    LATEST,
    PACKAGES,
    FileFailed,
    HistoryPage,
    PackageDamaged,
    PackageRecord,
    PackageService,
    Page,
)

LARGEST_PAGE: Final = 500

limit = click.option("--limit", default=50, show_default=True, help="Rows of the page, at most 500.")
after = click.option("--after", help="The cursor that the page before ended with.")


@click.command("list")
@limit
@after
@click.option("--all-versions", is_flag=True, help="List every version of each package.")
@as_json
@click.pass_obj
def list_(obj: CommandContext, limit: int, after: str | None, all_versions: bool) -> None:
    """List the latest version of each package, newest first; what is damaged is named on standard error."""
    page = obj.run(lambda kernel: kernel.get(PACKAGES).list(limit, after, all_versions=all_versions))
    _print_page(obj, page, f"list{' --all-versions' if all_versions else ''} --limit {limit}")


@click.command()
@click.argument("words", nargs=-1, required=True)
@limit
@after
@as_json
@click.pass_obj
def search(obj: CommandContext, words: tuple[str, ...], limit: int, after: str | None) -> None:
    """Find packages whose id or name has each of these words in it."""
    page = obj.run(lambda kernel: kernel.get(PACKAGES).list(limit, after, search=" ".join(words)))
    _print_page(obj, page, f"search {plain_lines(' '.join(words))} --limit {limit}")


@click.command()
@click.argument("package", metavar="ID")
@limit
@after
@as_json
@click.pass_obj
def versions(obj: CommandContext, package: str, limit: int, after: str | None) -> None:
    """List the versions of a package, newest first, the yanked ones too."""

    async def job(kernel: Services) -> Page:
        service = kernel.get(PACKAGES)
        page = await service.versions(package, limit, after)
        if not page.items and not page.damaged and after is None:
            raise await missing(service, package)
        return page

    page = obj.run(job)
    _print_page(obj, page, f"versions {package} --limit {limit}")


@click.command()
@click.argument("package", metavar="ID")
@as_json
@click.pass_obj
def tags(obj: CommandContext, package: str) -> None:
    """List the dist-tags of a package, and the version that each names."""

    async def job(kernel: Services) -> dict[str, str]:
        service = kernel.get(PACKAGES)
        return await explained(service, service.tags(package))

    found = obj.run(job)
    if obj.json:
        print_json({"id": package, "tags": found})
    else:
        print_table(("TAG", "VERSION"), sorted(found.items()))


@click.command()
@click.argument("package", metavar="ID")
@limit
@after
@as_json
@click.pass_obj
def history(obj: CommandContext, package: str, limit: int, after: str | None) -> None:
    """Show each publish and delete of a package, newest first, also of what is gone."""

    async def job(kernel: Services) -> HistoryPage:
        service = kernel.get(PACKAGES)
        page = await service.history(package, limit, after)
        if not page.items and after is None:
            raise await missing(service, package)
        return page

    page = obj.run(job)
    if obj.json:
        items = [{**attrs.asdict(one), "details": dict(one.details), "at": one.at.isoformat()} for one in page.items]
        print_json({"id": package, "items": items, "after": page.after})
        return
    rows = [
        (
            *(f"{one.at:%Y-%m-%d %H:%M:%S} UTC", one.action, one.version or "-", (one.hash or "-")[:12], one.by or "-"),
            ", ".join(f"{name} {as_text(value)}" for name, value in sorted(one.details.items())),
        )
        for one in page.items
    ]
    print_table(("AT", "ACTION", "VERSION", "HASH", "BY", "DETAILS"), rows)
    _print_more(f"history {package} --limit {limit}", page.after)


@click.command()
@click.argument("package", type=named, metavar="ID[@VERSION]")
@as_json
@click.pass_obj
def show(obj: CommandContext, package: str) -> None:
    """Show what a package says of itself and how much it holds. VERSION may be a dist-tag or a range."""
    record = obj.run(lambda kernel: wanted(kernel.get(PACKAGES), package))
    counts = {kind: len(items) for kind, items in record.metadata.items()}
    if obj.json:
        print_json({**document(record), "manifest": record.manifest, "counts": counts})
        return
    told = {name: as_text(value) for name, value in record.manifest.items() if name not in ("id", "version")}
    rows = {
        "package": f"{record.id}@{record.version}",
        **told,
        "holds": ", ".join(f"{count} {kind}" for kind, count in counts.items() if count) or "nothing",
        "owner": record.owner or "the host",
        "visibility": record.visibility,
        "policy": record.policy,
        "notes": notes(record) or "-",
        "bytes": f"{record.size:,}",
        "hash": record.hash,
        "created": record.created_at.isoformat(),
        "updated": record.updated_at.isoformat(),
    }
    print_table((), list(rows.items()))


@click.command()
@click.argument("package", type=named, metavar="ID[@VERSION]")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file.")
@as_json
@click.pass_obj
def get(obj: CommandContext, package: str, output: Path | None) -> None:
    """Deliver a package: its canonical JSON, the very bytes that were hashed, and nothing else."""
    record = obj.run(lambda kernel: wanted(kernel.get(PACKAGES), package))
    if output is None:
        click.echo(record.content, nl=False)
        return
    with written(output) as file:
        file.write(record.content)
    said = f"{record.id}@{record.version}  {record.hash}  {output}"
    print_result(obj, {**document(record), "file": str(output)}, said)


@click.command()
@click.argument("packages", type=named, metavar="[ID[@VERSION]]...", nargs=-1)
@as_json
@click.pass_context
def verify(context: click.Context, packages: tuple[str, ...]) -> None:
    """Read packages back and hold them against their hashes: those named, or every version of all.

    The exit code is 1 if one is damaged.
    """
    obj: CommandContext = context.obj
    sound, damaged = obj.run(lambda kernel: _verify_all(kernel.get(PACKAGES), packages))
    if obj.json:
        print_json({"sound": sound, "damaged": [damage(error) for error in damaged]})
    else:
        for error in damaged:
            click.echo(plain_lines(str(error)), err=True)
        click.echo(f"{len(sound)} sound, {len(damaged)} damaged")
    context.exit(1 if damaged else 0)


async def wanted(service: PackageService, package: str) -> PackageRecord:
    """The record of ``ID`` or ``ID@VERSION``.

    Raises:
        PackageMissing
    """
    id, at, version = package.partition("@")
    record = await service.get(id, version if at else LATEST)
    if record is None:
        raise await missing(service, id, version)
    return record


async def every_page(read: Callable[[int, str | None], Awaitable[Page]]) -> AsyncIterator[Page]:
    """A list from its first page to its last, by what reads one: of so many rows, after this cursor."""
    page = await read(LARGEST_PAGE, None)
    yield page
    while page.after is not None:
        page = await read(LARGEST_PAGE, page.after)
        yield page


@contextmanager
def written(file: Path) -> Iterator[IO[bytes]]:
    """What becomes `file`: wholly or not at all, also if two write it at once; a pipe or a device is written as it is.

    Raises:
        FileFailed
    """
    try:
        if file.exists() and not file.is_file():
            with file.open("wb") as opened:
                yield opened
            return
        target = file.resolve()
        part = target.with_name(f".{token_hex(8)}.part")
        try:
            with part.open("xb") as opened:
                if target.exists():
                    shutil.copymode(target, part)
                yield opened
                opened.flush()
                os.fsync(opened.fileno())
            os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise FileFailed(
            f"{file} cannot be written",
            why=error.strerror or type(error).__name__,
            fix="check the path, its permissions and the room on the disk",
            file=str(file),
        ) from error


async def _verify_all(service: PackageService, packages: Sequence[str]) -> tuple[list[str], list[PackageDamaged]]:
    """What is sound, by name, and the errors of what is not: of the packages named, or of every version of all."""
    sound: list[str] = []
    damaged: list[PackageDamaged] = []

    async def look(reading: Awaitable[PackageRecord | None]) -> None:
        try:
            record = await reading
        except PackageDamaged as error:
            damaged.append(error)
        else:
            sound.extend([] if record is None else [f"{record.id}@{record.version}"])

    for package in packages:
        await look(wanted(service, package))
    if not packages:
        async for page in every_page(partial(service.list, all_versions=True)):
            damaged += page.damaged
            for item in page.items:
                await look(service.get(item.id, item.version))
    return sound, damaged


def _print_page(obj: CommandContext, page: Page, command: str) -> None:
    if obj.json:
        items, damaged = [document(item) for item in page.items], [damage(error) for error in page.damaged]
        print_json({"items": items, "damaged": damaged, "after": page.after})
        return
    rows = [
        (item.id, item.version, item.hash[:12], f"{item.updated_at:%Y-%m-%d %H:%M} UTC", notes(item))
        for item in page.items
    ]
    print_table(("ID", "VERSION", "HASH", "PUBLISHED", "NOTES"), rows)
    for error in page.damaged:
        click.echo(plain_lines(str(error)), err=True)
    _print_more(command, page.after)


def _print_more(command: str, after: str | None) -> None:
    if after:
        click.echo(f"more: objectkernel packages {command} --after {after}")
