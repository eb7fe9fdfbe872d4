"""What cannot be meant is refused, by reading and writing alike, and nothing of it is ever dropped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import pytest

from objectkernel_system_dialect.dialect import Dialect
from objectkernel_system_dialect.errors import (
    CursorInvalid,
    DataError,
    EntityUnknown,
    FilterInvalid,
    OperationUnsupported,
    OptionInvalid,
    SchemaInvalid,
    UnknownField,
    UnknownOperator,
    ValueInvalid,
)
from objectkernel_system_dialect.repository import Repository
from objectkernel_system_dialect.schema import EntitySchema, Field
from objectkernel_system_dialect.testing.schemas import ENTRY, FLAG, ITEM, SCHEMAS
from objectkernel_system_dialect.testing.tools import Suite, emptied, odd, refused


def nested(times: int, around: Callable[[Any], Any], inner: Any) -> Any:
    """`inner`, put into `around` again and again."""
    for _ in range(times):
        inner = around(inner)
    return inner


FILTERS: Final[Mapping[type[DataError], Sequence[Any]]] = {
    UnknownField: (
        {"nmae": "x"},
        {"$or": [{"name": "x"}, {"nmae": "x"}]},
        {"$and": [{"$nor": [{"nmae": {"$in": []}}]}]},
        {"nmae": {"$in": []}},
        {"Name": "x"},
        {"nmae.x": 1},
        {"": 1},
        {5: 1},
        {None: 1},
        {'name" = "name" OR "': 1},
        {"name; --": 1},
    ),
    UnknownOperator: (
        {"name": {"$neq": "x"}},
        {"name": {"first": "x"}},
        {"name": {"$eq": "x", "eq": "x"}},
        {"name": {"$EQ": "x"}},
        {"name": {1: "x"}},
        {"name": {"$not": {"$neq": "x"}}},
        {"data.x": {"$neq": 1}},
        {"$xor": [{"name": "x"}]},
        {"$where": "1"},
    ),
    FilterInvalid: (
        {"name.first": "x"},
        {"$gt": 3},
        {"$or": []},
        {"$and": []},
        {"$nor": []},
        {"$or": {"name": "x"}},
        {"$or": [{"name": "x"}, {}]},
        {"$and": [{}]},
        {"$nor": [{"$nor": [{}]}]},
        {"$or": ["name"]},
        {"$or": [None]},
        {"$or": None},
        {"name": {}},
        {"name": {"$not": "x"}},
        {"name": {"$not": {}}},
        {"name": {"$in": "ant"}},
        {"name": {"$in": 3}},
        {"name": {"$in": None}},
        {"name": {"$nin": {"a": 1}}},
        {"name": {"$exists": 1}},
        {"name": {"$exists": None}},
        {"name": {"$like": 3}},
        {"name": {"$ilike": None}},
        {"name": {"$contains": None}},
        {"size": {"$gt": None}},
        {"size": {"$contains": 1}},
        {"size": {"$like": "1%"}},
        {"size": {"$between": [1]}},
        {"size": {"$between": [1, 2, 3]}},
        {"size": {"$between": [1, None]}},
        {"size": {"$between": 5}},
        {"size": {"$in": range(16385)}},
        {"open": {"$gt": False}},
        {"labels": {"$in": [["a"]]}},
        {"labels": {"$contains": None}},
        {"labels": {"$gt": ["a"]}},
        {"labels.0": "a"},
        {"data": {"$eq": {"x": 1}}},
        {"data": 5},
        {"data.x": {}},
        {"data.x": {"$like": "a"}},
        {"data.x": {"$gt": None}},
        {"data.x": {"$gt": True}},
        {"data.x": {"$eq": {"y": 1}}},
        {"data.x": [1]},
        {"data.x": float("nan")},
        {"data.x": 2**64},
        {"data.x": {"$in": 5}},
        {"data.x": {"$exists": "yes"}},
        {"data.": 1},
        {"data..x": 1},
        {"data.$x": 1},
        {"data.x[0]": 1},
        {"data.x\0": 1},
        {"$or": [{"number": number} for number in range(501)]},
        nested(150, lambda inner: {"$nor": [inner]}, {"size": 1}),
        nested(2000, lambda inner: {"$and": [inner]}, {"size": 1}),
        nested(27, lambda inner: {"$or": [inner, inner]}, {"size": 1}),
        {"size": nested(2000, lambda inner: {"$not": inner}, {"$eq": 1})},
        {"number": {"$in": range(16384), "$nin": range(16384)}},
        [("name", "x")],
        [],
        "name",
        5,
    ),
    ValueInvalid: (
        {"size": "1"},
        {"size": True},
        {"size": 1.0},
        {"size": 2**63},
        {"size": {"$in": [1, "2"]}},
        {"size": {"$between": [1, "2"]}},
        {"size": {"$not": {"$gt": "2"}}},
        {"name": 5},
        {"name": b"x"},
        {"name": "a\0"},
        {"name": {"$like": "ant\\"}},
        {"name": {"$ilike": "ant\\"}},
        {"open": 1},
        {"moment": "2026-01-01"},
        {"moment": datetime(2026, 1, 1)},
        {"code": "12345678-1234-5678-1234-567812345678"},
        {"price": 1.5},
        {"blob": "a"},
        {"labels": {"$contains": 3}},
        {"labels": [1]},
    ),
}
OPTIONS: Final[Sequence[Mapping[str, Any]]] = (
    {"limit": -1},
    {"skip": -1},
    {"limit": True},
    {"limit": 1.0},
    {"limit": "1"},
    {"skip": "1; --"},
    {"skip": None},
    {"limit": 2**64},
    {"sort": {"name": 2}},
    {"sort": {"name": 0}},
    {"sort": {"name": True}},
    {"sort": {"name": "asc"}},
    {"sort": {"name": None}},
    {"sort": {"labels": 1}},
    {"sort": {"data": 1}},
    {"sort": {"blob": -1}},
    {"sort": [("name", 1)]},
    {"sort": "name"},
    {"select": []},
    {"select": 5},
    {"exclude": 5},
    {"select": ["name"], "exclude": ["name"]},
    {"exclude": list(ITEM.names)},
)
NAMES: Final[Sequence[Mapping[str, Any]]] = (
    {"sort": {"nmae": 1}},
    {"sort": {"name; --": 1}},
    {"sort": {"data.x": 1}},
    {"select": ["nmae"]},
    {"select": "nmae"},
    {"select": ['name" FROM suite_items; --']},
    {"exclude": ["name", "nmae"]},
    {"include": ["name"]},
    {"include": "nobody"},
)


@pytest.mark.anyio
class Refusals(Suite):
    """What is refused, and what the refusal says."""

    @pytest.fixture
    async def single(self, dialect: Dialect) -> Repository:
        """One item, which is still there at the end."""
        (single,) = await emptied(dialect, ITEM)
        await single.create({"number": 1, "name": "ant"})
        return single

    @pytest.mark.parametrize("kind", FILTERS, ids=lambda kind: kind.__name__)
    async def test_a_filter_that_cannot_be_meant_is_refused(self, single: Repository, kind: type[DataError]) -> None:
        """Reading, counting, changing and deleting refuse it alike: a dropped condition would hit every row."""
        for filter in map(odd, FILTERS[kind]):
            for error in await refused(
                kind,
                single.find_all(filter),
                single.find_page(filter),
                single.count(filter),
                single.exists(filter),
                single.distinct("name", filter),
                single.aggregate([{"$match": filter}, {"$group": {"_id": None}}]),
                single.update_many(filter, {"name": "changed"}, all=True),
                single.delete_many(filter, all=True),
            ):
                assert error.code == kind.code
        assert [row["name"] for row in await single.find_all()] == ["ant"]

    async def test_what_was_meant_is_guessed(self, single: Repository) -> None:
        """An unknown field or operator says which one is nearest."""
        (error,) = await refused(UnknownField, single.find_all({"nmae": "x"}), match="did you mean 'name'")
        assert error.facts["entity"] == "SuiteItem"
        assert error.facts["name"] == "nmae"
        assert "name" in error.facts["near"]
        (other,) = await refused(UnknownOperator, single.find_all({"name": {"$neq": "x"}}), match="did you mean '$ne'")
        assert other.facts["name"] == "$neq"

    async def test_options_that_cannot_be_meant_are_refused(self, single: Repository) -> None:
        """Negative or fractional numbers, wrong directions, an order of documents, an empty selection."""
        for options in OPTIONS:
            await refused(OptionInvalid, single.find_all(**options))
            if not {"skip"} & set(options):
                await refused(OptionInvalid, single.find_page(**options))
        await refused(OptionInvalid, single.find_page(limit=0))

    async def test_options_with_unknown_names_are_refused(self, single: Repository) -> None:
        """A sort order, a selection or an inclusion of what the entity has not."""
        for options in NAMES:
            await refused(
                UnknownField, single.find_all(**options), single.find_page(**options), single.find_one(**options)
            )
        await refused(
            UnknownField, single.find_by_id(1, include=["nobody"]), single.find_by_ids([1], include=["nobody"])
        )
        await refused(
            UnknownField,
            single.distinct("nmae"),
            single.search("x", fields=["nmae"]),
            single.increment(1, "sise"),
            single.add_to_set(1, "lables", "a"),
            single.pull(1, "lables", "a"),
        )

    async def test_fields_of_the_wrong_type_are_refused(self, single: Repository) -> None:
        """What an operation does with a field, the field has to be able to."""
        await refused(
            OptionInvalid,
            single.distinct("labels"),
            single.distinct("data"),
            single.search("x", fields=["size"]),
            single.search("x", fields=[]),
            single.search(odd(5)),
            single.increment(1, "name"),
            single.increment(1, "open"),
            single.add_to_set(1, "name", "a"),
            single.pull(1, "data", "a"),
            single.undelete(1),
            single.update(1, {"name": "x"}, version=1),
        )
        assert [row["name"] for row in await single.find_all()] == ["ant"]

    async def test_a_key_of_the_wrong_shape_is_refused(self, dialect: Dialect, single: Repository) -> None:
        """A key of one field is a value of its type, one of several a tuple in their order."""
        (entries,) = await emptied(dialect, ENTRY)
        wrong: tuple[Any, ...] = ("1", 1.0, True, None, (1,), [1], {"number": 1})
        for key in wrong:
            await refused(ValueInvalid, single.find_by_id(key), single.update(key, {"name": "x"}), single.delete(key))
        wrong = ("a", ("a",), ["a", 1], ("a", "1"), (1, "a"), ("a", 1, 1), None)
        for key in wrong:
            await refused(ValueInvalid, entries.find_by_id(key), entries.update(key, {"body": ""}), entries.delete(key))
        await refused(OptionInvalid, entries.find_by_ids([("a", 1)]))
        await refused(ValueInvalid, single.find_by_ids(["1"]), single.find_by_ids([[1]]))
        await refused(ValueInvalid, single.update(1, {"number": 2}), match="key of a row")
        await refused(ValueInvalid, single.update_many({"number": 1}, {"number": 2}), match="key of a row")
        await refused(ValueInvalid, single.increment(1, "number"), match="key of a row")

    async def test_a_cursor_belongs_to_its_order(self, single: Repository) -> None:
        """A cursor of another order, or one that was damaged, is refused and never means the first page."""
        await single.create_many([{"number": number, "name": "bee"} for number in range(2, 5)])
        cursor = (await single.find_page(sort={"name": -1}, limit=2)).next
        assert cursor is not None
        wrong: list[tuple[Any, dict[str, Any]]] = [
            (cursor, {"sort": {"name": 1}}),
            (cursor, {"sort": {"size": -1}}),
            (cursor, {}),
            (cursor[:-3], {"sort": {"name": -1}}),
            ("x" + cursor, {"sort": {"name": -1}}),
            ("", {}),
            ("é", {}),
            ("bnVsbA", {}),
            ("' OR 1=1 --", {}),
            (5, {}),
        ]
        for after, options in wrong:
            await refused(CursorInvalid, single.find_page(after=after, **options))

    async def test_an_entity_has_to_be_registered(self, dialect: Dialect) -> None:
        """A schema that is not, or another one of the same name, is refused by every operation."""
        stranger = EntitySchema(name="SuiteStranger", collection="suite_strangers", fields={"name": Field("string")})
        double = EntitySchema(name="SuiteFlag", collection="suite_flags", fields={"other": Field("string")})
        for schema in (stranger, double):
            for error in await refused(
                EntityUnknown,
                dialect.find(schema),
                dialect.find_by_id(schema, "a"),
                dialect.count(schema),
                dialect.create(schema, {}),
                dialect.delete_many(schema, {}, all=True),
            ):
                assert error.facts["entity"] == schema.name
        await refused(EntityUnknown, dialect.find(odd("SuiteItem")))

    async def test_registering_again_does_nothing(self, dialect: Dialect) -> None:
        """Schemas that are registered stay as they are, with their rows."""
        (flags,) = await emptied(dialect, FLAG)
        made = await flags.create({"note": "n"})
        before = dialect.schemas()
        await dialect.register(*SCHEMAS)
        await dialect.register(FLAG)
        await dialect.register()
        assert dialect.schemas() == before
        assert set(SCHEMAS) <= set(before)
        assert await flags.find_all() == [made]

    async def test_schemas_that_contradict_are_refused_together(self, dialect: Dialect) -> None:
        """Every problem of every schema is in one report, and none of them is registered."""
        good = EntitySchema(name="SuiteGood", collection="suite_good", fields={})
        bad = EntitySchema(name="Suite Bad", collection="Bad!", fields={"a": Field("enum"), "b": Field(odd("srting"))})
        before = dialect.schemas()
        (error,) = await refused(SchemaInvalid, dialect.register(good, bad))
        assert len(error.facts["problems"]) >= 4
        await refused(
            SchemaInvalid, dialect.register(EntitySchema(name="SuiteFlag", collection="suite_other", fields={}))
        )
        await refused(SchemaInvalid, dialect.register(odd("SuiteFlag")))
        assert dialect.schemas() == before

    async def test_what_a_dialect_cannot_is_said(self, dialect: Dialect) -> None:
        """Without the capability `execute` there is no table and no statement, and the error says which it wants."""
        if "execute" in dialect.capabilities:
            from sqlalchemy import func, select

            table = dialect.table(FLAG)
            (flags,) = await emptied(dialect, FLAG)
            await flags.create_many([{"note": "a"}, {"note": "b"}])
            assert await dialect.execute(select(func.count().label("n")).select_from(table)) == [{"n": 2}]
        else:
            with pytest.raises(OperationUnsupported) as caught:
                dialect.table(FLAG)
            (error,) = await refused(OperationUnsupported, dialect.execute(odd(None)))
            assert caught.value.facts == error.facts == {"dialect": dialect.name, "capability": "execute"}

    async def test_a_sign_of_life(self, dialect: Dialect) -> None:
        """A dialect has a name, knows its capabilities and answers a ping."""
        assert dialect.name
        assert dialect.capabilities <= {"execute", "json", "regex", "transaction"}
        await dialect.ping()
        assert isinstance(dialect, Dialect)
