"""A caller's own SQLAlchemy Core statements: compiled once for each object, values and rows typed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Dialect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import Integer, NullType, TypeEngine

from objectkernel_system_dialect.core_checks import misunderstood
from objectkernel_system_dialect.errors import StatementRefused
from objectkernel_system_dialect.executor import Fetched
from objectkernel_system_dialect.rows import UNDECODABLE, damaged
from objectkernel_system_dialect.stored import Convert
from objectkernel_system_dialect.values import Misfit, misfit

CACHE_LIMIT: Final = 256
BUILD: Final = "build it with select(), insert(), update() or delete() and give each parameter by its name"


class CoreStatement:
    """One compiled statement of a caller.

    Attributes:
        writes: whether it changes rows.
        varies: whether its text depends on the values, as that of a list does.
        trusting: whether it refuses no row that the database can hold: where it has none to give.
    """

    def __init__(self, statement: Any, compiled: SQLCompiler, *, writes: bool) -> None:
        dialect = compiled.dialect
        self.writes = writes
        self.varies = bool(compiled.post_compile_params or compiled.literal_execute_params)
        self._compiled = compiled
        self._encoders = {
            name: processor
            for name, bind in compiled.binds.items()
            if (processor := bind.type.dialect_impl(dialect).bind_processor(dialect)) is not None
        }
        self.trusting = not statement.exported_columns
        self._decoders = [_decoder(column.type, dialect) for column in statement.exported_columns]

    def bind(self, params: Mapping[str, Any] | None) -> tuple[str, tuple[Any, ...]]:
        """The text to run, in which a list has as many places as it has values, and the values in order.

        Raises:
            StatementRefused: a parameter is missing or unknown.
            ValueInvalid: a value does not fit the column that it stands against.
        """
        for name in params or ():
            if name not in self._compiled.binds:
                raise refused(f"it has no parameter {name!r}")
        try:
            state = self._compiled.construct_expanded_state(dict(params or {}))
        except SQLAlchemyError:
            raise refused("a parameter has no value") from None
        encoders = {**self._encoders, **state.processors} if state.processors else self._encoders
        values = []
        for name in state.positiontup or ():
            value = state.parameters[name]
            try:
                values.append(encode(value) if (encode := encoders.get(name)) is not None else value)
            except Misfit as why:
                raise misfit("statement", name, value, str(why)) from None
            except (ArithmeticError, AttributeError, TypeError, ValueError):  # from SQLAlchemy's own types
                raise misfit("statement", name, value, "its type does not take it") from None
        return state.statement, tuple(values)

    def rows(self, fetched: Iterable[Fetched], names: Sequence[str]) -> list[dict[str, Any]]:
        """The rows by column name, typed by the columns that they come from.

        Raises:
            RowDamaged: a row has a value that its column cannot have.
        """
        return [self._row(names, row) for row in fetched]

    def _row(self, names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
        row = dict(zip(names, values, strict=True))
        name = ""
        try:
            for name, value, decode in zip(names, values, self._decoders, strict=True):
                if decode is not None:
                    row[name] = decode(value)
        except UNDECODABLE as error:
            raise damaged("", name, None) from error
        return row


class CoreStatements:
    """Compiled statements by statement object: what is built once is compiled once."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._cache: dict[tuple[Executable, tuple[str, ...]], CoreStatement] = {}

    def prepared(self, statement: Any, params: Mapping[str, Any] | None) -> CoreStatement:
        """The compiled form of a statement.

        Raises:
            StatementRefused: it is no query, insert, update or delete of Core, or cannot be compiled.
        """
        writes = bool(getattr(statement, "is_dml", False))
        if getattr(statement, "is_text", False) or not (writes or getattr(statement, "is_select", False)):
            raise refused(f"{type(statement).__name__} is no query, insert, update or delete of SQLAlchemy Core")
        set_columns = tuple(sorted(params)) if writes and params else ()
        known = self._cache.get((statement, set_columns))
        if known is None:
            known = CoreStatement(statement, self._compiled(statement, set_columns), writes=writes)
            if len(self._cache) >= CACHE_LIMIT:
                del self._cache[next(iter(self._cache))]
            self._cache[statement, set_columns] = known
        return known

    def _compiled(self, statement: Any, set_columns: tuple[str, ...]) -> SQLCompiler:
        if getattr(statement, "is_insert", False):
            statement = statement.inline()  # which returns what it says, and no key of SQLAlchemy's own accord
        try:
            compiled: SQLCompiler = statement.compile(dialect=self._dialect, column_keys=set_columns or None)
        except SQLAlchemyError as error:
            raise refused("it cannot be compiled for this database; the cause says why") from error
        if problem := misunderstood(statement):
            raise refused(problem, "give values of the column's type as parameters, and calculate in Python")
        return compiled


def _decoder(type: TypeEngine[Any], dialect: Dialect) -> Convert | None:
    if isinstance(type, NullType):
        return _untyped
    decoder = type.dialect_impl(dialect).result_processor(dialect, None)
    return _whole if decoder is None and isinstance(type, Integer) else decoder


def _whole(value: Any) -> Any:
    """An integer, which comes as a decimal where its sum might have been too large for one."""
    return int(value) if isinstance(value, Decimal) else value


def _untyped(value: Any) -> Any:
    """What an expression of no known type gave, such as an average: a float, as in a database without decimals."""
    return float(value) if isinstance(value, Decimal) else value


def refused(why: str, fix: str = BUILD) -> StatementRefused:
    """The error for a statement that `Dialect.execute` does not run."""
    return StatementRefused(
        "the statement cannot be run",
        why=why,
        fix=fix,
    )
