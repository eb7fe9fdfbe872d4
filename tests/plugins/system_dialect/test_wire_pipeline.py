"""Pipelines as JSON, and what they give: typed by the fields that each name comes from."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from objectkernel_system_dialect.contracts import UnknownField, ValueInvalid
from objectkernel_system_dialect.wire_entity import WireEntity
from objectkernel_system_dialect.wire_pipeline import WirePipeline

from tests.plugins.system_dialect.net_entities import THING

NOW = datetime(2024, 5, 17, 8, 30, tzinfo=UTC)
CODE = UUID(int=7)
GROUP = {
    "_id": {"kind": "$kind", "at": "$moment"},
    "n": {"$sum": 1},
    "sum": {"$sum": "$price"},
    "mean": {"$avg": "$size"},
    "first": {"$min": "$code"},
}


@pytest.fixture
def thing() -> WireEntity:
    return WireEntity(THING, {"Thing": THING}, lambda name: thing)


def through_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


def test_stages(thing: WireEntity) -> None:
    """The filter of the rows is typed by the fields, that of the groups by what the groups have."""
    stages = [
        {"$match": {"moment": {"$lt": NOW}}},
        {"$group": GROUP},
        {"$match": {"sum": {"$gt": Decimal("1.50")}, "_id.at": {"$in": [NOW, None]}, "$or": [{"n": 1}, {"mean": 1.5}]}},
        {"$sort": {"sum": -1}},
    ]
    there = through_json(WirePipeline.of(thing, stages).stages_out())
    assert there[2]["$match"]["sum"] == {"$gt": "1.50"}
    assert WirePipeline.of(thing, there).stages_in() == stages


def test_values_are_checked(thing: WireEntity) -> None:
    """A value that its field cannot have is refused on this end, before and behind the group."""
    for stages in (
        [{"$match": {"price": "x"}}, {"$group": GROUP}],
        [{"$group": GROUP}, {"$match": {"sum": "x"}}],
        [{"$group": GROUP}, {"$match": {"mean": "x"}}],
    ):
        with pytest.raises(ValueInvalid):
            WirePipeline.of(thing, stages).stages_out()
    with pytest.raises(UnknownField):
        WirePipeline.of(thing, [{"$match": {"sum": 1}}, {"$group": GROUP}]).stages_out()


@pytest.mark.parametrize("stages", [None, {}, [5], [{"$group": 5}], [{"$group": {"a": 5, "_id": 5}}], [{"$match": 5}]])
def test_what_cannot_be_meant_stays(thing: WireEntity, stages: Any) -> None:
    """A pipeline that is none comes out as it is, for the dialect to refuse."""
    assert WirePipeline.of(thing, stages).stages_in() == stages


def test_groups(thing: WireEntity) -> None:
    """Groups come back as they were, whatever their ``_id`` is made of."""
    rows: list[dict[str, Any]] = [
        {"_id": {"kind": "small", "at": NOW}, "n": 2, "sum": Decimal("3.00"), "mean": 1.5, "first": CODE},
        {"_id": {"kind": None, "at": None}, "n": 1, "sum": Decimal(0), "mean": None, "first": None},
    ]
    wire = WirePipeline.of(thing, [{"$group": GROUP}])
    assert wire.groups_in(through_json(wire.groups_out(rows))) == rows
    mean = Decimal("1.333333333333333333333333333333")
    wire = WirePipeline.of(thing, [{"$group": {"_id": "$moment", "mean": {"$avg": "$price"}, "all": {"$count": {}}}}])
    rows = [{"_id": NOW, "mean": mean, "all": 3}]
    assert wire.groups_in(through_json(wire.groups_out(rows))) == rows
    wire = WirePipeline.of(thing, [{"$group": {"_id": None, "sum": {"$sum": "$weight"}, "n": {"$sum": "$size"}}}])
    rows = [{"_id": None, "sum": 5.0, "n": 2**70}]
    assert repr(wire.groups_in(through_json(wire.groups_out(rows)))) == repr(rows)
