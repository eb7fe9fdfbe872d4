"""The places of a statement are found once: what stands there is what SQLAlchemy would put there."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from objectkernel_system_dialect.contracts import EntitySchema, Field, StatementRefused, ValueInvalid
from objectkernel_system_dialect.core_statements import CoreStatements
from objectkernel_system_dialect.postgres_types import PostgresCore
from objectkernel_system_dialect.tables import build_table
from sqlalchemy import Dialect, bindparam, func, insert, literal, select, update
from sqlalchemy.dialects.mysql.asyncmy import MySQLDialect_asyncmy
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

SALE = EntitySchema(
    name="Sale",
    collection="sales",
    fields={
        "id": Field("string"),
        "price": Field("decimal", scale=2),
        "at": Field("datetime"),
        "open": Field("boolean"),
        "data": Field("json"),
    },
)
SALES = build_table((SALE,), {"Sale": SALE})
S = SALES.c
LONG = "a_name_of_a_parameter_that_is_longer_than_any_database_allows_its_names_to_be"
DAY = datetime(2026, 1, 2, tzinfo=UTC)
LATEST = select(func.max(S.price)).where(S.id == bindparam("other")).scalar_subquery()

CALLS: list[tuple[Any, dict[str, Any]]] = [
    (select(S.id).where(S.price > bindparam("price")), {"price": Decimal("1.5")}),
    (select(S.id).where(S.id == bindparam("other"), S.price == LATEST), {"other": "é"}),
    (select(S.id).where(S.open == literal(True, S.open.type)).limit(7).offset(1), {}),
    (select(S.id).where(S.price > bindparam("price", Decimal(1), S.price.type)), {}),
    (select(S.id).where(S.price > bindparam("price", Decimal(1), S.price.type)), {"price": Decimal(2)}),
    (select(S.id).where(S.price > bindparam("price", type_=S.price.type, callable_=lambda: Decimal(3))), {}),
    (select(S.id).where(S.id == bindparam(LONG, "x")), {LONG: "y"}),
    (select(S.id).where(S.id == bindparam("id")).params(id="x"), {}),
    (select(S.id).where(S.id == bindparam("id")).params(id="x"), {"id": "y"}),
    (select(S.id).where(S.id == bindparam("%(odd)s")), {"%(odd)s": "y"}),
    (select(S.id).where(S.price.in_(bindparam("prices", expanding=True))), {"prices": [Decimal(1), Decimal(2)]}),
    (
        select(S.id).where(S.price == bindparam("price", type_=S.price.type, literal_execute=True)),
        {"price": Decimal(1)},
    ),
    (insert(SALES), {"id": "a", "price": None, "at": DAY, "open": False, "data": {"a": ["é"]}}),
    (update(SALES).where(S.id == bindparam("this")).values(price=LATEST), {"this": "a", "other": "b", "at": DAY}),
]


@pytest.fixture(params=[SQLiteDialect_pysqlite, PostgresCore, MySQLDialect_asyncmy])
def core(request: pytest.FixtureRequest) -> Dialect:
    """What compiles statements for one kind of database."""
    made: Dialect = request.param(paramstyle="qmark") if request.param is SQLiteDialect_pysqlite else request.param()
    return made


@pytest.mark.parametrize("number", range(len(CALLS)))
def test_values_stand_where_sqlalchemy_puts_them(core: Dialect, number: int) -> None:
    """Text and values are those of SQLAlchemy, whatever a parameter is: given, a default, repeated, a list."""
    statement, params = CALLS[number]
    prepared = CoreStatements(core).prepared(statement, params)
    compiled = statement.compile(dialect=core, column_keys=sorted(params) if prepared.writes else None)
    state = compiled.construct_expanded_state(params, escape_names=False)
    encoders = {**compiled._bind_processors, **state.processors}
    values = [(name, state.parameters[name]) for name in state.positiontup]
    expected = tuple(encoders[name](value) if name in encoders else value for name, value in values)
    for _ in range(2):
        assert prepared.bind(params) == (state.statement, expected)


def test_a_parameter_without_a_value_is_refused(core: Dialect) -> None:
    """Also where others are given, and what nobody knows is refused by its name."""
    statement = select(S.id).where(S.id == bindparam("id"), S.price > bindparam("price", Decimal(1), S.price.type))
    prepared = CoreStatements(core).prepared(statement, None)
    with pytest.raises(StatementRefused, match="no value"):
        prepared.bind({"price": Decimal(2)})
    with pytest.raises(StatementRefused, match="no parameter 'prize'"):
        prepared.bind({"id": "a", "prize": 1})


def test_a_default_that_does_not_fit_is_refused_where_it_counts(core: Dialect) -> None:
    """A default is checked as a value is, and only where none is given in its place."""
    prepared = CoreStatements(core).prepared(select(S.id).where(S.price > bindparam("price", 1.5, S.price.type)), None)
    with pytest.raises(ValueInvalid):
        prepared.bind(None)
    _, values = prepared.bind({"price": Decimal("1.50")})
    assert len(values) == 1
