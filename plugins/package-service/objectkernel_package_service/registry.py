"""The registry behind the service `package`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, overload

from anyio import to_thread

from objectkernel_package_service.contracts import (
    LATEST,
    Package,
    PackageInvalid,
    PackageRecord,
    PackageService,
    Page,
    Problem,
)
from objectkernel_package_service.json_value import weight
from objectkernel_package_service.naming import check_request
from objectkernel_package_service.package import Limits, check
from objectkernel_package_service.storage import LARGE, PackageStore

LARGEST_PAGE: Final = 500
NEWEST: Final = 2**63 - 1


class PackageRegistry:
    """Checks what is asked and what is published; `PackageStore` keeps it."""

    def __init__(self, store: PackageStore, limits: Limits) -> None:
        self._store = store
        self._limits = limits

    @property
    def max_json_bytes(self) -> int:
        return self._limits.text

    async def publish(self, package: Package) -> PackageRecord:
        size = len(package) if isinstance(package, bytes | str) else weight(package, LARGE)
        if size > LARGE:
            return await self._store.put(await to_thread.run_sync(check, package, self._limits))
        return await self._store.put(check(package, self._limits))

    async def get(self, id: str, version: str = LATEST) -> PackageRecord | None:
        if version == LATEST:
            check_request(id)
            return await self._store.latest(id)
        check_request(id, version)
        return await self._store.exact(id, version)

    async def versions(self, id: str, limit: int = 50, after: str | None = None) -> Page:
        check_request(id)
        return await self._store.versions(id, *_window(limit, after))

    @overload
    async def delete(self, id: str, version: str) -> bool: ...
    @overload
    async def delete(self, id: str, *, all_versions: Literal[True]) -> bool: ...
    async def delete(self, id: str, version: str | None = None, *, all_versions: bool = False) -> bool:
        check_request(id, *([] if version is None else [version]))
        if (all_versions is True) == (version is not None) or all_versions not in (True, False):
            raise PackageInvalid(
                f"what of {id} to delete is not clear",
                [Problem("version", "either one version or all_versions=True is wanted")],
                fix=f'write delete("{id}", "1.0.0"), or delete("{id}", all_versions=True)',
            )
        if version is None:
            return await self._store.remove_all(id)
        return await self._store.remove(id, version)

    async def list(self, limit: int = 50, after: str | None = None, *, all_versions: bool = False) -> Page:
        pages = self._store.everything if all_versions else self._store.newest
        return await pages(*_window(limit, after))


def _window(limit: Any, after: Any) -> tuple[int, int]:
    """The limit, and the sequence that the page starts below."""
    found = []
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= LARGEST_PAGE:
        found.append(Problem("limit", f"{limit!r} is no whole number from 1 to {LARGEST_PAGE}"))
    if after is not None and not (isinstance(after, str) and after.isascii() and after.isdigit() and len(after) < 19):
        found.append(Problem("after", "is no cursor of this list"))
    if found:
        raise PackageInvalid(
            "no such page", found, fix="take `after` from the page before, or leave it out for the first page"
        )
    return limit, NEWEST if after is None else int(after)


if TYPE_CHECKING:
    _is_a_package_service: type[PackageService] = PackageRegistry
