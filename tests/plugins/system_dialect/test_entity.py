"""What is said of names and values that are another thing than the caller takes them for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from objectkernel_system_dialect.contracts import EntitySchema, Field, Relation, UnknownField, ValueInvalid
from objectkernel_system_dialect.sql_dialect import SqlDialect

pytestmark = pytest.mark.anyio

BOOK = EntitySchema(
    name="Book",
    collection="books",
    fields={"title": Field("string"), "marks": Field("array")},
    relations={
        "topics": Relation("Topic", kind="many-to-many"),
        "copies": Relation("Copy", kind="one-to-many", mapped_by="book"),
    },
)
TOPIC = EntitySchema(name="Topic", collection="topics", fields={"word": Field("string")})
COPY = EntitySchema(name="Copy", collection="copies", relations={"book": Relation("Book")}, fields={})

CALLS: dict[str, Callable[[SqlDialect, str], Awaitable[object]]] = {
    "select": lambda dialect, name: dialect.find(BOOK, select=[name]),
    "exclude": lambda dialect, name: dialect.find(BOOK, exclude=[name]),
    "sort": lambda dialect, name: dialect.find(BOOK, sort={name: 1}),
    "add_to_set": lambda dialect, name: dialect.add_to_set(BOOK, "b", name, "t"),
    "pull": lambda dialect, name: dialect.pull(BOOK, "b", name, "t"),
}


@pytest.mark.parametrize("call", CALLS)
async def test_a_relation_that_is_no_field_is_told_how_to_use(dialect: SqlDialect, call: str) -> None:
    """Who names a many-to-many relation as a field learns of include and update."""
    await dialect.register(BOOK, TOPIC, COPY)
    with pytest.raises(UnknownField, match="it is a many-to-many relation") as caught:
        await CALLS[call](dialect, "topics")
    assert caught.value.facts == {"entity": "Book", "name": "topics", "near": ()}
    assert "include=['topics']" in caught.value.fix
    assert "{'topics': [key, …]}" in caught.value.fix


async def test_the_other_side_of_a_relation_is_written_there(dialect: SqlDialect) -> None:
    """A one-to-many relation has nothing to be written in its own rows."""
    await dialect.register(BOOK, TOPIC, COPY)
    with pytest.raises(UnknownField, match="include=\\['copies'\\]; write it in the rows of Copy, as their 'book'"):
        await dialect.create(BOOK, {"copies": []})


@pytest.mark.parametrize("filter", [{"marks": "a"}, {"marks": {"$ne": "a"}}])
async def test_an_array_beside_a_scalar_is_told_of_contains(dialect: SqlDialect, filter: dict[str, object]) -> None:
    """An array is compared as a whole; what looks for an element is named."""
    await dialect.register(BOOK, TOPIC, COPY)
    with pytest.raises(ValueInvalid) as caught:
        await dialect.find(BOOK, filter)
    assert "{'marks': {'$contains': …}}" in caught.value.fix
    with pytest.raises(ValueInvalid) as caught:
        await dialect.find(BOOK, {"marks": {"$contains": 3}})
    assert "$contains" not in caught.value.fix
