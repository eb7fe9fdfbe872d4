"""Rows through a repository: what is written, what comes back, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import anyio
import pytest
from objectkernel_system_dialect.contracts import (
    ConstraintViolated,
    DuplicateKey,
    EntitySchema,
    EntityUnknown,
    Field,
    FilterEmpty,
    OptionInvalid,
    Repository,
    UnknownField,
    ValueInvalid,
)
from objectkernel_system_dialect.sql_dialect import SqlDialect
from objectkernel_system_dialect.sqlite_dialect import open_sqlite

pytestmark = pytest.mark.anyio

VERSION = EntitySchema(
    name="Version",
    collection="versions",
    fields={
        "id": Field("string"),
        "version": Field("string"),
        "content": Field("text", required=True),
        "note": Field("string"),
        "place": Field("sequence"),
    },
    key=("id", "version"),
    timestamps=True,
)


@pytest.fixture
async def versions(dialect: SqlDialect) -> Repository:
    """Rows under a key of two fields, with a sequence."""
    await dialect.register(VERSION)
    return Repository(dialect, VERSION)


async def test_a_created_row_is_read_back_as_it_was_returned(users: Repository) -> None:
    """`create` returns the whole row, with id, defaults and timestamps, as `find_by_id` reads it."""
    made = await users.create({"name": "Ada", "age": 36})
    assert await users.find_by_id(made["id"]) == made
    assert made["role"] == "member"
    assert made["tags"] == []
    assert made["email"] is None
    assert made["created_at"].tzinfo is UTC
    assert made["updated_at"] == made["created_at"]


async def test_defaults_are_made_for_each_row(users: Repository) -> None:
    """A callable default is called for each row, so rows share neither ids nor lists."""
    first, second = await users.create_many([{"name": "Ada"}, {"name": "Bob"}])
    assert first["id"] != second["id"]
    assert first["tags"] is not second["tags"]


async def test_an_unknown_key_in_a_write_is_refused_with_the_nearest_name(users: Repository) -> None:
    """User input never makes a column: create, update and upsert refuse a key that is no field."""
    made = await users.create({"name": "Ada"})
    for write in (
        users.create({"name": "Bob", "emial": "b@example.org"}),
        users.update(made["id"], {"emial": "a@example.org"}),
        users.upsert({"name": "Bob", "emial": "b@example.org"}),
    ):
        with pytest.raises(UnknownField) as caught:
            await write
        assert caught.value.facts == {"entity": "User", "name": "emial", "near": ("email",)}
    assert await users.count() == 1


async def test_what_the_dialect_keeps_cannot_be_written(users: Repository, posts: Repository) -> None:
    """Timestamps and sequences are the dialect's: a caller that gives one is refused."""
    for write in (
        users.create({"name": "Ada", "created_at": datetime.now(UTC)}),
        posts.create({"title": "x", "author": "y", "number": 7}),
    ):
        with pytest.raises(ValueInvalid, match="keeps this field itself"):
            await write


async def test_a_missing_required_value_is_refused(users: Repository) -> None:
    """A required field without a default has to be given, in create and in update."""
    with pytest.raises(ValueInvalid) as caught:
        await users.create({"age": 3})
    assert caught.value.facts["field"] == "name"
    made = await users.create({"name": "Ada"})
    with pytest.raises(ValueInvalid, match="required"):
        await users.update(made["id"], {"name": None})


async def test_a_bulk_insert_is_made_wholly_or_not_at_all(users: Repository) -> None:
    """One row that the database refuses undoes the whole `create_many`."""
    with pytest.raises(DuplicateKey):
        await users.create_many([{"name": "A", "email": "x"}, {"name": "B", "email": "x"}])
    assert await users.count() == 0
    assert await users.create_many([]) == []


async def test_a_duplicate_names_the_fields(users: Repository) -> None:
    """A second row with a unique value is refused, and the error names the fields, not the value."""
    await users.create({"name": "Ada", "email": "ada@example.org"})
    with pytest.raises(DuplicateKey) as caught:
        await users.create({"name": "Bob", "email": "ada@example.org"})
    assert caught.value.facts == {"entity": "User", "fields": ("email",)}
    assert "ada@example.org" not in str(caught.value)


