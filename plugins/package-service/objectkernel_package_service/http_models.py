"""What bodies, parameters and answers of the routes look like: pydantic models."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Final, Literal, TypeAlias

from fastapi import Path
from objectkernel.errors import KernelError
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from objectkernel_package_service.contracts import (
    HistoryPage,
    PackageDamaged,
    PackageRecord,
    PackageSummary,
    Policy,
    Visibility,
)
from objectkernel_package_service.contracts import Page as PageOfSummaries
from objectkernel_package_service.install_contracts import Data, Installed

EXAMPLE: Final[JsonDict] = {
    "id": "acme.crm",
    "version": "1.2.0",
    "hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "previous_hash": None,
    "created_at": "2026-05-17T10:30:00Z",
    "updated_at": "2026-05-17T10:30:00Z",
    "sequence": 42,
    "size": 2048,
    "owner": "acme",
    "visibility": "public",
    "policy": "mutable",
    "tags": ["stable"],
    "deprecated": None,
    "yanked": False,
}
ENTRY_EXAMPLE: Final[JsonDict] = {
    "id": "acme.crm",
    "number": 3,
    "action": "publish",
    "version": "1.2.0",
    "hash": EXAMPLE["hash"],
    "details": {"tag": "stable"},
    "by": "acme",
    "at": "2026-05-17T10:30:00Z",
}
DAMAGE_EXAMPLE: Final[JsonDict] = {
    "id": "acme.crm",
    "version": "1.1.0",
    "code": "P102",
    "detail": "package acme.crm@1.1.0 is damaged and was not delivered",
}
REMARK_EXAMPLE: Final[JsonDict] = {
    "path": "$.metadata.objects[0].fields.owner",
    "what": "the object 'user' is in no package: the field holds a plain id",
}
INSTALLATION_EXAMPLE: Final[JsonDict] = {
    "id": "acme.crm",
    "version": "1.2.0",
    "hash": EXAMPLE["hash"],
    "installed_at": "2026-05-17T10:30:00Z",
    "updated_at": "2026-05-17T10:30:00Z",
    "entities": ["account"],
    "warnings": [REMARK_EXAMPLE],
}
PACKAGE_EXAMPLE: Final[JsonDict] = {
    "manifest": {"id": "acme.crm", "version": "1.2.0", "name": "CRM", "dependencies": {"acme.base": "^1.0.0"}},
    "metadata": {"objects": [{"name": "account", "fields": {"name": {"type": "text"}}}]},
}

# What the registry itself refuses, with better words than a pattern has: here it is for the document alone.
ID_SHAPE: Final[JsonDict] = {"pattern": "^[a-z0-9]+([._-][a-z0-9]+)*$", "maxLength": 200}
VERSION_SHAPE: Final[JsonDict] = {
    "pattern": r"^(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)){2}(-[a-z][0-9A-Za-z]*(\.[a-z][0-9A-Za-z]*)*)?$",
    "maxLength": 100,
}
TAG_SHAPE: Final[JsonDict] = {"pattern": "^[a-z][a-z0-9]*([._-][a-z0-9]+)*$", "maxLength": 50}
SEARCH_SHAPE: Final[JsonDict] = {"pattern": r"^\s*[^\s\x00-\x1f]+(\s+[^\s\x00-\x1f]+){0,7}\s*$"}

Id: TypeAlias = Annotated[
    str, Path(description="the id of a package", examples=["acme.crm"], json_schema_extra=ID_SHAPE)
]
Exact: TypeAlias = Annotated[
    str, Path(description="an exact version", examples=["1.2.0"], json_schema_extra=VERSION_SHAPE)
]
Wanted: TypeAlias = Annotated[
    str, Path(description="an exact version, `latest`, a dist-tag, or a range as npm has", examples=["1.2.0"])
]
Tag: TypeAlias = Annotated[str, Path(description="a dist-tag", examples=["stable"], json_schema_extra=TAG_SHAPE)]


class Strict(BaseModel):
    """Nothing that it does not know is let pass."""

    model_config = ConfigDict(extra="forbid")


# --- parameters of the URL --------------------------------------------------------------------------------


class NoParameters(Strict):
    """There are none."""


class PageParameters(Strict):
    """Which page of a list."""

    limit: int = Field(default=50, ge=1, le=500)
    after: str | None = Field(default=None, description="`after` of the page before", examples=["42"])


class ListParameters(PageParameters):
    """Which packages, and which page of them."""

    search: str | None = Field(
        default=None,
        max_length=200,
        description="up to eight words, each a part of the id or the name",
        examples=["crm"],
        json_schema_extra=SEARCH_SHAPE,
    )
    all_versions: bool = Field(default=False, description="every version of each package, not the latest alone")


class PublishParameters(Strict):
    """What is said of a package when it is published."""

    tag: str | None = Field(
        default=None,
        description="a dist-tag that names this version from now on",
        examples=["stable"],
        json_schema_extra=TAG_SHAPE,
    )
    visibility: Visibility | None = Field(default=None, description="of all its versions; left out: as it is")
    policy: Policy | None = Field(default=None, description="of all its versions; left out: as it is")


class PinParameters(Strict):
    """Which content exactly."""

    hash: str | None = Field(
        default=None,
        pattern="^[0-9a-f]{64}$",
        examples=[EXAMPLE["hash"]],
        description="the hash that it must have: this address never leads to other bytes, and may be cached for ever",
    )


class GetParameters(PinParameters):
    """Which version, and which content exactly."""

    version: str = Field(default="latest", description="an exact version, `latest`, a dist-tag, or a range as npm has")


class DeleteParameters(Strict):
    """How to delete."""

    force: bool = Field(default=False, description="also what other packages depend on")


class DeleteAllParameters(DeleteParameters):
    """How to delete every version of a package."""

    all_versions: Literal["true"] = Field(description="said openly, since it takes every version")


class InstallParameters(Strict):
    """Which version."""

    version: str = Field(default="latest", description="an exact version, `latest`, a dist-tag, or a range as npm has")


class UninstallParameters(Strict):
    """How to uninstall."""

    data: Data = Field(default="keep", description="what becomes of its rows")


# --- bodies -----------------------------------------------------------------------------------------------


class PackageBody(Strict):
    """A package; it is read by the registry itself, which names everything that is wrong with it at once."""

    model_config = ConfigDict(json_schema_extra={"examples": [PACKAGE_EXAMPLE]})

    manifest: dict[str, Any]
    metadata: dict[str, list[dict[str, Any]]]


class Settings(Strict):
    """What is said of a package as a whole; what is left out stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"policy": "immutable"}]})

    visibility: Visibility | None = None
    policy: Policy | None = None


