"""What `objectkernel projects` prints: projects in JSON, in tables, and one alone."""

from __future__ import annotations

from typing import Any, Final

import attrs
import click
from objectkernel_contracts import CommandContext
from objectkernel_contracts.terminal import plain, print_json

from objectkernel_project_life.contracts import SERVED_TRANSPORTS, ProjectDTO

HEAD: Final = ("ID", "ACCOUNT", "SLUG", "STATUS", "DATABASE", "NAME")


def not_served(project: ProjectDTO) -> tuple[str, ...]:
    """The transports that this host stores and does not serve."""
    return tuple(name for name in project.transports if name not in SERVED_TRANSPORTS)


def document(project: ProjectDTO) -> dict[str, Any]:
    """A project for ``--json``."""
    told = attrs.asdict(project, recurse=False)
    return {
        **told,
        "schemas": [dict(schema) for schema in project.schemas],
        "transports": list(project.transports),
        "not_served": list(not_served(project)),
        "created_at": project.created_at.isoformat(),
        "updated_at": project.updated_at.isoformat(),
    }


def row(project: ProjectDTO) -> tuple[str, ...]:
    """A project in a table."""
    status = project.status if project.transition is None else f"{project.status} ({project.transition})"
    return project.id, project.account, project.slug, status, project.uri, project.name


def print_project(obj: CommandContext, project: ProjectDTO) -> None:
    """Everything of a project."""
    if obj.json:
        print_json(document(project))
        return
    unserved = not_served(project)
    lines = {
        "id": project.id,
        "account": project.account,
        "name": project.name,
        "slug": project.slug,
        "status": project.status if project.transition is None else f"{project.status}, {project.transition} now",
        "error": project.error or "",
        "database": f"{project.uri} ({project.dialect})",
        "entities": ", ".join(str(schema.get("name", "?")) for schema in project.schemas) or "none",
        "transports": ", ".join(project.transports) or "none",
        "not served": f"{', '.join(unserved)}: this host serves {', '.join(SERVED_TRANSPORTS)}" if unserved else "",
        "pool": f"{project.pool_min} to {project.pool_size} connections",
        "manager": project.mproject_name,
        "version": str(project.version),
        "made": f"{project.created_at:%Y-%m-%d %H:%M} UTC",
        "changed": f"{project.updated_at:%Y-%m-%d %H:%M} UTC",
    }
    for name, value in lines.items():
        if value:
            click.echo(f"{name:<10}  {plain(value)}")
