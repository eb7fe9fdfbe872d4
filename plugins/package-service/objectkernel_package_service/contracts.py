"""What others may import of package-service: the key, the service's Protocol, its values and its errors."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, Protocol, TypeAlias, overload, runtime_checkable

import attrs
from objectkernel.errors import KernelError
from objectkernel.keys import Service

LATEST: Final = "latest"
"""What `PackageService.get` takes for the version inserted last; it is no version itself."""


METADATA_KINDS: Final = ("objects", "views", "apps", "flows", "agents", "tools", "translations")
"""The kinds of metadata that are known; a package may hold others."""

PackageMetadata: TypeAlias = dict[str, list[dict[str, Any]]]
"""What a package holds: for each kind of metadata a list of objects."""

Package: TypeAlias = Mapping[str, Any] | bytes | str
"""``{"manifest": {...}, "metadata": {...}}``, as a mapping or as JSON text (bytes are UTF-8)."""


@attrs.frozen(kw_only=True)
class PackageSummary:
    """One published version without its content."""

    id: str
    version: str
    hash: str
    """SHA-256 of the package's canonical JSON, 64 hexadecimal digits."""
    previous_hash: str | None
    """The hash before this version was published again, None where it was not; another one than `hash`: it was
    overwritten with other content.
    """
    created_at: datetime
    """When this version was first published; aware, UTC."""
    updated_at: datetime
    """When it was last published; aware, UTC."""


@attrs.frozen(kw_only=True)
class PackageRecord(PackageSummary):
    """One published version, verified: `content` has the SHA-256 that `hash` says."""

    content: bytes = attrs.field(repr=False)
    """The canonical JSON (RFC 8785) of ``{manifest, metadata}``: the bytes that were stored and hashed."""

    @property
    def manifest(self) -> dict[str, Any]:
        """Id, version, name and all else that the package says of itself; read anew from `content` at each access."""
        manifest: dict[str, Any] = json.loads(self.content)["manifest"]
        return manifest

    @property
    def metadata(self) -> PackageMetadata:
        """The package's objects, views, apps and so on; read anew from `content` at each access, so keep it."""
        metadata: PackageMetadata = json.loads(self.content)["metadata"]
        return metadata


@attrs.frozen(kw_only=True)
class Page:
    """One page of a list, newest first."""

    items: tuple[PackageSummary, ...]
    damaged: tuple[PackageDamaged, ...] = ()
    """An error for each row of the page that cannot be read; its `id` and `version` are None where that is the part."""
    after: str | None
    """What to pass as `after` for the next page; None on the last one."""


@runtime_checkable
class PackageService(Protocol):
    """A registry of metadata packages.

    Every method raises PackageStoreUnavailable where the database gave no answer: it is then unknown whether
    the package is there. Ill-formed ids, versions, limits and cursors are PackageInvalid.
    """

    @property
    def max_json_bytes(self) -> int:
        """The longest JSON text that `publish` reads: nobody needs to hold more than that in memory."""
        ...

    async def publish(self, package: Package) -> PackageRecord:
        """Store one version; the same one again gets the new content and keeps `created_at` and its place.

        `previous_hash` of the record tells whether the version was there, and with which content. A mapping must not
        be changed while this is awaited.

        Raises:
            PackageInvalid: `problems` names everything that is wrong with it; nothing was stored.
        """
        ...

    async def get(self, id: str, version: str = LATEST) -> PackageRecord | None:
        """Read one version, by default the one inserted last; None where there is none.

        Raises:
            PackageDamaged: the stored bytes are not those that were published.
        """
        ...

    async def list(self, limit: int = 50, after: str | None = None, *, all_versions: bool = False) -> Page:
        """The latest version of each package, newest first, without its content.

        Args:
            limit: 1 to 500 items.
            after: the `after` of the page before.
            all_versions: every version of each package.
        """
        ...

    async def versions(self, id: str, limit: int = 50, after: str | None = None) -> Page:
        """The versions of one package, newest first, without their content."""
        ...

    @overload
    async def delete(self, id: str, version: str) -> bool: ...
    @overload
    async def delete(self, id: str, *, all_versions: Literal[True]) -> bool: ...
    async def delete(self, id: str, version: str | None = None, *, all_versions: bool = False) -> bool:
        """Remove one version, or all of them when asked by name; whether there was something to remove."""
        ...


PACKAGES = Service[PackageService]("package")


@attrs.frozen
class Problem:
    """One thing wrong with a package.

    Attributes:
        path: the JSON path of the place, such as ``$.metadata.objects[3].name``.
        what: what is wrong there.
    """

    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


class PackageError(KernelError):
    """The base of this plugin's errors."""

    code = "P100"


class PackageInvalid(PackageError, ValueError):
    """A package, or what a caller asked for, is refused. Attributes: problems, each with its place."""

    code = "P101"
    problems: tuple[Problem, ...]

    def __init__(self, what: str, problems: Sequence[Problem], *, fix: str) -> None:
        super().__init__(what, why=[str(p) for p in problems], fix=fix, problems=tuple(problems))


class PackageDamaged(PackageError):
    """What is stored is not what was published. Attributes: id, version, each None where it cannot be read."""

    code = "P102"
    id: str | None
    version: str | None


class PackageStoreUnavailable(PackageError):
    """The database gave no answer, so it is unknown whether the package is there. Attributes: operation."""

    code = "P103"


class PackageMissing(PackageError):
    """A command names a package or a version that is not published. Attributes: id, version."""

    code = "P104"


class FileFailed(PackageError):
    """A command cannot read or write a file. Attributes: file."""

    code = "P105"
