"""What others may import of package-service: the key, the service's Protocol, its values and its errors."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, Protocol, TypeAlias, overload, runtime_checkable

import attrs
from objectkernel.errors import KernelError
from objectkernel.keys import Service
from objectkernel_contracts.identity import Principal

LATEST: Final = "latest"
"""What `PackageService.get` takes for the version inserted last that is not yanked; it is no version and no tag."""

Visibility: TypeAlias = Literal["public", "private"]
"""Who sees a package: every account, or its owner alone."""

Policy: TypeAlias = Literal["mutable", "immutable"]
"""Whether a version that was published may be published again with other content."""

Owner: TypeAlias = str | Principal
"""The account that a call is made for: its id, or a principal of it, whom the audit trail then names."""


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
    sequence: int
    """Its place among all versions that were ever inserted."""
    size: int
    """Bytes of its canonical JSON."""
    owner: str | None
    """The account that the package belongs to; None: the host's own."""
    visibility: Visibility
    policy: Policy
    tags: tuple[str, ...]
    """The dist-tags that name this version, sorted."""
    deprecated: str | None
    """Why this version should not be used any more."""
    yanked: bool
    """Whether only its exact version leads to it."""


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


HistoryAction: TypeAlias = Literal[
    "publish", "delete", "tag", "untag", "deprecate", "yank", "unyank", "configure", "transfer", "repair", "seal"
]
"""`seal`: a private package went with its account; who takes the id next learns nothing of what was before."""


@attrs.frozen(kw_only=True)
class HistoryEntry:
    """One change of a package; it stays when the package goes."""

    id: str
    number: int
    """1, 2, 3 … for each package, and for an account from a seal on."""
    action: HistoryAction
    version: str | None
    """None: the package as a whole was meant."""
    hash: str | None
    """Of a publish the new content's, of a delete that of what was removed."""
    details: Mapping[str, Any]
    """What else was said: the tag, the message of a deprecation, the visibility, `force`."""
    by: str | None
    """The account that did it; None: the host itself, or its operator."""
    at: datetime
    """Aware, UTC."""


@attrs.frozen(kw_only=True)
class HistoryPage:
    """One page of a package's history, newest first."""

    items: tuple[HistoryEntry, ...]
    after: str | None
    """What to pass as `after` for the next page; None on the last one."""


