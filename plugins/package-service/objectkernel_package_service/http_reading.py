"""The routes that read: lists, versions, tags, history, and the packages themselves."""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from objectkernel_package_service import http_models as models
from objectkernel_package_service.contracts import PackageService
from objectkernel_package_service.http_delivery import ASK_AGAIN, FOREVER, deliver
from objectkernel_package_service.http_routes import Answers, Routes, address, answered, missing, reader

Nothing: TypeAlias = Annotated[models.NoParameters, Query()]
OnePage: TypeAlias = Annotated[models.PageParameters, Query()]
Pinned: TypeAlias = Annotated[models.PinParameters, Query()]

TEXT: Final[dict[str, Any]] = {"schema": {"type": "string"}}
DELIVERED: Final[Answers] = {
    200: {
        "model": models.PackageBody,
        "description": "The bytes that were hashed",
        "headers": {
            "ETag": {"description": "the hash of the package", **TEXT},
            "Repr-Digest": {"description": "SHA-256 of the bytes that are sent (RFC 9530)", **TEXT},
            "Content-Location": {"description": "the address of this very version", **TEXT},
        },
    },
    304: {"description": "The caller has these bytes"},
}


def add_lists(routes: Routes, packages: PackageService) -> None:
    """Lists of packages, of versions, of tags, and of what was done."""

    @routes.get("", "List and search packages", {200: {"model": models.Page}})
    async def list(request: Request, given: Annotated[models.ListParameters, Query()]) -> Response:
        """The latest version of each package, newest first. A page with fewer than `limit` may have more after it."""
        page = await packages.list(
            given.limit, given.after, all_versions=given.all_versions, search=given.search, owner=reader(request)
        )
        return await answered(request, models.page_of(page))

    @routes.get("/{id}/versions", "List the versions of a package", {200: {"model": models.Page}})
    async def versions(request: Request, id: models.Id, given: OnePage) -> Response:
        """Newest first, the yanked ones too."""
        page = await packages.versions(id, given.limit, given.after, owner=reader(request))
        if not page.items and not page.damaged and given.after is None and page.after is None:
            raise missing(id)
        return await answered(request, models.page_of(page))

    @routes.get("/{id}/tags", "List the dist-tags of a package", {200: {"model": models.Tags}})
    async def tags(request: Request, id: models.Id, given: Nothing) -> Response:
        """Each tag, and the version that it names."""
        return await answered(request, models.Tags(tags=await packages.tags(id, owner=reader(request))))

    @routes.get("/{id}/history", "Show what was done to a package", {200: {"model": models.History}})
    async def history(request: Request, id: models.Id, given: OnePage) -> Response:
        """Every publish and delete, newest first, also of what is gone."""
        page = await packages.history(id, given.limit, given.after, owner=reader(request))
        if not page.items and given.after is None:
            raise missing(id)
        return await answered(request, models.history_of(page))


def add_delivery(routes: Routes, packages: PackageService) -> None:
    """The packages themselves."""

    async def delivered(request: Request, id: str, version: str, hash: str | None, parts: int) -> Response:
        record = await packages.get(id, version, owner=reader(request))
        if record is None or hash not in (None, record.hash):
            raise missing(id, version)
        settled = hash is not None or (version == record.version and record.policy == "immutable")
        answer = await deliver(
            request,
            record.content,
            tag=record.hash,
            cache=FOREVER if settled else ASK_AGAIN,
            shared=routes.anonymous and record.visibility == "public",
        )
        answer.headers["Content-Location"] = address(request, record.id, record.version, parts)
        return answer

    @routes.get("/{id}", "Deliver a package", DELIVERED)
    async def get(request: Request, id: models.Id, given: Annotated[models.GetParameters, Query()]) -> Response:
        """The canonical bytes of `{manifest, metadata}`, whose SHA-256 is the ETag: the latest version, or another."""
        return await delivered(request, id, given.version, given.hash, parts=1)

    @routes.get("/{id}/{version}/summary", "Describe a version", {200: {"model": models.Description}})
    async def summary(request: Request, id: models.Id, version: models.Wanted, given: Nothing) -> Response:
        """What is known of a version, and its manifest, without its metadata."""
        record = await packages.get(id, version, owner=reader(request))
        if record is None:
            raise missing(id, version)
        return await answered(request, models.description_of(record))

    @routes.get("/{id}/{version}", "Deliver a version", DELIVERED)
    async def get_version(request: Request, id: models.Id, version: models.Wanted, given: Pinned) -> Response:
        """An exact version, a dist-tag or a range. What cannot change under its address may be cached for ever."""
        return await delivered(request, id, version, given.hash, parts=2)
