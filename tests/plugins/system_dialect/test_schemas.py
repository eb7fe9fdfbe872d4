"""Entity schemas: what is wrong with them is said all at once, and their tables are made once."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import anyio
import pytest
from objectkernel_system_dialect.contracts import (
    DatabaseBusy,
    Discriminator,
    DuplicateKey,
    EntitySchema,
    Field,
    Index,
    Relation,
    SchemaInvalid,
)
from objectkernel_system_dialect.registry import check_schemas, validate_schemas
from objectkernel_system_dialect.sql_dialect import SqlDialect
from objectkernel_system_dialect.sqlite_dialect import open_sqlite
from objectkernel_system_dialect.sqlite_executor import SqliteOptions
from objectkernel_system_dialect.tables import build_table


def schema(name: str = "Thing", collection: str = "things", **parts: Any) -> EntitySchema:
    return EntitySchema(name=name, collection=collection, **({"fields": {}} | parts))


PROBLEMS: list[tuple[EntitySchema, str]] = [
    (schema(name="a b"), "entity name"),
    (schema(collection="Things"), "table name"),
    (schema(collection="sqlite_things"), "table name"),
    (schema(fields={"a b": Field("string")}), "no field name"),
    (schema(fields={"a": Field("string"), "A": Field("string")}), "used twice"),
    (schema(fields={"ID": Field("string")}), "used twice"),
    (schema(fields={"Created_At": Field("datetime")}, timestamps=True), "used twice"),
    (schema(fields={"ctid": Field("string")}), "PostgreSQL has a column of its own"),
    (schema(fields={"created_at": Field("datetime")}, timestamps=True), "keeps timestamps"),
    (schema(fields={"a": Field("strnig")}), "did you mean 'string'"),  # type: ignore[arg-type]
    (schema(fields={"a": Field("enum")}), "without values"),
    (schema(fields={"a": Field("string", enum=("x",))}), "lists values although"),
    (schema(fields={"a": Field("enum", enum=("x", "x"))}), "value twice"),
    (schema(fields={"a": Field("string", length=0)}), "no room"),
    (schema(fields={"a": Field("text", format="date")}), "which a text has not"),
    (schema(fields={"a": Field("string", format="day")}), "may have date, time"),  # type: ignore[arg-type]
    (schema(fields={"a": Field("string", format="time", default="noon")}), "no time such as 09:30"),
    (schema(fields={"a": Field("decimal", precision=19)}), "precision <= 18"),
    (schema(fields={"a": Field("decimal", precision=3, scale=4)}), "scale <= precision"),
    (schema(fields={"a": Field("text", unique=True)}), "cannot be unique"),
    (schema(fields={"a": Field("sequence", default=1)}), "is a sequence"),
    (schema(fields={"a": Field("sequence"), "b": Field("sequence")}), "more than one sequence"),
    (schema(fields={"a": Field("string", min=1)}), "bounds although"),
    (schema(fields={"a": Field("integer", min=0.5)}), "bound that does not fit"),
    (schema(fields={"a": Field("integer", min=2, max=1)}), "above its `max`"),
    (schema(fields={"a": Field("integer", default="x")}), "default that does not fit"),
    (schema(fields={"a": Field("enum", enum=("x",), default="y")}), "default that does not fit"),
    (schema(key=()), "no key"),
    (schema(fields={"id": Field("string")}, key=("id", "id")), "names 'id' twice"),
    (schema(fields={"name": Field("string")}, key=("nmae",)), "did you mean 'name'"),
    (schema(fields={"a": Field("json")}, key=("a",)), "makes no key"),
    (schema(relations={"up": Relation("Thing")}, key=("up",)), "names the relation"),
    (schema(indexes=[Index(())]), "no fields"),
    (schema(indexes=[Index(["id", "id"])]), "names 'id' twice"),
    (schema(fields={"name": Field("string")}, indexes=[Index("nmae")]), "did you mean 'name'"),
    (schema(indexes=[Index({"id": 0})]), "direction 0"),
    (schema(indexes=[Index("id"), Index("id")]), "declared twice"),
    (schema(fields={"a": Field("text")}, indexes=[Index("a")]), "no database promises"),
    (schema(relations={"up": Relation("Thnig")}), "did you mean 'Thing'"),
    (schema(relations={"up": Relation("Thing", kind="some-to-none")}), "unknown kind"),  # type: ignore[arg-type]
    (schema(relations={"up": Relation("Thing", on_delete="nothing")}), "unknown on_delete"),  # type: ignore[arg-type]
    (schema(relations={"up": Relation("Thing", required=True, on_delete="set-null")}), "set to null"),
    (
        schema(
            fields={"a": Field("string"), "b": Field("string")},
            key=("a", "b"),
            relations={"up": Relation("Thing")},
        ),
        "only one can be held",
    ),
    (schema(collection="objectkernel_things"), "table name"),
    (schema(fields={"deleted_at": Field("datetime")}, soft_delete=True), "deletes softly"),
    (schema(fields={"version": Field("integer")}, version=True), "counts versions"),
    (schema(fields={"kind": Field("string")}, discriminator=Discriminator("kind", "x")), "as its discriminator"),
    (schema(discriminator=Discriminator("a b", "x")), "discriminator 'a b' is no field name"),
    (schema(discriminator=Discriminator("kind", "")), "has 0 characters"),
    (schema(discriminator=Discriminator("kind", "x"), key="kind"), "the key names the discriminator"),
    (schema(fields={"account": Field("string")}, tenant="acount"), "did you mean 'account'"),
    (schema(fields={"account": Field("json")}, tenant="account"), "tells no tenants apart"),
    (schema(relations={"up": Relation("Thing", mapped_by="up")}), "a column of its own"),
    (schema(relations={"up": Relation("Thing", through="links")}), "names a link table"),
    (schema(relations={"all": Relation("Thing", kind="one-to-many")}), "give its name as `mapped_by`"),
    (schema(relations={"All": Relation("Thing", kind="many-to-many")}), "give one as `through`"),
    (schema(relations={"all": Relation("Thing", kind="many-to-many", required=True)}), "cannot be: there may be"),
    (schema(relations={"all": Relation("Thing", kind="many-to-many", on_delete="cascade")}), "has an on_delete"),
    (schema(relations={"all": Relation("Thing", kind="many-to-many", through="things")}), "'things' is used twice"),
]
UP = Relation("Thing")
LINKED = Relation("Thing", kind="many-to-many")
MAPPED: list[tuple[dict[str, Relation], str]] = [
    ({"upper": UP, "all": Relation("Thing", kind="one-to-many", mapped_by="uper")}, "did you mean 'upper'"),
    ({"all": LINKED, "some": Relation("Thing", kind="one-to-many", mapped_by="all")}, "not many-to-one"),
    ({"up": UP, "some": Relation("Thing", kind="many-to-many", mapped_by="up")}, "has no link table"),
    (
        {"other": Relation("Other"), "some": Relation("Thing", kind="one-to-many", mapped_by="other")},
        "leads to 'Other'",
    ),
]
SHARED: list[tuple[dict[str, Any], str]] = [
    ({"discriminator": None}, "has no discriminator"),
    ({"discriminator": Discriminator("sort", "b")}, "in different fields"),
    ({"discriminator": Discriminator("kind", "a")}, "2 of them have the discriminator 'a'"),
    ({"fields": {"code": Field("string")}, "key": "code"}, "different keys"),
    ({"fields": {"account": Field("string")}, "tenant": "account"}, "different tenant fields"),
    ({"fields": {"name": Field("integer")}}, "'name' is not the same"),
    ({"fields": {"number": Field("sequence")}}, "others have none"),
]


@pytest.mark.parametrize(("relations", "words"), MAPPED, ids=lambda value: value if isinstance(value, str) else "")
def test_what_a_relation_is_mapped_by_leads_back(relations: dict[str, Relation], words: str) -> None:
    """The relation of the other side is there, leads to this entity, and is of the kind that belongs to this one."""
    (problem,) = validate_schemas([schema(relations=relations), schema("Other", "others")])
    assert words in problem


@pytest.mark.parametrize(("parts", "words"), SHARED, ids=lambda value: value if isinstance(value, str) else "")
def test_entities_that_share_a_collection_fit_together(parts: dict[str, Any], words: str) -> None:
    """They are told apart by one field, have one key and one tenant field, and no column that is of two kinds."""
    first = schema("First", fields={"name": Field("string")}, discriminator=Discriminator("kind", "a"))
    second = schema("Second", **({"discriminator": Discriminator("kind", "b")} | parts))
    problems = validate_schemas([first, second])
    assert any(words in problem for problem in problems)
    assert all("'things' is shared by First, Second" in problem for problem in problems)


def test_entities_may_share_a_collection_and_relate_in_every_way() -> None:
    """What is allowed has no problems: two in one collection, and relations with both of their sides."""
    cat = schema("Cat", "pets", fields={"name": Field("string")}, discriminator=Discriminator("kind", "cat"))
    dog = schema(
        "Dog",
        "pets",
        fields={"name": Field("string", required=True), "chip": Field("integer")},
        relations={"owner": Relation("Owner"), "friends": Relation("Cat", kind="many-to-many")},
        discriminator=Discriminator("kind", "dog"),
    )
    owner = schema(
        "Owner",
        "owners",
        fields={"account": Field("string")},
        relations={
            "dogs": Relation("Dog", kind="one-to-many", mapped_by="owner"),
            "cats": Relation("Cat", kind="many-to-many", through="keepers"),
        },
        tenant="account",
        soft_delete=True,
        version=True,
    )
    assert validate_schemas([cat, dog, owner]) == ()


@pytest.mark.parametrize(("wrong", "words"), PROBLEMS, ids=lambda value: value if isinstance(value, str) else "")
def test_a_problem_is_found(wrong: EntitySchema, words: str) -> None:
    """Each contradiction is one problem that says what is wrong."""
    (problem,) = validate_schemas([wrong])
    assert words in problem


def test_every_problem_of_every_schema_is_reported_together() -> None:
    """One error lists them all, so that none has to be found after another."""
    with pytest.raises(SchemaInvalid) as caught:
        check_schemas([wrong for wrong, _ in PROBLEMS] + [schema("Other", "others")])
    problems = caught.value.facts["problems"]
    assert len(problems) > len(PROBLEMS)
    assert "the entity name 'Thing' is used twice" in problems
    assert any("the collection 'things' is shared by" in problem for problem in problems)
    assert all(problem in str(caught.value) for problem in problems)


def test_a_sound_schema_has_no_problems() -> None:
    """An implied id, a relation to itself and an index over it all are allowed."""
    assert validate_schemas([schema(relations={"up": Relation("Thing")}, indexes=[Index({"up": 1, "id": -1})])]) == ()


def test_a_schema_is_a_value() -> None:
    """Schemas are compared by content, can be hashed, and cannot be changed."""
    one, two = (schema(fields={"a": Field("string")}) for _ in range(2))
    assert one == two
    assert hash(one) == hash(two)
    with pytest.raises(TypeError):
        one.fields["b"] = Field("string")  # type: ignore[index]


@pytest.mark.anyio
async def test_registering_makes_table_and_indexes_once(tmp_path: Path) -> None:
    """A second registration, in this process or the next, changes nothing and keeps the rows."""
    path = str(tmp_path / "a.db")
    thing = schema(
        fields={"name": Field("string", unique=True), "size": Field("integer")},
        relations={"up": Relation("Thing", on_delete="set-null")},
        indexes=[Index({"size": -1, "name": 1}), Index("size", unique=True)],
    )
    for count in range(2):
        dialect = await open_sqlite(path)
        await dialect.register(thing)
        await dialect.register(thing, thing)
        assert dialect.schemas() == (thing,)
        assert await dialect.count(thing) == count
        await dialect.create(thing, {"name": str(count)})
        await dialect.aclose()
    connection = sqlite3.connect(path)
    indexes = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'index'")}
    connection.close()
    wanted = ("ix_things_size_desc_name_", "ix_things_up_", "ux_things_size_")
    assert [sum(name.startswith(one) for name in indexes) for one in wanted] == [1, 1, 1]


@pytest.mark.anyio
async def test_schemas_may_lead_to_each_other(dialect: SqlDialect) -> None:
    """A ring of relations is registered in one call; a relation to an unregistered entity is refused."""
    egg = schema("Egg", "eggs", relations={"from_": Relation("Hen", on_delete="set-null")})
    hen = schema("Hen", "hens", relations={"out_of": Relation("Egg", kind="one-to-one")})
    with pytest.raises(SchemaInvalid):
        await dialect.register(egg)
    await dialect.register(egg, hen)
    first = await dialect.create(egg, {})
    bird = await dialect.create(hen, {"out_of": first["id"]})
    await dialect.update(egg, first["id"], {"from_": bird["id"]})
    await dialect.delete(hen, bird["id"])
    assert await dialect.find_by_id(egg, first["id"]) == first


@pytest.mark.anyio
async def test_indexes_of_one_wording_are_all_made(dialect: SqlDialect) -> None:
    """No two indexes share a name, however collections and fields are worded; each unique one holds."""
    line = schema("Line", "orders_line", fields={"no": Field("integer")}, indexes=[Index("no", unique=True)])
    order = schema("Order", "orders", fields={"line_no": Field("integer")}, indexes=[Index("line_no", unique=True)])
    fields = {name: Field("integer") for name in ("a_b", "a", "b", "desc")}
    indexes = [Index(names, unique=True) for names in ("a_b", ("a", "b"), {"a": -1}, ("a", "desc"))]
    await dialect.register(order, line, schema(fields=fields, indexes=indexes))
    made: list[tuple[EntitySchema, dict[str, int], dict[str, int]]] = [
        (line, {"no": 1}, {"no": 1}),
        (order, {"line_no": 1}, {"line_no": 1}),
        (schema(fields=fields, indexes=indexes), {"a_b": 1}, {"a_b": 1}),
        (schema(fields=fields, indexes=indexes), {"a": 1}, {"a": 1}),
    ]
    for entity, first, second in made:
        await dialect.create(entity, first)
        with pytest.raises(DuplicateKey):
            await dialect.create(entity, second)


def test_names_fit_every_database() -> None:
    """No name of an index or constraint is longer than 63 characters, and none is there twice."""
    fields = {f"{letter}{'x' * 62}": Field("string", unique=True) for letter in "abc"}
    long = schema(collection="c" * 63, fields=fields, indexes=[Index(list(fields)), Index(list(fields)[:2])])
    table = build_table((long,), {"Thing": long})
    names = [str(one.name) for one in (*table.constraints, *table.indexes) if one.name]
    assert len(names) == len(set(names)) == 6
    assert max(map(len, names)) == 63


@pytest.mark.anyio
async def test_registrations_take_turns(dialect: SqlDialect) -> None:
    """Of two schemas for one collection that are registered at the same time, one is refused."""
    outcomes: list[str] = []

    async def register(name: str) -> None:
        try:
            await dialect.register(schema(name))
            outcomes.append("made")
        except SchemaInvalid as error:
            outcomes.append(type(error).__name__)

    async with anyio.create_task_group() as group:
        group.start_soon(register, "One")
        group.start_soon(register, "Two")
    assert sorted(outcomes) == ["SchemaInvalid", "made"]


@pytest.mark.anyio
async def test_only_schemas_are_registered(dialect: SqlDialect) -> None:
    """Anything else is named by its type."""
    with pytest.raises(SchemaInvalid, match="a dict is none"):
        await dialect.register(schema(), {"name": "x"})  # type: ignore[arg-type]
    assert schema() not in dialect.schemas()


@pytest.mark.anyio
async def test_a_key_beside_a_sequence_is_unique(dialect: SqlDialect) -> None:
    """On SQLite the sequence is the row number; the entity's key is held unique all the same."""
    numbered = schema(fields={"number": Field("sequence")}, key=("number",))
    await dialect.register(numbered)
    rows = await dialect.create_many(numbered, [{}, {}])
    assert [row["number"] for row in rows] == [1, 2]
    assert await dialect.find_by_id(numbered, 2) == {"number": 2}


@pytest.mark.anyio
async def test_a_database_held_by_another_process_is_busy(tmp_path: Path) -> None:
    """After the busy timeout the write is refused as such, and goes through when the other is done."""
    path = tmp_path / "held.db"
    dialect = await open_sqlite(str(path), SqliteOptions(busy_timeout=0.05))
    await dialect.register(schema())
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseBusy) as caught:
        await dialect.create(schema(), {})
    assert caught.value.facts == {"database": "the database file 'held.db'", "reason": "SQLITE_BUSY"}
    assert await dialect.count(schema()) == 0
    other.execute("ROLLBACK")
    other.close()
    await dialect.create(schema(), {})
    assert await dialect.count(schema()) == 1
    await dialect.aclose()
