"""The behaviour suite on every kind of database, and on NET."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import TypeAlias

import pytest
from objectkernel_system_dialect.contracts import Dialect
from objectkernel_system_dialect.sqlite_dialect import open_sqlite
from objectkernel_system_dialect.testing import Dialects, DialectSuite, SharedDatabaseSuite

Open: TypeAlias = Callable[[], Awaitable[Dialect]]


def sqlite_memory(request: pytest.FixtureRequest) -> Open:
    """A database in memory, which only one dialect sees."""
    return partial(open_sqlite, ":memory:")


def sqlite_file(request: pytest.FixtureRequest) -> Open:
    """A database in a file."""
    folder = request.getfixturevalue("tmp_path_factory").mktemp("sqlite")
    return partial(open_sqlite, str(folder / "suite.db"))


PLACES = {"sqlite-memory": sqlite_memory, "sqlite-file": sqlite_file}
BOTH = ("sqlite-memory", "sqlite-file")


def params(*places: str) -> list[object]:
    return [pytest.param((place, loop), id=f"{place}-{loop}") for place in places for loop in ("asyncio", "trio")]


@pytest.fixture(scope="module")
def anyio_backend(place: tuple[str, str]) -> str:
    """The event loop that goes with a place."""
    return place[1]


@pytest.fixture(scope="module")
def open_dialect(request: pytest.FixtureRequest, place: tuple[str, str]) -> Open:
    """Opens dialects at a place."""
    return PLACES[place[0]](request)


@pytest.fixture(scope="module")
async def dialects(anyio_backend: str, open_dialect: Open) -> AsyncIterator[Dialects]:
    """Dialects on one database."""
    async with Dialects(open_dialect) as dialects:
        yield dialects


@pytest.mark.parametrize("place", params(*BOTH), scope="module")
class TestDialect(DialectSuite):
    """What every dialect has to do."""


@pytest.mark.parametrize("place", params("sqlite-file"), scope="module")
class TestDatabase(SharedDatabaseSuite):
    """What dialects on one database owe each other."""
