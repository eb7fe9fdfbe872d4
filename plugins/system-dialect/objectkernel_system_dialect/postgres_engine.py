"""PostgreSQL as an `Engine`: its expressions, its errors, and how it is opened."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Boolean, ColumnElement, Dialect, Numeric, Select, Table, Text, case, cast, func, literal_column
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.types import TypeEngine

from objectkernel_system_dialect.dialect import Capability
from objectkernel_system_dialect.engine import Engine
from objectkernel_system_dialect.errors import DatabaseUnavailable, DataError, DialectUnsupported
from objectkernel_system_dialect.executor import Session
from objectkernel_system_dialect.migration_runs import RAN
from objectkernel_system_dialect.postgres_errors import DRIVER_ERRORS, translated
from objectkernel_system_dialect.postgres_executor import PostgresExecutor, PostgresOptions
from objectkernel_system_dialect.postgres_types import COLLATION, JsonText, PostgresCore
from objectkernel_system_dialect.postgres_url import PostgresUrl
from objectkernel_system_dialect.rows import PLAIN
from objectkernel_system_dialect.schema_glance import Glances
from objectkernel_system_dialect.schema_record import RECORDED
from objectkernel_system_dialect.values import Misfit

UNICODE: Final = "und-x-icu"
"""The collation that knows the cases and kinds of all letters, whatever the database's own does."""
IDENTITY: Final = (
    "SELECT pg_catalog.pg_postmaster_start_time(), pg_catalog.current_setting('port'), oid"
    " FROM pg_catalog.pg_database WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database()"
)
"""When the server was started, to a microsecond; its own port; and the number of the database.

Everything has its schema: who owns a database may put functions of these names before the server's, and would be taken
for another database.
"""
PROBE: Final = (
    "SELECT pg_catalog.current_setting('server_encoding'),"
    f" EXISTS (SELECT FROM pg_catalog.pg_collation WHERE collname OPERATOR(pg_catalog.=) '{UNICODE}'),"
    f" pg_catalog.to_regclass('{RECORDED.name}') IS NOT NULL, identity.* FROM ({IDENTITY}) AS identity"
)
GLANCE: Final = (
    f"SELECT FROM {RECORDED.name} WHERE pg_catalog.concat_ws(' ', collection, fingerprint, temporary) IN ({{}})"
    f" AND pg_catalog.to_regclass(collection) IS NOT NULL AND pg_catalog.to_regclass('{RAN.name}') IS NULL"
)
MOMENT: Final = 1.0
"""Seconds after an opening for which the identity that it has found is told again."""

COMPARE: Final[Mapping[str, Callable[[Any, Any], ColumnElement[bool]]]] = {
    "$eq": operator.eq,
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}