async def test_update_changes_one_row_and_returns_it(users: Repository) -> None:
    """Only the fields given change, and `updated_at`; a key that nobody has gives None."""
    made = await users.create({"name": "Ada", "age": 36, "tags": ["x"]})
    other = await users.create({"name": "Bob", "age": 1})
    changed = await users.update(made["id"], {"age": 37})
    assert changed is not None
    assert changed == made | {"age": 37, "updated_at": changed["updated_at"]}
    assert changed["updated_at"] > made["updated_at"]
    assert await users.find_by_id(made["id"]) == changed
    assert await users.find_by_id(other["id"]) == other
    assert await users.update("nobody", {"age": 1}) is None
    assert await users.update(made["id"], {}) == changed


async def test_none_is_no_value_and_no_default(users: Repository) -> None:
    """A field that is given as None has no value, in create, update and upsert alike; one left out has its default."""
    made = await users.create({"name": "Ada", "role": None})
    assert made["role"] is None
    assert await users.find_by_id(made["id"]) == made
    other = await users.upsert({"id": "b", "name": "Bob", "role": None})
    assert other["role"] is None
    await users.update("b", {"role": "admin"})
    assert (await users.upsert({"id": "b", "name": "Bob", "role": None}))["role"] is None
    with pytest.raises(ValueInvalid, match="required"):
        await users.create({"id": None, "name": "Eve"})


@pytest.mark.parametrize("wrong", [None, ["name"], "name", 5], ids=repr)
async def test_what_is_written_is_a_mapping(users: Repository, wrong: Any) -> None:
    """Anything else is refused as a value, before anything is written."""
    made = await users.create({"name": "Ada"})
    for write in (
        users.create(wrong),
        users.create_many(wrong),
        users.update(made["id"], wrong),
        users.upsert(wrong),
    ):
        with pytest.raises(ValueInvalid):
            await write
    with pytest.raises(ValueInvalid):
        await users.create_many({"name": "Bob"})  # type: ignore[arg-type]
    assert await users.count() == 1


async def test_a_large_insert_leaves_the_loop_its_turns(dialect: SqlDialect) -> None:
    """While many rows are made ready other tasks run; an insert that is cancelled meanwhile has written nothing."""
    turns = 0
    turn = EntitySchema(name="Turn", collection="turns", fields={"at": Field("integer", default=lambda: turns)})
    await dialect.register(turn)

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await anyio.lowlevel.checkpoint()
            turns += 1

    async with anyio.create_task_group() as group:
        group.start_soon(count_turns)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await dialect.create_many(turn, [{}] * 2000)
        assert scope.cancelled_caught
        assert await dialect.count(turn) == 0
        rows = await dialect.create_many(turn, [{}] * 2000)
        group.cancel_scope.cancel()
    assert len({row["at"] for row in rows}) > 3


async def test_the_key_of_a_row_cannot_be_changed(users: Repository) -> None:
    """A changed key would be another row."""
    made = await users.create({"name": "Ada"})
    with pytest.raises(ValueInvalid, match="key of a row"):
        await users.update(made["id"], {"id": "other"})


async def test_upsert_keeps_what_belongs_to_the_first_insert(versions: Repository) -> None:
    """An upsert on a row that is there keeps `created_at`, the sequence and the fields not given."""
    first = await versions.upsert({"id": "crm", "version": "1.0.0", "content": "a", "note": "n"})
    await versions.create({"id": "crm", "version": "1.1.0", "content": "b"})
    again = await versions.upsert({"id": "crm", "version": "1.0.0", "content": "c"})
    assert again == first | {"content": "c", "updated_at": again["updated_at"]}
    assert again["updated_at"] > first["updated_at"]
    assert await versions.count() == 2


