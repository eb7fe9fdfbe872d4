"""Keeping one row as it is until a transaction ends, where others may write beside it."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Select, bindparam, select

from objectkernel_system_dialect.dialect import Dialect
from objectkernel_system_dialect.schema import EntitySchema

LIMIT: Final = 256


class RowLocks:
    """Locks rows of a dialect that runs SQL; others have one writer, or locks of their own."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._statements: dict[EntitySchema, Select[Any]] = {}

    async def lock(self, schema: EntitySchema, key: Any) -> None:
        """Lock the row with this key, if there is one; within a transaction."""
        if "execute" not in self._dialect.capabilities:
            return
        parts = key if len(schema.key) > 1 else (key,)
        params = {f"key{number}": part for number, part in enumerate(parts)}
        await self._dialect.execute(self._statement(schema), params)

    def _statement(self, schema: EntitySchema) -> Select[Any]:
        """``SELECT … FOR UPDATE``, which SQLite leaves out: there a transaction is the only writer."""
        statement = self._statements.get(schema)
        if statement is None:
            columns = [self._dialect.table(schema).c[name] for name in schema.key]
            conditions = [column == bindparam(f"key{number}") for number, column in enumerate(columns)]
            statement = select(*columns).where(*conditions).with_for_update()
            if len(self._statements) >= LIMIT:
                self._statements.clear()
            self._statements[schema] = statement
        return statement