class PostgresEngine:
    """One PostgreSQL database."""

    name = "postgres"
    capabilities: frozenset[Capability] = frozenset({"execute", "json", "regex", "transaction"})
    driver_errors = DRIVER_ERRORS
    updates_return_rows = True
    compares_rows = True
    limits_sorted_rows = False
    has_upsert = True
    sorts_missing_first = False
    json_types: Mapping[str, TypeEngine[Any]] = {"string": Text(), "number": Numeric(), "boolean": Boolean()}

    def __init__(
        self,
        executor: PostgresExecutor,
        place: str,
        *,
        knows_unicode: bool = True,
        has_records: bool = False,
        identity: str | None = None,
    ) -> None:
        self.executor = executor
        self.place = place
        self.core: Dialect = PostgresCore()  # type: ignore[no-untyped-call]
        self._knows_unicode = knows_unicode
        self._has_records = has_records
        self._identity = identity
        self._opened = time.monotonic()

    @classmethod
    async def open(cls, url: str, options: PostgresOptions | None = None) -> PostgresEngine:
        """Connect to the database of a URL: ``postgresql://user:password@host:5432/name?sslmode=require``.

        Raises:
            DialectUnsupported: the URL is none of PostgreSQL's, the event loop is not asyncio's, or the database
                does not hold text as UTF-8.
            DatabaseUnavailable: it cannot be reached.
        """
        address = PostgresUrl.parse(url)
        executor = await PostgresExecutor.open(address.dsn, address.place, options or PostgresOptions())
        try:
            ((encoding, knows_unicode, has_records, *identity),) = await executor.fetch(PROBE, (), PLAIN)
            if encoding != "UTF8":
                raise DialectUnsupported(
                    f"{address.place} cannot hold every text",
                    why=f"its encoding is {encoding}",
                    fix="create a database with the encoding UTF8",
                )
            return cls(
                executor,
                address.place,
                knows_unicode=knows_unicode,
                has_records=has_records,
                identity=_identity(*identity),
            )
        except BaseException as error:
            await executor.aclose()
            if isinstance(error, ValueError):  # of the driver about the URL, which it shows
                raise address.refused("a part of it means nothing to the driver") from None
            if isinstance(error, DRIVER_ERRORS):
                made = translated(error, place=address.place, entity="")
                if not isinstance(made, DatabaseUnavailable):
                    raise address.refused("the server does not take one of its options") from error
                raise made from error
            raise

    def translated(self, error: Exception, entity: str) -> DataError:
        return translated(error, place=self.place, entity=entity)

    async def identity(self, session: Session) -> str:
        if self._identity is None or time.monotonic() - self._opened > MOMENT:
            ((started, port, database),) = await session.fetch(IDENTITY, (), PLAIN)
            return _identity(started, port, database)
        return self._identity

    def glance(self, wanted: Mapping[str, str]) -> str | None:
        """See `Glances.glance`."""
        if not self._has_records or not wanted:
            return None
        return GLANCE.format(", ".join(f"'{name} {fingerprint} f'" for name, fingerprint in wanted.items()))

    # --- expressions --------------------------------------------------------------------------------

    def locked(self, statement: Select[Any], table: Table) -> Select[Any]:
        return statement.with_for_update()

    def like_pattern(self, pattern: str) -> str:
        if (len(pattern) - len(pattern.rstrip("\\"))) % 2:
            raise Misfit("the pattern ends with a backslash, which has nothing to escape")
        return pattern

    def like(self, column: ColumnElement[Any], pattern: ColumnElement[Any]) -> ColumnElement[bool]:
        return column.like(pattern)

    def ilike(self, column: ColumnElement[Any], pattern: ColumnElement[Any]) -> ColumnElement[bool]:
        return self._of_all_letters(column).bool_op("ILIKE")(pattern)

    def regex(self, column: ColumnElement[Any], pattern: ColumnElement[Any]) -> ColumnElement[bool]:
        return self._of_all_letters(column).bool_op("~")(pattern)

    def _of_all_letters(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        return column.collate(UNICODE if self._knows_unicode else "default")

    def text_contains(self, column: ColumnElement[Any], part: ColumnElement[Any]) -> ColumnElement[bool]:
        return func.strpos(column, part) > literal_column("0")

    def array_contains(self, column: ColumnElement[Any], items: ColumnElement[Any]) -> ColumnElement[bool]:
        return cast(column, JSONB).bool_op("@>")(cast(items, JSONB))

    def array_equals(self, column: ColumnElement[Any], items: ColumnElement[Any]) -> ColumnElement[bool]:
        return cast(column, Text) == cast(items, Text)

    def json_compare(
        self, column: ColumnElement[Any], path: tuple[str, ...], operator: str, value: ColumnElement[Any], kind: str
    ) -> ColumnElement[bool]:
        found = _at(column, path)
        text: ColumnElement[Any] = found.op("#>>")(literal_column("'{}'"))
        own = text.collate(COLLATION) if kind == "string" else cast(text, self.json_types[kind])
        return case((func.json_typeof(found) == literal_column(f"'{kind}'"), COMPARE[operator](own, value)))

    def json_value(self, value: str | float | bool) -> Any:
        if isinstance(value, str):
            return _without_nul(value)
        return value if isinstance(value, bool) else Decimal(repr(value))

    def json_missing(self, column: ColumnElement[Any], path: tuple[str, ...]) -> ColumnElement[bool]:
        null = literal_column("'null'", Text())
        missing: ColumnElement[bool] = func.coalesce(func.json_typeof(_at(column, path)), null) == null
        return missing

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


def _identity(started: datetime, port: str, database: int) -> str:
    return f"postgres {started} {port} {database}"


def _at(column: ColumnElement[Any], path: tuple[str, ...]) -> ColumnElement[Any]:
    """What lies at a path of objects: JSON, or NULL."""
    found: ColumnElement[Any] = _readable(column)
    for name in path:
        found = found.op("->", return_type=JsonText())(_literal(_without_nul(name)))
    return found


def _readable(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """A json column in which U+0000, at which PostgreSQL's functions stop, stands as `_without_nul` has it."""
    text = cast(column, Text)
    replaced: ColumnElement[Any] = text
    for escape, stand_in in ((r"\\u0001", r"\\u0001\\u0002"), (r"\\u0000", r"\\u0001\\u0001")):
        found = rf"(?<!\\)((?:\\\\)*){escape}"  # but not where the backslash is escaped itself
        replaced = func.regexp_replace(replaced, _literal(found), _literal(rf"\1{stand_in}"), _literal("g"))
    plain = func.strpos(text, _literal(r"\u000")) == literal_column("0")
    return case((plain, column), else_=cast(replaced, JsonText()))


def _without_nul(text: str) -> str:
    """A text that PostgreSQL can hold, different for different ones, and sorted as they are."""
    return text.replace("\1", "\1\2").replace("\0", "\1\1")


def _literal(text: str) -> ColumnElement[str]:
    """A text within a statement, in the one form of quotes that no setting of the server changes."""
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return literal_column(f"E'{escaped}'", Text())


if TYPE_CHECKING:
    _is_an_engine: type[Engine] = PostgresEngine
    _glances: type[Glances] = PostgresEngine
