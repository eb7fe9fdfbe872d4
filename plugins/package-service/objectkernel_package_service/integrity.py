"""Damage that was found: logged, and counted for whoever watches the host."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from objectkernel_contracts import Figure

from objectkernel_package_service.contracts import PackageDamaged

log = logging.getLogger("objectkernel.plugin.package-service")


class Integrity:
    """What was found damaged since the start."""

    def __init__(self) -> None:
        self._failures = 0
        self._mends = 0

    def noted(self, error: PackageDamaged) -> PackageDamaged:
        """Log and count a failure, and give it back."""
        self._failures += 1
        log.error("%s: %s", error.what, error.why)
        return error

    def mends(self, package: str, name: str) -> None:
        """Log and count a value that cannot be read where a package is changed, which writes it anew."""
        self._mends += 1
        log.warning("package %s: its %s could not be read and is mended", package, name)

    def figures(self) -> Iterator[Figure]:
        """What a host reports."""
        yield Figure(
            name="package_integrity_failures",
            help="Rows of the package registry that were read and were not what had been published",
            value=self._failures,
            kind="counter",
        )
        yield Figure(
            name="package_values_mended",
            help="Values of the package registry that could not be read when a package was changed, and were replaced",
            value=self._mends,
            kind="counter",
        )
