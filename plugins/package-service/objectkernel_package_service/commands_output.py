"""What the commands read and print: names of versions, records in JSON and in rows."""

from __future__ import annotations

import json
from typing import Any

import click

from objectkernel_package_service.contracts import PackageDamaged, PackageSummary


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


def as_text(value: Any) -> str:
    """A value of a manifest as text."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
