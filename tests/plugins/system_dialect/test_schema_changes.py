"""Strategies: what each does to a database, on every kind of it, with rows in it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import pytest
from objectkernel_system_dialect import schema_changes, schema_differences, sqlite_jobs
from objectkernel_system_dialect.contracts import (
    Discriminator,
    EntitySchema,
    Field,
    Index,
    Relation,
    SchemaForeign,
    SchemaOutdated,
)
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

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

TYPES = ("text", "integer", "number", "decimal", "boolean", "datetime", "json", "uuid", "binary", "array", "sequence")
EVERYTHING = EntitySchema(
    name="Everything",
    collection="everythings",
    fields={
        **{f"a_{kind}": Field(kind) for kind in TYPES},  # type: ignore[arg-type]
        "a_string": Field("string", length=40, unique=True),
        "an_enum": Field("enum", enum=("one", "three"), default="one"),
    },
    relations={
        "self": Relation("Everything", on_delete="set-null"),
        "ring": Relation("Ring", kind="one-to-one"),
        "rings": Relation("Ring", kind="many-to-many"),
    },
    indexes=(Index({"a_string": -1, "a_uuid": 1}), Index(("a_boolean", "a_decimal"), unique=True)),
    timestamps=True,
    soft_delete=True,
    version=True,
)
RING = EntitySchema(
    name="Ring",
    collection="rings",
    fields={"code": Field("string"), "size": Field("integer", required=True)},
    relations={"everything": Relation("Everything", on_delete="cascade")},
    key=("code",),
)
USER = EntitySchema(
    name="User",
    collection="users",
    fields={"name": Field("string", required=True, length=20), "age": Field("integer"), "mail": Field("string")},
    indexes=(Index("age"),),
)
POST = EntitySchema(
    name="Post",
    collection="posts",
    fields={"title": Field("string"), "number": Field("sequence")},
    relations={"author": Relation("User", required=True, on_delete="cascade")},
)


def field(schema: EntitySchema, **fields: Field | None) -> EntitySchema:
    """The schema with other fields, without those that are None."""
    merged = {**schema.fields, **fields}
    return attrs.evolve(schema, fields={name: one for name, one in merged.items() if one is not None})


def filled(place: Place) -> Place:
    """The database with a user and a post of his."""
    place.up(USER, POST)
    place.sql(
        "INSERT INTO users (id, name, age) VALUES ('ada', 'Ada', 36)",
        "INSERT INTO posts (id, title, author) VALUES ('first', 'Hello', 'ada')",
    )
    return place


def test_what_was_made_is_as_wanted(place: Place) -> None:
    """A database that was just made has no difference to its schemas, for every type, key, index and relation."""
    place.up(EVERYTHING, RING)
    assert place.plan(EVERYTHING, RING).steps == ()
    place.up(EVERYTHING, RING, strategy="validate")


def test_an_unchanged_database_is_not_looked_at(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the database remembers these very schemas, nothing is compared."""
    place.up(USER, POST)

    def never(*_: object) -> None:
        raise RuntimeError("compared")

    monkeypatch.setattr(schema_differences, "plan", never)
    place.up(USER, POST)
    place.up(USER, POST, strategy="create")
    with pytest.raises(RuntimeError, match="compared"):
        place.up(field(USER, nick=Field("string")), POST)
    with pytest.raises(RuntimeError, match="compared"):
        place.up(USER, POST, strategy="validate")


