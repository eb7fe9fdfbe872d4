"""The operations as the description of project-life has them: functions of the system's dialect and a project manager.

Both are those of a running kernel: what `SYSTEM_DIALECT` and `PROJECT_MANAGER` give there. Whoever has the kernel may
as well ask for `PROJECTS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakSet

from objectkernel.secret import Secret
from objectkernel_system_dialect.contracts import Dialect, Repository

from objectkernel_project_life.contracts import (
    PROJECT_SCHEMA,
    OperationResult,
    ProjectConfig,
    ProjectManager,
    ProjectNotServed,
    ProvisionResult,
)
from objectkernel_project_life.encryption import decrypt_uri, encrypt_uri, generate_encryption_key, get_encryption_key
from objectkernel_project_life.projects import HostProjects

if TYPE_CHECKING:
    from objectkernel_project_life.handlers import PrincipalOf, ProjectHandlers

_HOSTS: WeakSet[HostProjects] = WeakSet()


def publish(projects: HostProjects) -> None:
    """Have the functions of this module find the projects of a kernel, for as long as that has them."""
    _HOSTS.add(projects)


async def provision_project(
    dialect: Dialect, pm: ProjectManager, account_id: str, config: ProjectConfig
) -> ProvisionResult:
    """See `Projects.provision_project`."""
    return await _projects(dialect, pm).provision_project(account_id, config)


async def deprovision_project(dialect: Dialect, pm: ProjectManager, project_id: str) -> OperationResult:
    """See `Projects.deprovision_project`."""
    return await _projects(dialect, pm).deprovision_project(None, project_id)


async def pause_project(dialect: Dialect, pm: ProjectManager, project_id: str) -> OperationResult:
    """See `Projects.pause_project`."""
    return await _projects(dialect, pm).pause_project(None, project_id)


async def resume_project(
    dialect: Dialect, pm: ProjectManager, project_id: str, enc_key: str | Secret[str] | None = None
) -> OperationResult:
    """See `Projects.resume_project`; `enc_key` is accepted beside the keys of the kernel's settings from now on."""
    return await _projects(dialect, pm, enc_key).resume_project(None, project_id)


async def boot_all_projects(dialect: Dialect, pm: ProjectManager, enc_key: str | Secret[str] | None = None) -> None:
    """See `Projects.boot_all_projects`, whose report says more; `enc_key` as for `resume_project`."""
    await _projects(dialect, pm, enc_key).boot_all_projects()


def get_project_repo(dialect: Dialect) -> Repository:
    """The rows of the register in a dialect, whichever it is; a new object, which keeps no other dialect than this."""
    return Repository(dialect, PROJECT_SCHEMA)


def create_project_handlers(
    dialect: Dialect,
    pm: ProjectManager,
    enc_key: str | Secret[str] | None = None,
    *,
    principal_of: PrincipalOf,
) -> ProjectHandlers:
    """See `handlers.create_project_handlers`; `enc_key` as for `resume_project`."""
    from objectkernel_project_life import handlers

    return handlers.create_project_handlers(_projects(dialect, pm, enc_key), principal_of)


def _projects(dialect: Dialect, pm: ProjectManager, enc_key: str | Secret[str] | None = None) -> HostProjects:
    """The projects of the kernel that has both.

    Raises:
        ProjectNotServed: there is none.
    """
    found = next((one for one in _HOSTS if one.dialect is dialect and one.manager is pm), None)
    if found is None:
        raise ProjectNotServed(
            "no running kernel has this system dialect and this project manager",
            why="what is done to projects has to be known to the host that serves them",
            fix="give `kernel.get(SYSTEM_DIALECT)` and `kernel.get(PROJECT_MANAGER)`, or use `kernel.get(PROJECTS)`",
        )
    if enc_key is not None:
        found.accept_key(enc_key)
    return found


__all__ = [
    "boot_all_projects",
    "create_project_handlers",
    "decrypt_uri",
    "deprovision_project",
    "encrypt_uri",
    "generate_encryption_key",
    "get_encryption_key",
    "get_project_repo",
    "pause_project",
    "provision_project",
    "resume_project",
]
