"""What others import of project-life: keys, Protocols, values, errors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, Literal, Protocol, TypeAlias

import attrs
from objectkernel.errors import KernelError
from objectkernel.keys import Service
from objectkernel.secret import Secret
from objectkernel_system_dialect.contracts import Dialect, EntitySchema, Repository

from objectkernel_project_life.errors import (
    EncryptionKeyMissing,
    InvalidProject,
    PlaintextAllowed,
    PreconditionFailed,
    ProjectConflict,
    ProjectError,
    ProjectMissing,
    ProjectNotOpened,
    ProjectNotServed,
    ProjectUnavailable,
    UriNotEncryptable,
    UriRefused,
    UriUnreadable,
)
from objectkernel_project_life.schema import PROJECT_SCHEMA

ProjectStatus: TypeAlias = Literal["provisioning", "active", "paused", "error", "deprovisioning"]
"""Where a project is in its life. ``error``: its database could not be opened; it is tried again by itself."""
Transition: TypeAlias = Literal["provisioning", "pausing", "resuming", "rotating", "deprovisioning"]
"""What is being done to a project at this moment; written before it is done, taken away after."""
TransportName: TypeAlias = Literal["rest", "graphql", "grpc", "ws", "mcp"]
"""How a project's data may be reached; a host serves ``rest`` alone today, and stores the others."""
Opening: TypeAlias = Literal["eager", "lazy"]
"""When a project's connection is made: when the host starts, or when somebody needs it."""

TRANSPORTS: Final[tuple[TransportName, ...]] = ("rest", "graphql", "grpc", "ws", "mcp")
SERVED_TRANSPORTS: Final[tuple[TransportName, ...]] = ("rest",)


@attrs.frozen(kw_only=True)
class ModuleInfo:
    """What this plugin is, for pages that list modules."""

    name: str
    title: str
    description: str
    collections: tuple[str, ...]


MODULE_INFO: Final = ModuleInfo(
    name="project-life",
    title="Projects",
    description="The projects of a host and their isolated databases",
    collections=(PROJECT_SCHEMA.collection,),
)


def _secret(uri: Secret[str] | str | None) -> Secret[str] | None:
    return Secret(uri) if isinstance(uri, str) else uri


@attrs.frozen(kw_only=True)
class ProjectConfig:
    """What a project is made from. All problems of one are told together, as `InvalidProject`.

    Attributes:
        name: what people call it; 1 to 200 characters.
        slug: for addresses: lower case letters, digits and single hyphens within, at most 63; unique in its account.
        dialect: ``sqlite``, ``postgres``, …; None: what the URI says, ``sqlite`` without one.
        uri: where its database is; None, for SQLite: a file of its own below the projects folder. Never shown.
        schemas: its entities, as `EntitySchema` or as the JSON values of schema files.
        transports: how its data may be reached.
        pool_size: the most connections to its database, 1 to 100.
        pool_min: connections that stay open when nobody needs them, 0 to `pool_size`.
    """

    name: str
    slug: str
    dialect: str | None = None
    uri: Secret[str] | None = attrs.field(default=None, converter=_secret)
    schemas: Sequence[Any] = ()
    transports: Sequence[str] = ("rest",)
    pool_size: int = 5
    pool_min: int = 0


@attrs.frozen(kw_only=True)
class ProjectDTO:
    """A project as its owner sees it; its URI is masked, and told to nobody.

    Attributes:
        id: a UUID.
        account: the account that owns it.
        uri: where its database is, without user, password and options: ``postgresql://db.example:5432/crm``.
        schemas: its entities, as JSON values of schema files.
        error: of status ``error``: why, in words that show nothing of the URI.
        mproject_name: what the project manager knows it by; made from the id.
        transition: what is being done to it.
        version: grows with every change of the row.
    """

    id: str
    account: str
    name: str
    slug: str
    dialect: str
    uri: str
    schemas: tuple[Mapping[str, Any], ...]
    transports: tuple[str, ...]
    pool_size: int
    pool_min: int
    status: ProjectStatus
    error: str | None
    mproject_name: str
    transition: Transition | None
    version: int
    created_at: datetime
    updated_at: datetime


@attrs.frozen(kw_only=True)
class ProjectPage:
    """Some projects of a longer list; `next`, given as `after`, gets the rest, and is None at the end."""

    projects: tuple[ProjectDTO, ...]
    next: str | None


@attrs.frozen(kw_only=True)
class OperationResult:
    """What became of an operation on a project.

    Attributes:
        ok: whether it is as was asked for, also where it was so before.
        error: why not; nothing has changed then, unless it says so.
        mproject_name: what the project manager knows it by.
        project: as it is now, where it is there.
    """

    ok: bool
    error: KernelError | None = None
    mproject_name: str | None = None
    project: ProjectDTO | None = None

    def expect_ok(self) -> ProjectDTO | None:
        """The project, for those who would rather have an exception.

        Raises:
            KernelError: `error`.
        """
        if self.error is not None:
            raise self.error
        return self.project


