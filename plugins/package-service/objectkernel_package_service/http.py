"""The routes below ``/api/v1/packages``; a host includes them into its application."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from objectkernel_package_service.contracts import PackageService
from objectkernel_package_service.http_reading import add_delivery, add_lists
from objectkernel_package_service.http_route import PackageRoute
from objectkernel_package_service.http_routes import Routes
from objectkernel_package_service.http_writing import add_advice, add_publishing, add_tagging

PREFIX: Final = "/api/v1/packages"


def packages_router(packages: PackageService, *, body_bytes: int, anonymous: bool = False) -> APIRouter:
    """The routes of the registry.

    Args:
        body_bytes: the longest package that is taken.
        anonymous: whether anybody may read public packages, without a credential too.
    """
    router = APIRouter(prefix=PREFIX, tags=["packages"], route_class=PackageRoute)
    routes = Routes(router, anonymous)
    add_lists(routes, packages)
    add_tagging(routes, packages)  # before what takes any word for a version
    add_advice(routes, packages)
    add_delivery(routes, packages)
    add_publishing(routes, packages, body_bytes)
    return router
