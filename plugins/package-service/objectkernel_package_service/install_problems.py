"""Why packages are not installed, not taken out of use, or not in use: as errors with everything that is in the way."""

from __future__ import annotations

from collections.abc import Sequence

from objectkernel.errors import KernelError

from objectkernel_package_service.consumers import ConsumerFailed
from objectkernel_package_service.contracts import Problem
from objectkernel_package_service.install_contracts import Installed, InstallRefused, PackageNotLoaded


def told(id: str, error: KernelError | ConsumerFailed) -> list[Problem]:
    """Why something was refused, as problems of a package."""
    if isinstance(error, ConsumerFailed):
        return [Problem(f"{id}: {error.kind}", str(error))]
    if isinstance(error, InstallRefused):
        return list(error.problems)
    lines = error.facts.get("problems") or error.facts.get("differences") or ()
    whole = ": ".join([f"[{error.code}] {error.what}", *error.why])
    return [Problem(id, str(line)) for line in lines] or [Problem(id, whole)]


def stays(
    name: str,
    problems: Sequence[Problem],
    fix: str = "see to every line above and uninstall again; nothing has changed",
) -> InstallRefused:
    """The error for a package that cannot be taken out of use."""
    return InstallRefused(name.partition("@")[0], f"{name} cannot be taken out of use", problems, fix=fix)


def not_loaded(package: Installed, *why: str) -> PackageNotLoaded:
    """The error for an installed package that is not in use."""
    return PackageNotLoaded(
        f"the installed package {package.id}@{package.version} is not in use",
        why=why,
        fix="mend what is named above and start again, or install another version of it",
        id=package.id,
        version=package.version,
    )
