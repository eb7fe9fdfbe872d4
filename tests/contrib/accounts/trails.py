"""Kernels with an audit trail, on each kind of database, and what is in the trail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from objectkernel import ObjectKernel
from objectkernel_accounts.audit import AUDIT_ENTRY
from objectkernel_accounts.audit_plugin import AuditPlugin
from objectkernel_system_dialect.contracts import Dialect
from objectkernel_system_dialect.plugin import SystemDialectPlugin

KINDS = [
    "sqlite",
    pytest.param("postgres", marks=pytest.mark.postgres),
    pytest.param("mariadb", marks=pytest.mark.mariadb),
]


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    """An environment whose databases are one empty database of each kind."""
    folder = {"OBJECTKERNEL_DATA_DIR": str(tmp_path)}
    if request.param == "sqlite":
        yield folder
    else:
        yield {**folder, "DB_DIALECT": request.param, "SGBD_URI": request.getfixturevalue(f"{request.param}_url")}


def audited(environ: dict[str, str], *plugins: Any, **options: Any) -> ObjectKernel:
    """A kernel with an audit trail, whose settings come from this environment alone."""
    return ObjectKernel(
        plugins=[SystemDialectPlugin, AuditPlugin, *plugins], discover=False, environ=environ, **options
    )


async def entries(dialect: Dialect) -> list[dict[str, Any]]:
    """The whole trail, in the order of its numbers."""
    return await dialect.find(AUDIT_ENTRY, sort={"sequence": 1})