class Tagging(Strict):
    """The version that a dist-tag names."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"version": "1.2.0"}]})

    version: str = Field(json_schema_extra=VERSION_SHAPE)


class Deprecation(Strict):
    """Why a version should not be used any more."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"message": "use 2.0.0: it keeps decimals"}]})

    message: str = Field(min_length=1, json_schema_extra={"maxLength": 1000})


# --- answers ----------------------------------------------------------------------------------------------


class Summary(BaseModel):
    """One published version without its content."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra={"examples": [EXAMPLE]})

    id: str
    version: str
    hash: str = Field(description="SHA-256 of the canonical JSON (RFC 8785) of `{manifest, metadata}`")
    previous_hash: str | None = Field(description="the hash before this version was published again")
    created_at: datetime
    updated_at: datetime
    sequence: int = Field(description="its place among all versions that were ever inserted")
    size: int = Field(description="bytes of the canonical JSON")
    owner: str | None = Field(description="the account; null: the host's own")
    visibility: Visibility
    policy: Policy
    tags: list[str]
    deprecated: str | None
    yanked: bool


class Description(Summary):
    """One published version: what its manifest says, and how much it holds."""

    manifest: dict[str, Any]
    counts: dict[str, int] = Field(description="of each kind of metadata")


class Damage(BaseModel):
    """A version that is stored and cannot be read."""

    model_config = ConfigDict(json_schema_extra={"examples": [DAMAGE_EXAMPLE]})

    id: str | None
    version: str | None
    code: str
    detail: str


class Page(BaseModel):
    """One page of a list, newest first."""

    items: list[Summary]
    damaged: list[Damage]
    after: str | None = Field(description="`after` of the next page; null on the last one", examples=["42"])


class Tags(BaseModel):
    """The dist-tags of a package, and the version that each names."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"tags": {"stable": "1.2.0", "next": "2.0.0-rc.1"}}]})

    tags: dict[str, str]


class Entry(BaseModel):
    """One thing that was done to a package."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra={"examples": [ENTRY_EXAMPLE]})

    id: str
    number: int = Field(description="1, 2, 3 and so on for each package")
    action: str
    version: str | None = Field(description="null: the package as a whole was meant")
    hash: str | None
    details: dict[str, Any]
    by: str | None = Field(description="the account; null: the host itself")
    at: datetime


class History(BaseModel):
    """One page of what was done to a package, newest first."""

    model_config = ConfigDict(from_attributes=True)

    items: list[Entry]
    after: str | None = Field(description="`after` of the next page; null on the last one", examples=["7"])


class Remark(BaseModel):
    """What is not exactly in an entity."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra={"examples": [REMARK_EXAMPLE]})

    path: str
    what: str


class Installation(BaseModel):
    """One package that is installed."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra={"examples": [INSTALLATION_EXAMPLE]})

    id: str
    version: str
    hash: str
    installed_at: datetime
    updated_at: datetime
    entities: list[str] = Field(description="what its objects have become")
    warnings: list[Remark]


class Failure(BaseModel):
    """Why an installed package is not in use."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"code": "P113", "detail": "acme.crm is not in use"}]})

    code: str
    detail: str


class InstalledPackages(BaseModel):
    """Packages that are installed, those that others depend on first."""

    items: list[Installation]
    failed: list[Failure]


def installed_of(found: Iterable[Installed], failed: Iterable[KernelError] = ()) -> InstalledPackages:
    return InstalledPackages(
        items=[Installation.model_validate(one) for one in found],
        failed=[Failure(code=one.code, detail=one.what) for one in failed],
    )


def summary_of(one: PackageSummary) -> Summary:
    return Summary.model_validate(one)


def description_of(record: PackageRecord) -> Description:
    counts = {kind: len(items) for kind, items in record.metadata.items()}
    known = {name: getattr(record, name) for name in Summary.model_fields}
    return Description(**known, manifest=record.manifest, counts=counts)


def page_of(page: PageOfSummaries) -> Page:
    return Page(items=[summary_of(one) for one in page.items], damaged=_damages(page.damaged), after=page.after)


def history_of(page: HistoryPage) -> History:
    return History.model_validate(page)


def _damages(errors: Iterable[PackageDamaged]) -> list[Damage]:
    return [Damage(id=one.id, version=one.version, code=one.code, detail=one.what) for one in errors]
