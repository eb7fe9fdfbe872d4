"""Why nothing is found by a name: told with what the caller sees, and so with nothing of anybody else's."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final, TypeVar

from objectkernel.errors import nearest

from objectkernel_package_service.contracts import LATEST, Owner, PackageMissing, PackageService

T = TypeVar("T")

NAMED: Final = 3
"""Versions, or close names, that are told."""
LOOKED_AT: Final = 500
"""Packages, the newest, among which a close name is looked for."""


async def absence(registry: PackageService, id: str, version: str = LATEST, *, owner: Owner | None = None) -> str:
    """Why there is no such version: there is no such package, or it has others, of which the newest are named."""
    page = await registry.versions(id, NAMED, owner=owner)
    if not page.items and not page.damaged:
        return f"no package is called that{await meant(registry, id, owner=owner)}"
    if version == LATEST:
        return "every version of it is yanked; an exact version leads to one"
    newest = ", ".join(item.version for item in page.items)
    return f"no version {version} is published" + (f"; the newest are {newest}" if newest else "")


async def meant(registry: PackageService, id: str, *, owner: Owner | None = None) -> str:
    """``; 'crm' was meant?`` where a package is called nearly that, else nothing."""
    page = await registry.list(LOOKED_AT, owner=owner)
    close = nearest(id, [item.id for item in page.items], 1)
    return f"; {close[0]!r} was meant?" if close else ""


async def missing(registry: PackageService, id: str, version: str = "") -> PackageMissing:
    """The error for what the host's operator names and is not there; without a version the package is meant."""
    return PackageMissing(
        f"{id}@{version} is not published" if version else f"no version of {id} is published",
        why=await absence(registry, id, version or LATEST),
        fix="`objectkernel packages list` names what is",
        id=id,
        version=version or None,
    )


async def explained(registry: PackageService, call: Awaitable[T]) -> T:
    """What a call of the host's operator answers; what it finds missing is told with the reason."""
    try:
        return await call
    except PackageMissing as error:
        raise await missing(registry, str(error.facts["id"]), error.facts["version"] or "") from None
