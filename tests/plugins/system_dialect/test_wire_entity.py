"""Rows, writes, keys and filters as JSON, by the types of an entity's fields."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from objectkernel_system_dialect.contracts import (
    FilterInvalid,
    UnknownField,
    UnknownOperator,
    ValueInvalid,
)
from objectkernel_system_dialect.values import Misfit
from objectkernel_system_dialect.wire_entity import WireEntity

from tests.plugins.system_dialect.net_entities import BUSINESS

NOW = datetime(2024, 5, 17, 8, 30, tzinfo=UTC)
CODE = UUID(int=7)


@pytest.fixture
def entities() -> dict[str, WireEntity]:
    """The entities by name."""
    made: dict[str, WireEntity] = {}
    by_name = {schema.name: schema for schema in BUSINESS}
    for schema in BUSINESS:
        made[schema.name] = WireEntity(schema, by_name, made.__getitem__)
    return made


def through_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


def test_row_with_relations(entities: dict[str, WireEntity]) -> None:
    """A row comes back as it was, with keys and with rows where its relations are."""
    note = entities["Note"]
    row = {"id": "n", "owner": "a", "folder": "f", "tags": [1, 2]}
    assert note.row_in(through_json(note.row_out(row))) == row
    row = {"id": "n", "folder": {"id": "f", "owner": "a"}, "tags": [{"id": 1, "word": "x"}]}
    assert note.row_in(through_json(note.row_out(row))) == row
    assert note.row_in({"id": "n", "folder": None}) == {"id": "n", "folder": None}
    with pytest.raises(Misfit):
        note.row_in(["n"])


def test_filters_there_and_back(entities: dict[str, WireEntity]) -> None:
    """A filter's values are typed at every place where one may stand."""
    filter = {
        "price": {
            "$gt": Decimal("1.50"),
            "$in": [Decimal("2.00"), None],
            "$not": {"$between": (Decimal(1), Decimal(2))},
        },
        "$or": [{"moment": NOW}, {"$nor": [{"code": {"$ne": CODE}}]}],
        "blob": b"x",
        "data.size": {"$in": [1, "x"]},
        "name": {"$like": "a%", "$exists": True},
        "labels": {"$contains": "x"},
        "size": None,
    }
    there = through_json(entities["Thing"].filter_out(filter))
    assert there["price"] == {"$gt": "1.50", "$in": ["2.00", None], "$not": {"$between": ["1", "2"]}}
    assert there["$or"][0] == {"moment": "2024-05-17T08:30:00Z"}
    back = entities["Thing"].filter_in(there)
    assert back == filter | {
        "price": filter["price"] | {"$not": {"$between": [Decimal(1), Decimal(2)]}}  # type: ignore[operator]
    }


def test_filters_through_relations(entities: dict[str, WireEntity]) -> None:
    """A dotted name is typed by the field of the entity that it leads to."""
    there = entities["Note"].filter_out({"tags.id": {"$in": {3}}, "folder.title": "x"})
    assert there == {"tags.id": {"$in": [3]}, "folder.title": "x"}
    with pytest.raises(ValueInvalid):
        entities["Note"].filter_out({"tags.id": "three"})


def test_walked_once(entities: dict[str, WireEntity]) -> None:
    """Values that can be walked only once are sent and not lost by the check."""
    asked = {"name": {"$in": (name for name in "ab")}, "data.x": {"$nin": iter([1])}}
    assert entities["Thing"].filter_out(asked) == {"name": {"$in": ["a", "b"]}, "data.x": {"$nin": [1]}}


@pytest.mark.parametrize(
    ("filter", "error"),
    [
        ({"nmae": "x"}, UnknownField),
        ({"name": {"$neq": "x"}}, UnknownOperator),
        ({"$or": []}, FilterInvalid),
        ({"price": 1.5}, ValueInvalid),
        ({"moment": "2024-05-17T08:30:00Z"}, ValueInvalid),
        ({"name": {"$in": "abc"}}, FilterInvalid),
        (["name"], FilterInvalid),
        ({"folder.x": 1}, UnknownField),
    ],
)
def test_refused_before_it_is_sent(entities: dict[str, WireEntity], filter: Any, error: type[Exception]) -> None:
    """A filter that no dialect takes is refused on this end, as every dialect refuses it."""
    with pytest.raises(error):
        entities["Thing"].filter_out(filter)


def test_endless_filter(entities: dict[str, WireEntity]) -> None:
    """A filter within itself is refused and not walked for ever."""
    filter: dict[str, Any] = {}
    filter["$and"] = [filter, {"name": "x"}, filter]
    with pytest.raises(FilterInvalid):
        entities["Thing"].filter_out(filter)


def test_malformed_filter_is_passed_on(entities: dict[str, WireEntity]) -> None:
    """What is no filter comes out as it is, for the dialect to refuse; a value of a wrong form is refused at once."""
    for strange in ([], {"$or": 1}, {"name": {"$in": 5}}, {"nmae": {"$eq": [1]}}, {"price": {"$not": 5}}):
        assert entities["Thing"].filter_in(strange) == strange
    with pytest.raises(ValueInvalid) as caught:
        entities["Thing"].filter_in({"moment": {"$gt": "yesterday"}})
    assert (caught.value.facts["field"], caught.value.facts["kind"]) == ("moment", "str")


def test_writes(entities: dict[str, WireEntity]) -> None:
    """What is written is typed by its fields, relations by the keys they lead to."""
    thing, note = entities["Thing"], entities["Note"]
    data = {"price": Decimal("2.50"), "moment": NOW, "blob": b"\x00", "labels": ("a",), "data": {"a": (1, 2)}}
    back = thing.data_in(through_json(thing.data_out(data)))
    assert back == data | {"labels": ["a"], "data": {"a": [1, 2]}}
    assert note.data_in(through_json(note.data_out({"tags": {5}, "folder": "f"}))) == {"tags": [5], "folder": "f"}
    assert thing.data_in({"nmae": 1}) == {"nmae": 1}


@pytest.mark.parametrize(
    ("entity", "data", "error"),
    [
        ("Thing", {"nmae": "x"}, UnknownField),
        ("Thing", {5: "x"}, UnknownField),
        ("Thing", {"size": "5"}, ValueInvalid),
        ("Thing", [("name", "x")], ValueInvalid),
        ("Note", {"tags": "12"}, ValueInvalid),
        ("Note", {"tags": ["one"]}, ValueInvalid),
        ("Note", {"folder": 5}, ValueInvalid),
    ],
)
def test_writes_refused(entities: dict[str, WireEntity], entity: str, data: Any, error: type[Exception]) -> None:
    """A write that no dialect takes for its names or types is refused on this end."""
    with pytest.raises(error):
        entities[entity].data_out(data)


def test_keys(entities: dict[str, WireEntity]) -> None:
    """A key is its parts; text in a path is typed by the fields of the key."""
    assert entities["Tag"].key_in(["5"]) == 5
    assert entities["Stock"].key_out(("a", "b")) == ["a", "b"]
    assert entities["Stock"].key_in(["a", "b"]) == ("a", "b")
    for entity, key in (("Stock", "a"), ("Stock", ("a",)), ("Tag", "5"), ("Tag", None), ("Stock", ("a", None))):
        with pytest.raises(ValueInvalid):
            entities[entity].key_out(key)
    for entity, texts in (("Stock", ["a"]), ("Tag", ["five"]), ("Tag", ["1", "2"])):
        with pytest.raises(ValueInvalid):
            entities[entity].key_in(texts)