def test_making_a_database_imports_no_alembic() -> None:
    """Databases of tests are made by the thousand: the first boot and an unchanged one pay for no planning."""
    code = """
import sqlite3, sys
from objectkernel_system_dialect.contracts import EntitySchema, Field
from objectkernel_system_dialect.schema_changes import bring_up
from objectkernel_system_dialect.sqlite_jobs import schema_work
from objectkernel_system_dialect.tables import build_table
one = EntitySchema(name="One", collection="ones", fields={"name": Field("string")})
tables = [build_table([one], {"One": one})]
connection = sqlite3.connect(":memory:", isolation_level=None)
for _ in range(2):
    schema_work(connection, lambda core: bring_up(core, tables, "update"))
print("alembic" in sys.modules, connection.execute("SELECT count(*) FROM ones").fetchone())
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False", "(0,)"]


def test_a_table_that_is_gone_is_made_again(place: Place) -> None:
    """What the database remembers of a table that somebody has dropped counts for nothing."""
    filled(place).sql("DROP TABLE posts")
    place.up(USER, POST)
    assert place.sql("SELECT count(*) FROM posts") == [(0,)]
    assert place.sql("SELECT name FROM users") == [("Ada",)]
    assert place.plan(USER, POST).steps == ()


def test_update_keeps_rows_and_plans_nothing_twice(place: Place) -> None:
    """Columns, keys, indexes and relations are added, widened and relaxed around the rows; nothing is left to do."""
    filled(place)
    user = attrs.evolve(
        field(
            USER,
            name=Field("string", length=300),
            age=None,
            nick=Field("string", required=True, default="it's: a\\nick", unique=True),
            tags=Field("array", required=True, default=list),
            mail=Field("text"),
        ),
        indexes=(Index({"nick": -1}),),
        timestamps=True,
        version=True,
    )
    post = attrs.evolve(
        field(POST, body=Field("text")),
        relations={"author": Relation("User", on_delete="set-null"), "editor": Relation("User", kind="one-to-one")},
    )
    place.up(user, post)
    assert place.sql("SELECT id, name, age, nick, version FROM users") == [("ada", "Ada", 36, "it's: a\\nick", 1)]
    assert place.sql("SELECT id, title, author, body, editor FROM posts") == [("first", "Hello", "ada", None, None)]
    assert place.sql("SELECT count(*) FROM users WHERE created_at IS NULL OR tags IS NULL") == [(0,)]
    left = place.plan(user, post)
    assert [step.text for step in left.steps] == [
        "drop the column users.age, which no schema has any more, with its values"
    ]
    assert left.safe == ()
    place.up(user, post, strategy="validate")
    place.sql("DELETE FROM users")
    assert place.sql("SELECT author FROM posts") == [(None,)]


def test_what_was_changed_is_logged(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """A boot that changes tables with rows in them says so; one that makes a database, or changes nothing, does not."""
    caplog.set_level("INFO", "objectkernel")
    filled(place)
    user = attrs.evolve(field(USER, age=None), indexes=(Index("name"),))
    assert caplog.messages == []
    place.up(user, POST)
    told = [message for message in caplog.messages if message.startswith("schema: ")]
    assert told[0] == "schema: index users by name"
    assert len(told) == 2
    place.up(user, POST)
    assert [message for message in caplog.messages if message.startswith("schema: ")] == told


def test_a_key_that_others_lead_to_gets_longer(place: Place) -> None:
    """Its column and theirs change together, and the relation holds before and after."""
    country = EntitySchema(
        name="Country", collection="countries", fields={"code": Field("string", length=2)}, key="code"
    )
    town = EntitySchema(name="Town", collection="towns", fields={}, relations={"country": Relation("Country")})
    place.up(country, town)
    place.sql("INSERT INTO countries VALUES ('fr')", "INSERT INTO towns (id, country) VALUES ('lyon', 'fr')")
    country = attrs.evolve(country, fields={"code": Field("string", length=9)})
    place.up(country, town)
    assert place.plan(country, town).steps == ()
    place.sql("INSERT INTO countries VALUES ('scotland')", "UPDATE towns SET country = 'scotland'")
    with pytest.raises(Exception, match=r"(?i)foreign key|ER_NO_REFERENCED_ROW"):
        place.sql("UPDATE towns SET country = 'narnia'")


def test_a_relation_may_lead_elsewhere(place: Place) -> None:
    """The old foreign key goes, the new one comes, where the values fit it."""
    place.up(USER, POST, RING, EVERYTHING)
    post = attrs.evolve(POST, relations={"author": Relation("Everything")})
    place.up(USER, post, RING, EVERYTHING)
    assert place.plan(USER, post, RING, EVERYTHING).steps == ()
    with pytest.raises(Exception, match=r"(?i)foreign key|ER_NO_REFERENCED_ROW"):
        place.sql("INSERT INTO posts (id, author) VALUES ('p', 'nobody')")


def test_a_column_that_no_schema_has_hinders_no_row(place: Place) -> None:
    """It keeps its values, and rows that are made without it are taken."""
    filled(place)
    user = field(USER, name=None)
    place.up(user, POST)
    place.sql("INSERT INTO users (id) VALUES ('bob')")
    assert place.sql("SELECT id, name FROM users ORDER BY id") == [("ada", "Ada"), ("bob", None)]


def test_columns_and_tables_are_dropped_when_asked(place: Place) -> None:
    """Only steps that lose data wait for it; behind them the database is as wanted."""
    filled(place)
    user = attrs.evolve(field(USER, name=None, age=None), indexes=())
    assert "drop the table posts, which no schema has any more, with its rows" in place.apply(user, destructive=True)
    assert place.plan(user).steps == ()
    assert place.sql("SELECT * FROM users") == [("ada", None)]
    place.up(user)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (field(USER, nick=Field("string", required=True)), "no value"),
        (field(USER, mail=Field("string", required=True)), "no value"),
        (field(USER, mail=Field("string"), name=Field("integer", required=True)), "BIGINT"),
        (field(USER, age=Field("integer", unique=True)), "equal"),
        (attrs.evolve(USER, indexes=(Index("age", unique=True),)), "equal"),
        (field(USER, nick=Field("string", required=True, unique=True, default="same")), "equal"),
        (attrs.evolve(field(USER, mail=None), relations={"mail": Relation("Post")}), "not there"),
        (attrs.evolve(USER, key=("name",)), "key"),
    ],
    ids=["required", "now required", "another type", "unique", "unique index", "same default", "relation", "key"],
)
def test_what_cannot_be_done_is_said_before_anything_is(place: Place, changed: EntitySchema, words: str) -> None:
    """Missing values, equal rows, rows that lead nowhere, other types and keys are refused; nothing was changed."""
    filled(place).sql(
        "INSERT INTO users (id, name, age) VALUES ('eve', 'Eve', 36)", "UPDATE users SET mail = 'x' WHERE id = 'ada'"
    )
    before = place.sql("SELECT * FROM users ORDER BY id")
    with pytest.raises(SchemaOutdated) as caught:
        place.up(changed, field(POST, extra=Field("string")))
    assert any(words in told for told in caught.value.facts["differences"])
    assert place.sql("SELECT * FROM users ORDER BY id") == before
    assert place.plan(USER, POST).steps == ()


def test_a_new_required_column_needs_no_default_without_rows(place: Place) -> None:
    """An empty table loses nothing and lacks nothing."""
    place.up(USER)
    user = field(USER, nick=Field("string", required=True))
    place.up(user)
    assert place.plan(user).steps == ()
    with pytest.raises(Exception, match=r"(?i)null|not-null|ER_NO_DEFAULT"):
        place.sql("INSERT INTO users (id, name) VALUES ('x', 'x')")


def test_what_becomes_narrower_waits_to_be_asked_for(place: Place) -> None:
    """A shorter text is a difference that hinders nobody: only the destructive plan has it."""
    filled(place)
    user = field(USER, name=Field("string", required=True, length=5))
    place.up(user, POST)
    steps = place.plan(user, POST).steps
    assert [step.destructive for step in steps] == ([] if place.kind == "sqlite" else [True])
    place.apply(user, POST, destructive=True)
    assert place.plan(user, POST).steps == ()
    assert place.sql("SELECT name FROM users") == [("Ada",)]


def test_whether_a_value_may_be_missing_changes_alone(place: Place) -> None:
    """Where the field became narrower as well, its column does not: that loses data, and nobody has asked for it."""
    from decimal import Decimal

    wide = Field("decimal", precision=12, scale=4)
    item = EntitySchema(
        name="Item",
        collection="items",
        fields={"free": attrs.evolve(wide, required=True), "fixed": wide, "count": Field("integer", required=True)},
    )
    place.up(item)
    (table,) = tables_of([item])
    values = {"id": "a", "free": Decimal("1.2345"), "fixed": Decimal("2.3456"), "count": 1}
    place.do(lambda core: core.execute(table.insert().values(values)) and None)
    changed = {"free": Field("decimal", precision=12, scale=4), "fixed": attrs.evolve(wide, required=True)}
    if place.kind != "sqlite":  # where the scale is not the column's
        changed = {name: attrs.evolve(one, scale=2) for name, one in changed.items()}
    narrow = field(item, **changed)
    place.up(narrow)
    assert place.do(lambda core: core.execute(table.select()).one()._asdict()) == values
    assert place.plan(narrow).safe == ()
    place.sql("INSERT INTO items (id, fixed, count) VALUES ('b', 1, 1)")
    place.apply(narrow, destructive=True)
    assert place.plan(narrow).steps == ()
    place.sql("INSERT INTO items (id, fixed, count) VALUES ('c', 1, 1)")
    with pytest.raises(Exception, match=r"(?i)null|ER_NO_DEFAULT"):
        place.sql("INSERT INTO items (id, count) VALUES ('d', 1)")


@pytest.mark.parametrize("key", ["id", "number"])
def test_a_column_does_not_learn_to_count(place: Place, key: str) -> None:
    """A sequence is made with its table: a field that becomes one is refused, not left without numbers."""
    fields = {"number": Field("integer", required=True, unique=key == "id"), "name": Field("string")}
    item = EntitySchema(name="Item", collection="items", fields=fields, key=key)
    place.up(item)
    with pytest.raises(SchemaOutdated, match="counted by the database"):
        place.up(field(item, number=Field("sequence")))


def test_columns_of_others_stay_as_they_are(place: Place) -> None:
    """With values, defaults and what computes them, also when SQLite makes the table anew."""
    place.up(USER)
    computed = (
        "VARCHAR(90) GENERATED ALWAYS AS (name || '!')"
        if place.kind != "mariadb"
        else ("VARCHAR(90) GENERATED ALWAYS AS (concat(name, '!'))")
    )
    place.sql(
        "ALTER TABLE users ADD COLUMN rank INTEGER DEFAULT 5 NOT NULL",
        f"ALTER TABLE users ADD COLUMN loud {computed}{'' if place.kind == 'sqlite' else ' STORED'}",
        f"ALTER TABLE users ADD COLUMN free {'' if place.kind == 'sqlite' else 'INTEGER'}",
        "INSERT INTO users (id, name, free) VALUES ('ada', 'Ada', 7)",
    )
    user = field(USER, age=Field("integer", unique=True), mail=Field("string", required=True, default=""))
    place.up(user)
    assert place.plan(user).safe == ()
    place.sql("INSERT INTO users (id, name, mail) VALUES ('bob', 'Bob', 'b')")
    assert place.sql("SELECT id, rank, loud, free FROM users ORDER BY id") == [
        ("ada", 5, "Ada!", 7),
        ("bob", 5, "Bob!", None),
    ]


def test_what_cannot_be_read_is_not_made_anew(tmp_path: Path) -> None:
    """SQLite tells the expression of a computed column only in its usual spelling: the plan says which is another."""
    place = Place("sqlite", str(tmp_path / "a.db"))
    place.up(USER)
    place.sql("ALTER TABLE users ADD COLUMN loud AS (name || '!')")
    with pytest.raises(SchemaOutdated, match="the column loud is computed"):
        place.up(field(USER, age=Field("integer", unique=True)))


def test_a_column_in_another_case_is_told(place: Place) -> None:
    """Most databases take it for the same name and could not add it."""
    place.sql("CREATE TABLE users (id VARCHAR(36) NOT NULL PRIMARY KEY, Mail VARCHAR(255))")
    user = attrs.evolve(USER, fields={"mail": Field("string")}, indexes=())
    if place.kind == "postgres":
        place.up(attrs.evolve(user, fields={"Mail": Field("string"), "MAIL": Field("string")}))
        return
    with pytest.raises(SchemaOutdated, match="it is there as Mail"):
        place.up(user)


@pytest.mark.mariadb
def test_an_index_that_is_too_long_is_told(mariadb_url: str) -> None:
    """Before the first step, for MariaDB undoes none."""
    place = Place("mariadb", mariadb_url)
    texts = {"one": Field("string", length=700), "two": Field("string", length=700)}
    note = EntitySchema(name="Note", collection="notes", fields=texts)
    place.up(note)
    with pytest.raises(SchemaOutdated, match="3072 bytes"):
        place.up(attrs.evolve(field(note, more=Field("string")), indexes=(Index(("one", "two")),)))
    assert place.plan(note).steps == ()


def test_what_led_nowhere_before_is_no_reason_to_refuse(tmp_path: Path) -> None:
    """Tables of others in an SQLite file may hold what they like; a row of ours that a change leaves alone may not."""
    place = Place("sqlite", str(tmp_path / "a.db"))
    filled(place)
    with closing(sqlite3.connect(place.uri)) as other, other:  # which heeds no foreign keys
        other.execute("CREATE TABLE bad (a REFERENCES users (id), b REFERENCES posts (title))")
        other.execute("CREATE TABLE lost (a REFERENCES users (id))")
        other.execute("INSERT INTO bad VALUES ('nobody', 'nothing')")
        other.execute("INSERT INTO lost VALUES ('nobody')")
    user = field(USER, nick=Field("string"))
    place.up(user, POST)
    with pytest.raises(sqlite3.IntegrityError):
        place.do(lambda core: core.exec_driver_sql("DELETE FROM users") and None)
    assert place.sql("SELECT id, nick FROM users") == [("ada", None)]


def test_a_database_that_cannot_be_written_may_be_as_wanted(tmp_path: Path) -> None:
    """One that an older version made is read all the same; what is missing in it is an error."""
    place = Place("sqlite", str(tmp_path / "a.db"))
    filled(place).sql("DROP TABLE objectkernel_schema")
    with closing(sqlite3.connect(f"file:{place.uri}?mode=ro", uri=True, isolation_level=None)) as connection:
        sqlite_jobs.schema_work(
            connection, lambda core: schema_changes.bring_up(core, tables_of([USER, POST]), "update")
        )
        with pytest.raises(OperationalError, match="readonly"):
            sqlite_jobs.schema_work(
                connection,
                lambda core: schema_changes.bring_up(core, tables_of([USER, POST, RING, EVERYTHING]), "update"),
            )
    assert set(place.do(schema_changes.State.read).names) == {"users", "posts"}


def test_schema_work_leaves_the_connection_as_it_was(tmp_path: Path) -> None:
    """Foreign keys rest and others are waited for longer, for as long as it lasts, however it ends."""
    pragmas = ("foreign_keys", "legacy_alter_table", "busy_timeout")
    with closing(sqlite3.connect(tmp_path / "a.db", timeout=2, isolation_level=None)) as connection:

        def now() -> list[int]:
            return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas]

        def fail(core: Connection) -> None:
            core.exec_driver_sql("PRAGMA legacy_alter_table = ON")
            assert now() == [0, 1, 24_000]
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            sqlite_jobs.schema_work(connection, fail)
        assert now() == [1, 0, 2000]


def test_validate_tells_every_difference_and_changes_nothing(place: Place) -> None:
    """Missing tables, columns and indexes are one error."""
    filled(place)
    user = attrs.evolve(field(USER, nick=Field("string")), indexes=(Index("age"), Index("name")))
    ring = attrs.evolve(RING, relations={})
    with pytest.raises(SchemaOutdated) as caught:
        place.up(user, POST, ring, strategy="validate")
    assert caught.value.facts["differences"] == (
        "create the table rings",
        next(told for told in caught.value.why if told.startswith("add the column users.nick (VARCHAR")),
        "index users by name",
    )
    assert place.plan(USER, POST).steps == ()


def test_create_makes_what_is_missing_and_alters_nothing(place: Place) -> None:
    """A table that is there and differs is refused, with the missing ones not made."""
    filled(place)
    ring = attrs.evolve(RING, relations={})
    with pytest.raises(SchemaOutdated):
        place.up(field(USER, nick=Field("string")), POST, ring, strategy="create")
    assert "create the table rings" in [step.text for step in place.plan(USER, POST, ring).steps]
    place.up(USER, POST, ring, strategy="create")
    assert place.plan(USER, POST, ring).steps == ()


def test_none_looks_at_nothing(place: Place) -> None:
    """The tables are somebody else's affair."""
    place.up(USER, strategy="none")
    assert [step.text for step in place.plan(USER).steps] == ["create the table users"]


