"""The routes below ``/api/v1/installations``, for those who run the host."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Final, TypeAlias

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from objectkernel_package_service import http_models as models
from objectkernel_package_service.contracts import PackageMissing
from objectkernel_package_service.http_route import PackageRoute
from objectkernel_package_service.http_routes import Answers, Kinds, Routes, answered, done, writer
from objectkernel_package_service.install_contracts import (
    InstallationNeeded,
    Installations,
    InstallationsChanged,
    InstallRefused,
    PackageNotInstalled,
)
from objectkernel_package_service.scopes import INSTALL

PREFIX: Final = "/api/v1/installations"

Nothing: TypeAlias = Annotated[models.NoParameters, Query()]
Choice: TypeAlias = Annotated[models.InstallParameters, Query()]

ALL: Final[Answers] = {200: {"model": models.InstalledPackages}}
CHANGED: Final[Answers] = {200: {"model": models.InstalledPackages, "description": "What has been installed by it"}}
REFUSED: Final[Kinds] = (PackageMissing, InstallRefused, InstallationsChanged)


def installations_router(installations: Installations) -> APIRouter:
    """The routes that install packages into this host."""
    router = APIRouter(prefix=PREFIX, tags=["installations"], route_class=PackageRoute)
    routes = Routes(router)
    _add_reading(routes, installations)
    _add_changing(routes, installations)
    return router


def _add_reading(routes: Routes, installations: Installations) -> None:
    @routes.get("", "List what is installed", ALL, scope=INSTALL, errors=())
    async def list(request: Request, given: Nothing) -> Response:
        """Those that others depend on first, and why an installed package is not in use."""
        found = models.installed_of(installations.installed(), installations.failed())
        return await answered(request, found)

    one: Answers = {200: {"model": models.Installation}}

    @routes.get("/{id}", "Show what is installed of a package", one, scope=INSTALL, errors=(PackageNotInstalled,))
    async def get(request: Request, id: models.Id, given: Nothing) -> Response:
        """Its version, its entities, and what of its objects is not exactly in them."""
        found = installations.get(id)
        if found is None:
            raise PackageNotInstalled(f"{id} is not installed", id=id)
        return await answered(request, models.Installation.model_validate(found))

    @routes.get("/{id}/preview", "Tell what installing would do", CHANGED, scope=INSTALL, errors=REFUSED)
    async def preview(request: Request, id: models.Id, given: Choice) -> Response:
        """Everything that would be installed, with its warnings; refused as the installation itself would be."""
        found = await installations.preview(id, given.version, owner=writer(request))
        return await answered(request, models.installed_of(found))


def _add_changing(routes: Routes, installations: Installations) -> None:
    answers = {"status_code": HTTPStatus.OK, "responses": CHANGED}

    @routes.change("PUT", "/{id}", "Install a package", INSTALL, *REFUSED, **answers)
    async def install(request: Request, id: models.Id, given: Choice) -> Response:
        """With what it depends on, all of it or nothing; nothing is answered where that is installed already."""
        found = await installations.install(id, given.version, owner=writer(request))
        return await answered(request, models.installed_of(found))

    @routes.change(
        "POST", "/{id}/upgrade", "Install another version", INSTALL, *REFUSED, PackageNotInstalled, **answers
    )
    async def upgrade(request: Request, id: models.Id, given: Choice) -> Response:
        """Of a package that is installed."""
        found = await installations.upgrade(id, given.version, owner=writer(request))
        return await answered(request, models.installed_of(found))

    @routes.change(
        "DELETE", "/{id}", "Uninstall a package", INSTALL, PackageNotInstalled, InstallationNeeded, *REFUSED[1:]
    )
    async def uninstall(
        request: Request, id: models.Id, given: Annotated[models.UninstallParameters, Query()]
    ) -> Response:
        """At once; its rows are kept, unless they are to be removed. Refused while an installed package needs it."""
        await installations.uninstall(id, given.data, owner=writer(request))
        return done()
