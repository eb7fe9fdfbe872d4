"""Statements of a caller that some database would run and get wrong: refused on all, so that they mean one thing.

In SQLite a decimal lies as a whole number of its smallest parts, a time as text. So SQL knows what such a value means
only beside one that lies there in the same form: 1.50 * 2 would be 150 * 200.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from sqlalchemy import BinaryExpression, Case, Cast, ClauseElement, ColumnElement
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.sqltypes import NullType, TupleType
from sqlalchemy.types import TypeEngine

from objectkernel_system_dialect.stored import Stored

EXACT: Final = frozenset(
    {
        operators.add,
        operators.sub,
        operators.eq,
        operators.ne,
        operators.lt,
        operators.le,
        operators.gt,
        operators.ge,
        operators.in_op,
        operators.not_in_op,
        operators.between_op,
        operators.not_between_op,
        operators.is_,
        operators.is_not,
        operators.is_distinct_from,
        operators.is_not_distinct_from,
    }
)
"""Operators that mean the same for decimals of one scale and for the whole numbers that stand for them."""


def misunderstood(statement: ClauseElement) -> str | None:
    """Why the database would get a part of `statement` wrong, as a clause; None where it would not."""
    return next(filter(None, map(_problem, visitors.iterate(statement))), None)


def _problem(element: Any) -> str | None:
    match element:
        case BinaryExpression(left=left, right=right):
            if element.operator not in EXACT:
                return "it calculates with a decimal other than by + and -" if _any_decimal((left, right)) else None
            return None if _alike((left, right)) else "it mixes a decimal or a time with a value of another type"
        case Case():
            results = [result for _, result in element.whens] + ([] if element.else_ is None else [element.else_])
            return None if _alike(results) else "a CASE gives a decimal or a time in one branch and not in another"
        case Cast():
            return "it casts a decimal" if _any_decimal((element.clause,)) else None
        case FunctionElement():
            arguments = list(element.clauses)
            if _form(element.type) is not None:
                return None if _alike(arguments) else f"{element.name}() mixes a decimal or a time with another type"
            if _any_decimal(arguments) and element.name != "count":
                return f"{element.name}() of a decimal would be that of its stored form"
    return None


def _alike(elements: Iterable[ColumnElement[Any]]) -> bool:
    types = [element.type for element in elements if not isinstance(element.type, NullType)]
    return len({_form(type) for type in types}) < 2


def _any_decimal(elements: Iterable[ColumnElement[Any]]) -> bool:
    return any(form[0] == "decimal" for element in elements for form in _forms(element.type))


def _forms(type: TypeEngine[Any]) -> Iterator[tuple[Any, ...]]:
    for part in type.types if isinstance(type, TupleType) else (type,):
        if isinstance(part, Stored) and part.kind in ("decimal", "datetime"):
            yield part.kind, part.scale


def _form(type: TypeEngine[Any]) -> tuple[tuple[Any, ...], ...] | None:
    """In which form values of a type lie in the database, if that is not their own."""
    return tuple(_forms(type)) or None
