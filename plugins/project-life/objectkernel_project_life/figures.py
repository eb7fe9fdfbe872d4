"""The figures that a host reports of its projects; none names a project."""

from __future__ import annotations

from collections.abc import Iterator

from objectkernel_contracts import Figure

from objectkernel_project_life.contracts import ProjectManager
from objectkernel_project_life.manager import HostManager


def project_figures(manager: ProjectManager) -> Iterator[Figure]:
    """How many projects there are, how busy, and the connections of their servers; none of a manager from elsewhere."""
    if not isinstance(manager, HostManager):
        return
    tally = manager.tally()
    for state, count in (("open", tally.open), ("closed", tally.closed), ("failed", tally.failed)):
        told = "Projects by whether they have a connection, or could not be opened last time."
        yield Figure(name="projects_served", help=told, value=count, labels={"state": state})
    yield Figure(name="projects_operations", help="Operations of projects under way.", value=tally.running)
    opener = manager.opener
    for outcome, count in (("opened", opener.opened), ("failed", opener.failed)):
        yield Figure(
            name="projects_openings",
            help="Attempts to open a project's database.",
            value=count,
            labels={"outcome": outcome},
            kind="counter",
        )
    for server, limit in opener.servers:
        of = {"server": server}
        yield Figure(
            name="projects_connections_limit", help="The most connections to a server.", value=limit.most, labels=of
        )
        yield Figure(name="projects_connections", help="Connections to a server.", value=limit.open, labels=of)
        yield Figure(
            name="projects_connections_waiting",
            help="Connections that a server's limit keeps waiting.",
            value=limit.waiting,
            labels=of,
        )
