"""SQLite as an `Engine`: its expressions, its file, its errors."""

from __future__ import annotations

import operator
import sqlite3
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, Integer, Select, Table, and_, func, literal_column, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.types import TypeEngine

from objectkernel_system_dialect.dialect import Capability
from objectkernel_system_dialect.engine import Engine, quoted
from objectkernel_system_dialect.errors import DataError
from objectkernel_system_dialect.executor import Session
from objectkernel_system_dialect.location import place_of, without_folder
from objectkernel_system_dialect.sqlite_errors import translated
from objectkernel_system_dialect.sqlite_executor import SqliteExecutor, SqliteOptions
from objectkernel_system_dialect.values import Misfit

COMPARE: Final[dict[str, Callable[[Any, Any], ColumnElement[bool]]]] = {
    "$eq": operator.eq,
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}
JSON_TYPES: Final = {"string": ("text",), "number": ("integer", "real"), "boolean": ("true", "false")}


class SqliteEngine:
    """One SQLite database, in a file or in memory."""

    name = "sqlite"
    capabilities: frozenset[Capability] = frozenset({"execute", "json", "transaction"})
    driver_errors: tuple[type[Exception], ...] = (sqlite3.Error, OverflowError, UnicodeEncodeError)
    """Also for values: a whole number of more than 64 bits, text that is no Unicode."""
    updates_return_rows = True
    compares_rows = True
    limits_sorted_rows = False
    has_upsert = True
    sorts_missing_first = True
    json_types: Mapping[str, TypeEngine[Any]] = MappingProxyType(dict.fromkeys(JSON_TYPES, Integer()))
    """A placeholder is a plain '?' whatever its type."""

    def __init__(self, executor: SqliteExecutor) -> None:
        self.executor = executor
        self.place = place_of(executor.path)
        self.core = SQLiteDialect_pysqlite(paramstyle="qmark")

    @classmethod
    async def open(cls, path: str, options: SqliteOptions | None = None) -> SqliteEngine:
        """Open the file, which is made when it is missing, or ``:memory:``.

        Raises:
            DatabaseUnavailable: it cannot be opened; `DatabaseDamaged`: it is no database.
        """
        try:
            return cls(await SqliteExecutor.open(path, options or SqliteOptions()))
        except sqlite3.Error as error:
            raise without_folder(path) or translated(error, place=place_of(path), entity="") from error

    def translated(self, error: Exception, entity: str) -> DataError:
        return translated(error, place=self.place, entity=entity)

    async def identity(self, session: Session) -> str:
        file = self.executor.identity
        return f"sqlite memory {id(self.executor)}" if file is None else f"sqlite file {file[0]} {file[1]}"

    # --- expressions --------------------------------------------------------------------------------

    def locked(self, statement: Select[Any], table: Table) -> Select[Any]:
        return statement.with_for_update()

    def like_pattern(self, pattern: str) -> str:
        return glob(pattern)

    def like(self, column: ColumnElement[Any], pattern: ColumnElement[Any]) -> ColumnElement[bool]:
        return column.bool_op("GLOB")(pattern)

    def ilike(self, column: ColumnElement[Any], pattern: ColumnElement[Any]) -> ColumnElement[bool]:
        return func.fold(column).like(func.fold(pattern), escape="\\")

    def regex(self, column: ColumnElement[Any], pattern: ColumnElement[Any]) -> ColumnElement[bool]:
        raise NotImplementedError  # without the capability nobody asks

    def text_contains(self, column: ColumnElement[Any], part: ColumnElement[Any]) -> ColumnElement[bool]:
        return func.instr(column, part) > literal_column("0")

    def array_contains(self, column: ColumnElement[Any], items: ColumnElement[Any]) -> ColumnElement[bool]:
        values = func.json_each(column).table_valued("value")
        wanted = func.json_extract(items, literal_column("'$[0]'"))
        return select(literal_column("1")).select_from(values).where(values.c.value == wanted).exists()

    def array_equals(self, column: ColumnElement[Any], items: ColumnElement[Any]) -> ColumnElement[bool]:
        return column == items

    def json_compare(
        self, column: ColumnElement[Any], path: tuple[str, ...], operator: str, value: ColumnElement[Any], kind: str
    ) -> ColumnElement[bool]:
        place = self._place_in_json(path)
        types: list[ColumnElement[str]] = [literal_column(f"'{name}'") for name in JSON_TYPES[kind]]
        return and_(
            func.json_type(column, place).in_(types), COMPARE[operator](func.json_extract(column, place), value)
        )

    def json_value(self, value: str | float | bool) -> Any:
        return value

    def json_missing(self, column: ColumnElement[Any], path: tuple[str, ...]) -> ColumnElement[bool]:
        null: ColumnElement[str] = literal_column("'null'")
        missing: ColumnElement[bool] = func.coalesce(func.json_type(column, self._place_in_json(path)), null) == null
        return missing

    def _place_in_json(self, path: tuple[str, ...]) -> ColumnElement[str]:
        return quoted(self.core, "$" + "".join(f'."{name}"' for name in path))

    def upsert(
        self,
        table: Table,
        key: tuple[str, ...],
        values: dict[str, Any],
        refreshed: dict[str, Any],
        where: ColumnElement[bool] | None,
    ) -> Any:
        statement = insert(table).values(values)
        given = {name: statement.excluded[name] if value is None else value for name, value in refreshed.items()}
        return statement.on_conflict_do_update(index_elements=list(key), set_=given, where=where)


def glob(like: str) -> str:
    """A pattern of LIKE (``%``, ``_``, backslash) as one of SQLite's GLOB, which heeds case."""
    pattern, escaped = [], False
    for char in like:
        if char == "\\" and not escaped:
            escaped = True
            continue
        if not escaped and char in "%_":
            pattern.append("*" if char == "%" else "?")
        else:
            pattern.append(f"[{char}]" if char in "*?[" else char)
        escaped = False
    if escaped:
        raise Misfit("the pattern ends with a backslash, which has nothing to escape")
    return "".join(pattern)


if TYPE_CHECKING:
    _is_an_engine: type[Engine] = SqliteEngine
