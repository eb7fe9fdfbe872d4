"""``/api/v1/projects/{project_id}/data``: the data of each project, by the data plane of the host."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

import attrs
from objectkernel_contracts import Principal
from objectkernel_system_dialect.contracts import DataRoutes, Dialect

from objectkernel_project_life.actions import known
from objectkernel_project_life.contracts import ProjectDTO, ProjectManager, Projects
from objectkernel_project_life.errors import (
    ProjectMissing,
    ProjectNotServed,
    ProjectUnavailable,
    UriRefused,
    UriUnreadable,
)
from objectkernel_project_life.ground import missing

PREFIX: Final = "/api/v1/projects/{project_id}/data"
PARAMETER: Final = "project_id"
TRANSPORT: Final = "rest"
OPENABLE: Final = frozenset({"active", "error"})
"""States in which the manager is asked; in ``error`` it says why, and tries again."""
ERRORS: Final = (ProjectMissing, ProjectNotServed, ProjectUnavailable, UriRefused, UriUnreadable)
"""What may be wrong with a project whose data is asked for."""
KEPT_SECONDS: Final = 2.0
"""How long the register's word on whose a project is, and how it may be reached, is gone by."""
MOST_KEPT: Final = 10_000


@attrs.frozen
class Admission:
    """What is kept of a project.

    Attributes:
        until: when the register is asked again; of `time.monotonic`.
    """

    account: str
    name: str
    reachable: bool
    until: float


class ProjectDialects:
    """Gives the dialect of the project that a request names, to those of its account."""

    def __init__(
        self, projects: Projects, manager: ProjectManager, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._projects = projects
        self._manager = manager
        self._clock = clock
        self._kept: OrderedDict[str, Admission] = OrderedDict()

    async def of(self, request: Any) -> Dialect:
        """The project's own database; of a Starlette request whose caller has been admitted.

        Raises:
            ProjectMissing: there is none, it is of another account, or it is not reached this way.
            ProjectNotServed: it is not active.
        """
        principal: Principal = request.state.principal
        id = known(request.path_params[PARAMETER])
        admission = self._kept.get(id)
        if admission is None or admission.until < self._clock() or not self._manager.has_project(admission.name):
            admission = self._keep(id, await self._projects.get(principal.account_id, id))
        if admission.account != principal.account_id or not admission.reachable:
            raise missing(id)
        return self._manager.get(admission.name).dialect

    def _keep(self, id: str, project: ProjectDTO) -> Admission:
        if project.status not in OPENABLE:
            self._kept.pop(id, None)
            if TRANSPORT not in project.transports:
                raise missing(id)
            raise ProjectNotServed(
                f"the project {project.slug!r} is not served",
                why=f"its state is {project.status}",
                fix=f"resume it: POST /api/projects/{id}/resume",
                project=id,
                status=project.status,
            )
        made = Admission(
            account=project.account,
            name=project.mproject_name,
            reachable=TRANSPORT in project.transports,
            until=self._clock() + KEPT_SECONDS,
        )
        self._kept[id] = made
        self._kept.move_to_end(id)
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return made


def project_data_router(routes: DataRoutes, projects: Projects, manager: ProjectManager) -> Any:
    """The data plane of every project that is reached by ``rest``, as a `fastapi.APIRouter`."""
    return routes.router(PREFIX, ProjectDialects(projects, manager).of, tags=("project data",), errors=ERRORS)
