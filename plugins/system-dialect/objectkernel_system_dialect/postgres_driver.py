"""Connections of asyncpg's for a `ConnectionPool`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import asyncpg  # type: ignore[import-untyped]

from objectkernel_system_dialect.connection_pool import LEAVE_PATIENCE, Driver
from objectkernel_system_dialect.postgres_errors import DRIVER_ERRORS
from objectkernel_system_dialect.postgres_transaction import Connection


class PostgresDriver:
    """Makes connections to one database. Nobody gives one a state, so it goes from hand to hand as it is.

    Args:
        connecting: what `asyncpg.connect` takes.
    """

    def __init__(self, connecting: Mapping[str, Any]) -> None:
        self._connecting = connecting

    async def connect(self) -> Connection:
        return await asyncpg.connect(**self._connecting)

    def watch(self, connection: Connection, ended: Callable[[], None]) -> None:
        connection.add_termination_listener(lambda _: ended())

    def is_open(self, connection: Connection) -> bool:
        return not connection.is_closed()

    async def recover(self, connection: Connection) -> bool:
        """A statement that was given up is being cancelled on the server; the next one waits for that."""
        with suppress(*DRIVER_ERRORS):
            await connection.execute("SELECT 1", timeout=self._connecting["timeout"])
            return not connection.is_in_transaction()
        return False

    async def leave(self, connection: Connection) -> None:
        with suppress(*DRIVER_ERRORS):
            await connection.close(timeout=LEAVE_PATIENCE)

    def drop(self, connection: Connection) -> None:
        connection.terminate()


if TYPE_CHECKING:
    _is_a_driver: type[Driver[Connection]] = PostgresDriver
