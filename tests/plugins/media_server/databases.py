"""Recordings on every kind of database, without a kernel, and by several hosts at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import attrs
import pytest
from objectkernel_media_server import entities, upload_entities
from objectkernel_media_server.config import MediaServerConfig
from objectkernel_media_server.contracts import Storage
from objectkernel_media_server.memory_store import MemoryDriver
from objectkernel_media_server.parts import Parts, assemble
from objectkernel_system_dialect.contracts import Dialect
from objectkernel_system_dialect.mariadb_engine import MariadbEngine
from objectkernel_system_dialect.postgres_engine import PostgresEngine
from objectkernel_system_dialect.sql_dialect import SqlDialect
from objectkernel_system_dialect.sqlite_dialect import open_sqlite

BASE: Final = "https://media.example"
WEBM: Final = b"\x1a\x45\xdf\xa3\x87\x42\x82\x84webm"
"""The shortest head of a recording."""
KINDS: Final = [
    "sqlite",
    pytest.param("postgres", marks=pytest.mark.postgres),
    pytest.param("mariadb", marks=pytest.mark.mariadb),
]


def webm(size: int = 100, fill: bytes = b"x") -> bytes:
    """A recording of this size."""
    return WEBM + fill * (size - len(WEBM))


async def opened(kind: str, place: str) -> Dialect:
    """A dialect with the tables."""
    if kind == "sqlite":
        dialect: Dialect = await open_sqlite(place)
    else:
        dialect = SqlDialect(await (PostgresEngine if kind == "postgres" else MariadbEngine).open(place))
    await dialect.register(*entities.SCHEMAS, *upload_entities.SCHEMAS)
    return dialect


def place_of(kind: str, request: pytest.FixtureRequest, folder: Any) -> str:
    """Where an empty database of this kind is."""
    return str(folder / "system.db") if kind == "sqlite" else str(request.getfixturevalue(f"{kind}_url"))


@attrs.frozen
class House:
    """One host's recordings.

    Attributes:
        audit: the audit trail, None: there is none.
    """

    parts: Parts
    dialect: Dialect
    storage: Any

    @property
    def media(self) -> Any:
        """The service."""
        return self.parts.media

    async def statuses(self, account_id: str = "acc") -> list[str]:
        """The statuses of all rows of an account, in the order of their making."""
        rows = await self.dialect.find(entities.MEDIA, {"account_id": account_id}, sort={"created_at": 1, "id": 1})
        return [row["status"] for row in rows]


def furnish(dialect: Dialect, storage: Storage | None = None, *, audit: Any = None, **settings: Any) -> House:
    """Recordings on a dialect that has the tables."""
    store = MemoryDriver(BASE) if storage is None else storage
    return House(assemble(dialect, store, MediaServerConfig(**settings), audit=audit), dialect, store)


@asynccontextmanager
async def housed(storage: Storage | None = None, **settings: Any) -> AsyncIterator[House]:
    """Recordings on SQLite in memory."""
    dialect = await opened("sqlite", ":memory:")
    try:
        yield furnish(dialect, storage, **settings)
    finally:
        await dialect.aclose()
