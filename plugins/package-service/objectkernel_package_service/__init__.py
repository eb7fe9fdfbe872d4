"""A registry of metadata packages for objectkernel: published, listed and delivered with verified hashes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from objectkernel_package_service.contracts import (
    LATEST,
    PACKAGES,
    FileFailed,
    HistoryAction,
    HistoryEntry,
    HistoryPage,
    Owner,
    PackageConflict,
    PackageDamaged,
    PackageError,
    PackageForeign,
    PackageInvalid,
    PackageMetadata,
    PackageMissing,
    PackageNeeded,
    PackageRecord,
    PackageService,
    PackageStoreUnavailable,
    PackageSummary,
    Page,
    Policy,
    Problem,
    Visibility,
)
from objectkernel_package_service.install_contracts import (
    INSTALLATIONS,
    PACKAGE_CONSUMERS,
    InstallationNeeded,
    Installations,
    InstallationsChanged,
    Installed,
    InstallRefused,
    PackageConsumer,
    PackageNotInstalled,
    PackageNotLoaded,
)

if TYPE_CHECKING:
    from objectkernel_package_service.plugin import PackageServicePlugin

__all__ = [
    "INSTALLATIONS",
    "LATEST",
    "PACKAGES",
    "PACKAGE_CONSUMERS",
    "FileFailed",
    "HistoryAction",
    "HistoryEntry",
    "HistoryPage",
    "InstallRefused",
    "InstallationNeeded",
    "Installations",
    "InstallationsChanged",
    "Installed",
    "Owner",
    "PackageConflict",
    "PackageConsumer",
    "PackageDamaged",
    "PackageError",
    "PackageForeign",
    "PackageInvalid",
    "PackageMetadata",
    "PackageMissing",
    "PackageNeeded",
    "PackageNotInstalled",
    "PackageNotLoaded",
    "PackageRecord",
    "PackageService",
    "PackageServicePlugin",
    "PackageStoreUnavailable",
    "PackageSummary",
    "Page",
    "Policy",
    "Problem",
    "Visibility",
]


def __getattr__(name: str) -> Any:
    """The plugin is imported when it is asked for: the contracts alone need no SQLAlchemy."""
    if name == "PackageServicePlugin":
        from objectkernel_package_service.plugin import PackageServicePlugin

        return PackageServicePlugin
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
