"""A dialect on SQLite, opened in one call: for tests, scripts, and whoever wants no kernel."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from objectkernel_system_dialect.sql_dialect import SqlDialect, utc_now
from objectkernel_system_dialect.sqlite_engine import SqliteEngine
from objectkernel_system_dialect.sqlite_executor import SqliteOptions


async def open_sqlite(
    path: str, options: SqliteOptions | None = None, *, clock: Callable[[], datetime] = utc_now
) -> SqlDialect:
    """Open a file, which is made when it is missing, or ``:memory:``; end it with `aclose`.

    Raises:
        DatabaseUnavailable: it cannot be opened; `DatabaseDamaged`: it is no database.
    """
    return SqlDialect(await SqliteEngine.open(path, options), clock=clock)