async def test_an_upsert_of_the_key_alone_returns_the_row(dialect: SqlDialect) -> None:
    """Where nothing but the key is given, the row that is there comes back unchanged."""
    schema = EntitySchema(name="Flag", collection="flags", fields={"id": Field("string"), "note": Field("text")})
    await dialect.register(schema)
    made = await dialect.create(schema, {"id": "a", "note": "n"})
    assert await dialect.upsert(schema, {"id": "a"}) == made


async def test_a_sequence_is_never_used_twice(versions: Repository) -> None:
    """The number of a deleted row, were it the last, does not come back."""
    made = [await versions.create({"id": "a", "version": str(n), "content": ""}) for n in range(3)]
    assert await versions.delete(("a", "2"))
    assert await versions.delete_many({}, all=True) == 2
    later = await versions.create_many([{"id": "a", "version": str(n), "content": ""} for n in range(2)])
    numbers = [row["place"] for row in made + later]
    assert numbers == sorted(set(numbers))


async def test_a_key_of_two_fields_is_a_tuple(versions: Repository) -> None:
    """A row is reached by both parts in the order of the key, and by nothing else."""
    made = await versions.create({"id": "a", "version": "1", "content": "x"})
    assert await versions.find_by_id(("a", "1")) == made
    assert await versions.find_by_id(("1", "a")) is None
    for wrong in ("a", ("a",), ["a", "1"], ("a", 1)):
        with pytest.raises(ValueInvalid):
            await versions.find_by_id(wrong)
    with pytest.raises(DuplicateKey) as caught:
        await versions.create({"id": "a", "version": "1", "content": "y"})
    assert caught.value.facts["fields"] == ("id", "version")


async def test_delete_says_whether_there_was_a_row(users: Repository) -> None:
    """Deleting what does not exist is no success."""
    made = await users.create({"name": "Ada"})
    assert await users.delete(made["id"]) is True
    assert await users.delete(made["id"]) is False


async def test_delete_many_with_an_empty_filter_needs_all(users: Repository) -> None:
    """A filter that every row fulfils deletes nothing unless `all=True` says so."""
    await users.create_many([{"name": "A", "age": 1}, {"name": "B", "age": 2}, {"name": "C"}])
    with pytest.raises(FilterEmpty):
        await users.delete_many({})
    for everything in ({"age": {"$nin": []}}, {"$or": [{"name": "A"}, {"age": {"$not": {"$in": []}}}]}):
        with pytest.raises(FilterEmpty):
            await users.delete_many(everything)
    assert await users.count() == 3
    assert await users.delete_many({"age": {"$lt": 2}}) == 1
    assert await users.delete_many({}, all=True) == 2


async def test_sort_skip_limit_and_select(users: Repository) -> None:
    """Options order, cut and narrow; a missing value comes first going up and last going down."""
    await users.create_many([{"name": n, "age": a} for n, a in (("A", 3), ("B", None), ("C", 1), ("D", 3))])

    async def names(**options: Any) -> str:
        return "".join(row["name"] for row in await users.find_all(**options))

    assert await names(sort={"age": 1, "name": -1}) == "BCDA"
    assert await names(sort={"age": -1, "name": 1}) == "ADCB"
    assert await names(sort={"name": 1}, skip=1, limit=2) == "BC"
    assert await names(sort={"name": 1}, skip=3) == "D"
    assert await names(sort={"name": 1}, limit=0) == ""
    assert await users.find_all({"name": "A"}, select=["age", "name"]) == [{"name": "A", "age": 3}]
    first = await users.find_one(sort={"name": -1}, select=["name"])
    assert first == {"name": "D"}
    assert await users.find_one({"name": "nobody"}) is None


@pytest.mark.parametrize(
    "options",
    [
        {"limit": -1},
        {"skip": -1},
        {"limit": True},
        {"limit": 1.0},
        {"sort": {"name": 2}},
        {"sort": {"tags": 1}},
        {"select": []},
        {"select": 5},
        {"sort": [("name", 1)]},
        {"sort": "name"},
    ],
    ids=str,
)
async def test_options_that_cannot_be_meant_are_refused(users: Repository, options: dict[str, Any]) -> None:
    """A negative or fractional number, a wrong direction, an order of lists, an empty selection."""
    with pytest.raises(OptionInvalid):
        await users.find_all(**options)


