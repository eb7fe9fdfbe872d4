"""``objectkernel packages delete``, tag, untag, deprecate, yank and configure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import click
from objectkernel_contracts import CommandContext, Services
from objectkernel_contracts.terminal import as_json, print_result

from objectkernel_package_service.absence import explained, missing
from objectkernel_package_service.commands_output import named, one_version
from objectkernel_package_service.contracts import PACKAGES, PackageMissing, PackageService


@click.command()
@click.argument("package", type=named, metavar="ID[@VERSION]")
@click.option("--all-versions", is_flag=True, help="Delete every version of the package.")
@click.option("--force", is_flag=True, help="Also what other packages depend on.")
@as_json
@click.pass_obj
def delete(obj: CommandContext, package: str, all_versions: bool, force: bool) -> None:
    """Delete one version of a package, or all of them when asked by name."""
    id, at, version = package.partition("@")
    if bool(at) == all_versions:
        raise click.UsageError(f"name one version, {id}@VERSION, or give {id} --all-versions")

    async def job(kernel: Services) -> None:
        service = kernel.get(PACKAGES)
        if all_versions:
            done = await service.delete(id, all_versions=True, force=force)
        else:
            done = await service.delete(id, version, force=force)
        if not done:
            raise await missing(service, id, version)

    obj.run(job)
    print_result(
        obj,
        {"deleted": package, "all_versions": all_versions},
        f"deleted {package}{', all versions' if all_versions else ''}",
    )


@click.command()
@click.argument("package", type=named, metavar="ID@VERSION")
@click.argument("tag")
@as_json
@click.pass_obj
def tag(obj: CommandContext, package: str, tag: str) -> None:
    """Let a dist-tag name a version, whatever it named before."""
    id, version = one_version(package)
    _run(obj, lambda service: service.tag(id, tag, version))
    print_result(obj, {"id": id, "tag": tag, "version": version}, f"{id}: {tag} is {version}")


@click.command()
@click.argument("package", metavar="ID")
@click.argument("tag")
@as_json
@click.pass_obj
def untag(obj: CommandContext, package: str, tag: str) -> None:
    """Remove a dist-tag."""

    async def job(kernel: Services) -> None:
        service = kernel.get(PACKAGES)
        if not await service.untag(package, tag):
            there = ", ".join(sorted(await explained(service, service.tags(package)))) or "none"
            raise PackageMissing(f"{package} has no tag {tag!r}", why=f"its tags: {there}", id=package, version=tag)

    obj.run(job)
    print_result(obj, {"id": package, "tag": tag, "version": None}, f"{package}: {tag} is removed")


@click.command()
@click.argument("package", type=named, metavar="ID[@VERSION]")
@click.argument("message", required=False)
@click.option("--undo", is_flag=True, help="Take it back.")
@as_json
@click.pass_obj
def deprecate(obj: CommandContext, package: str, message: str | None, undo: bool) -> None:
    """Say why a version, or every one that there is, should not be used any more."""
    if (message is None) != undo:
        raise click.UsageError("give the reason, or --undo to take it back")
    id, _, version = package.partition("@")
    _run(obj, lambda service: service.deprecate(id, version or None, message))
    said = f"{package} is deprecated: {message}" if message is not None else f"{package} is not deprecated any more"
    print_result(obj, {"id": id, "version": version or None, "deprecated": message}, said)


@click.command()
@click.argument("package", type=named, metavar="ID@VERSION")
@click.option("--undo", is_flag=True, help="Let it be found again.")
@as_json
@click.pass_obj
def yank(obj: CommandContext, package: str, undo: bool) -> None:
    """Let a version be found by its exact version alone: by no range, and not as the latest."""
    id, version = one_version(package)
    _run(obj, lambda service: service.yank(id, version, not undo))
    print_result(
        obj,
        {"id": id, "version": version, "yanked": not undo},
        f"{package} is {'not yanked any more' if undo else 'yanked'}",
    )


@click.command()
@click.argument("package", metavar="ID")
@click.option("--visibility", type=click.Choice(["public", "private"]), help="Who sees it: everybody, or its owner.")
@click.option("--policy", type=click.Choice(["mutable", "immutable"]), help="Whether a version may be overwritten.")
@as_json
@click.pass_obj
def configure(obj: CommandContext, /, package: str, **said: Any) -> None:
    """Change what is said of a package as a whole."""
    given = {name: value for name, value in said.items() if value is not None}
    if not given:
        raise click.UsageError("give --visibility or --policy")
    _run(obj, lambda service: service.configure(package, **given))
    print_result(obj, {"id": package, **given}, f"{package} is {' and '.join(given.values())}")


def _run(obj: CommandContext, call: Callable[[PackageService], Awaitable[None]]) -> None:
    async def job(kernel: Services) -> None:
        service = kernel.get(PACKAGES)
        await explained(service, call(service))

    obj.run(job)
