"""From rows of `sys_packages` to what callers get: records whose bytes have their hash, or PackageDamaged."""

from __future__ import annotations

import json
import logging
import re
from typing import Final

from objectkernel_system_dialect.contracts import Row

from objectkernel_package_service.canonical import content_of, digest
from objectkernel_package_service.contracts import LATEST, PackageDamaged, PackageRecord, PackageSummary
from objectkernel_package_service.naming import is_key
from objectkernel_package_service.table import SUMMARY

_HASH: Final = re.compile(r"[0-9a-f]{64}\Z")

log = logging.getLogger("objectkernel.plugin.package-service")


def summary(row: Row) -> PackageSummary:
    """The summary of a row.

    Raises:
        PackageDamaged: it holds what was never stored by `publish`.
    """
    id, version = row["id"], row["version"]
    if not is_key(id, version):
        raise damaged(id, version, "no package can be called that")
    if not _HASH.match(row["hash"]):
        raise damaged(id, version, "its hash is no SHA-256 of 64 hexadecimal digits")
    return PackageSummary(**{name: row[name] for name in SUMMARY})


def record(row: Row) -> PackageRecord:
    """The record of a row.

    Raises:
        PackageDamaged: its bytes have another hash, or are those of another package than its key says.
    """
    known = summary(row)
    id, version = known.id, known.version
    content = content_of(row["manifest"].encode(), row["metadata"].encode())
    found = digest(content)
    if found != known.hash:
        raise damaged(id, version, f"its bytes have the hash {found}, stored is {known.hash}")
    named = _named(row["manifest"])
    if named != (id, version):
        raise damaged(id, version, f"its bytes are {f'those of {_spelled(*named)}' if named else 'no package'}")
    return PackageRecord(**{name: row[name] for name in SUMMARY}, content=content)


def _named(text: str) -> tuple[object, object] | None:
    """The id and version that a manifest gives."""
    try:
        manifest = json.loads(text)
        return manifest["id"], manifest["version"]
    except (LookupError, TypeError, ValueError, RecursionError):
        return None


def damaged(id: str | None, version: str | None, why: str) -> PackageDamaged:
    """The error for a row; None is a part of its key that cannot be read. It is logged."""
    package = _spelled(id, version)
    log.error("package %s is damaged: %s", package, why)
    again = "publish this version again from its source, or "
    return PackageDamaged(
        f"package {package} is damaged and was not delivered",
        why=why,
        fix=f"{'' if id is None or version is None else again}restore the database from a backup",
        id=id,
        version=version,
    )


def _spelled(id: object, version: object) -> str:
    """``crm@1.2.0``; what is no id and no version is quoted: somebody wrote it past the service."""
    sound = is_key(id, "0.0.0" if version == LATEST else version)
    return f"{id}@{version}" if sound else "@".join("?" if part is None else repr(part)[:80] for part in (id, version))
