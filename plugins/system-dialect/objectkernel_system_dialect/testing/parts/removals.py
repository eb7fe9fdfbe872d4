"""Rows are deleted, for good or softly, and come back; entities that share a collection do not see each other."""

from __future__ import annotations

from typing import Any

import pytest

from objectkernel_system_dialect.dialect import Dialect
from objectkernel_system_dialect.errors import DuplicateKey, FilterEmpty, UnknownField, ValueInvalid
from objectkernel_system_dialect.repository import Repository
from objectkernel_system_dialect.testing.schemas import ARCHIVE, CAT, DOG, DRAFT, ITEM
from objectkernel_system_dialect.testing.tools import Suite, emptied, refused


@pytest.mark.anyio
class Removals(Suite):
    """Deleting, and not seeing."""

    async def test_delete_says_whether_there_was_a_row(self, dialect: Dialect) -> None:
        """Deleting what does not exist is no success."""
        (items,) = await emptied(dialect, ITEM)
        await items.create_many([{"number": 1}, {"number": 2}])
        assert await items.delete(1) is True
        assert await items.delete(1) is False
        assert await items.find_by_id(1) is None
        assert await items.count() == 1

    async def test_delete_many_with_a_filter_for_everything_needs_all(self, dialect: Dialect) -> None:
        """A filter that every row fulfils deletes nothing unless `all=True` says so."""
        (items,) = await emptied(dialect, ITEM)
        await items.create_many([{"number": number, "size": number} for number in range(5)])
        everything: list[dict[str, Any]] = [
            {},
            {"size": {"$nin": []}},
            {"$or": [{"name": "A"}, {"size": {"$not": {"$in": []}}}]},
            {"$nor": [{"size": {"$in": []}}]},
            {"$and": [{"size": {"$nin": []}}]},
        ]
        await refused(FilterEmpty, *(items.delete_many(filter) for filter in everything))
        assert await items.count() == 5
        assert await items.delete_many({"size": {"$in": []}}) == 0
        assert await items.delete_many({"size": {"$lt": 2}}) == 2
        assert await items.delete_many({}, all=True) == 3
        assert await items.delete_many({}, all=True) == 0

    @pytest.fixture
    async def drafts(self, dialect: Dialect) -> Repository:
        """Two drafts, and one that was deleted softly."""
        (drafts,) = await emptied(dialect, DRAFT)
        await drafts.create_many([{"id": name, "title": name, "stars": 1} for name in "abc"])
        assert await drafts.delete("c") is True
        return drafts

    async def test_a_softly_deleted_row_is_seen_by_nothing(self, drafts: Repository) -> None:
        """No operation finds it, changes it or counts it."""
        assert await drafts.find_by_id("c") is None
        assert [row["id"] for row in await drafts.find_by_ids(["a", "c"])] == ["a"]
        assert await drafts.count() == 2
        assert await drafts.exists({"title": "c"}) is False
        assert {row["id"] for row in await drafts.find_all()} == {"a", "b"}
        assert {row["id"] for row in await drafts.find_all({"$or": [{"title": "c"}, {"title": "a"}]})} == {"a"}
        assert {row["id"] for row in (await drafts.find_page()).rows} == {"a", "b"}
        assert {row["id"] async for row in drafts.stream()} == {"a", "b"}
        assert await drafts.find_one({"title": {"$ne": "a"}}, select=["id"]) == {"id": "b"}
        assert await drafts.distinct("title") == ["a", "b"]
        assert [row["id"] for row in await drafts.search("c")] == []
        assert await drafts.aggregate([{"$group": {"_id": None, "n": {"$sum": 1}}}]) == [{"_id": None, "n": 2}]
        assert await drafts.update("c", {"title": "x"}) is None
        assert await drafts.increment("c", "stars") is None
        assert await drafts.update_many({"title": "c"}, {"stars": 9}) == 0
        assert await drafts.delete("c") is False
        assert await drafts.delete_many({"title": "c"}) == 0
        (row,) = await drafts.find_all({"deleted_at": {"$ne": None}})
        assert (row["title"], row["stars"], row["version"]) == ("c", 1, 2)
        assert row["deleted_at"] == row["updated_at"] > row["created_at"]

    async def test_a_filter_that_names_the_deletion_sees_all(self, drafts: Repository) -> None:
        """Wherever in its logic."""
        for filter, expected in (
            ({"deleted_at": {"$exists": True}}, {"c"}),
            ({"deleted_at": None}, {"a", "b"}),
            ({"$or": [{"deleted_at": {"$ne": None}}, {"title": "a"}]}, {"a", "c"}),
            ({"$nor": [{"deleted_at": None}]}, {"c"}),
        ):
            assert {row["id"] for row in await drafts.find_all(filter)} == expected, filter
            assert await drafts.count(filter) == len(expected), filter

    async def test_a_softly_deleted_row_comes_back(self, drafts: Repository) -> None:
        """`undelete` returns it as it was; `upsert` on its key brings it back too."""
        row = await drafts.undelete("c")
        assert row is not None
        assert (row["title"], row["deleted_at"]) == ("c", None)
        assert await drafts.find_by_id("c") == row
        assert await drafts.undelete("nobody") is None
        await drafts.delete("c")
        again = await drafts.upsert({"id": "c", "title": "new"})
        assert (again["title"], again["stars"], again["deleted_at"]) == ("new", 1, None)
        assert again["created_at"] == row["created_at"]
        assert await drafts.find_by_id("c") == again

    async def test_no_relation_leads_to_a_softly_deleted_row(self, dialect: Dialect) -> None:
        """It is neither loaded nor found through one; the row that leads there keeps the key."""
        documents, labels, folders = await emptied(dialect, *ARCHIVE)
        await folders.create({"id": "f", "account": "me"})
        await labels.create({"id": "l", "account": "me"})
        for id in ("a", "b"):
            await documents.create({"id": id, "title": id, "account": "me", "folder": "f", "labels": ["l"]})
        await documents.delete("a")
        folder = await folders.find_by_id("f", include=["documents"])
        assert folder is not None
        assert [row["id"] for row in folder["documents"]] == ["b"]
        assert await folders.count({"documents.title": "a"}) == 0
        assert await folders.count({"documents.title": "b"}) == 1
        again = await documents.undelete("a")
        assert again is not None
        assert again["folder"] == "f"
        (row,) = await documents.find_all({"id": "a"}, include=["labels"])
        assert [label["id"] for label in row["labels"]] == ["l"]

    async def test_a_unique_value_stays_taken(self, drafts: Repository) -> None:
        """A row that may come back keeps its key and its unique values."""
        await refused(DuplicateKey, drafts.create({"id": "c"}), drafts.create({"title": "c"}))

    async def test_what_is_deleted_hard_is_gone(self, drafts: Repository) -> None:
        """Softly deleted before or not."""
        assert await drafts.delete("c", hard=True) is True
        assert await drafts.delete("a", hard=True) is True
        assert await drafts.undelete("c") is None
        assert await drafts.undelete("a") is None
        assert await drafts.count({"deleted_at": {"$exists": True}}) == 0
        await drafts.create({"id": "d", "title": "c"})
        assert await drafts.delete_many({"title": "b"}) == 1
        assert await drafts.delete_many({}, all=True, hard=True) in (1, 2)
        await drafts.delete_many({"deleted_at": {"$exists": True}}, hard=True)
        assert await drafts.count({"$or": [{"deleted_at": None}, {"deleted_at": {"$ne": None}}]}) == 0

    async def test_kinds_in_one_collection_do_not_see_each_other(self, dialect: Dialect) -> None:
        """Each entity's operations meet the rows of its own kind only, and its fields only."""
        cats, dogs = await emptied(dialect, CAT, DOG)
        tom = await cats.create({"id": "t", "name": "Tom"})
        rex, pluto = await dogs.create_many(
            [{"id": "r", "name": "Rex", "tricks": ["sit"]}, {"id": "p", "name": "Pluto"}]
        )
        assert (tom["species"], tom["lives"]) == ("cat", 9)
        assert "tricks" not in tom
        assert "lives" not in rex
        assert await cats.find_all() == [tom]
        assert await dogs.find_all(sort={"name": 1}) == [pluto, rex]
        assert await dogs.find_by_id("t") is None
        assert await dogs.count() == 2
        assert await dogs.find_by_ids(["t", "r"]) == [rex]
        assert await dogs.update("t", {"name": "x"}) is None
        assert await dogs.add_to_set("t", "tricks", "x") is None
        assert await cats.increment("r", "lives") is None
        assert await dogs.delete("t") is False
        assert await dogs.update_many({"name": "Tom"}, {"name": "x"}) == 0
        assert await dogs.distinct("name") == ["Pluto", "Rex"]
        assert await dogs.aggregate([{"$group": {"_id": "$species", "n": {"$sum": 1}}}]) == [{"_id": "dog", "n": 2}]
        await refused(UnknownField, cats.find_all({"tricks": None}), dogs.create({"lives": 3}))
        await refused(ValueInvalid, cats.create({"species": "dog"}), cats.update("t", {"species": "dog"}))
        await refused(DuplicateKey, dogs.create({"id": "t"}), dogs.upsert({"id": "t", "name": "x"}))
        assert await cats.find_all() == [tom]
        again = await cats.upsert({"id": "t", "name": "Thomas"})
        assert again == tom | {"name": "Thomas", "updated_at": again["updated_at"]}
        assert await dogs.delete_many({}, all=True) == 2
        assert await cats.find_all() == [again]
