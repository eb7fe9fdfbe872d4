"""What the commands print: JSON, tables, records as rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click

from objectkernel_package_service.contracts import PackageDamaged, PackageSummary


def _ask_for_json(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted:
        context.obj.json = True


as_json = click.option(
    "--json", is_flag=True, expose_value=False, callback=_ask_for_json, help="Print JSON on standard output."
)


def named(package: str) -> str:
    """The type of arguments such as ``ID[@VERSION]``: behind an ``@`` there is a version.

    A variable that is not set means neither every version nor the latest.
    """
    if package.endswith("@"):
        raise click.UsageError(f"{package!r} names no version behind the @")
    return package


def document(item: PackageSummary) -> dict[str, Any]:
    """The row of a package for ``--json``, without its content."""
    return {
        "id": item.id,
        "version": item.version,
        "hash": item.hash,
        "previous_hash": item.previous_hash,
        "created_at": item.created_at.isoformat(),
        "updated_at": item.updated_at.isoformat(),
        "sequence": item.sequence,
        "size": item.size,
        "owner": item.owner,
        "visibility": item.visibility,
        "policy": item.policy,
        "tags": list(item.tags),
        "deprecated": item.deprecated,
        "yanked": item.yanked,
    }


def damage(error: PackageDamaged) -> dict[str, Any]:
    """The row of a damaged package for ``--json``."""
    return {"id": error.id, "version": error.version, **error.as_dict()}


def notes(item: PackageSummary) -> str:
    """In words: what is said of a version."""
    found = ["private"] if item.visibility == "private" else []
    found += [f"tag {tag}" for tag in item.tags]
    found += ["yanked"] if item.yanked else []
    found += [f"deprecated: {item.deprecated}"] if item.deprecated is not None else []
    return ", ".join(found)


def one_version(package: str) -> tuple[str, str]:
    """The id and version of ``ID@VERSION``."""
    id, at, version = package.partition("@")
    if not at:
        raise click.UsageError(f"name one version: {id}@VERSION")
    return id, version


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2))  # ASCII alone: right in every encoding that a terminal may have


def as_text(value: Any) -> str:
    """A value of a manifest as text."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def plain(text: str) -> str:
    """A text free of what could steer a terminal; lines stay lines."""
    return "".join(character if character.isprintable() or character == "\n" else "\ufffd" for character in text)


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as their widest cell."""
    lines = [[plain(cell).replace("\n", " ") for cell in line] for line in ([head] if head else []) + list(rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())
