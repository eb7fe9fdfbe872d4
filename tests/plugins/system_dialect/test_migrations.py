"""Data migrations: run once, in order, where their tables are; recorded; resumed; and refused by older code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest
from objectkernel_system_dialect import schema_changes
from objectkernel_system_dialect.contracts import (
    EntitySchema,
    Field,
    Migration,
    MigrationFailed,
    Relation,
    SchemaInvalid,
    SchemaNewer,
    SchemaOutdated,
)
from objectkernel_system_dialect.migration_runs import MigrationStep
from sqlalchemy import Connection, func, insert, select, update

from tests.plugins.system_dialect.schema_places import (
    Place,
    mariadb_database,
    mariadb_url,
    place,
    postgres_database,
    postgres_url,
    tables_of,
)

__all__ = ["mariadb_database", "mariadb_url", "place", "postgres_database", "postgres_url"]

OWNER = EntitySchema(name="Owner", collection="owners", fields={"name": Field("string", unique=True)})
ITEM = EntitySchema(
    name="Item",
    collection="items",
    fields={"price": Field("decimal", precision=8, scale=2), "number": Field("sequence")},
    relations={"owner": Relation("Owner", on_delete="cascade")},
)
THING = attrs.evolve(
    ITEM,
    name="Thing",
    collection="things",
    fields={
        "cost": Field("decimal", precision=8, scale=2),
        "number": Field("sequence"),
        "label": Field("string", required=True, default=""),
    },
)
PERSON = attrs.evolve(OWNER, fields={"full_name": Field("string", unique=True)})


def renames(step: MigrationStep) -> None:
    step.rename_collection("items", "things")
    step.rename_field("things", "price", "cost")
    step.rename_field("owners", "name", "full_name")


def labels(step: MigrationStep) -> None:
    things = step.table("things")
    step.connection.execute(update(things).values(label="thing of " + things.c.owner))


RENAMES = Migration(
    "shop", 1, "items are things now", renames, when="before", collections=("items", "things", "owners")
)
LABELS = Migration("shop", 2, "things have labels", labels, collections="things")


def filled(place: Place) -> Place:
    place.up(OWNER, ITEM)
    place.sql(
        "INSERT INTO owners (id, name) VALUES ('ada', 'Ada')",
        "INSERT INTO items (id, owner) VALUES ('pen', 'ada')",
    )
    return place


def ran(place: Place) -> list[tuple[str, int]]:
    return [(one.plugin, one.number) for one in place.do(schema_changes.State.read).ran]


def counting(times: list[int], number: int = 1, then: Callable[[MigrationStep], Any] | None = None) -> Migration:
    """A migration that counts its runs."""

    def apply(step: MigrationStep) -> None:
        times.append(number)
        if then is not None:
            then(step)

    return Migration("shop", number, "count", apply, collections="items")


def test_tables_and_fields_are_renamed_and_filled(place: Place) -> None:
    """Names change before the tables are brought up, values behind it; nothing is lost, and nothing is left to do."""
    filled(place)
    place.up(PERSON, THING, migrations=[LABELS, RENAMES])
    assert place.sql("SELECT id, number, owner, label FROM things") == [("pen", 1, "ada", "thing of ada")]
    assert place.sql("SELECT full_name FROM owners") == [("Ada",)]
    assert ran(place) == [("shop", 1), ("shop", 2)]
    assert place.plan(PERSON, THING).steps == ()
    place.up(PERSON, THING, migrations=[LABELS, RENAMES])
    place.sql("DELETE FROM owners")
    assert place.sql("SELECT * FROM things") == []


def test_json_is_text_and_stored_values_are_typed(place: Place) -> None:
    """A table found there gives and takes arrays and json as text, on every database; a schema's gives the values."""
    noted = EntitySchema(name="Noted", collection="noted", fields={"tags": Field("array"), "data": Field("json")})
    (table,) = tables_of([noted])
    seen: list[Any] = []

    def apply(step: MigrationStep) -> None:
        found = step.table("noted")
        step.connection.execute(insert(found).values(id="new", tags='["b"]', data='{"n":1.0}'))
        step.connection.execute(insert(found).values(id="none"))
        seen.extend(tuple(row) for row in step.connection.execute(select(found).order_by(found.c.id)))
        seen.extend(tuple(row) for row in step.connection.execute(select(table).order_by(table.c.id)))

    place.up(noted)
    place.do(lambda core: core.execute(insert(table).values(id="given", tags=["a"], data={"n": [None]})) and None)
    place.up(noted, migrations=[Migration("shop", 1, "look", apply, collections="noted")])
    assert seen == [
        ("given", '["a"]', '{"n":[null]}'),
        ("new", '["b"]', '{"n":1.0}'),
        ("none", None, None),
        ("given", ["a"], {"n": [None]}),
        ("new", ["b"], {"n": 1.0}),
        ("none", None, None),
    ]


