"""A project manager of a host's own, which opens nothing and does what a test wants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from objectkernel_project_life.contracts import EntityService, ManagedProject, ManagedState, ProjectManager
from objectkernel_project_life.errors import ProjectNotServed


class OwnManager:
    """Keeps what it is given; `failing` is raised by whatever opens a project, after it was shown the URI.

    Attributes:
        log: what was done to it.
    """

    def __init__(self) -> None:
        self.projects: dict[str, ManagedProject] = {}
        self.open: set[str] = set()
        self.failing: type[Exception] | None = None
        self.refusing = False
        self.log: list[str] = []

    async def add_project(self, project: ManagedProject, *, open: bool = True) -> None:
        self.log.append(f"add {'open' if open else 'closed'}")
        if open or self.refusing:
            self._try(project)
        self.projects[project.name] = project
        if open:
            self.open.add(project.name)

    async def remove_project(self, name: str, *, deadline: float | None = None) -> bool:
        self.log.append("remove")
        self.open.discard(name)
        return self.projects.pop(name, None) is not None

    def has_project(self, name: str) -> bool:
        return name in self.projects

    def get(self, name: str) -> EntityService:
        raise ProjectNotServed("this manager opens nothing", fix="take another")

    def entity_service(self, name: str) -> EntityService:
        return self.get(name)

    def list(self) -> tuple[ManagedState, ...]:
        return tuple(
            ManagedState(
                name=name,
                project_id=project.project_id,
                open=name in self.open,
                running=0,
                pool_size=project.pool_size,
                connections=0,
                error=None,
            )
            for name, project in sorted(self.projects.items())
        )

    async def try_project(self, name: str) -> None:
        self.log.append("ping")
        if name not in self.projects:
            raise ProjectNotServed("it is not there", fix="add it")
        self._try(self.projects[name])
        self.open.add(name)

    async def aclose(self) -> None:
        self.projects.clear()

    def _try(self, project: ManagedProject) -> None:
        uri = project.reveal().reveal()
        if self.failing is not None:
            raise self.failing(f"could not connect to {uri}")


if TYPE_CHECKING:
    _is_a_manager: type[ProjectManager] = OwnManager
