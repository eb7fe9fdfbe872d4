"""Whole hosts with projects: kernels with the real plugins, on files of a folder or on a server's database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, cast

import attrs
from objectkernel import ObjectKernel, Plugin, provides
from objectkernel_contracts import AUDIT, Audit, Principal
from objectkernel_project_life.contracts import (
    PROJECT_MANAGER,
    PROJECTS,
    OperationResult,
    ProjectConfig,
    ProjectDTO,
    ProjectManager,
)
from objectkernel_project_life.plugin import ProjectLifePlugin
from objectkernel_project_life.projects import HostProjects
from objectkernel_project_life.schema import PROJECT_SCHEMA
from objectkernel_project_life.steps import STEPS, AtStep, no_step
from objectkernel_system_dialect.contracts import SYSTEM_DIALECT, Dialect, EntitySchema, Field, Row
from objectkernel_system_dialect.plugin import SystemDialectPlugin

from tests.plugins.project_life.project_databases import in_files

KEY: Final = "A7xkQ2vN9b3mZ0pRfT5uWcYsLd8eHgJiKoXqV1nB4tE"
NEW_KEY: Final = "xV3mQ8wLk2bT9yZ5rN0cHs7dJf4gPaUeXo1iKqR6vBM"
NOTE: Final = EntitySchema(name="Note", collection="notes", fields={"title": Field("string", required=True)})
WIDER_NOTE: Final = EntitySchema(
    name="Note", collection="notes", fields={"title": Field("string", required=True), "body": Field("text")}
)
QUIET: Final[Mapping[str, Any]] = {"reconcile_interval": 3600.0, "retry_first": 3600.0, "retry_longest": 3600.0}
"""Nothing happens in the background: tests say when."""


@attrs.frozen
class Host:
    """A running host."""

    kernel: ObjectKernel
    projects: HostProjects
    manager: ProjectManager
    dialect: Dialect
    folder: Path

    async def made(self, slug: str = "crm", account: str = "acme", **given: Any) -> ProjectDTO:
        """A new project, with notes."""
        config = ProjectConfig(**{"name": slug.upper(), "slug": slug, "schemas": (NOTE,), **given})
        return there(await self.projects.provision_project(account, config))

    async def rows(self) -> dict[str, Row]:
        """The register, by id."""
        return {row["id"]: row for row in await self.dialect.find(PROJECT_SCHEMA)}

    async def row(self, id: str) -> Row:
        return (await self.rows())[id]

    def file(self, name: str, account: str = "acme") -> Path:
        """Where a SQLite file of an account's projects is."""
        return self.folder / "projects" / account / name

    async def write(self, project: ProjectDTO, title: str) -> None:
        await self.manager.get(project.mproject_name).repository("Note").create({"title": title})

    async def titles(self, project: ProjectDTO) -> list[str]:
        rows = await self.manager.get(project.mproject_name).repository("Note").find_all(sort={"title": 1})
        return [row["title"] for row in rows]


def there(result: OperationResult) -> ProjectDTO:
    """The project of an operation that is expected to have gone well."""
    project = result.expect_ok()
    assert project is not None
    return project


@asynccontextmanager
async def host(
    folder: Path,
    *more: Plugin | type[Plugin],
    at_step: AtStep = no_step,
    system: str | None = None,
    keys: str | None = KEY,
    manager: ProjectManager | None = None,
    options: Mapping[str, Any] | None = None,
    **settings: Any,
) -> AsyncIterator[Host]:
    """A host whose data is in a folder.

    Args:
        system: the URL of the system's database, where it is another than a file of the folder.
        options: of the kernel.
    """
    environ = in_files(folder)
    if keys is not None:
        environ["PROJECT_ENCRYPTION_KEY"] = keys
    if system is not None:
        environ |= {"MOSTA_SYSTEM_DIALECT": "postgres", "MOSTA_SYSTEM_URI": system}
    kernel = ObjectKernel(
        plugins=[SystemDialectPlugin, ProjectLifePlugin(at_step=at_step), *more],
        discover=False,
        environ=environ,
        config={"plugins": {"project-life": {**QUIET, **settings}}},
        **(options or {}),
    )
    if manager is not None:
        kernel.provide(PROJECT_MANAGER, manager)
    async with kernel:
        yield Host(
            kernel,
            cast("HostProjects", kernel.get(PROJECTS)),
            kernel.get(PROJECT_MANAGER),
            kernel.get(SYSTEM_DIALECT),
            folder,
        )


async def expect_consistent(at: Host) -> None:
    """Nothing is half done, and this host's manager has what the register says, no more and no less."""
    rows = await at.rows()
    for row in rows.values():
        assert row["transition"] is None
        assert row["status"] in ("active", "paused", "error")
        assert (row["next_uri"], row["next_place"], row["next_schemas"]) == (None, None, None)
        assert at.manager.has_project(row["mproject_name"]) == (row["status"] != "paused"), row["status"]
    assert {state.project_id for state in at.manager.list()} <= rows.keys()
    for row in rows.values():
        if row["status"] == "active":
            await at.manager.try_project(row["mproject_name"])


class Trail(Plugin):
    """An audit trail in memory: what was done, to whose project, with which details."""

    name = "trail"

    def __init__(self) -> None:
        self.entries: list[tuple[str, str | None, dict[str, Any]]] = []

    async def record(
        self,
        action: str,
        subject: str,
        *,
        principal: Principal | None = None,
        account_id: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        self.entries.append((action, account_id, dict(details or {})))

    @provides(AUDIT)
    def audit(self) -> Audit:
        return self

    @property
    def actions(self) -> list[str]:
        return [action for action, _, _ in self.entries]


class Hook:
    """What happens at the steps of operations: a test says it for one of them."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.doings: dict[str, Callable[[], Awaitable[None]]] = {}

    async def __call__(self, name: str) -> None:
        assert name in STEPS
        self.seen.append(name)
        if (doing := self.doings.pop(name, None)) is not None:
            await doing()


def spoil(file: Path) -> None:
    """Let a file be no database."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"this is no database" * 100)
