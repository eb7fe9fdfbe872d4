"""Errors of opening a project as they are told: nothing of its URI, and what is left out is said to be."""

from __future__ import annotations

from pathlib import Path

import pytest
from objectkernel import Secret
from objectkernel_project_life.contracts import ProjectUnavailable, UriRefused
from objectkernel_project_life.telling import safe
from objectkernel_system_dialect.contracts import DatabaseUnavailable

from tests.plugins.project_life.hosts import host
from tests.plugins.project_life.managers import OwnManager

pytestmark = pytest.mark.anyio

SHORT = Secret("postgresql://clerk:data@127.0.0.1:5432/crm")


def test_a_short_password() -> None:
    """Messages that happen to have it are withheld: that is said, and the kind of what is behind them."""
    behind = DatabaseUnavailable("the server does not answer", why="it is at port 5432", fix="start it")
    error = ProjectUnavailable("the database of crm cannot be opened", why=behind.what, fix="look", project="crm")
    error.__cause__ = behind
    told = safe(error, "project_1", SHORT)
    assert told.why == (
        f"its message is withheld, since it has a part of the URI; it is a DatabaseUnavailable ({behind.code})",
    )
    refused = UriRefused("project_1 may not have its database there", why="`allowed_hosts`", fix="ask", project="1")
    assert "it is a UriRefused (L106)" in str(safe(refused, "project_1", Secret("postgresql://a:base@h/d")))


async def test_it_is_told_to_the_owner(tmp_path: Path) -> None:
    """An error of a manager's that shows the URI: the owner is told that it was withheld, and nothing of the URI."""
    manager = OwnManager()
    async with host(tmp_path, manager=manager, allowed_hosts=["127.0.0.1"]) as at:
        project = await at.made(uri="postgresql://clerk:s3cret@127.0.0.1:5432/crm")
        await at.projects.pause_project("acme", project.id)
        for failing, told in ((DatabaseUnavailable, "withheld"), (ValueError, "opening it raised ValueError")):
            manager.failing = failing
            result = await at.projects.resume_project("acme", project.id)
            row = await at.row(project.id)
            assert told in str(result.error)
            assert told in row["error"]
            assert "s3cret" not in str(result.error) + row["error"]
