"""The routes that change the registry: publish, configure, delete, tags, deprecations, yanks."""

from __future__ import annotations

from contextlib import nullcontext
from http import HTTPStatus
from typing import Annotated, Any, Final, TypeAlias

from anyio import CapacityLimiter
from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from objectkernel_package_service import http_models as models
from objectkernel_package_service.contracts import (
    PackageConflict,
    PackageForeign,
    PackageMissing,
    PackageNeeded,
    PackageService,
)
from objectkernel_package_service.http_route import expect_json
from objectkernel_package_service.http_routes import Answers, Routes, address, done, missing, writer
from objectkernel_package_service.scopes import WRITE

Nothing: TypeAlias = Annotated[models.NoParameters, Query()]

PACKAGE_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": models.PackageBody.model_json_schema(),
                "example": models.PACKAGE_EXAMPLE,
            }
        },
    }
}
_SUMMARY: Final[dict[str, Any]] = {
    "model": models.Summary,
    "headers": {"Location": {"description": "where this version is delivered", "schema": {"type": "string"}}},
}
PUBLISHED: Final[Answers] = {
    201: {**_SUMMARY, "description": "The version is new"},
    200: {**_SUMMARY, "description": "The version was there; `previous_hash` tells with which content"},
}
LARGE: Final = 1024 * 1024
"""Bytes of a package from which one at a time is read: as values, JSON has up to thirty times its length."""
TO_ONE: Final = (PackageMissing, PackageForeign)


def add_publishing(routes: Routes, packages: PackageService, body_bytes: int) -> None:
    """What comes and goes."""
    turn = CapacityLimiter(1)
    publishing = {"status_code": HTTPStatus.CREATED, "openapi_extra": PACKAGE_BODY, "max_body_size": body_bytes}

    @routes.change(
        "POST", "", "Publish a package", WRITE, PackageForeign, PackageConflict, responses=PUBLISHED, **publishing
    )
    async def publish(request: Request, given: Annotated[models.PublishParameters, Query()]) -> Response:
        """Store one version. The same package again changes nothing, so that a publish may be tried again."""
        expect_json(request)
        body = await request.body()
        async with turn if len(body) > LARGE else nullcontext():
            record = await packages.publish(
                body, owner=writer(request), tag=given.tag, visibility=given.visibility, policy=given.policy
            )
        status = HTTPStatus.CREATED if record.previous_hash is None else HTTPStatus.OK
        headers = {"Location": address(request, record.id, record.version, 0), "ETag": f'"{record.hash}"'}
        content = models.summary_of(record).model_dump_json()
        return Response(content, status, headers, media_type="application/json")

    @routes.change(
        "PATCH", "/{id}", "Change the visibility or the policy of a package", WRITE, *TO_ONE, PackageConflict
    )
    async def configure(request: Request, id: models.Id, body: models.Settings, given: Nothing) -> Response:
        """They are of all its versions."""
        await packages.configure(id, visibility=body.visibility, policy=body.policy, owner=writer(request))
        return done()

    @routes.change("DELETE", "/{id}", "Delete every version of a package", WRITE, *TO_ONE, PackageNeeded)
    async def delete(
        request: Request, id: models.Id, given: Annotated[models.DeleteAllParameters, Query()]
    ) -> Response:
        """Refused while another package needs one of them, unless it is forced."""
        if not await packages.delete(id, all_versions=True, force=given.force, owner=writer(request)):
            raise missing(id)
        return done()

    @routes.change("DELETE", "/{id}/{version}", "Delete a version", WRITE, *TO_ONE, PackageNeeded)
    async def delete_version(
        request: Request, id: models.Id, version: models.Exact, given: Annotated[models.DeleteParameters, Query()]
    ) -> Response:
        """Refused while another package needs it and no other version would do, unless it is forced."""
        if not await packages.delete(id, version, force=given.force, owner=writer(request)):
            raise missing(id, version)
        return done()


def add_tagging(routes: Routes, packages: PackageService) -> None:
    """Dist-tags."""

    @routes.change("PUT", "/{id}/tags/{tag}", "Let a dist-tag name a version", WRITE, *TO_ONE)
    async def tag(request: Request, id: models.Id, tag: models.Tag, body: models.Tagging, given: Nothing) -> Response:
        """Whatever it named before."""
        await packages.tag(id, tag, body.version, owner=writer(request))
        return done()

    @routes.change("DELETE", "/{id}/tags/{tag}", "Remove a dist-tag", WRITE, *TO_ONE)
    async def untag(request: Request, id: models.Id, tag: models.Tag, given: Nothing) -> Response:
        """The version that it names stays."""
        if not await packages.untag(id, tag, owner=writer(request)):
            raise missing(id, tag)
        return done()


def add_advice(routes: Routes, packages: PackageService) -> None:
    """What is said of versions: that they should not be used any more, or not be found."""

    @routes.change("PUT", "/{id}/deprecation", "Deprecate every version", WRITE, *TO_ONE)
    async def deprecate(request: Request, id: models.Id, body: models.Deprecation, given: Nothing) -> Response:
        """Each one that is there now; what is published later is not deprecated."""
        await packages.deprecate(id, None, body.message, owner=writer(request))
        return done()

    @routes.change("DELETE", "/{id}/deprecation", "Take back all deprecations", WRITE, *TO_ONE)
    async def undeprecate(request: Request, id: models.Id, given: Nothing) -> Response:
        """Of every version."""
        await packages.deprecate(id, None, None, owner=writer(request))
        return done()

    @routes.change("PUT", "/{id}/{version}/deprecation", "Deprecate a version", WRITE, *TO_ONE)
    async def deprecate_version(
        request: Request, id: models.Id, version: models.Exact, body: models.Deprecation, given: Nothing
    ) -> Response:
        """It is delivered as before, and says in every list why it should not be used."""
        await packages.deprecate(id, version, body.message, owner=writer(request))
        return done()

    @routes.change("DELETE", "/{id}/{version}/deprecation", "Take back a deprecation", WRITE, *TO_ONE)
    async def undeprecate_version(request: Request, id: models.Id, version: models.Exact, given: Nothing) -> Response:
        """Of one version."""
        await packages.deprecate(id, version, None, owner=writer(request))
        return done()

    @routes.change("PUT", "/{id}/{version}/yank", "Yank a version", WRITE, *TO_ONE)
    async def yank(request: Request, id: models.Id, version: models.Exact, given: Nothing) -> Response:
        """It is found by its exact version alone from now on: by no range, and not as the latest."""
        await packages.yank(id, version, owner=writer(request))
        return done()

    @routes.change("DELETE", "/{id}/{version}/yank", "Let a yanked version be found again", WRITE, *TO_ONE)
    async def unyank(request: Request, id: models.Id, version: models.Exact, given: Nothing) -> Response:
        """As before."""
        await packages.yank(id, version, False, owner=writer(request))
        return done()
