"""``objectkernel packages``: publish, list, show, get, delete and verify."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from pathlib import Path
from typing import Any

import anyio
import click
from objectkernel_contracts import CommandContext, Services

from objectkernel_package_service.contracts import (
    LATEST,
    PACKAGES,
    FileFailed,
    PackageDamaged,
    PackageInvalid,
    PackageMissing,
    PackageRecord,
    PackageService,
    PackageSummary,
    Page,
)


def _ask_for_json(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted:
        context.obj.json = True


as_json = click.option(
    "--json", is_flag=True, expose_value=False, callback=_ask_for_json, help="Print JSON on standard output."
)


@click.group()
def packages() -> None:
    """Publish, list and deliver metadata packages."""


@packages.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@as_json
@click.pass_context
def publish(context: click.Context, paths: tuple[Path, ...]) -> None:
    """Publish packages from JSON files of {manifest, metadata}, or from folders of such files.

    A refused file does not keep the others from being published; the exit code is 1 if there was one.
    """
    obj: CommandContext = context.obj
    files = [file for path in paths for file in _files(path)]
    published, refused = obj.run(lambda kernel: _publish_all(kernel.get(PACKAGES), obj.progress(files, "publishing")))
    if obj.json:
        _print_json(
            {
                "published": [{"file": str(file), **_document(record)} for file, record in published],
                "refused": [{"file": str(file), **error.as_dict()} for file, error in refused],
            }
        )
    else:
        rows = [(record.id, record.version, record.hash, _change(record), str(file)) for file, record in published]
        _print_table(("ID", "VERSION", "HASH", "CHANGE", "FILE"), rows)
        for file, error in refused:
            click.echo(f"\n{_plain(str(file))}\n{_plain(str(error))}", err=True)
    context.exit(1 if refused else 0)


@packages.command("list")
@click.option("--limit", default=50, show_default=True, help="Packages on the page, at most 500.")
@click.option("--after", help="The cursor that the page before ended with.")
@click.option("--all-versions", is_flag=True, help="List every version of each package.")
@as_json
@click.pass_obj
def list_(obj: CommandContext, limit: int, after: str | None, all_versions: bool) -> None:
    """List the latest version of each package, newest first; what is damaged is named on standard error."""
    page = obj.run(lambda kernel: kernel.get(PACKAGES).list(limit, after, all_versions=all_versions))
    if obj.json:
        items, damaged = [_document(item) for item in page.items], [_damage(error) for error in page.damaged]
        _print_json({"items": items, "damaged": damaged, "after": page.after})
        return
    rows = [(item.id, item.version, item.hash[:12], f"{item.updated_at:%Y-%m-%d %H:%M} UTC") for item in page.items]
    _print_table(("ID", "VERSION", "HASH", "PUBLISHED"), rows)
    for error in page.damaged:
        click.echo(_plain(str(error)), err=True)
    if page.after:
        every = " --all-versions" if all_versions else ""
        click.echo(f"more: objectkernel packages list{every} --limit {limit} --after {page.after}")


@packages.command()
@click.argument("package", metavar="ID[@VERSION]")
@as_json
@click.pass_obj
def show(obj: CommandContext, package: str) -> None:
    """Show what a package says of itself and how much it holds."""
    record = obj.run(lambda kernel: _wanted(kernel.get(PACKAGES), package))
    counts = {kind: len(items) for kind, items in record.metadata.items()}
    if obj.json:
        _print_json({**_document(record), "manifest": record.manifest, "counts": counts})
        return
    told = {name: _text(value) for name, value in record.manifest.items() if name not in ("id", "version")}
    rows = {
        "package": f"{record.id}@{record.version}",
        **told,
        "holds": ", ".join(f"{count} {kind}" for kind, count in counts.items() if count) or "nothing",
        "bytes": f"{len(record.content):,}",
        "hash": record.hash,
        "created": record.created_at.isoformat(),
        "updated": record.updated_at.isoformat(),
    }
    _print_table((), list(rows.items()))


@packages.command()
@click.argument("package", metavar="ID[@VERSION]")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file.")
@as_json
@click.pass_obj
def get(obj: CommandContext, package: str, output: Path | None) -> None:
    """Deliver a package: its canonical JSON, the very bytes that were hashed, and nothing else."""
    record = obj.run(lambda kernel: _wanted(kernel.get(PACKAGES), package))
    if output is None:
        click.echo(record.content, nl=False)
        return
    _write(output, record.content)
    if obj.json:
        _print_json({**_document(record), "file": str(output)})
    else:
        click.echo(_plain(f"{record.id}@{record.version}  {record.hash}  {output}"))


@packages.command()
@click.argument("package", metavar="ID[@VERSION]")
@click.option("--all-versions", is_flag=True, help="Delete every version of the package.")
@as_json
@click.pass_obj
def delete(obj: CommandContext, package: str, all_versions: bool) -> None:
    """Delete one version of a package, or all of them when asked by name."""
    id, at, version = package.partition("@")
    if bool(at) == all_versions:
        raise click.UsageError(f"name one version, {id}@VERSION, or give {id} --all-versions")

    async def job(kernel: Services) -> bool:
        service = kernel.get(PACKAGES)
        if all_versions:
            return await service.delete(id, all_versions=True)
        return await service.delete(id, version)

    if not obj.run(job):
        raise _missing(id, version)
    if obj.json:
        _print_json({"deleted": package, "all_versions": all_versions})
    else:
        click.echo(f"deleted {package}{', all versions' if all_versions else ''}")


@packages.command()
@click.argument("packages", metavar="[ID[@VERSION]]...", nargs=-1)
@as_json
@click.pass_context
def verify(context: click.Context, packages: tuple[str, ...]) -> None:
    """Read packages back and hold them against their hashes: those named, or every version of all.

    The exit code is 1 if one is damaged.
    """
    obj: CommandContext = context.obj
    sound, damaged = obj.run(lambda kernel: _verify_all(kernel.get(PACKAGES), packages))
    if obj.json:
        _print_json({"sound": sound, "damaged": [_damage(error) for error in damaged]})
    else:
        for error in damaged:
            click.echo(_plain(str(error)), err=True)
        click.echo(f"{len(sound)} sound, {len(damaged)} damaged")
    context.exit(1 if damaged else 0)


def _files(path: Path) -> list[Path]:
    """The file itself, or the JSON files of a folder by name."""
    if path.is_file():
        return [path]
    found = sorted(path.glob("*.json"))
    if not found:
        raise click.UsageError(f"{path} holds no .json file")
    return found


async def _publish_all(
    service: PackageService, files: Iterable[Path]
) -> tuple[list[tuple[Path, PackageRecord]], list[tuple[Path, PackageInvalid | FileFailed]]]:
    published: list[tuple[Path, PackageRecord]] = []
    refused: list[tuple[Path, PackageInvalid | FileFailed]] = []
    for file in files:
        try:
            published.append((file, await service.publish(await _content(file, service.max_json_bytes))))
        except (PackageInvalid, FileFailed) as error:
            refused.append((file, error))
    return published, refused


async def _content(file: Path, most: int) -> bytes:
    """The bytes of a file; of one that is too large just so many that it is refused."""
    try:
        async with await anyio.open_file(file, "rb") as opened:
            return await opened.read(most + 1)
    except OSError as error:
        raise _file_failed("read", file, error) from error


def _write(file: Path, content: bytes) -> None:
    """Write a file wholly or not at all; a pipe or a device gets the bytes as they are."""
    try:
        if file.exists() and not file.is_file():
            file.write_bytes(content)
            return
        target = file.resolve()
        part = target.with_name(f".{target.name}.part")
        try:
            part.write_bytes(content)
            os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise _file_failed("written", file, error) from error


def _file_failed(done: str, file: Path, error: OSError) -> FileFailed:
    return FileFailed(
        f"{file} cannot be {done}",
        why=error.strerror or type(error).__name__,
        fix="check the path, its permissions and the room on the disk",
        file=str(file),
    )


def _change(record: PackageRecord) -> str:
    """In words: what publishing changed."""
    if record.previous_hash is None:
        return "new"
    return "unchanged" if record.previous_hash == record.hash else f"replaced {record.previous_hash[:12]}"


async def _wanted(service: PackageService, package: str) -> PackageRecord:
    id, at, version = package.partition("@")
    record = await service.get(id, version if at else LATEST)
    if record is None:
        raise _missing(id, version)
    return record


def _missing(id: str, version: str) -> PackageMissing:
    return PackageMissing(
        f"{id}@{version} is not published" if version else f"no version of {id} is published",
        fix="`objectkernel packages list` names what is",
        id=id,
        version=version or None,
    )


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
        await look(_wanted(service, package))
    if not packages:
        async for page in _every_version(service):
            damaged += page.damaged
            for item in page.items:
                await look(service.get(item.id, item.version))
    return sound, damaged


async def _every_version(service: PackageService) -> AsyncIterator[Page]:
    page = await service.list(500, all_versions=True)
    yield page
    while page.after is not None:
        page = await service.list(500, page.after, all_versions=True)
        yield page


def _document(item: PackageSummary) -> dict[str, Any]:
    """The row of a package for ``--json``, without its content."""
    return {
        "id": item.id,
        "version": item.version,
        "hash": item.hash,
        "previous_hash": item.previous_hash,
        "created_at": item.created_at.isoformat(),
        "updated_at": item.updated_at.isoformat(),
    }


def _damage(error: PackageDamaged) -> dict[str, Any]:
    """The row of a damaged package for ``--json``."""
    return {"id": error.id, "version": error.version, **error.as_dict()}


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2))  # ASCII alone: right in every encoding that a terminal may have


def _text(value: Any) -> str:
    """A value of a manifest as text."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _plain(text: str) -> str:
    """A text free of what could steer a terminal; lines stay lines."""
    return "".join(character if character.isprintable() or character == "\n" else "\ufffd" for character in text)


def _print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as their widest cell."""
    lines = [[_plain(cell).replace("\n", " ") for cell in line] for line in ([head] if head else []) + list(rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())