async def test_more_shapes_than_are_kept(users: Repository) -> None:
    """A shape that was dropped from the cache is compiled again and works as before."""
    made = await users.create({"name": "Ada"})
    for names in permutations(("name", "age", "id", "role", "email", "created_at", "updated_at"), 4):
        assert await users.find_one(sort=dict.fromkeys(names, 1)) == made
    assert await users.find_all() == [made]


async def test_options_with_unknown_fields_are_refused(users: Repository) -> None:
    """Sorting by and selecting what does not exist is an error, as it is in filters."""
    with pytest.raises(UnknownField):
        await users.find_all(sort={"nmae": 1})
    for select in (["nmae"], [[]], [None]):
        with pytest.raises(UnknownField):
            await users.find_all(select=select)  # type: ignore[arg-type]


async def test_count_and_exists(users: Repository) -> None:
    """Both take a filter, or none for all rows."""
    assert not await users.exists()
    await users.create_many([{"name": "A", "age": 1}, {"name": "B"}])
    assert await users.count() == 2
    assert await users.count({"age": None}) == 1
    assert await users.exists({"name": "B"})
    assert not await users.exists({"name": "C"})


async def test_a_relation_is_held_by_the_database(users: Repository, posts: Repository) -> None:
    """A row cannot lead to nowhere, and `cascade` deletes it with its target."""
    with pytest.raises(ConstraintViolated) as caught:
        await posts.create({"title": "x", "author": "nobody"})
    assert caught.value.facts == {"entity": "Post", "constraint": "foreign key"}
    author = await users.create({"name": "Ada"})
    post = await posts.create({"title": "x", "author": author["id"]})
    assert await posts.find_all({"author": author["id"]}) == [post]
    await users.delete(author["id"])
    assert await posts.count() == 0


async def test_a_repository_subclass_names_its_schema(dialect: SqlDialect) -> None:
    """`class Versions(Repository): schema = …` is made with the dialect alone and has methods of its own."""

    class Versions(Repository):
        schema = VERSION

        async def of(self, id: str) -> list[dict[str, Any]]:
            return await self.find_all({"id": id})

    await dialect.register(VERSION)
    versions = Versions(dialect)
    made = await versions.create({"id": "a", "version": "1", "content": ""})
    assert await versions.of("a") == [made]


async def test_an_unregistered_entity_is_an_error(dialect: SqlDialect) -> None:
    """An unregistered schema, or another one of a registered name, is refused with what is known."""
    unknown = EntitySchema(name="Users", collection="x", fields={})
    with pytest.raises(EntityUnknown) as caught:
        await dialect.count(unknown)
    assert caught.value.facts == {"entity": "Users", "known": ("User",)}
    for wrong in (None, "User", EntitySchema):
        with pytest.raises(EntityUnknown, match="no entity schema"):
            await dialect.find(wrong)  # type: ignore[arg-type]
    with pytest.raises(EntityUnknown, match="another schema"):
        await dialect.count(EntitySchema(name="User", collection="users", fields={}))


async def test_timestamps_come_from_the_clock_given() -> None:
    """The dialect asks one clock, once for each call."""
    moments = iter(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=n) for n in range(9))
    dialect = await open_sqlite(":memory:", clock=lambda: next(moments))
    await dialect.register(VERSION)
    rows = await dialect.create_many(VERSION, [{"id": "a", "version": str(n), "content": ""} for n in range(2)])
    assert {row["created_at"].day for row in rows} == {1}
    changed = await dialect.update(VERSION, ("a", "0"), {"content": "x"})
    assert changed is not None
    assert (changed["created_at"].day, changed["updated_at"].day) == (1, 2)
    await dialect.aclose()