def test_create_drop_leaves_nothing(place: Place) -> None:
    """What it has made is dropped, the record of it too, rings of relations or not."""
    place.up(EVERYTHING, RING, strategy="create-drop")
    place.up(EVERYTHING, RING, USER, strategy="create-drop")
    place.sql("INSERT INTO users (id, name) VALUES ('a', 'a')")
    place.do(schema_changes.drop)
    assert place.do(lambda core: schema_changes.State.read(core).names) == frozenset()


@pytest.mark.parametrize("made", ["by update", "by somebody"])
def test_create_drop_is_refused_beside_other_tables(place: Place, made: str) -> None:
    """A database that holds what it has not made might be somebody's."""
    if made == "by update":
        place.up(USER)
    else:
        place.sql("CREATE TABLE invoices (id INTEGER)")
    with pytest.raises(SchemaForeign) as caught:
        place.up(POST, USER, strategy="create-drop")
    assert caught.value.facts["tables"] == ("users",) if made == "by update" else ("invoices",)
    place.do(schema_changes.drop)
    assert place.sql(f"SELECT count(*) FROM {'users' if made == 'by update' else 'invoices'}") == [(0,)]


def test_tables_of_others_are_left_alone(place: Place) -> None:
    """No plan has a step for a table that we have not made."""
    place.sql("CREATE TABLE invoices (id INTEGER, total INTEGER NOT NULL)", "INSERT INTO invoices VALUES (1, 2)")
    place.up(USER)
    assert place.plan(USER).steps == ()
    assert place.apply(USER, destructive=True) == ()
    assert place.sql("SELECT * FROM invoices") == [(1, 2)]


