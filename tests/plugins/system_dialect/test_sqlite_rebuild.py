"""SQLite tables that are made anew: rows, numbers, indexes, triggers and what leads to them stay as they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
from objectkernel_system_dialect import schema_plan
from objectkernel_system_dialect.contracts import EntitySchema, Field, Relation

from tests.plugins.system_dialect.schema_places import Place

PERSON = EntitySchema(
    name="Person",
    collection="people",
    fields={"name": Field("string", required=True), "number": Field("sequence"), "nick": Field("string")},
    relations={"boss": Relation("Person", on_delete="set-null")},
)
DESK = EntitySchema(
    name="Desk", collection="desks", fields={}, relations={"owner": Relation("Person", on_delete="cascade")}
)
RELAXED = attrs.evolve(PERSON, fields={"name": Field("string"), "number": Field("sequence")})


@pytest.fixture
def office(tmp_path: Path) -> Place:
    """Two people, of whom one leads the other, and a desk; a third person was the last to get a number."""
    place = Place("sqlite", str(tmp_path / "office.db"))
    place.up(PERSON, DESK)
    place.sql(
        "INSERT INTO people (id, name, nick) VALUES ('ada', 'Ada', 'countess')",
        "INSERT INTO people (id, name, boss) VALUES ('bob', 'Bob', 'ada'), ('eve', 'Eve', NULL)",
        "DELETE FROM people WHERE id = 'eve'",
        "INSERT INTO desks (id, owner) VALUES ('oak', 'bob')",
    )
    return place


def test_rows_that_lead_to_it_stay(office: Place) -> None:
    """Dropping the old table deletes nothing elsewhere, and relations to it and within it hold afterwards."""
    office.up(RELAXED, DESK)
    assert office.sql("SELECT id, owner FROM desks") == [("oak", "bob")]
    assert office.sql("PRAGMA foreign_key_check") == []
    office.sql("DELETE FROM people WHERE id = 'ada'")
    assert office.sql("SELECT id, boss FROM people") == [("bob", None)]
    office.sql("DELETE FROM people WHERE id = 'bob'")
    assert office.sql("SELECT * FROM desks") == []


def test_a_number_is_never_given_twice(office: Place) -> None:
    """Not even that of a row which was deleted before."""
    office.up(RELAXED, DESK)
    office.sql("INSERT INTO people (id) VALUES ('zoe')")
    assert office.sql("SELECT id, number FROM people ORDER BY number") == [("ada", 1), ("bob", 2), ("zoe", 4)]


def test_indexes_triggers_views_and_checks_of_others_stay(office: Place, tmp_path: Path) -> None:
    """What people have added to a table is there behind the change, and works."""
    office.sql(
        "CREATE INDEX by_name ON people (name COLLATE NOCASE DESC) WHERE name <> ''",
        "CREATE TABLE log (line TEXT)",
        "CREATE TRIGGER told AFTER INSERT ON people BEGIN INSERT INTO log VALUES ('new: ' || new.id); END",
        "CREATE VIEW bosses AS SELECT id FROM people WHERE id IN (SELECT boss FROM people)",
    )
    kept = "SELECT sql FROM sqlite_schema WHERE name IN ('by_name', 'told', 'bosses') ORDER BY name"
    before = office.sql(kept)
    office.up(RELAXED, DESK)
    assert office.sql(kept) == before
    office.sql("INSERT INTO people (id) VALUES ('zoe')")
    assert office.sql("SELECT line FROM log") == [("new: zoe",)]
    assert office.sql("SELECT id FROM bosses") == [("ada",)]


def test_constraints_of_others_stay(tmp_path: Path) -> None:
    """Unique keys, checks and foreign keys that the table was made with by somebody else hold afterwards."""
    place = Place("sqlite", str(tmp_path / "old.db"))
    place.sql(
        "CREATE TABLE rooms (id TEXT PRIMARY KEY)",
        "CREATE TABLE people (id VARCHAR(36) NOT NULL PRIMARY KEY, name VARCHAR(255) NOT NULL UNIQUE, "
        "age INTEGER CHECK (age > 0), room TEXT REFERENCES rooms (id) ON DELETE CASCADE)",
        "INSERT INTO rooms VALUES ('r')",
        "INSERT INTO people VALUES ('ada', 'Ada', 36, 'r')",
    )
    person = EntitySchema(name="Person", collection="people", fields={"name": Field("string"), "age": Field("integer")})
    place.up(person)
    for wrong in ("('a', 'Ada', 1, NULL)", "('a', 'b', 0, NULL)", "('a', 'b', 1, 'none')"):
        with pytest.raises(Exception, match="constraint failed"):
            place.sql(f"INSERT INTO people (id, name, age, room) VALUES {wrong}")
    place.sql("INSERT INTO people (id) VALUES ('bob')", "DELETE FROM rooms")
    assert place.sql("SELECT id FROM people") == [("bob",)]


def test_a_column_goes_with_what_is_over_it(office: Place) -> None:
    """Its indexes and keys cannot stay; the others do."""
    office.sql("CREATE INDEX by_nick ON people (nick)", "CREATE INDEX by_name ON people (name)")
    office.apply(RELAXED, DESK, destructive=True)
    names = {name for (name,) in office.sql("SELECT name FROM sqlite_schema WHERE type = 'index'")}
    assert "by_name" in names
    assert "by_nick" not in names
    assert office.plan(RELAXED, DESK).steps == ()


def test_a_plan_that_fails_changes_nothing(office: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps before the failing one are undone with it."""
    before = office.sql("SELECT sql FROM sqlite_schema ORDER BY name")
    invoke = schema_plan.Operations.invoke

    def failing(operations: Any, operation: Any) -> Any:
        if "RENAME" in str(getattr(operation, "sqltext", "")):
            raise RuntimeError("the power is gone")
        return invoke(operations, operation)

    monkeypatch.setattr(schema_plan.Operations, "invoke", failing)
    with pytest.raises(RuntimeError):
        office.up(RELAXED, attrs.evolve(DESK, fields={"size": Field("integer")}))
    assert office.sql("SELECT sql FROM sqlite_schema ORDER BY name") == before
    assert office.sql("SELECT count(*) FROM people") == [(2,)]
