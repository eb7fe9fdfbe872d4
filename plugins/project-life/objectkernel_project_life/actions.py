"""What may be asked about projects over HTTP, whatever the framework: routes and ready handlers stand on it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from objectkernel_system_dialect.contracts import CursorInvalid

from objectkernel_project_life import http_models as models
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
    """The projects of whoever asks; `account` is theirs, and a project of another one is as one that is not there."""

    def __init__(self, projects: Projects) -> None:
        self._projects = projects

    async def list(self, account: str, asked: models.ListParameters) -> models.Page:
        """A page."""
        try:
            page = await self._projects.list(account, status=asked.status, limit=asked.limit, after=asked.after)
        except CursorInvalid as error:
            raise InvalidProject("`after` is no cursor of this list", why=error.why, fix=error.fix) from error
        return models.page_of(page)

    async def show(self, account: str, id: str) -> models.ShownProject:
        """A project."""
        return models.shown(await self._projects.get(account, known(id)))

    async def create(self, account: str, body: models.NewProject) -> models.ShownProject:
        """A new project."""
        return _project_of(await self._projects.provision_project(account, body.config()), "")

    async def update(self, account: str, id: str, body: models.Changes, if_match: str | None) -> models.ShownProject:
        """A project with changes, if it has the version that `If-Match` names."""
        version = None if if_match is None else await self._matching(account, known(id), if_match)
        result = await self._projects.update_project(account, known(id), body.changes(), version=version)
        if version is not None and isinstance(result.error, ProjectConflict):
            await self._matching(account, id, if_match or "")  # changed between the two: that is what was asked about
        return _project_of(result, id)

    async def delete(self, account: str, id: str) -> None:
        """End a project."""
        (await self._projects.deprovision_project(account, known(id))).expect_ok()

    async def pause(self, account: str, id: str) -> models.ShownProject:
        """A paused project."""
        return _project_of(await self._projects.pause_project(account, known(id)), id)

    async def resume(self, account: str, id: str) -> models.ShownProject:
        """An active project."""
        return _project_of(await self._projects.resume_project(account, known(id)), id)

    async def rotate_uri(self, account: str, id: str, body: models.NewUri) -> models.ShownProject:
        """A project at another address."""
        return _project_of(await self._projects.rotate_uri(account, known(id), body.uri.get_secret_value()), id)

    async def schemas(self, account: str, id: str) -> models.ShownSchemas:
        """The entities of a project."""
        return models.ShownSchemas(schemas=(await self.show(account, id)).schemas)

    async def plan_schemas(self, account: str, id: str, body: models.NewSchemas) -> models.Plan:
        """What other entities would do to its tables."""
        try:
            lines = await self._projects.plan_schemas(account, known(id), body.schemas)
        except ProjectUnavailable as error:
            raise _told(error) from None
        return models.Plan(plan=list(lines))

    async def update_schemas(self, account: str, id: str, body: models.NewSchemas) -> models.ShownProject:
        """A project with other entities."""
        return _project_of(await self._projects.update_schemas(account, known(id), body.schemas), id)

    async def _matching(self, account: str, id: str, if_match: str) -> int | None:
        """The version of a project, if it is one that is named.

        Raises:
            PreconditionFailed: it is not.
        """
        if if_match.strip() == "*":
            return None
        version = (await self._projects.get(account, id)).version
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