def test_what_people_have_added_stays(place: Place) -> None:
    """Indexes and unique keys of another name than ours survive every change, also that of SQLite's whole table."""
    filled(place).sql("CREATE INDEX by_mail ON users (mail)", "CREATE UNIQUE INDEX one_name ON users (name)")
    user = field(USER, name=Field("string", length=20), mail=Field("string"), nick=Field("string", unique=True))
    place.up(user, POST)
    place.sql("CREATE INDEX by_nick ON users (nick)")
    assert [step.text for step in place.plan(user, POST).steps] == []
    with pytest.raises(Exception, match=r"(?i)unique|ER_DUP_ENTRY"):
        place.sql("INSERT INTO users (id, name) VALUES ('x', 'Ada')")


def test_what_was_unique_need_not_be_any_more(place: Place) -> None:
    """A key of ours that no schema has any more goes, a reference's too, which goes on being held to its rows."""
    author = {"author": Relation("User", kind="one-to-one")}
    user = field(USER, nick=Field("string", unique=True))
    place.up(user, attrs.evolve(POST, relations=author))
    user = attrs.evolve(field(USER, nick=Field("string")), indexes=(Index(("name", "nick"), unique=True),))
    post = attrs.evolve(POST, relations={"author": Relation("User")})
    place.up(user, post)
    assert place.plan(user, post).steps == ()
    place.sql("INSERT INTO users (id, name, nick) VALUES ('ada', 'Ada', 'x'), ('bob', 'Bob', 'x')")
    place.sql("INSERT INTO posts (id, author) VALUES ('1', 'ada'), ('2', 'ada')")
    with pytest.raises(Exception, match=r"(?i)foreign key|NO_REFERENCED_ROW"):
        place.sql("INSERT INTO posts (id, author) VALUES ('3', 'nobody')")


