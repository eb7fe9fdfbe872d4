"""From rows of the tables to what callers get: records whose bytes have their hash, or PackageDamaged."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from objectkernel_system_dialect.contracts import Row, RowDamaged

from objectkernel_package_service.canonical import content_of, digest
from objectkernel_package_service.contracts import LATEST, PackageDamaged, PackageRecord, PackageSummary
from objectkernel_package_service.naming import is_key
from objectkernel_package_service.queries import OF_HEAD, OF_VERSION

_HASH: Final = re.compile(r"[0-9a-f]{64}\Z")
_SAME: Final = tuple(name for name in (*OF_VERSION, *OF_HEAD) if name != "tags")


def summary(row: Row) -> PackageSummary:
    """The summary of a row.

    Raises:
        PackageDamaged: it holds what was never stored by `publish`.
    """
    return PackageSummary(**_summary(row))


def _summary(row: Row) -> dict[str, Any]:
    id, version = row["id"], row["version"]
    if not is_key(id, version):
        raise damaged(id, version, "no package can be called that")
    if not _HASH.match(row["hash"]):
        raise damaged(id, version, "its hash is no SHA-256 of 64 hexadecimal digits")
    if row["visibility"] is None:
        raise damaged(id, version, "nothing is stored of whose it is")
    tags = row["tags"]
    if not is_tags(tags):
        raise damaged(id, version, "what is stored as its tags is no mapping of tags to versions")
    named = tuple(sorted(tag for tag, named in tags.items() if named == version))
    return {**{name: row[name] for name in _SAME}, "tags": named}


def is_tags(value: Any) -> bool:
    """Whether a value can be the tags of a head."""
    return isinstance(value, Mapping) and all(isinstance(text, str) for item in value.items() for text in item)


def record(row: Row) -> PackageRecord:
    """The record of a row.

    Raises:
        PackageDamaged: its bytes have another hash, or are those of another package than its key says.
    """
    known = _summary(row)
    id, version, hash = known["id"], known["version"], known["hash"]
    content = content_of(row["manifest"].encode(), row["metadata"].encode())
    found = digest(content)
    if found != hash:
        raise damaged(id, version, f"its bytes have the hash {found}, stored is {hash}")
    named = _named(row["manifest"])
    if named != (id, version):
        raise damaged(id, version, f"its bytes are {f'those of {spelled(*named)}' if named else 'no package'}")
    return PackageRecord(**known, content=content)


def _named(text: str) -> tuple[object, object] | None:
    """The id and version that a manifest gives."""
    try:
        manifest = json.loads(text)
        return manifest["id"], manifest["version"]
    except (LookupError, TypeError, ValueError, RecursionError):
        return None


def damaged(id: str | None, version: str | None, why: str) -> PackageDamaged:
    """The error for a row; None is a part of its key that cannot be read."""
    again = "publish this version again from its source, or "
    return PackageDamaged(
        f"package {spelled(id, version)} is damaged and was not delivered",
        why=why,
        fix=f"{'' if id is None or version is None else again}restore the database from a backup",
        id=id,
        version=version,
    )


def illegible(id: str | None, version: str | None, error: RowDamaged) -> PackageDamaged:
    """The error for a row with a value that its column cannot have."""
    return damaged(id, version, f"what is stored as its {error.facts['field']} cannot be read")


def spelled(id: object, version: object) -> str:
    """``crm@1.2.0``; what is no id and no version is quoted: somebody wrote it past the service."""
    sound = is_key(id, "0.0.0" if version == LATEST else version)
    return f"{id}@{version}" if sound else "@".join("?" if part is None else repr(part)[:80] for part in (id, version))
