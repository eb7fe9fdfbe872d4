"""What the routes have in common: how they are declared, for whom they act, and how they answer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, TypeAlias, TypeVar
from urllib.parse import quote

import attrs
from fastapi import APIRouter
from objectkernel.errors import KernelError
from objectkernel_contracts import Principal, Scope, public, raises, requires
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from objectkernel_package_service.contracts import PackageInvalid, PackageMissing, PackageStoreUnavailable
from objectkernel_package_service.http_delivery import ASK_AGAIN, deliver
from objectkernel_package_service.scopes import READ

F = TypeVar("F", bound=Callable[..., Any])
Answers: TypeAlias = Mapping[int | str, dict[str, Any]]
Kinds: TypeAlias = tuple[type[KernelError], ...]

SMALL_BODY: Final = 65_536
"""The longest body of a change that is no package."""
NOBODY: Final = Principal(account_id="(nobody)")
"""Who shows no credential, or one that may not read packages: an account that owns nothing."""


@attrs.frozen
class Routes:
    """Declares routes of one router.

    Attributes:
        anonymous: whether anybody may read public packages, without a credential too.
    """

    router: APIRouter
    anonymous: bool = False

    def get(
        self, path: str, summary: str, answers: Answers, *, scope: str = READ, errors: Kinds = (PackageMissing,)
    ) -> Callable[[F], F]:
        """A route for GET, and for HEAD, which says the same without the body."""

        def declare(function: F) -> F:
            access = public() if self.anonymous else requires(Scope(scope))
            access(raises(*errors, PackageInvalid, PackageStoreUnavailable)(function))
            options: dict[str, Any] = {"name": self._name(function), "response_model": None}
            self.router.add_api_route(
                path, function, methods=["GET"], summary=summary, responses=dict(answers), **options
            )
            self.router.add_api_route(path, function, methods=["HEAD"], include_in_schema=False, **options)
            return function

        return declare

    def change(
        self, method: str, path: str, summary: str, scope: str, *errors: type[KernelError], **options: Any
    ) -> Callable[[F], F]:
        """A route that changes something, and answers nothing unless `options` say otherwise."""
        usual = {"status_code": HTTPStatus.NO_CONTENT, "response_model": None, "max_body_size": SMALL_BODY}
        said: dict[str, Any] = {**usual, **options}

        def declare(function: F) -> F:
            requires(Scope(scope))(raises(*errors, PackageInvalid, PackageStoreUnavailable)(function))
            self.router.add_api_route(
                path, function, methods=[method], summary=summary, name=self._name(function), **said
            )
            return function

        return declare

    def _name(self, function: Callable[..., Any]) -> str:
        return f"{self.router.tags[0]}.{function.__name__}"


def reader(request: Request) -> Principal:
    """For whom is read."""
    principal: Principal | None = request.state.principal
    return principal if principal is not None and READ in principal.scopes else NOBODY


def writer(request: Request) -> Principal:
    """For whom is written."""
    principal: Principal = request.state.principal
    return principal


def missing(id: str, version: str | None = None) -> PackageMissing:
    """The same for what is not there and for what the caller may not see."""
    name = id if version is None else f"{id}@{version}"
    return PackageMissing(f"{name} is not published", id=id, version=version)


def address(request: Request, id: str, version: str, parts: int) -> str:
    """The path of one version, under whatever prefix the host serves it.

    Args:
        parts: of the request's path, how many stand behind that prefix and the router's own.
    """
    base = request.url.path.rstrip("/").rsplit("/", parts)[0] if parts else request.url.path.rstrip("/")
    return f"{base}/{id}/{quote(version)}"


async def answered(request: Request, answer: BaseModel) -> Response:
    """An answer that may change, with an ETag of its own bytes."""
    content = answer.model_dump_json().encode()
    return await deliver(request, content, tag=hashlib.sha256(content).hexdigest()[:32], cache=ASK_AGAIN)


def done() -> Response:
    return Response(status_code=HTTPStatus.NO_CONTENT)
