"""SQLite as the stand-in for a database that only SQLAlchemy knows."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, event


def behave(engine: Engine) -> None:
    """Make SQLite do what others do by themselves: transactions with savepoints, LIKE by case, foreign keys."""

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        connection.create_function("lower", 1, lambda text: text and text.lower(), deterministic=True)
        for pragma in ("case_sensitive_like = ON", "foreign_keys = ON", "journal_mode = WAL"):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
