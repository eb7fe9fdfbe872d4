"""MariaDB and MySQL as an `Engine`: their expressions, their errors, and how they are opened."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    URL,
    Column,
    ColumnElement,
    Dialect,
    Select,
    Table,
    Text,
    and_,
    case,
    cast,
    func,
    literal_column,
    null,
)
from sqlalchemy.dialects.mysql import DECIMAL, insert
from sqlalchemy.sql import visitors
from sqlalchemy.types import TypeEngine

from objectkernel_system_dialect.dialect import Capability
from objectkernel_system_dialect.engine import Engine
from objectkernel_system_dialect.errors import DataError
from objectkernel_system_dialect.executor import Session
from objectkernel_system_dialect.mariadb_connection import COLLATION, MariadbOptions, server_of
from objectkernel_system_dialect.mariadb_errors import ServerError, translated
from objectkernel_system_dialect.mariadb_executor import MariadbExecutor
from objectkernel_system_dialect.rows import PLAIN
from objectkernel_system_dialect.stored import Stored
from objectkernel_system_dialect.values import Misfit

COMPARE: Final[Mapping[str, Callable[[Any, Any], ColumnElement[bool]]]] = {
    "$eq": operator.eq,
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}
IDENTITY: Final = (
    "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('server_uid', 'server_uuid', 'hostname', 'port', 'datadir')"
)
"""What tells servers apart, as far as their version has it."""
JSON_TYPES: Final = {
    "string": ("STRING",),
    "number": ("INTEGER", "DOUBLE", "DECIMAL", "UNSIGNED INTEGER"),
    "boolean": ("BOOLEAN",),
}
EXACT_DOUBLE: Final[ColumnElement[Any]] = literal_column("9007199254740992")
LARGEST_DECIMAL: Final[ColumnElement[Any]] = literal_column("1e50")
DECIMAL_OF_JSON: Final = DECIMAL(65, 10)
ZERO: Final[ColumnElement[Any]] = literal_column("0")
DOUBLE_ZERO: Final[ColumnElement[Any]] = literal_column("0e0")


class MariadbEngine:
    """One database of MariaDB or MySQL."""

    capabilities: frozenset[Capability] = frozenset({"execute", "json", "regex", "transaction"})
    driver_errors: tuple[type[Exception], ...] = (ServerError,)
    updates_return_rows = False
    compares_rows = True
    limits_sorted_rows = False
    has_upsert = True
    sorts_missing_first = True
    json_types: Mapping[str, TypeEngine[Any]] = {"string": Text(), "number": Text(), "boolean": Text()}

    def __init__(self, executor: MariadbExecutor, place: str) -> None:
        self.executor = executor
        self.place = place
        self.name = "mariadb" if executor.mariadb else "mysql"
        kind: Any = URL.create(f"{self.name}+asyncmy").get_dialect()
        self.core: Dialect = kind(paramstyle="format")
        self.core.server_version_info = executor.version
        self._collation = COLLATION[executor.mariadb]

    @classmethod
    async def open(cls, uri: str, options: MariadbOptions | None = None) -> MariadbEngine:
        """Connect to the database of a URL: ``mysql://user:password@host:3306/name``, or with ``mariadb://``.

        Raises:
            DialectUnsupported: the URL is for another database, or the event loop is not asyncio's.
            DatabaseUnavailable: it cannot be reached.
        """
        server = server_of(uri)
        try:
            return cls(await MariadbExecutor.open(server, options or MariadbOptions()), server.place)
        except ServerError as error:
            raise translated(error, place=server.place, entity="") from error

    def translated(self, error: Exception, entity: str) -> DataError:
        return translated(error, place=self.place, entity=entity)

    async def identity(self, session: Session) -> str:
        variables = sorted(tuple(row) for row in await session.fetch(IDENTITY, (), PLAIN))
        ((database,),) = await session.fetch("SELECT DATABASE()", (), PLAIN)
        return " ".join(["mariadb", *(value for _, value in variables), database])

    # --- expressions --------------------------------------------------------------------------------

    def locked(self, statement: Select[Any], table: Table) -> Select[Any]:
        return statement.with_for_update()

    def like_pattern(self, pattern: str) -> str:
        if (len(pattern) - len(pattern.rstrip("\\"))) % 2:
            raise Misfit("the pattern ends with a backslash, which has nothing to escape")
        return pattern

    def like(self, column: ColumnElement[Any], pattern: ColumnElement[Any]) -> ColumnElement[bool]:
        return column.bool_op("LIKE")(pattern)

    def ilike(self, column: ColumnElement[Any], pattern: ColumnElement[Any]) -> ColumnElement[bool]:
        return func.lower(column).bool_op("LIKE")(func.lower(pattern))

    def regex(self, column: ColumnElement[Any], pattern: ColumnElement[Any]) -> ColumnElement[bool]:
        return column.bool_op("REGEXP")(pattern)

    def text_contains(self, column: ColumnElement[Any], part: ColumnElement[Any]) -> ColumnElement[bool]:
        return func.locate(part, column) > ZERO

    def array_contains(self, column: ColumnElement[Any], items: ColumnElement[Any]) -> ColumnElement[bool]:
        if isinstance(column.type, Stored) and column.type.field.items in ("integer", "boolean"):
            # JSON_CONTAINS takes numbers for floats. These are written in one way only, so their text decides.
            return func.locate(_between_commas(items), _between_commas(column)) > ZERO
        found: ColumnElement[bool] = func.json_contains(column, items) == literal_column("1")
        return found

    def array_equals(self, column: ColumnElement[Any], items: ColumnElement[Any]) -> ColumnElement[bool]:
        return column == items

    def json_compare(
        self, column: ColumnElement[Any], path: tuple[str, ...], operator: str, value: ColumnElement[Any], kind: str
    ) -> ColumnElement[bool]:
        found = _at(column, path)
        compare = COMPARE[operator]
        if kind == "number":
            comparison = _compare_numbers(found, value, compare)
        else:
            comparison = compare(func.json_unquote(found).collate(self._collation), value)
        types: list[ColumnElement[Any]] = [literal_column(f"'{name}'") for name in JSON_TYPES[kind]]
        return case((func.json_type(found).in_(types), comparison))

    def json_value(self, value: str | float | bool) -> Any:
        return value if isinstance(value, str) else json.dumps(value)

    def json_missing(self, column: ColumnElement[Any], path: tuple[str, ...]) -> ColumnElement[bool]:
        nothing: ColumnElement[Any] = literal_column("'NULL'")
        missing: ColumnElement[bool] = func.coalesce(func.json_type(_at(column, path)), nothing) == nothing
        return missing

    def upsert(
        self,
        table: Table,
        key: tuple[str, ...],
        values: dict[str, Any],
        refreshed: dict[str, Any],
        where: ColumnElement[bool] | None,
    ) -> Any:
        # ON DUPLICATE KEY speaks of every unique column; where another one conflicts, that row stays as it is.
        statement = insert(table).values(values)
        new = statement.inserted
        mine = and_(*(table.c[name] == new[name] for name in key), *(() if where is None else (where,)))
        # Each assignment sees those before it: what `mine` reads comes last.
        read = () if where is None else {part.name for part in visitors.iterate(where) if isinstance(part, Column)}
        given: dict[str, Any] = {
            name: func.if_(mine, new[name] if value is None else value, table.c[name])
            for name, value in sorted(refreshed.items(), key=lambda item: item[0] in read)
        }
        return statement.on_duplicate_key_update(list((given or {key[0]: table.c[key[0]]}).items()))


def _between_commas(array: ColumnElement[Any]) -> ColumnElement[Any]:
    """The items of a JSON array of numbers or booleans as ``,1,2,``."""
    comma: ColumnElement[Any] = literal_column("','")
    length = func.char_length(array) - literal_column("2")
    return func.concat(comma, func.substring(array, literal_column("2"), length), comma)


def _compare_numbers(
    found: ColumnElement[Any], value: ColumnElement[Any], compare: Callable[[Any, Any], ColumnElement[bool]]
) -> ColumnElement[bool]:
    """Two numbers, both as text: as floats, and where those are equal and not exact any more as decimals."""
    own, given = _double(found), _double(value)
    unclear = and_(own == given, func.abs(given).between(EXACT_DOUBLE, LARGEST_DECIMAL))
    exact = compare(cast(found, DECIMAL_OF_JSON), cast(value, DECIMAL_OF_JSON))
    return case((unclear, exact), else_=compare(own, given))


def _double(text: ColumnElement[Any]) -> ColumnElement[Any]:
    return text.op("+")(DOUBLE_ZERO)


def _at(column: ColumnElement[Any], path: tuple[str, ...]) -> ColumnElement[Any]:
    """What lies at a path of objects: JSON, or NULL.

    Also NULL where the value is nested deeper than the 32 levels (of MySQL: 100) that the functions for JSON take: at
    such a row they would make a write fail.
    """
    place = "$" + "".join(f".{json.dumps(name, ensure_ascii=False)}" for name in path)
    return func.json_extract(func.if_(func.json_valid(column), column, null()), _literal(place))


def _literal(text: str) -> ColumnElement[str]:
    """A text within a statement. A backslash escapes, for sessions here never have NO_BACKSLASH_ESCAPES."""
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return literal_column(f"'{escaped}'", Text())


if TYPE_CHECKING:
    _is_an_engine: type[Engine] = MariadbEngine