@attrs.frozen(kw_only=True)
class ProvisionResult(OperationResult):
    """What became of a provisioning: the same, and `mproject_name` is there when it is ok."""


def _errors(told: Mapping[str, KernelError]) -> Mapping[str, KernelError]:
    return MappingProxyType(dict(told))


def _transitions(told: Mapping[str, Transition]) -> Mapping[str, Transition]:
    return MappingProxyType(dict(told))


@attrs.frozen(kw_only=True)
class BootReport:
    """What became of the projects when a host started.

    Attributes:
        loaded: ids of projects that are usable, or that will be opened when somebody needs them.
        failed: why, by the id of each project whose database could not be opened; these are tried again by themselves.
        healed: what a crash had left half done, by id.
        seconds: how long it took.
    """

    loaded: tuple[str, ...]
    failed: Mapping[str, KernelError] = attrs.field(factory=dict, converter=_errors)
    healed: Mapping[str, Transition] = attrs.field(factory=dict, converter=_transitions)
    seconds: float


BootProgress: TypeAlias = Callable[[int, int], None]
"""Is told how many projects have been dealt with, of how many."""


class Projects(Protocol):
    """The register of projects: which there are, whose, in which state.

    `account_id` says who asks: a project of another account is as one that does not exist (`ProjectMissing`). None is
    the host itself, such as its operator at a command line. Operations give results and raise only what is wrong with
    the host (`DataError` of the system's database, `EncryptionKeyMissing`…), never what is wrong with a project.
    """

    # --- reading ------------------------------------------------------------------------------------------

    async def get(self, account_id: str | None, project_id: str) -> ProjectDTO:
        """A project.

        Raises:
            ProjectMissing: there is none, or it is of another account.
        """
        ...

    async def list(
        self,
        account_id: str | None,
        *,
        status: ProjectStatus | None = None,
        limit: int = 50,
        after: str | None = None,
    ) -> ProjectPage:
        """The projects of an account, or of all, by their age; `limit` is 1 to 200.

        Raises:
            CursorInvalid: `after` is damaged.
        """
        ...

    # --- life ---------------------------------------------------------------------------------------------

    async def provision_project(self, account_id: str, config: ProjectConfig) -> ProvisionResult:
        """Register a project, open its database, bring that to the schemas; a failure leaves nothing of them."""
        ...

    async def deprovision_project(self, account_id: str | None, project_id: str) -> OperationResult:
        """End a project: close its connections and remove its row. Its database is never dropped nor emptied."""
        ...

    async def pause_project(self, account_id: str | None, project_id: str) -> OperationResult:
        """Let running operations end, within the deadline of the settings, refuse new ones, close the connections.

        A paused project is paused already: ok.
        """
        ...

    async def resume_project(self, account_id: str | None, project_id: str) -> OperationResult:
        """Open a paused project, or one in ``error``, again. An active project is active already: ok."""
        ...

    async def update_project(
        self,
        account_id: str | None,
        project_id: str,
        changes: Mapping[str, Any],
        *,
        version: int | None = None,
    ) -> OperationResult:
        """Change ``name``, ``transports``, ``pool_size`` or ``pool_min``; anything else is `InvalidProject`.

        Args:
            version: the row's version that the change is meant for; another one is a `ProjectConflict`.
        """
        ...

    async def rotate_uri(self, account_id: str | None, project_id: str, uri: Secret[str] | str) -> OperationResult:
        """Move a project to another address of its database, such as with a new password.

        The new one is tried, and brought to the schemas, before the old one is left.
        """
        ...

    async def plan_schemas(self, account_id: str | None, project_id: str, schemas: Sequence[Any]) -> tuple[str, ...]:
        """What `update_schemas` would do to the tables, one line each; nothing is changed.

        Raises:
            ProjectMissing, InvalidProject, ProjectUnavailable: it cannot be said.
        """
        ...

    async def update_schemas(self, account_id: str | None, project_id: str, schemas: Sequence[Any]) -> OperationResult:
        """Give a project other entities: tables are made and widened; none is dropped, and no row is lost."""
        ...

    # --- all of them --------------------------------------------------------------------------------------

    async def boot_all_projects(self, progress: BootProgress | None = None) -> BootReport:
        """Bring the manager to the register: heal what a crash left half done, open what is active.

        What is in error is tried whatever the settings say, and what cannot be opened any more is in error after it.
        """
        ...

    def rotate_key(self, *, batch: int = 100) -> AsyncIterator[RotationProgress]:
        """Encrypt every URI with the active key, while serving; begun again after a kill it goes on where it was.

        Raises:
            EncryptionKeyMissing: there is no key.
        """
        ...