def test_a_renamed_decimal_keeps_its_scale(place: Place) -> None:
    """What the database remembers of a column moves with its name."""
    from decimal import Decimal

    filled(place)
    item = tables_of([OWNER, ITEM])[1]
    place.do(lambda core: core.execute(update(item).values(price=Decimal("12.50"))) and None)
    finer = attrs.evolve(THING, fields={"cost": Field("decimal", precision=12, scale=4), "number": Field("sequence")})
    place.up(PERSON, finer, migrations=[RENAMES])
    thing = tables_of([PERSON, finer])[1]
    assert place.do(lambda core: core.execute(thing.select()).one()).cost == Decimal("12.5000")


def test_a_fresh_database_runs_none(place: Place) -> None:
    """Its tables are made as the schemas say; the migrations count as run, also at the next start."""
    times: list[int] = []
    migrations = [counting(times), counting(times, 2)]
    place.up(OWNER, ITEM, migrations=migrations)
    place.up(OWNER, ITEM, migrations=migrations)
    assert times == []
    assert ran(place) == [("shop", 1), ("shop", 2)]


def test_migrations_wait_for_their_tables(place: Place) -> None:
    """One that works on no registered table is another database's, or a later registration's."""
    times: list[int] = []
    filled(place)
    place.up(OWNER, migrations=[counting(times)])
    assert (times, ran(place)) == ([], [])
    place.up(OWNER, ITEM, migrations=[counting(times)])
    assert (times, ran(place)) == ([1], [("shop", 1)])


def test_each_runs_once_and_in_order(place: Place) -> None:
    """A later version brings more of them; those behind the database are not run again."""
    times: list[int] = []
    filled(place)
    place.up(OWNER, ITEM, migrations=[counting(times, 2), counting(times)])
    place.up(OWNER, ITEM, migrations=[counting(times, 3), counting(times, 2), counting(times)])
    assert times == [1, 2, 3]


def test_a_failed_one_is_told_and_resumed(place: Place) -> None:
    """Its own words are kept out of the error; what ran before it is not lost or is run again; nothing is half done."""
    times: list[int] = []
    filled(place)

    def fail(step: MigrationStep) -> None:
        items = step.table("items")
        step.connection.execute(update(items).values(owner=None))
        raise ValueError("password=hunter2")

    with pytest.raises(MigrationFailed) as caught:
        place.up(OWNER, ITEM, migrations=[counting(times), counting(times, 2, fail)])
    assert caught.value.facts == {"plugin": "shop", "number": 2}
    assert "ValueError" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert caught.value.where == f"{__file__}:{fail.__code__.co_firstlineno + 3}"
    assert place.sql("SELECT owner FROM items") == [("ada",)]
    place.up(OWNER, ITEM, migrations=[counting(times), counting(times, 2)])
    assert times == ([1, 2, 2] if place.kind == "mariadb" else [1, 2, 1, 2])
    assert ran(place) == [("shop", 1), ("shop", 2)]


def test_a_table_that_is_not_there_is_named(place: Place) -> None:
    """With the line of the migration that asked for it, and the name that was meant."""
    filled(place)

    def mistyped(step: MigrationStep) -> None:
        step.table("item")

    with pytest.raises(MigrationFailed) as caught:
        place.up(OWNER, ITEM, migrations=[counting([], 1, mistyped)])
    assert caught.value.where == f"{__file__}:{mistyped.__code__.co_firstlineno + 1}"
    assert "no table 'item'" in str(caught.value)
    assert "did you mean 'items'?" in caught.value.fix


def test_a_drivers_words_are_no_cause(place: Place) -> None:
    """An error of the database tells statement and values; it goes no further."""
    filled(place)

    def fail(step: MigrationStep) -> None:
        step.connection.execute(update(step.table("owners")).values(id=func.no_such_function("hunter2")))

    with pytest.raises(MigrationFailed) as caught:
        place.up(OWNER, ITEM, migrations=[counting([], 1, fail)])
    assert caught.value.__cause__ is None
    assert "hunter2" not in str(caught.value)


