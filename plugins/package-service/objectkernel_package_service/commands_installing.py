"""``objectkernel packages install``, upgrade, uninstall and installed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs
import click
from objectkernel_contracts import CommandContext, Services
from objectkernel_contracts.terminal import as_json, plain_lines, print_json, print_result, print_table

from objectkernel_package_service.commands_output import named
from objectkernel_package_service.contracts import LATEST
from objectkernel_package_service.install_contracts import INSTALLATIONS, Data, Installed


@click.command()
@click.argument("package", type=named, metavar="ID[@VERSION]")
@click.option("--preview", is_flag=True, help="Only tell what would be installed, or what is in the way.")
@as_json
@click.pass_obj
def install(obj: CommandContext, package: str, preview: bool) -> None:
    """Install a package into this host, with what it depends on: all of it or nothing.

    VERSION may be a dist-tag or a range. What of its objects is not exactly in the tables is told as a warning.
    """
    id, _, version = package.partition("@")

    async def job(kernel: Services) -> tuple[Installed, ...]:
        service = kernel.get(INSTALLATIONS)
        return await (service.preview if preview else service.install)(id, version or LATEST)

    _print_changed(obj, obj.run(job), "would be installed" if preview else "installed")


@click.command()
@click.argument("package", type=named, metavar="ID[@VERSION]")
@as_json
@click.pass_obj
def upgrade(obj: CommandContext, package: str) -> None:
    """Install another version of a package that is installed, by default the latest."""
    id, _, version = package.partition("@")
    found = obj.run(lambda kernel: kernel.get(INSTALLATIONS).upgrade(id, version or LATEST))
    _print_changed(obj, found, "installed")


@click.command()
@click.argument("package", metavar="ID")
@click.option(
    "--data",
    type=click.Choice(["keep", "remove"]),
    default="keep",
    show_default=True,
    help="What becomes of its tables and rows.",
)
@as_json
@click.pass_obj
def uninstall(obj: CommandContext, package: str, data: Data) -> None:
    """Take a package out of use; refused while an installed package needs it."""
    obj.run(lambda kernel: kernel.get(INSTALLATIONS).uninstall(package, data))
    said = f"uninstalled {package}, its data {'kept' if data == 'keep' else 'removed'}"
    print_result(obj, {"uninstalled": package, "data": data}, said)


@click.command()
@as_json
@click.pass_context
def installed(context: click.Context) -> None:
    """List what is installed, those that others depend on first.

    What is installed and not in use is named on standard error, and the exit code is 1.
    """
    obj: CommandContext = context.obj

    async def job(kernel: Services) -> tuple[tuple[Installed, ...], tuple[Any, ...]]:
        service = kernel.get(INSTALLATIONS)
        return service.installed(), service.failed()

    found, failed = obj.run(job)
    if obj.json:
        print_json({"installed": [_document(one) for one in found], "failed": [one.as_dict() for one in failed]})
    else:
        _print_installed(found)
        for error in failed:
            click.echo(plain_lines(str(error)), err=True)
    context.exit(1 if failed else 0)


def _print_changed(obj: CommandContext, found: tuple[Installed, ...], what: str) -> None:
    if obj.json:
        print_json({"installed": [_document(one) for one in found]})
        return
    for one in found:
        for warning in one.warnings:
            click.echo(plain_lines(f"{one.id}@{one.version} {warning}"), err=True)
    if found:
        _print_installed(found)
    click.echo(f"{len(found)} {what}" if found else "nothing to do: it is installed already")


def _print_installed(found: Iterable[Installed]) -> None:
    rows = [
        (one.id, one.version, one.hash[:12], f"{one.updated_at:%Y-%m-%d %H:%M} UTC", str(len(one.entities)))
        for one in found
    ]
    print_table(("ID", "VERSION", "HASH", "INSTALLED", "ENTITIES"), rows)


def _document(one: Installed) -> dict[str, Any]:
    return {
        "id": one.id,
        "version": one.version,
        "hash": one.hash,
        "installed_at": one.installed_at.isoformat(),
        "updated_at": one.updated_at.isoformat(),
        "entities": list(one.entities),
        "warnings": [attrs.asdict(warning) for warning in one.warnings],
    }
