"""SQLAlchemy's own way to PostgreSQL, for work on the schema: JSON in a table is text there, as in other databases."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from sqlalchemy import URL, NullPool
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from objectkernel_system_dialect.postgres_types import JsonText

NAME: Final = "postgresql.objectkernel"


class SchemaDialect(PGDialect_asyncpg):
    """SQLAlchemy's dialect, in which the driver leaves JSON as it is, and a json column found there is of text.

    What SQLAlchemy itself asks for as JSON it still decodes.
    """

    supports_statement_cache = True
    supports_native_json_deserialization = False
    ischema_names = PGDialect_asyncpg.ischema_names | {"json": JsonText}

    async def setup_asyncpg_json_codec(self, conn: Any) -> None:
        """None: the driver gives text by itself."""

    async def setup_asyncpg_jsonb_codec(self, conn: Any) -> None:
        """None: the driver gives text by itself."""


def schema_engine(connect: Callable[[], Awaitable[Any]]) -> AsyncEngine:
    """An engine without a pool, on connections of asyncpg's."""
    registry.register(NAME, __name__, SchemaDialect.__name__)
    return create_async_engine(URL.create(NAME.replace(".", "+")), async_creator=connect, poolclass=NullPool)
