"""A switchable dialect is a dialect like any other: the whole behaviour suite, on SQLite behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest
from objectkernel import Secret
from objectkernel_system_dialect.databases import named
from objectkernel_system_dialect.opening import SqlOpening
from objectkernel_system_dialect.switching import SwitchableDialect
from objectkernel_system_dialect.testing import Dialects, DialectSuite, SharedDatabaseSuite

pytestmark = pytest.mark.slow  # `make test` has the suite on the dialect behind it


@pytest.fixture(scope="module")
async def dialects(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Dialects]:
    """Dialects that could be switched, on one file."""
    path = str(tmp_path_factory.mktemp("switchable") / "suite.db")
    opening = SqlOpening(named("sqlite"), Secret(path))
    async with (
        anyio.create_task_group() as tasks,
        Dialects(lambda: SwitchableDialect.open(opening, (), tasks)) as found,
    ):
        yield found


class TestSwitchableDialect(DialectSuite):
    """Every operation through the handle."""


class TestSwitchableDatabase(SharedDatabaseSuite):
    """Two handles on one file."""
