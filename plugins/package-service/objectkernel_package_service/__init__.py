"""A registry of metadata packages for objectkernel: published, listed and delivered with verified hashes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from objectkernel_package_service.contracts import (
    LATEST,
    PACKAGES,
    FileFailed,
    PackageDamaged,
    PackageError,
    PackageInvalid,
    PackageMetadata,
    PackageMissing,
    PackageRecord,
    PackageService,
    PackageStoreUnavailable,
    PackageSummary,
    Page,
    Problem,
)

if TYPE_CHECKING:
    from objectkernel_package_service.plugin import PackageServicePlugin

__all__ = [
    "LATEST",
    "PACKAGES",
    "FileFailed",
    "PackageDamaged",
    "PackageError",
    "PackageInvalid",
    "PackageMetadata",
    "PackageMissing",
    "PackageRecord",
    "PackageService",
    "PackageServicePlugin",
    "PackageStoreUnavailable",
    "PackageSummary",
    "Page",
    "Problem",
]


def __getattr__(name: str) -> Any:
    """The plugin is imported when it is asked for: the contracts alone need no SQLAlchemy."""
    if name == "PackageServicePlugin":
        from objectkernel_package_service.plugin import PackageServicePlugin

        return PackageServicePlugin
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