def test_a_database_newer_than_the_code_is_refused(place: Place) -> None:
    """Code that does not know what was done to its tables does not touch them, whatever the strategy."""
    filled(place)
    place.up(OWNER, ITEM, migrations=[counting([]), counting([], 2)])
    for strategy in ("update", "validate", "create"):
        with pytest.raises(SchemaNewer) as caught:
            place.up(OWNER, ITEM, strategy=strategy, migrations=[counting([])])
        assert caught.value.facts["migrations"] == (("shop", 2),)
    place.up(OWNER)


def test_a_plugin_that_was_removed_stops_nothing(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """What its migrations did is done, and the log names it: that nobody has them now may not be what was meant."""
    times: list[int] = []
    filled(place)
    place.up(OWNER, ITEM, migrations=[attrs.evolve(counting([]), plugin="removed"), counting(times)])
    assert "none in this host" not in caplog.text
    place.up(OWNER, ITEM, migrations=[counting(times)])
    assert caplog.text.count("migrations of removed behind it, which has none in this host") == 1
    place.up(OWNER, ITEM, strategy="validate")
    assert times == [1]
    assert ran(place) == [("removed", 1), ("shop", 1)]


def test_what_waits_is_a_difference_to_a_strategy_that_changes_nothing(place: Place) -> None:
    """`validate` and `create` name the migration and do not run it."""
    times: list[int] = []
    filled(place)
    for strategy in ("validate", "create"):
        with pytest.raises(SchemaOutdated) as caught:
            place.up(OWNER, ITEM, strategy=strategy, migrations=[counting(times)])
        assert caught.value.facts["differences"] == ("run migration 1 of shop: count",)
    assert times == []


def test_a_number_is_given_once(place: Place) -> None:
    """Two of one number have no order."""
    with pytest.raises(SchemaInvalid, match="two migrations of the number 1"):
        place.up(OWNER, ITEM, migrations=[counting([]), counting([])])


def test_a_rename_that_was_done_is_done(place: Place) -> None:
    """A migration runs again over its own work: what has its new name already, and what is not there, is left."""
    filled(place)

    def twice(core: Connection) -> None:
        for _ in range(2):
            renames(MigrationStep(core))

    place.do(twice)
    assert place.sql("SELECT id FROM things") == [("pen",)]
    assert place.sql("SELECT full_name FROM owners") == [("Ada",)]


def test_a_renamed_sequence_goes_on_counting(place: Place) -> None:
    """What the database does for a column it does under the new name too."""
    filled(place)
    numbered = attrs.evolve(ITEM, fields={"price": ITEM.fields["price"], "position": Field("sequence")})
    renaming = Migration(
        "shop", 1, "name", lambda step: step.rename_field("items", "number", "position"), collections="items"
    )
    place.up(OWNER, numbered, migrations=[attrs.evolve(renaming, when="before")])
    place.sql("INSERT INTO items (id) VALUES ('next')")
    assert place.sql("SELECT position FROM items ORDER BY position") == [(1,), (2,)]


def test_a_table_may_get_the_name_of_one_that_is_gone(place: Place) -> None:
    """What the database remembers of a table that somebody has dropped is in nobody's way."""
    filled(place)
    place.up(OWNER, attrs.evolve(THING, name="Thing"))
    place.sql("DROP TABLE things")
    place.up(PERSON, THING, migrations=[LABELS, RENAMES])
    assert place.sql("SELECT id, label FROM things") == [("pen", "thing of ada")]


def test_a_start_that_was_killed_runs_none_on_new_tables(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a kill leaves new tables behind, as on MariaDB, their migrations count as run already."""
    make = schema_changes._make

    def killed(*arguments: Any) -> None:
        make(*arguments)
        raise KeyboardInterrupt

    times: list[int] = []
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(schema_changes, "_make", killed)
        place.up(OWNER, ITEM, migrations=[counting(times)])
    place.up(OWNER, ITEM, migrations=[counting(times)])
    assert (times, ran(place)) == ([], [("shop", 1)])


async def awaited(_: MigrationStep) -> None: ...


@pytest.mark.parametrize(
    "wrong",
    [{"number": 0}, {"collections": ()}, {"when": "later"}, {"apply": awaited}],
    ids=["number", "collections", "when", "apply"],
)
def test_a_migration_that_cannot_be_meant_is_refused(wrong: dict[str, Any]) -> None:
    """Numbers begin at 1, a migration works on something, before or after, and by a function that nobody awaits."""
    parts = {"number": 1, "collections": "items", "when": "after", "apply": lambda step: None} | wrong
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Migration("shop", summary="none", **parts)
