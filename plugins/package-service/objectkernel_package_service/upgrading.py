"""What becomes of the table of an older version, which had nothing of packages but a row for each of their versions."""

from __future__ import annotations

import json
from typing import Any, Final

from objectkernel_system_dialect.contracts import Migration
from sqlalchemy import JSON, and_, insert, select, text, update

from objectkernel_package_service.canonical import content_of
from objectkernel_package_service.publishing import words
from objectkernel_package_service.table import CHANGE, HEAD, NEED, PACKAGE


def _tell_sizes(step: Any) -> None:
    """Give each version its size, and let go of the mark of the latest one, which new rows would lack."""
    packages, connection = step.table(PACKAGE.collection), step.connection
    if "latest" not in packages.c:
        return
    if "size" not in packages.c:
        connection.execute(text("ALTER TABLE sys_packages ADD COLUMN size BIGINT"))
        packages = step.table(PACKAGE.collection)
    for id, version in connection.execute(select(packages.c.id, packages.c.version)).all():
        this = and_(packages.c.id == id, packages.c.version == version)
        parts = connection.execute(select(packages.c.manifest, packages.c.metadata).where(this)).one()
        size = len(content_of(*(str(part).encode() for part in parts)))
        connection.execute(update(packages).where(this).values(size=size))
    for index in packages.indexes:
        if "latest" in index.columns:
            index.drop(connection)
    connection.execute(text("ALTER TABLE sys_packages DROP COLUMN latest"))


def _tell_heads(step: Any) -> None:
    """Make the head, the history and the needs of each package: it is the host's, and public as it was."""
    packages, heads = step.table(PACKAGE.collection), step.table(HEAD.collection)
    lacking = select(packages.c.id).where(packages.c.id.not_in(select(heads.c.id))).distinct()
    for id in step.connection.scalars(lacking).all():
        names = ("version", "sequence", "hash", "updated_at", "manifest")
        versions = select(*(packages.c[name] for name in names)).where(packages.c.id == id)
        manifest: dict[str, Any] = {}
        latest = 0
        for number, row in enumerate(step.connection.execute(versions.order_by(packages.c.sequence)).all(), start=1):
            manifest = _manifest(row.manifest)
            entry = {"number": number, "action": "publish", "version": row.version, "hash": row.hash}
            _put(step, CHANGE.collection, id, {**entry, "details": {}, "at": row.updated_at})
            for needed, range in (manifest.get("dependencies") or {}).items():
                _put(step, NEED.collection, id, {"version": row.version, "needs": needed, "range": range})
            latest = row.sequence
        said = {"visibility": "public", "policy": "mutable", "tags": {}, "latest": latest}
        _put(step, HEAD.collection, id, {**said, "words": words({**manifest, "id": id})})


def _manifest(stored: str) -> dict[str, Any]:
    """A manifest; nothing where it is damaged, as reading it will tell."""
    try:
        manifest = json.loads(stored)
    except ValueError:
        return {}
    return manifest if isinstance(manifest, dict) else {}


def _put(step: Any, collection: str, id: str, row: dict[str, Any]) -> None:
    table = step.table(collection)
    as_text = {
        name: json.dumps(value)
        for name, value in row.items()
        if isinstance(value, dict) and not isinstance(table.c[name].type, JSON)
    }
    step.connection.execute(insert(table).values({"id": id, **row, **as_text}))


SIZES: Final = Migration(
    "package-service", 1, "versions tell their size", _tell_sizes, collections=PACKAGE.collection, when="before"
)
HEADS: Final = Migration(
    "package-service", 2, "packages have heads and a history", _tell_heads, collections=PACKAGE.collection
)
