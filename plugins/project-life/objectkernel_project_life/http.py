"""``/api/projects``: the projects of whoever asks."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query
from objectkernel.errors import KernelError
from objectkernel_contracts import Principal, Scope, raises, requires
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from objectkernel_project_life import http_models as models
from objectkernel_project_life.actions import BODY_BYTES, READ, WRITE, ProjectActions, expect_kept, headers_of
from objectkernel_project_life.contracts import Projects
from objectkernel_project_life.errors import (
    EncryptionKeyMissing,
    InvalidProject,
    PreconditionFailed,
    ProjectConflict,
    ProjectMissing,
    ProjectNotOpened,
    UriRefused,
    UriUnreadable,
)

PATH: Final = "/api/projects"
ProjectId = Annotated[str, Path(max_length=200, examples=[models.EXAMPLE_ID])]

_VERSION: Final = {"description": "the project's version", "schema": {"type": "string"}}
_ETAG: Final[Mapping[str, Any]] = {"headers": {"ETag": _VERSION}}
_WITH_ETAG: Final[dict[int | str, dict[str, Any]]] = {200: dict(_ETAG)}
_CREATED: Final[dict[int | str, dict[str, Any]]] = {
    201: {"headers": {"ETag": _VERSION, "Location": {"description": "the project", "schema": {"type": "string"}}}}
}
_IF_MATCH: Final = {
    "parameters": [
        {
            "name": "If-Match",
            "in": "header",
            "required": False,
            "description": "the ETag that the project must have",
            "schema": {"type": "string", "examples": ['"2"']},
        }
    ]
}
_TO_ONE: Final[tuple[type[KernelError], ...]] = (ProjectMissing, ProjectConflict, InvalidProject)
_OPENING: Final[tuple[type[KernelError], ...]] = (*_TO_ONE, ProjectNotOpened, UriUnreadable)


def project_router(projects: Projects) -> APIRouter:
    """The routes. A project of another account is as one that is not there."""
    router = APIRouter(prefix=PATH, tags=["projects"])
    actions = ProjectActions(projects)
    _add_reading(router, actions)
    _add_life(router, actions)
    _add_changes(router, actions)
    return router


def _add_reading(router: APIRouter, actions: ProjectActions) -> None:
    @router.get("", summary="List one's projects", response_model=models.Page)
    @requires(Scope(READ))
    @raises(InvalidProject)
    async def list_projects(request: Request, asked: Annotated[models.ListParameters, Query()]) -> Response:
        return _answer(await actions.list(_by(request), asked))

    @router.get("/{id}", summary="Look at a project", response_model=models.ShownProject, responses=_WITH_ETAG)
    @requires(Scope(READ))
    @raises(ProjectMissing)
    async def look_at_project(request: Request, id: ProjectId) -> Response:
        return _answer(await actions.show(_by(request), id))

    @router.get("/{id}/schemas", summary="List the entities of a project", response_model=models.ShownSchemas)
    @requires(Scope(READ))
    @raises(ProjectMissing)
    async def list_schemas(request: Request, id: ProjectId) -> Response:
        return _answer(await actions.schemas(_by(request), id))


def _add_life(router: APIRouter, actions: ProjectActions) -> None:
    @router.post(
        "",
        summary="Make a project and open its database",
        status_code=HTTPStatus.CREATED,
        response_model=models.ShownProject,
        responses=_CREATED,
        max_body_size=BODY_BYTES,
    )
    @requires(Scope(WRITE))
    @raises(InvalidProject, ProjectConflict, UriRefused, ProjectNotOpened, EncryptionKeyMissing)
    async def make_project(request: Request, body: models.NewProject) -> Response:
        expect_kept(request.headers)
        return _answer(await actions.create(_by(request), body), HTTPStatus.CREATED)

    @router.delete("/{id}", summary="End a project; its database stays as it is", status_code=HTTPStatus.NO_CONTENT)
    @requires(Scope(WRITE))
    @raises(*_TO_ONE)
    async def end_project(request: Request, id: ProjectId) -> Response:
        expect_kept(request.headers)
        await actions.delete(_by(request), id)
        return Response(status_code=HTTPStatus.NO_CONTENT, headers=dict(headers_of(None)))

    @router.post("/{id}/pause", summary="Pause a project", response_model=models.ShownProject, responses=_WITH_ETAG)
    @requires(Scope(WRITE))
    @raises(*_TO_ONE)
    async def pause_project(request: Request, id: ProjectId) -> Response:
        expect_kept(request.headers)
        return _answer(await actions.pause(_by(request), id))

    @router.post(
        "/{id}/resume",
        summary="Resume a project that is paused or in error",
        response_model=models.ShownProject,
        responses=_WITH_ETAG,
    )
    @requires(Scope(WRITE))
    @raises(*_OPENING, UriRefused)
    async def resume_project(request: Request, id: ProjectId) -> Response:
        expect_kept(request.headers)
        return _answer(await actions.resume(_by(request), id))


def _add_changes(router: APIRouter, actions: ProjectActions) -> None:
    changed: dict[str, Any] = {
        "response_model": models.ShownProject,
        "responses": _WITH_ETAG,
        "max_body_size": BODY_BYTES,
    }

    @router.patch(
        "/{id}", summary="Change the name, transports or pool of a project", openapi_extra=_IF_MATCH, **changed
    )
    @requires(Scope(WRITE))
    @raises(*_TO_ONE, PreconditionFailed, ProjectNotOpened)
    async def change_project(request: Request, id: ProjectId, body: models.Changes) -> Response:
        expect_kept(request.headers, if_match=True)
        return _answer(await actions.update(_by(request), id, body, request.headers.get("if-match")))

    @router.post("/{id}/uri", summary="Move a project to another address of its database", **changed)
    @requires(Scope(WRITE))
    @raises(*_OPENING, UriRefused, EncryptionKeyMissing)
    async def rotate_uri(request: Request, id: ProjectId, body: models.NewUri) -> Response:
        expect_kept(request.headers)
        return _answer(await actions.rotate_uri(_by(request), id, body))

    @router.post(
        "/{id}/schemas/plan",
        summary="Tell what other entities would do to the tables of a project",
        response_model=models.Plan,
        max_body_size=BODY_BYTES,
    )
    @requires(Scope(WRITE))
    @raises(*_OPENING)
    async def plan_schemas(request: Request, id: ProjectId, body: models.NewSchemas) -> Response:
        return _answer(await actions.plan_schemas(_by(request), id, body))

    @router.put("/{id}/schemas", summary="Give a project other entities; no table is dropped", **changed)
    @requires(Scope(WRITE))
    @raises(*_OPENING)
    async def update_schemas(request: Request, id: ProjectId, body: models.NewSchemas) -> Response:
        expect_kept(request.headers)
        return _answer(await actions.update_schemas(_by(request), id, body))


def _by(request: Request) -> Principal:
    by: Principal = request.state.principal
    return by


def _answer(content: BaseModel, status: HTTPStatus = HTTPStatus.OK) -> Response:
    headers = headers_of(content, PATH if status == HTTPStatus.CREATED else None)
    return Response(content.model_dump_json(by_alias=True), status, dict(headers), media_type="application/json")