def test_a_table_that_somebody_else_made_is_taken_over(place: Place) -> None:
    """What is missing is added; keys that hold under another name are not made twice."""
    place.sql(
        "CREATE TABLE users (id VARCHAR(36) NOT NULL PRIMARY KEY, mail VARCHAR(255), CONSTRAINT m UNIQUE (mail))",
        "INSERT INTO users (id, mail) VALUES ('ada', 'a@b')",
    )
    user = attrs.evolve(USER, fields={"mail": Field("string", unique=True), "age": Field("integer")})
    place.up(user)
    assert place.plan(user).steps == ()
    assert place.sql("SELECT id, mail, age FROM users") == [("ada", "a@b", None)]


def test_a_database_from_before_there_were_records(place: Place) -> None:
    """Tables that an older version made are looked at once, and remembered from then on."""
    filled(place).sql("DROP TABLE objectkernel_schema")
    user = field(USER, nick=Field("string", required=True, default="n"))
    place.up(user, POST)
    assert place.sql("SELECT id, nick FROM users") == [("ada", "n")]
    assert set(place.do(schema_changes.State.read).records) == {"users", "posts"}


def test_entities_may_come_to_share_a_collection(place: Place) -> None:
    """What one of them lacks may be missing; rows of before belong to the entity that was alone."""
    cat = EntitySchema(
        name="Cat", collection="pets", fields={"name": Field("string"), "lives": Field("integer", required=True)}
    )
    place.up(cat)
    place.sql("INSERT INTO pets (id, name, lives) VALUES ('tom', 'Tom', 9)")
    place.up(cat := attrs.evolve(cat, discriminator=Discriminator("kind", "cat")))
    dog = EntitySchema(
        name="Dog", collection="pets", fields={"name": Field("string")}, discriminator=Discriminator("kind", "dog")
    )
    place.up(cat, dog)
    place.sql("INSERT INTO pets (id, kind) VALUES ('rex', 'dog')")
    assert place.sql("SELECT id, kind, lives FROM pets ORDER BY id") == [("rex", "dog", None), ("tom", "cat", 9)]
    assert place.plan(cat, dog).steps == ()