@runtime_checkable
class PackageService(Protocol):
    """A registry of metadata packages.

    Without `owner` a caller is the host itself and may do everything. With it the call is made for that account: it
    sees public packages and its own and changes its own alone; a private package of others is to it as one that does
    not exist. A package belongs to the account that published it first, also when no version is left of it.

    Every method raises PackageStoreUnavailable where the database gave no answer: it is then unknown whether
    the package is there. Ill-formed ids, versions, tags, limits and cursors are PackageInvalid; a change to a package
    of others that the account sees is PackageForeign.
    """

    @property
    def max_json_bytes(self) -> int:
        """The longest JSON text that `publish` reads: nobody needs to hold more than that in memory."""
        ...

    async def publish(
        self,
        package: Package,
        *,
        owner: Owner | None = None,
        tag: str | None = None,
        visibility: Visibility | None = None,
        policy: Policy | None = None,
    ) -> PackageRecord:
        """Store one version; the same one again gets the new content and keeps `created_at` and its place.

        `previous_hash` of the record tells whether the version was there, and with which content. A mapping must not
        be changed while this is awaited.

        Args:
            owner: the account that publishes; the first one to publish an id owns it.
            tag: a dist-tag that names this version from now on.
            visibility: of the package, all its versions; None: as it is, at first public.
            policy: of the package; None: as it is, at first mutable.

        Raises:
            PackageInvalid: `problems` names everything that is wrong with it; nothing was stored.
            PackageConflict: the package is immutable, and this version was published with other content.
            PackageForeign: the id belongs to another account.
        """
        ...

    async def get(self, id: str, version: str = LATEST, *, owner: Owner | None = None) -> PackageRecord | None:
        """Read one version; None where there is none.

        Args:
            version: an exact version; ``latest``, the one inserted last; a dist-tag; or an npm-style range, of which
                the highest matching version is meant. A yanked version is found by its exact version alone.

        Raises:
            PackageDamaged: the stored bytes are not those that were published.
        """
        ...

    async def list(
        self,
        limit: int = 50,
        after: str | None = None,
        *,
        all_versions: bool = False,
        search: str | None = None,
        owner: Owner | None = None,
    ) -> Page:
        """The latest version of each package, newest first, without its content.

        A page may hold fewer than `limit` and yet have an `after`: with `search`, or `all_versions` for an account,
        each call looks at a bounded number of rows.

        Args:
            limit: 1 to 500 items.
            after: the `after` of the page before.
            all_versions: every version of each package, the yanked ones too.
            search: words that are each part of the package's id or name, whatever the case.
        """
        ...

    async def versions(self, id: str, limit: int = 50, after: str | None = None, *, owner: Owner | None = None) -> Page:
        """The versions of one package, newest first, without their content; the yanked ones too."""
        ...

    async def tags(self, id: str, *, owner: Owner | None = None) -> dict[str, str]:
        """The dist-tags of a package and the version that each names.

        Raises:
            PackageMissing: there is no such package.
        """
        ...

    async def tag(self, id: str, tag: str, version: str, *, owner: Owner | None = None) -> None:
        """Let a dist-tag name a version, whatever it named before.

        Raises:
            PackageMissing: there is no such version.
        """
        ...

    async def untag(self, id: str, tag: str, *, owner: Owner | None = None) -> bool:
        """Remove a dist-tag; whether there was one."""
        ...

    async def deprecate(self, id: str, version: str | None, message: str | None, *, owner: Owner | None = None) -> None:
        """Say why a version, or with None each that is there, should not be used any more; with no message, unsay it.

        Raises:
            PackageMissing: there is no such version.
        """
        ...

    async def yank(self, id: str, version: str, yanked: bool = True, *, owner: Owner | None = None) -> None:
        """Let a version be found by its exact version alone, or with False as before.

        Raises:
            PackageMissing: there is no such version.
        """
        ...

    async def configure(
        self,
        id: str,
        *,
        visibility: Visibility | None = None,
        policy: Policy | None = None,
        owner: Owner | None = None,
    ) -> None:
        """Change what is said of a package as a whole; None: as it is.

        Raises:
            PackageConflict: an account cannot make an immutable package mutable again; the host itself can.
            PackageMissing: there is no such package.
        """
        ...

    @overload
    async def delete(self, id: str, version: str, *, force: bool = False, owner: Owner | None = None) -> bool: ...
    @overload
    async def delete(
        self, id: str, *, all_versions: Literal[True], force: bool = False, owner: Owner | None = None
    ) -> bool: ...
    async def delete(
        self,
        id: str,
        version: str | None = None,
        *,
        all_versions: bool = False,
        force: bool = False,
        owner: Owner | None = None,
    ) -> bool:
        """Remove one version, or all of them when asked by name; whether there was something to remove.

        Args:
            force: also when another package depends on what would be gone.

        Raises:
            PackageNeeded: a dependency of another published package is met by what would be gone, and by nothing else.
        """
        ...

    async def history(
        self, id: str, limit: int = 50, after: str | None = None, *, owner: Owner | None = None
    ) -> HistoryPage:
        """Every change of a package, newest first, also of versions that are gone."""
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
    http_status = 422
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
    http_status = 503


class PackageMissing(PackageError):
    """A package or a version that is not published is to be changed, or a command names it. Attributes: id, version."""

    code = "P104"
    http_status = 404


class FileFailed(PackageError):
    """A command cannot read or write a file. Attributes: file."""

    code = "P105"


class PackageConflict(PackageError):
    """An immutable version was published with other content, or an account takes back that a package is immutable.

    Attributes: id, version, hash (the one that counts); the last two are None where the package as a whole is meant.
    """

    code = "P106"
    http_status = 409


class PackageForeign(PackageError):
    """The package belongs to another account. Attributes: id."""

    code = "P107"
    http_status = 403


class PackageNeeded(PackageError):
    """What is to be deleted is needed by others. Attributes: id, version, needed_by (``billing@1.0.0``, a few)."""

    code = "P108"
    http_status = 409


class ArchiveInvalid(PackageError):
    """A file that packages are imported from is no archive of packages, or damaged."""

    code = "P120"
