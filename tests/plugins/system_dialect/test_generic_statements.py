"""The statements that are written for databases which only SQLAlchemy knows: nobody connects to one."""

from __future__ import annotations

import re
from typing import Any

import pytest
from objectkernel_system_dialect.aggregates import build
from objectkernel_system_dialect.conditions import Conditions
from objectkernel_system_dialect.contracts import EntitySchema, Field, Relation
from objectkernel_system_dialect.entity import Entity
from objectkernel_system_dialect.filters import ALWAYS
from objectkernel_system_dialect.generic_engine import GenericEngine
from objectkernel_system_dialect.pipelines import read_pipeline
from objectkernel_system_dialect.registered import Registered
from objectkernel_system_dialect.statements import Statements
from sqlalchemy import URL

WHOLE = EntitySchema(
    name="Whole",
    collection="wholes",
    fields={
        "name": Field("string", length=20),
        "size": Field("integer", default=0, required=True),
        "open": Field("boolean"),
        "labels": Field("array"),
        "serial": Field("sequence"),
    },
    relations={"friends": Relation("Whole", kind="many-to-many"), "chief": Relation("Whole")},
)
FILTER = {
    "name": {"$not": {"$like": "a%"}},
    "$nor": [{"size": {"$in": [1, 2, None]}}, {"chief.name": {"$contains": "x"}}],
    "labels": {"$ne": ["a"]},
    "open": {"$ne": True},
    "friends.size": {"$gt": 3},
}


def statements_of(name: str) -> tuple[Entity, Statements, Conditions]:
    """The statements for a database that nobody connects to."""
    core = URL.create({"duckdb": "postgresql"}.get(name, name)).get_dialect()(paramstyle="qmark")
    core.name = name
    core._supports_offset_fetch = True  # of SQL Server, in every version since 2012
    executor: Any = type("Unconnected", (), {"engine": type("Unconnected", (), {"dialect": core})})
    engine = GenericEngine(executor, "nowhere")
    registered = Registered(engine)
    draft = registered.draft((WHOLE,))
    assert draft is not None
    registered.keep(draft)
    entity, statements = registered.known(WHOLE)
    return entity, statements, Conditions(engine, registered)


@pytest.mark.parametrize("name", ["oracle", "mssql", "duckdb"])
def test_statements_for_other_databases(name: str) -> None:
    """Every statement can be written, without conditions as values, rows as values and limits without an order."""
    entity, statements, conditions = statements_of(name)
    condition, values, _ = entity.where(FILTER, None)
    sort, key = (("size", 1), ("id", 1)), entity.this("a", None)[0]
    pipeline = read_pipeline(
        entity,
        [
            {"$match": FILTER},
            {"$group": {"_id": "$name", "n": {"$sum": "$size"}, "m": {"$avg": "$size"}, "o": {"$max": "$open"}}},
            {"$match": {"n": {"$gt": 1}}},
            {"$limit": 3},
        ],
        regex=False,
    )
    written = [
        statements.find(entity.names, condition, sort=sort, after=(True, True), limit=True),
        statements.find(entity.names, condition, limit=True, skip=True),
        statements.find(entity.names, key, lock=True),
        statements.find_by_id,
        statements.find(entity.names, entity.where({"size": {"$in": []}}, None)[0]),
        statements.count(condition),
        statements.exists(condition),
        statements.distinct("name", condition),
        statements.linked("friends", 4, ALWAYS),
        statements.update(("name",), condition, add="size"),
        statements.delete(condition),
        statements.prepared("groups", lambda: build(entity, conditions, condition, pipeline.pipeline)),
    ]
    assert set(written[5].order) == set(range(len(values)))
    texts = [*(one.sql for one in written), statements.create.sql, statements.link("friends").sql]
    for text in map(str.lower, texts):
        flat = " ".join(text.split())
        assert "not coalesce(" not in flat and ") > (" not in flat
        assert not re.search(r"\b(true|false)\b", flat) or name == "duckdb"
        assert ("for update" in flat) == (name == "oracle" and text == written[2].sql.lower())
    if name == "mssql":
        assert "UPDLOCK" in written[2].sql
        for text in texts:
            assert text.count("OFFSET") + text.count("TOP ") == text.count("FETCH FIRST") <= text.count("ORDER BY")