def test_decimals_get_more_room(place: Place) -> None:
    """More digits on both sides of the point keep every value; the same value is there afterwards."""
    priced = EntitySchema(name="Item", collection="items", fields={"price": Field("decimal", precision=8, scale=2)})
    place.up(priced)
    table = tables_of([priced])[0]
    from decimal import Decimal

    place.do(lambda core: core.execute(table.insert().values(id="a", price=Decimal("-123456.78"))) and None)
    finer = field(priced, price=Field("decimal", precision=12, scale=4))
    place.up(finer)
    place.up(finer)
    table = tables_of([finer])[0]
    assert place.do(lambda core: core.execute(table.select()).all()) == [("a", Decimal("-123456.7800"))]
    assert place.plan(finer).steps == ()
    coarse = field(priced, price=Field("decimal", precision=8, scale=1))
    if place.kind == "sqlite":
        with pytest.raises(SchemaOutdated):
            place.up(coarse)
    else:
        place.up(coarse)
    assert place.do(lambda core: core.execute(table.select()).all()) == [("a", Decimal("-123456.7800"))]


def test_the_same_column_for_another_type_is_refused(place: Place) -> None:
    """Where a text column stays one, the database remembers what kind of values lie in it."""
    noted = EntitySchema(name="Note", collection="notes", fields={"body": Field("json")})
    place.up(noted)
    with pytest.raises(SchemaOutdated):
        place.up(field(noted, body=Field("datetime")))
    assert place.plan(noted).steps == ()


