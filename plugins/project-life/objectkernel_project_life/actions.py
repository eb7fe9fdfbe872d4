"""What may be asked about projects over HTTP, whatever the framework: routes and ready handlers stand on it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from objectkernel_contracts import Principal
from objectkernel_system_dialect.contracts import CursorInvalid

from objectkernel_project_life import http_models as models
from objectkernel_project_life.acting import acting
from objectkernel_project_life.contracts import OperationResult, Projects
from objectkernel_project_life.errors import (
    InvalidProject,
    PreconditionFailed,
    ProjectConflict,
    ProjectError,
    ProjectNotOpened,
    ProjectUnavailable,
)
from objectkernel_project_life.ground import missing

READ: Final = "projects:read"
WRITE: Final = "projects:write"

ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
ETAG: Final = re.compile(r'(?:W/)?"[^"\x00-\x20\x7f]*"')
UNKEPT: Final = ("if-none-match", "if-unmodified-since")
"""Preconditions (RFC 9110, section 13.1) that no route keeps to: whoever relies on one is told."""
NO_STORE: Final = {"Cache-Control": "no-store"}
BODY_BYTES: Final = 2 * 2**20
"""The longest body; the schemas of a project are at most half of it."""


class ProjectActions:
    """The projects of whoever asks: those of their account; a project of another one is as one that is not there."""

    def __init__(self, projects: Projects) -> None:
        self._projects = projects

    async def list(self, by: Principal, asked: models.ListParameters) -> models.Page:
        """A page."""
        try:
            page = await self._projects.list(by.account_id, status=asked.status, limit=asked.limit, after=asked.after)
        except CursorInvalid as error:
            raise InvalidProject("`after` is no cursor of this list", why=error.why, fix=error.fix) from error
        return models.page_of(page)

    async def show(self, by: Principal, id: str) -> models.ShownProject:
        """A project."""
        return models.shown(await self._projects.get(by.account_id, known(id)))

    async def create(self, by: Principal, body: models.NewProject) -> models.ShownProject:
        """A new project."""
        with acting(by):
            result = await self._projects.provision_project(by.account_id, body.config())
        return _project_of(result, "")

    async def update(self, by: Principal, id: str, body: models.Changes, if_match: str | None) -> models.ShownProject:
        """A project with changes, if it has the version that `If-Match` names."""
        version = None if if_match is None else await self._matching(by, known(id), if_match)
        with acting(by):
            result = await self._projects.update_project(by.account_id, known(id), body.changes(), version=version)
        if version is not None and isinstance(result.error, ProjectConflict):
            await self._matching(by, id, if_match or "")  # changed between the two: that is what was asked about
        return _project_of(result, id)

    async def delete(self, by: Principal, id: str) -> None:
        """End a project."""
        with acting(by):
            result = await self._projects.deprovision_project(by.account_id, known(id))
        result.expect_ok()

    async def pause(self, by: Principal, id: str) -> models.ShownProject:
        """A paused project."""
        with acting(by):
            result = await self._projects.pause_project(by.account_id, known(id))
        return _project_of(result, id)

    async def resume(self, by: Principal, id: str) -> models.ShownProject:
        """An active project."""
        with acting(by):
            result = await self._projects.resume_project(by.account_id, known(id))
        return _project_of(result, id)

    async def rotate_uri(self, by: Principal, id: str, body: models.NewUri) -> models.ShownProject:
        """A project at another address."""
        with acting(by):
            result = await self._projects.rotate_uri(by.account_id, known(id), body.uri.get_secret_value())
        return _project_of(result, id)

    async def schemas(self, by: Principal, id: str) -> models.ShownSchemas:
        """The entities of a project."""
        return models.ShownSchemas(schemas=(await self.show(by, id)).schemas)

    async def plan_schemas(self, by: Principal, id: str, body: models.NewSchemas) -> models.Plan:
        """What other entities would do to its tables."""
        try:
            lines = await self._projects.plan_schemas(by.account_id, known(id), body.schemas)
        except ProjectUnavailable as error:
            raise _told(error) from None
        return models.Plan(plan=list(lines))

    async def update_schemas(self, by: Principal, id: str, body: models.NewSchemas) -> models.ShownProject:
        """A project with other entities."""
        with acting(by):
            result = await self._projects.update_schemas(by.account_id, known(id), body.schemas)
        return _project_of(result, id)

    async def _matching(self, by: Principal, id: str, if_match: str) -> int | None:
        """The version of a project, if it is one that is named.

        Raises:
            PreconditionFailed: it is not.
        """
        if if_match.strip() == "*":
            return None
        version = (await self._projects.get(by.account_id, id)).version
        if f'"{version}"' not in ETAG.findall(if_match):
            raise PreconditionFailed(
                "the project has changed since it was read",
                why=f"its version is {version} now",
                fix="read it again, and send the ETag that it has now",
                version=version,
            )
        return version


def known(id: str) -> str:
    """An id that a project may have.

    Raises:
        ProjectMissing: none has it.
    """
    if ID.fullmatch(id) is None:
        raise missing(id)
    return id


def expect_kept(headers: Iterable[str], *, if_match: bool = False) -> None:
    """Refuse preconditions that a route that changes something does not keep to.

    Args:
        headers: the names of those of the request, in lower case.
        if_match: it keeps to this one.
    """
    names = set(headers)
    unkept = [name for name in (*UNKEPT, *(() if if_match else ("if-match",))) if name in names]
    if unkept:
        raise InvalidProject(
            "the request asks for what this route does not keep to",
            why=tuple(f"header {name}: it is not looked at here" for name in unkept),
            fix="leave it out; a PATCH of the project keeps to If-Match",
            problems=tuple(unkept),
        )


def headers_of(answer: object, created_below: str | None = None) -> Mapping[str, str]:
    """What an answer has in its head; `created_below`: the path of the list that the project is new in."""
    if not isinstance(answer, models.ShownProject):
        return NO_STORE
    location = {} if created_below is None else {"Location": f"{created_below}/{answer.id}"}
    return {**NO_STORE, "ETag": f'"{answer.version}"', **location}


def _project_of(result: OperationResult, id: str) -> models.ShownProject:
    if isinstance(result.error, ProjectUnavailable):
        raise _told(result.error)
    project = result.expect_ok()
    if project is None:
        raise missing(id) if id else ProjectError("the project is gone", why="somebody has ended it meanwhile")
    return models.shown(project)


def _told(error: ProjectUnavailable) -> ProjectNotOpened:
    """The same for the owner of the project: it is their database, so its state is no failure of the host's."""
    return ProjectNotOpened(error.what, why=error.why, fix=error.fix, **error.facts)
