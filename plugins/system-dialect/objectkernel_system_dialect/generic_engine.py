"""Oracle, SQL Server, DuckDB and whatever else SQLAlchemy knows, as an `Engine`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from sqlalchemy import ColumnElement, Dialect, Select, Table, Text, func, literal_column, or_
from sqlalchemy.types import TypeEngine

from objectkernel_system_dialect.dialect import Capability
from objectkernel_system_dialect.engine import Engine
from objectkernel_system_dialect.errors import DataError, DialectUnsupported, OperationUnsupported
from objectkernel_system_dialect.executor import Session
from objectkernel_system_dialect.generic_errors import DRIVER_ERRORS, translated
from objectkernel_system_dialect.generic_executor import GenericExecutor, GenericOptions
from objectkernel_system_dialect.sqlalchemy_url import parsed_url
from objectkernel_system_dialect.telling import untold
from objectkernel_system_dialect.values import Misfit


class GenericEngine:
    """One database of any kind, in words that all of them know.

    There are no regular expressions, and filters do not look into json and arrays.
    """

    capabilities: frozenset[Capability] = frozenset({"execute", "transaction"})
    driver_errors = DRIVER_ERRORS
    updates_return_rows = False
    compares_rows = False
    has_upsert = False
    json_types: Mapping[str, TypeEngine[Any]] = {"string": Text(), "number": Text(), "boolean": Text()}

    def __init__(self, executor: GenericExecutor, place: str) -> None:
        self.executor = executor
        self.place = place
        self.core: Dialect = executor.engine.dialect
        self.name = self.core.name
        self.limits_sorted_rows = self.name == "mssql"
        self.sorts_missing_first = self.name in ("mssql", "sqlite")

    @classmethod
    async def open(cls, uri: str, options: GenericOptions | None = None) -> GenericEngine:
        """Connect to the database of a URL of SQLAlchemy's: ``oracle+oracledb://…``, ``mssql+pyodbc://…``.

        Raises:
            DialectUnsupported: it is no URL, or the driver is not installed; the error names the package.
            DatabaseUnavailable: it cannot be reached.
        """
        url = parsed_url(uri)
        if url is None:
            raise DialectUnsupported(
                "the database URI cannot be used",
                why="it is no URL that can be read",
                fix="give dialect+driver://user:password@host:port/database",
            )
        place = f"the {url.get_backend_name()} database" + (f" at {url.host}" if url.host else "")
        try:
            return cls(await GenericExecutor.open(url, place, options or GenericOptions()), place)
        except DRIVER_ERRORS as error:
            raise translated(error, place=place, entity="") from error

    def translated(self, error: Exception, entity: str) -> DataError:
        return translated(error, place=self.place, entity=entity)

    async def identity(self, session: Session) -> str:
        raise untold(self.name)

    # --- expressions --------------------------------------------------------------------------------

    def locked(self, statement: Select[Any], table: Table) -> Select[Any]:
        if self.name == "duckdb":  # which has no locks: who changes a row that was changed meanwhile, fails
            return statement
        return statement.with_hint(table, "WITH (UPDLOCK, HOLDLOCK)", "mssql").with_for_update()

    def like_pattern(self, pattern: str) -> str:
        if (len(pattern) - len(pattern.rstrip("\\"))) % 2:
            raise Misfit("the pattern ends with a backslash, which has nothing to escape")
        return pattern.replace("[", "\\[") if self.name == "mssql" else pattern

    def like(self, column: ColumnElement[Any], pattern: ColumnElement[Any]) -> ColumnElement[bool]:
        return column.like(pattern, escape="\\")

    def ilike(self, column: ColumnElement[Any], pattern: ColumnElement[Any]) -> ColumnElement[bool]:
        return func.lower(column).like(func.lower(pattern), escape="\\")

    def regex(self, column: ColumnElement[Any], pattern: ColumnElement[Any]) -> ColumnElement[bool]:
        raise NotImplementedError  # without the capability nobody asks

    def text_contains(self, column: ColumnElement[Any], part: ColumnElement[Any]) -> ColumnElement[bool]:
        zero: ColumnElement[Any] = literal_column("0")
        if self.name == "mssql":  # whose function finds no empty text
            return or_(func.charindex(part, column) > zero, part == literal_column("''"))
        return func.instr(column, part) > zero

    def array_contains(self, column: ColumnElement[Any], items: ColumnElement[Any]) -> ColumnElement[bool]:
        self._refuse("look into an array")

    def array_equals(self, column: ColumnElement[Any], items: ColumnElement[Any]) -> ColumnElement[bool]:
        if self.name == "oracle":  # which has no = for long texts
            same: ColumnElement[bool] = func.dbms_lob.compare(column, items) == literal_column("0")
            return same
        return column == items

    def json_compare(
        self, column: ColumnElement[Any], path: tuple[str, ...], operator: str, value: ColumnElement[Any], kind: str
    ) -> ColumnElement[bool]:
        self._refuse("look into json")

    def json_value(self, value: str | float | bool) -> Any:
        return value

    def json_missing(self, column: ColumnElement[Any], path: tuple[str, ...]) -> ColumnElement[bool]:
        self._refuse("look into json")

    def upsert(
        self,
        table: Table,
        key: tuple[str, ...],
        values: dict[str, Any],
        refreshed: dict[str, Any],
        where: ColumnElement[bool] | None,
    ) -> Any:
        raise NotImplementedError  # without `has_upsert` nobody asks

    def _refuse(self, what: str) -> NoReturn:
        raise OperationUnsupported(
            f"{self.name} cannot {what}",
            why="filters reach into json and arrays on SQLite, PostgreSQL, MariaDB and MySQL alone",
            fix="keep what is looked for in a field of its own, or use one of those databases",
            dialect=self.name,
            capability="json",
        )


if TYPE_CHECKING:
    _is_an_engine: type[Engine] = GenericEngine