def test_the_plan_as_code_does_what_the_plan_does(place: Place) -> None:
    """What `plan --python` prints runs in an alembic migration and leaves nothing to do."""
    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    filled(place)
    nick = Field("string", required=True, default="a:b%", unique=True)
    user = attrs.evolve(field(USER, name=Field("string", length=30), nick=nick, age=None), indexes=())
    schemas = user, POST, EVERYTHING, RING
    code = place.do(lambda core: schema_changes.plan(core, tables_of(schemas)).python(core, destructive=True))

    def run(core: Any) -> None:
        with Operations.context(MigrationContext.configure(core)):
            exec(compile(code, "migration", "exec"), {})

    place.do(run)
    assert place.plan(*schemas).steps == ()
    assert place.sql("SELECT id, nick FROM users") == [("ada", "a:b%")]


@pytest.mark.slow
def test_four_processes_start_at_once(place: Place) -> None:
    """They wait for each other: the database is made, then changed, once."""
    code = """
import sys
from tests.plugins.system_dialect.schema_places import Place
from tests.plugins.system_dialect.test_schema_changes import POST, USER, EVERYTHING, RING, field
from objectkernel_system_dialect.contracts import Field
kind, uri, nick = sys.argv[1:]
user = field(USER, nick=Field("string", required=True, default="n", unique=True)) if nick == "nick" else USER
Place(kind, uri).up(user, POST, EVERYTHING, RING)
"""
    for nick in ("", "nick"):
        started = [
            subprocess.Popen([sys.executable, "-c", code, place.kind, place.uri, nick], stderr=subprocess.PIPE)
            for _ in range(4)
        ]
        told = [process.communicate()[1].decode() for process in started]
        assert [process.returncode for process in started] == [0] * 4, told
        place.sql("INSERT INTO users (id, name) VALUES ('ada', 'Ada')" if not nick else "SELECT 1")
    assert place.sql("SELECT id, nick FROM users") == [("ada", "n")]
    assert [
        one for one in place.plan(USER, POST, EVERYTHING, RING).steps if not one.destructive and "nick" not in one.text
    ] == []
