"""Packages installed into a running kernel: the service, what other plugins do with a package, values and errors."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import attrs
from objectkernel.errors import KernelError
from objectkernel.keys import Extension, Service

from objectkernel_package_service.contracts import LATEST, Owner, PackageError, PackageMetadata, Problem

Data: TypeAlias = Literal["keep", "remove"]
"""What becomes of the rows of a package that is uninstalled."""


@attrs.frozen(kw_only=True)
class Installed:
    """A package that is installed here: a copy of what was published, whatever becomes of it in the registry."""

    id: str
    version: str
    hash: str
    """SHA-256 of `content`."""
    installed_at: datetime
    """When the package was first installed; aware, UTC."""
    updated_at: datetime
    """When this version was installed; aware, UTC."""
    entities: tuple[str, ...] = ()
    """The names of the entities that its objects have become."""
    warnings: tuple[Problem, ...] = attrs.field(default=(), repr=False)
    """What of its objects is not exactly in those entities, with the places."""
    content: bytes = attrs.field(repr=False)
    """The canonical JSON of ``{manifest, metadata}``."""

    @property
    def manifest(self) -> dict[str, Any]:
        """What the package says of itself; read anew from `content` at each access."""
        manifest: dict[str, Any] = json.loads(self.content)["manifest"]
        return manifest

    @property
    def metadata(self) -> PackageMetadata:
        """All that the package holds; read anew from `content` at each access, so keep it."""
        metadata: PackageMetadata = json.loads(self.content)["metadata"]
        return metadata


class PackageConsumer(Protocol):
    """Does something with what packages hold: translations, views, flows …

    It is told of the packages of each start again, in dependency order, and of every change afterwards. Whatever it
    keeps elsewhere it must be able to make anew from that: a host may die between `apply` and the end of an
    installation.
    """

    @property
    def kinds(self) -> Collection[str]:
        """The kinds of metadata that it wants to be told of."""
        ...

    async def check(self, package: Installed, kind: str, items: Sequence[Mapping[str, Any]]) -> Iterable[Problem]:
        """What keeps this from being installed; nothing was changed yet, and nothing may be changed here."""
        ...

    async def apply(self, package: Installed, kind: str, items: Sequence[Mapping[str, Any]]) -> None:
        """Take these items up, in the place of those that the package had before; its tables are there.

        An error undoes the whole installation.
        """
        ...

    async def remove(self, package: Installed, kind: str) -> None:
        """Forget what the package had; its tables are still there. An error undoes the whole change."""
        ...


PACKAGE_CONSUMERS = Extension[PackageConsumer]("package-consumers")
"""What plugins do with installed packages. The plugin of one may not need `INSTALLATIONS` to make it."""


@runtime_checkable
class Installations(Protocol):
    """The packages that are installed in this host.

    Objects become entities of the business data, with their tables; everything else goes to `PACKAGE_CONSUMERS`.
    Hosts that share a system database have the same packages: a change of one comes to the others shortly after.
    """

    def installed(self) -> tuple[Installed, ...]:
        """Every package that is in use, those that others depend on first."""
        ...

    def get(self, id: str) -> Installed | None:
        """One package that is in use."""
        ...

    def failed(self) -> tuple[KernelError, ...]:
        """Why packages that are installed are not in use: damaged, refused by the database or a consumer, or needing
        one of those.
        """
        ...

    async def preview(self, id: str, version: str = LATEST, *, owner: Owner | None = None) -> tuple[Installed, ...]:
        """What `install` would install, with its warnings; refused as that would be, as far as is known beforehand."""
        ...

    async def install(self, id: str, version: str = LATEST, *, owner: Owner | None = None) -> tuple[Installed, ...]:
        """Install a package and what it depends on, or another version of it; all of it or nothing.

        A dependency that is installed stays as it is where that will do.

        Args:
            version: as `PackageService.get` takes it.
            owner: the account that asks: packages that it does not see are missing.

        Returns:
            What was installed, in dependency order; nothing where all of it was installed already.

        Raises:
            InstallRefused: `problems` names everything that is in the way; nothing has changed.
            PackageDamaged, PackageStoreUnavailable: as `PackageService.get` does.
        """
        ...

    async def upgrade(self, id: str, version: str = LATEST, *, owner: Owner | None = None) -> tuple[Installed, ...]:
        """As `install`, of a package that is installed.

        Raises:
            PackageNotInstalled: it is not.
        """
        ...

    async def uninstall(self, id: str, data: Data = "keep", *, owner: Owner | None = None) -> None:
        """Take a package out of use, at once.

        Args:
            data: ``keep`` leaves its tables and rows, which it finds again when it is installed again; ``remove`` drops
                them.

        Raises:
            PackageNotInstalled: it is not installed.
            InstallationNeeded: another installed package depends on it.
            InstallRefused: a consumer, or a table that leads to one of its own, is in the way; nothing has changed.
        """
        ...

    async def refresh(self) -> bool:
        """See what other hosts have installed; whether something has changed here."""
        ...


INSTALLATIONS = Service[Installations]("installations")


class InstallRefused(PackageError):
    """A package cannot be installed, or taken out of use. Attributes: id, problems, each with its place."""

    code = "P110"
    http_status = 409
    id: str
    problems: tuple[Problem, ...]

    def __init__(self, id: str, what: str, problems: Sequence[Problem], *, fix: str) -> None:
        super().__init__(what, why=[str(one) for one in problems], fix=fix, id=id, problems=tuple(problems))


class PackageNotInstalled(PackageError):
    """The package is not installed. Attributes: id."""

    code = "P111"
    http_status = 404


class InstallationNeeded(PackageError):
    """Other installed packages depend on this one. Attributes: id, needed_by (their ids)."""

    code = "P112"
    http_status = 409


class PackageNotLoaded(PackageError):
    """An installed package is not in use, with what depends on it. Attributes: id, version."""

    code = "P113"


class InstallationsChanged(PackageError):
    """Another host has installed or uninstalled something at the same moment. Attributes: id."""

    code = "P114"
    http_status = 409
