"""A caller's own SQLAlchemy Core statements: compiled once for each object, values and rows typed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache, partial
from typing import Any, Final

import attrs
from sqlalchemy import Dialect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import Integer, NullType, TypeEngine

from objectkernel_system_dialect.core_checks import misunderstood
from objectkernel_system_dialect.errors import StatementRefused, ValueInvalid
from objectkernel_system_dialect.executor import Fetched
from objectkernel_system_dialect.rows import UNDECODABLE, damaged
from objectkernel_system_dialect.stored import Convert, Stored
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
            name: bind.type.dialect_impl(dialect).bind_processor(dialect)
            for name, bind in compiled.binds.items()
            if not (bind.unique and name == bind.key)  # a key that nobody can know
        }
        self._fixed = None if self.varies else _fixed(compiled, self._encoders)
        self.trusting = not statement.exported_columns
        self._columns = [_column(column.type, dialect) for column in statement.exported_columns]
        self._decoders = lru_cache(maxsize=256)(self._decoders_of)

    def bind(self, params: Mapping[str, Any] | None) -> tuple[str, tuple[Any, ...]]:
        """The text to run, in which a list has as many places as it has values, and the values in order.

        Raises:
            StatementRefused: a parameter is missing or unknown.
            ValueInvalid: a value does not fit the column that it stands against.
        """
        given: Mapping[str, Any] = {} if params is None else params
        fixed = self._fixed
        if fixed is None or given.keys() != fixed.required:
            if not given.keys() <= self._encoders.keys():
                unknown = next(name for name in given if name not in self._encoders)
                raise refused(f"it has no parameter {unknown!r}")
            if fixed is None or not given.keys() >= fixed.required:
                return self._bind_expanded(given)
        values = fixed.constants.copy()
        _encode(self._encoders, given, values)
        return fixed.text, tuple([values[name] for name in fixed.places])

    def _bind_expanded(self, given: Mapping[str, Any]) -> tuple[str, tuple[Any, ...]]:
        """As `bind`, with the text and the places that SQLAlchemy makes for these values."""
        try:
            state = self._compiled.construct_expanded_state(dict(given), escape_names=False)
        except SQLAlchemyError:
            raise refused("a parameter has no value") from None
        encoders = {**self._encoders, **state.processors} if state.processors else self._encoders
        values: dict[str, Any] = {}
        places = state.positiontup or ()
        _encode(
            {name: encoders.get(name) for name in places}, {name: state.parameters[name] for name in places}, values
        )
        return state.statement, tuple([values[name] for name in places])

    def rows(self, fetched: Iterable[Fetched], names: Sequence[str]) -> list[dict[str, Any]]:
        """The rows by column name, typed by the columns that they come from.

        Raises:
            RowDamaged: a row has a value that its column cannot have.
        """
        rows: list[dict[str, Any]] = []
        for values in fetched:
            row, name = dict(zip(names, values, strict=True)), ""
            try:
                for position, decode in self._decoders(tuple(map(type, values))):
                    name = names[position]
                    row[name] = decode(values[position])
            except UNDECODABLE as error:
                raise damaged("", name, None) from error
            rows.append(row)
        return rows

    def _decoders_of(self, types: tuple[type, ...]) -> tuple[tuple[int, Convert], ...]:
        """What has to be called on the values of a row that are of these types: the same for most rows."""
        return tuple(
            (position, decode)
            for position, ((decode, reads_as_it_is), type) in enumerate(zip(self._columns, types, strict=True))
            if decode is not None and not reads_as_it_is(type)
        )


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


@attrs.frozen
class _Fixed:
    """A statement whose text is the same whatever the values are.

    Attributes:
        places: the name of the parameter that stands at each.
        required: the parameters that have to be given.
        constants: the values of the others, encoded.
    """

    text: str
    places: tuple[str, ...]
    required: frozenset[str]
    constants: dict[str, Any]


def _fixed(compiled: SQLCompiler, encoders: Mapping[str, Convert | None]) -> _Fixed | None:
    """What is the same for all values, found once; None where SQLAlchemy has to find it each time."""
    binds = {name: bind for bind, name in compiled.bind_names.items()}
    if compiled.escaped_bind_names or any(
        bind.callable is not None or (bind.key != name and not bind.unique) for name, bind in binds.items()
    ):
        return None
    state = compiled.construct_expanded_state(dict.fromkeys(binds))
    given = compiled.params
    required = frozenset(name for name, bind in binds.items() if bind.required)
    constants: dict[str, Any] = {}
    try:
        _encode(encoders, {name: given[name] for name in binds if name not in required}, constants)
    except ValueInvalid:  # of a value that is only there to be replaced, perhaps
        return None
    return _Fixed(state.statement, tuple(state.positiontup or ()), required, constants)


def _encode(encoders: Mapping[str, Convert | None], given: Mapping[str, Any], values: dict[str, Any]) -> None:
    """Put the values that are given among those that the driver takes, as it takes them."""
    name, value = "", None
    try:
        for name, value in given.items():
            encode = encoders[name]
            values[name] = value if encode is None else encode(value)
    except Misfit as why:
        raise misfit("statement", name, value, str(why)) from None
    except (ArithmeticError, AttributeError, TypeError, ValueError):  # from SQLAlchemy's own types
        raise misfit("statement", name, value, "its type does not take it") from None


def _column(type: TypeEngine[Any], dialect: Dialect) -> tuple[Convert | None, Callable[[type], bool]]:
    """What reads the values of a column, and which of them it would give back as they are, by their type."""
    impl = type.dialect_impl(dialect)
    if isinstance(impl, Stored):
        return impl.result_processor(dialect, None), partial(impl.reads_as_it_is, dialect)
    return _decoder(type, dialect), _is_none_of_them


def _is_none_of_them(_type: type) -> bool:
    return False


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
