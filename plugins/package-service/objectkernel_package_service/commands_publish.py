"""``objectkernel packages publish``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import attrs
import click
from anyio import to_thread
from objectkernel_contracts import CommandContext
from objectkernel_contracts.terminal import as_json, plain_lines, print_json, print_table

from objectkernel_package_service.commands_output import document
from objectkernel_package_service.config import PackageServiceConfig
from objectkernel_package_service.contracts import (
    PACKAGES,
    FileFailed,
    PackageConflict,
    PackageError,
    PackageForeign,
    PackageInvalid,
    PackageRecord,
    PackageService,
)
from objectkernel_package_service.package import Limits, check
from objectkernel_package_service.package_files import packages_in, read_package
from objectkernel_package_service.remarks import remarks

REFUSALS: Final = (PackageInvalid, PackageConflict, PackageForeign, FileFailed)
"""What is wrong with one package, and keeps no other from being published."""
PLUGIN: Final = "package-service"
Source: TypeAlias = tuple[Path, Path | None]
"""A package, and the folder of packages that it was found in; None: it was named itself."""


@attrs.define
class Outcome:
    """What became of each path; of a package what is printed, for its content would fill the memory with others."""

    published: list[tuple[Path, dict[str, Any]]] = attrs.field(factory=list)
    checked: list[tuple[Path, dict[str, Any]]] = attrs.field(factory=list)
    refused: list[tuple[Path, PackageError]] = attrs.field(factory=list)


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--tag", help="A dist-tag that names this version from now on.")
@click.option("--visibility", type=click.Choice(["public", "private"]), help="Of the package; else it stays as it is.")
@click.option("--policy", type=click.Choice(["mutable", "immutable"]), help="Of the package; else it stays as it is.")
@click.option("--owner", metavar="ACCOUNT", help="Publish for this account; else for the host itself.")
@click.option("--check", "only_check", is_flag=True, help="Only say what is wrong; publish nothing, start nothing.")
@as_json
@click.pass_context
def publish(context: click.Context, /, paths: tuple[Path, ...], only_check: bool, **said: Any) -> None:
    """Publish packages from files of {manifest, metadata}, in JSON or YAML, or from folders.

    A folder is a package if it has a manifest (manifest.yaml or manifest.json): then each folder in it is a kind of
    metadata (objects/, views/ ...) and each file there one item, or a list of them. A folder without a manifest holds
    packages.

    --check also warns of what an installation would not take as it is written, such as fields of an unknown type.

    A refused package does not keep the others from being published; the exit code is 1 if there was one.
    """
    obj: CommandContext = context.obj
    sources = [one for path in paths for one in _sources(path)]
    if only_check:
        outcome = _check_all(obj.progress(sources, "checking"), _limits(obj))
    else:
        outcome = obj.run(lambda kernel: _publish_all(kernel.get(PACKAGES), obj.progress(sources, "publishing"), said))
    if obj.json:
        _print_document(outcome, only_check)
    else:
        _print_words(outcome, only_check)
    context.exit(1 if outcome.refused else 0)


def _sources(path: Path) -> list[Source]:
    found = packages_in(path)
    if not found:
        raise click.UsageError(f"{path} holds no package: no manifest, and no .json or .yaml file")
    return [(one, None if one == path else path) for one in found]


async def _publish_all(service: PackageService, sources: Iterable[Source], said: dict[str, Any]) -> Outcome:
    outcome = Outcome()
    for path, folder in sources:
        try:
            outcome.published.append((path, document(await _publish(service, path, folder, said))))
        except REFUSALS as error:
            outcome.refused.append((path, error))
    return outcome


async def _publish(service: PackageService, path: Path, folder: Path | None, said: dict[str, Any]) -> PackageRecord:
    files = await to_thread.run_sync(read_package, path, service.max_json_bytes, folder)
    try:
        return await service.publish(files.package, **said)
    except PackageInvalid as error:
        raise await to_thread.run_sync(files.located, error) from None


def _check_all(sources: Iterable[Source], limits: Limits) -> Outcome:
    outcome = Outcome()
    for path, folder in sources:
        try:
            outcome.checked.append((path, _check(path, folder, limits)))
        except REFUSALS as error:
            outcome.refused.append((path, error))
    return outcome


def _check(path: Path, folder: Path | None, limits: Limits) -> dict[str, Any]:
    """What is printed of a sound package: its hash, and what of it will not be as it is written."""
    files = read_package(path, limits.text, folder)
    try:
        sound = check(files.package, limits)
    except PackageInvalid as error:
        raise files.located(error) from None
    found = files.placed(remarks(json.loads(sound.manifest), json.loads(sound.metadata)))
    warnings = [attrs.asdict(one) for one in found]
    return {"id": sound.id, "version": sound.version, "hash": sound.hash, "warnings": warnings}


def _limits(obj: CommandContext) -> Limits:
    """The sizes that the host allows, which need no started kernel."""
    configuration = obj.kernel().compose().configuration
    config = configuration.instances.get(PLUGIN) if configuration else None
    config = config or PackageServiceConfig()
    return Limits(manifest=config.max_manifest_bytes, metadata=config.max_metadata_bytes)


def _print_document(outcome: Outcome, only_check: bool) -> None:
    refused = [{"file": str(path), **error.as_dict()} for path, error in outcome.refused]
    done = {"checked": outcome.checked} if only_check else {"published": outcome.published}
    told = {name: [{"file": str(path), **one} for path, one in found] for name, found in done.items()}
    print_json({**told, "refused": refused})


def _print_words(outcome: Outcome, only_check: bool) -> None:
    rows = [
        (one["id"], one["version"], one["hash"], _soundness(one) if only_check else _change(one), str(path))
        for path, one in (outcome.checked if only_check else outcome.published)
    ]
    if rows:
        print_table(("ID", "VERSION", "HASH", "CHECK" if only_check else "CHANGE", "FILE"), rows)
    for path, one in outcome.checked:
        for warning in one["warnings"]:
            click.echo(plain_lines(f"{path}: {warning['path']}: {warning['what']}"), err=True)
    for path, error in outcome.refused:
        click.echo(f"\n{plain_lines(str(path))}\n{plain_lines(str(error))}", err=True)


def _soundness(one: Mapping[str, Any]) -> str:
    """In words: what checking found."""
    count = len(one["warnings"])
    return "sound" if not count else f"sound, {count} warning{'s' if count > 1 else ''}"


def _change(one: Mapping[str, Any]) -> str:
    """In words: what publishing changed."""
    before, hash = one["previous_hash"], one["hash"]
    if before is None:
        return "new"
    return "unchanged" if before == hash else f"replaced {before[:12]}"
