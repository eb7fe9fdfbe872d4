"""``objectkernel packages export`` and ``import``: packages in one file, from one registry to another."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import click
from objectkernel_contracts import CommandContext, Services
from objectkernel_contracts.terminal import as_json, plain_lines, print_json

from objectkernel_package_service.absence import missing
from objectkernel_package_service.archive import ArchivedPackage, ArchivedVersion, ArchiveReader, ArchiveWriter
from objectkernel_package_service.commands_output import damage, document, named
from objectkernel_package_service.commands_publish import REFUSALS
from objectkernel_package_service.commands_reading import every_page, written
from objectkernel_package_service.contracts import (
    PACKAGES,
    FileFailed,
    PackageDamaged,
    PackageError,
    PackageMissing,
    PackageService,
    PackageSummary,
)


@attrs.define
class Exported:
    """What was written, and what could not be."""

    versions: list[dict[str, Any]] = attrs.field(factory=list)
    damaged: list[PackageDamaged] = attrs.field(factory=list)


@attrs.define
class Imported:
    """What was published, and what was refused."""

    versions: list[dict[str, Any]] = attrs.field(factory=list)
    refused: list[tuple[ArchivedVersion, PackageError]] = attrs.field(factory=list)


@click.command("export")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("packages", type=named, metavar="[ID[@VERSION]]...", nargs=-1)
@as_json
@click.pass_context
def export(context: click.Context, file: Path, packages: tuple[str, ...]) -> None:
    """Write packages to one file: all, or those named, of which every version unless one is named.

    The same packages give the same bytes. What is damaged is left out and named; then the exit code is 1.
    """
    obj: CommandContext = context.obj

    async def job(kernel: Services) -> Exported:
        service, done = kernel.get(PACKAGES), Exported()
        chosen = await _chosen(service, packages, done)
        with written(file) as opened:
            archive = ArchiveWriter(opened)
            for one in obj.progress(chosen, "exporting", len(chosen)):
                await _export(service, one, archive, done)
            archive.finish()
        return done

    done = obj.run(job)
    if obj.json:
        damaged = [damage(one) for one in done.damaged]
        print_json({"file": str(file), "exported": done.versions, "damaged": damaged})
    else:
        for error in done.damaged:
            click.echo(plain_lines(str(error)), err=True)
        click.echo(plain_lines(f"{len(done.versions)} exported to {file}, {len(done.damaged)} damaged"))
    context.exit(1 if done.damaged else 0)


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--owner", metavar="ACCOUNT", help="Publish for this account; else for the host itself.")
@as_json
@click.pass_context
def import_(context: click.Context, file: Path, owner: str | None) -> None:
    """Publish every package of a file that `export` wrote, with their tags and all that is said of them.

    Everything is looked at before anything is published. A refused package does not keep the others from being
    published; the exit code is 1 if there was one.
    """
    obj: CommandContext = context.obj

    async def job(kernel: Services) -> Imported:
        service = kernel.get(PACKAGES)
        try:
            with file.open("rb") as opened:
                archive = ArchiveReader(opened, service.max_json_bytes)
                for one in obj.progress(archive.index.versions, "checking"):
                    archive.content(one)
                return await _import(service, archive, obj, owner)
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise FileFailed(f"{file} cannot be read", why=why, file=str(file)) from error

    done = obj.run(job)
    if obj.json:
        refused = [{"id": one.id, "version": one.version, **error.as_dict()} for one, error in done.refused]
        print_json({"imported": done.versions, "refused": refused})
    else:
        for one, error in done.refused:
            click.echo(plain_lines(f"{one.id}@{one.version}\n{error}\n"), err=True)
        click.echo(f"{len(done.versions)} imported, {len(done.refused)} refused")
    context.exit(1 if done.refused else 0)


async def _chosen(service: PackageService, packages: Sequence[str], done: Exported) -> list[PackageSummary]:
    """The versions that are wanted, in the order of their insertion."""
    chosen: dict[int, PackageSummary] = {}
    if not packages:
        async for page in every_page(partial(service.list, all_versions=True)):
            done.damaged += page.damaged
            chosen |= {one.sequence: one for one in page.items}
    for package in dict.fromkeys(packages):
        id, _, version = package.partition("@")
        found, damaged = await _versions(service, id, version)
        if not found and not damaged:
            raise await missing(service, id, version)
        done.damaged += damaged
        chosen |= {one.sequence: one for one in found}
    return [one for _, one in sorted(chosen.items())]


async def _versions(
    service: PackageService, id: str, version: str
) -> tuple[list[PackageSummary], list[PackageDamaged]]:
    """One version of a package, or without one all; and those of them that cannot be read."""
    found: list[PackageSummary] = []
    damaged: list[PackageDamaged] = []
    async for page in every_page(partial(service.versions, id)):
        found += [one for one in page.items if version in ("", one.version)]
        damaged += [error for error in page.damaged if version in ("", error.version)]
    return found, damaged


async def _export(service: PackageService, one: PackageSummary, archive: ArchiveWriter, done: Exported) -> None:
    try:
        record = await service.get(one.id, one.version)
    except PackageDamaged as error:
        done.damaged.append(error)
        return
    if record is not None:  # else it was deleted a moment ago
        archive.add(record)
        done.versions.append(document(record))


async def _import(service: PackageService, archive: ArchiveReader, obj: CommandContext, owner: str | None) -> Imported:
    done = Imported()
    for one in obj.progress(archive.index.versions, "importing"):
        package = archive.index.packages[one.id]
        try:
            record = await service.publish(
                archive.content(one), owner=owner, visibility=package.visibility, policy=package.policy
            )
            await _say(service, one, package, owner)
        except (*REFUSALS, PackageMissing) as error:
            done.refused.append((one, error))
        else:
            done.versions.append(document(record))
    return done


async def _say(service: PackageService, one: ArchivedVersion, package: ArchivedPackage, owner: str | None) -> None:
    """What is said of a version, beside its content."""
    for tag, version in package.tags.items():
        if version == one.version:
            await service.tag(one.id, tag, version, owner=owner)
    if one.deprecated is not None:
        await service.deprecate(one.id, one.version, one.deprecated, owner=owner)
    if one.yanked:
        await service.yank(one.id, one.version, owner=owner)
