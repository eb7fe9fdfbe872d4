"""The tables of schemas are shared by the databases that have the same ones, and by no others."""

from __future__ import annotations

import gc
import weakref
from contextlib import AsyncExitStack, aclosing

import attrs
import pytest
from objectkernel_system_dialect.contracts import EntitySchema, Field, Relation, SchemaInvalid
from objectkernel_system_dialect.layouts import layout_of
from objectkernel_system_dialect.sqlite_dialect import open_sqlite

NOTE = EntitySchema(name="Note", collection="notes", fields={"text": Field("string")})
LONGER = attrs.evolve(NOTE, fields={"text": Field("string"), "stars": Field("integer", default=1)})
TAG = EntitySchema(
    name="Tag",
    collection="tags",
    fields={"name": Field("string")},
    relations={"notes": Relation("Note", kind="many-to-many")},
)


def test_same_schemas_have_one_layout() -> None:
    """For as long as somebody uses it; which of them are new makes a difference."""
    first = layout_of([NOTE, TAG], [NOTE, TAG])
    assert layout_of((NOTE, TAG), (NOTE, TAG)) is first
    assert set(first.tables) == {"notes", "tags", "tags_notes"}
    later = layout_of([NOTE, TAG], [TAG])
    assert later is not first
    assert set(later.tables) == {"tags", "tags_notes"}


def test_schemas_that_are_only_equal_have_their_own() -> None:
    """A default of 1 and one of 1.0 are equal, and not the same."""
    whole, real = [attrs.evolve(NOTE, fields={"stars": Field("number", default=default)}) for default in (1, 1.0)]
    assert whole == real
    layouts = [layout_of([schema], [schema]) for schema in (whole, real)]
    assert [type(layout.parts[0].fields["stars"].default) for layout in layouts] == [int, float]


def test_layout_goes_with_its_last_user() -> None:
    """However many schemas there have been, no more is kept than what is in use."""
    schema = attrs.evolve(NOTE, name="Gone", collection="gone")
    kept = layout_of([schema], [schema])
    seen = weakref.ref(kept)
    del kept
    gc.collect()
    assert seen() is None
    assert layout_of([schema], [schema]).parts[0].schema is schema


def test_schemas_that_contradict_themselves_are_refused_each_time() -> None:
    """What is wrong is not remembered as right."""
    for _ in range(2):
        with pytest.raises(SchemaInvalid):
            layout_of([TAG], [TAG])


@pytest.mark.anyio
async def test_databases_that_share_a_layout_share_nothing_else() -> None:
    """Neither rows nor entities of the same name, and one outlives the other."""
    async with AsyncExitStack() as stack:
        one, other, third = [await stack.enter_async_context(aclosing(await open_sqlite(":memory:"))) for _ in range(3)]
        await one.register(NOTE)
        await other.register(NOTE)
        await third.register(LONGER)
        assert one.table(NOTE) is other.table(NOTE)
        await one.create(NOTE, {"text": "a"})
        assert (await third.create(LONGER, {"text": "b"}))["stars"] == 1
        assert [await one.count(NOTE), await other.count(NOTE)] == [1, 0]
        await other.register(TAG)
        assert (one.schemas(), other.schemas(), third.schemas()) == ((NOTE,), (NOTE, TAG), (LONGER,))
        await one.aclose()
        row = await other.create(NOTE, {"text": "c"})
        tag = await other.create(TAG, {"name": "d", "notes": [row["id"]]})
        (found,) = await other.find(TAG, {"id": tag["id"]}, include=["notes"])
        assert [note["text"] for note in found["notes"]] == ["c"]