@attrs.frozen(kw_only=True)
class RotationProgress:
    """How far `Projects.rotate_key` is: rows done of all; `unreadable` are the ids of those whose key is gone."""

    done: int
    total: int
    unreadable: tuple[str, ...] = ()


# --- the project manager ------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class ManagedProject:
    """What a project manager has to know to open a project.

    Attributes:
        name: what it is known by (`ProjectDTO.mproject_name`).
        project_id: whose it is.
        account: the tenant.
        home: the account in whose folder its SQLite file lies, where that is another one, of which it was taken over.
        reveal: gives the URI in clear; called when a connection is made, and kept by nobody.
        schemas: gives the entities; called when a connection is made.
    """

    name: str
    project_id: str
    account: str
    dialect: str
    reveal: Callable[[], Secret[str]]
    schemas: Callable[[], tuple[EntitySchema, ...]]
    pool_size: int = 5
    pool_min: int = 0
    home: str | None = None


class EntityService(Protocol):
    """The data of one project, and of no other."""

    @property
    def dialect(self) -> Dialect:
        """The project's own database. It stays the same object; while the project is not served its operations raise
        `ProjectNotServed`, and `ProjectUnavailable` where the database cannot be opened.
        """
        ...

    def entities(self) -> tuple[EntitySchema, ...]:
        """The project's entities."""
        ...

    def repository(self, entity: str) -> Repository:
        """The rows of one entity of the project.

        Raises:
            EntityUnknown: the project has none of this name; the nearest is offered.
        """
        ...


@attrs.frozen(kw_only=True)
class ManagedState:
    """How a project stands with its manager.

    Attributes:
        open: whether it has a connection now.
        running: operations under way.
        connections: how many it has open to its server; 0 for SQLite.
        error: why it could not be opened last time.
    """

    name: str
    project_id: str
    open: bool
    running: int
    pool_size: int
    connections: int
    error: str | None


class ProjectManager(Protocol):
    """The run time of projects: an isolated connection and an entity service for each.

    A host may provide another under `PROJECT_MANAGER`. Names are those of `ManagedProject.name`.
    """

    async def add_project(self, project: ManagedProject, *, open: bool = True) -> None:
        """Take a project on; with `open`, connect and bring its database to its schemas before this returns.

        One that is there under this name is replaced once the new one is open: what is under way on the old connection
        ends there.

        Raises:
            ProjectUnavailable: it cannot be opened; nothing is taken on, and what was there stays.
            UriRefused: the place is one that projects may not use.
        """
        ...

    async def remove_project(self, name: str, *, deadline: float | None = None) -> bool:
        """Refuse new operations, let those under way end within `deadline` seconds, close; whether it was there."""
        ...

    def has_project(self, name: str) -> bool:
        """Whether it is there."""
        ...

    def get(self, name: str) -> EntityService:
        """The data of a project.

        Raises:
            ProjectNotServed: it is not there.
        """
        ...

    def entity_service(self, name: str) -> EntityService:
        """`get`, by the name that the description gives it."""
        ...

    def list(self) -> tuple[ManagedState, ...]:
        """Every project that is there, by name."""
        ...

    async def try_project(self, name: str) -> None:
        """Open the project if it is not, and ask its database for a sign of life.

        Raises:
            ProjectNotServed, ProjectUnavailable: there is none.
        """
        ...

    async def aclose(self) -> None:
        """Remove all of them."""
        ...


PROJECTS = Service[Projects]("projects")
"""The register of projects."""
PROJECT_MANAGER = Service[ProjectManager]("project-manager")
"""The connections of projects."""

__all__ = [
    "MODULE_INFO",
    "PROJECTS",
    "PROJECT_MANAGER",
    "PROJECT_SCHEMA",
    "SERVED_TRANSPORTS",
    "TRANSPORTS",
    "BootProgress",
    "BootReport",
    "EncryptionKeyMissing",
    "EntityService",
    "InvalidProject",
    "ManagedProject",
    "ManagedState",
    "ModuleInfo",
    "Opening",
    "OperationResult",
    "PlaintextAllowed",
    "PreconditionFailed",
    "ProjectConfig",
    "ProjectConflict",
    "ProjectDTO",
    "ProjectError",
    "ProjectManager",
    "ProjectMissing",
    "ProjectNotOpened",
    "ProjectNotServed",
    "ProjectPage",
    "ProjectStatus",
    "ProjectUnavailable",
    "Projects",
    "ProvisionResult",
    "RotationProgress",
    "Transition",
    "TransportName",
    "UriNotEncryptable",
    "UriRefused",
    "UriUnreadable",
]
