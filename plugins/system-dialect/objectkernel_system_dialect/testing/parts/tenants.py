"""One tenant's dialect: no operation sees, changes or reveals a row of another."""

from __future__ import annotations

from typing import Any

import pytest

from objectkernel_system_dialect.dialect import Dialect
from objectkernel_system_dialect.errors import (
    ConstraintViolated,
    DuplicateKey,
    FilterEmpty,
    TenantRequired,
    ValueInvalid,
)
from objectkernel_system_dialect.repository import Repository
from objectkernel_system_dialect.testing.schemas import ARCHIVE, DOCUMENT, FLAG, FOLDER, LABEL
from objectkernel_system_dialect.testing.tools import Suite, emptied, needs, refused


@pytest.mark.anyio
class Tenants(Suite):
    """Rows that belong to somebody."""

    @pytest.fixture
    async def mine(self, dialect: Dialect) -> Dialect:
        """What `me` sees of two tenants' folders, labels and documents."""
        await emptied(dialect, *ARCHIVE)
        for tenant in ("me", "you"):
            await dialect.create(FOLDER, {"id": f"{tenant}-f", "account": tenant, "name": "folder"})
            await dialect.create(LABEL, {"id": f"{tenant}-l", "account": tenant, "name": "label"})
            await dialect.create(
                DOCUMENT,
                {
                    "id": f"{tenant}-d", "account": tenant, "title": "paper", "rank": 1, "tags": ["t"],
                    "folder": f"{tenant}-f", "labels": [f"{tenant}-l"],
                },
            )  # fmt: skip
        await dialect.create(DOCUMENT, {"id": "you-gone", "account": "you", "title": "gone"})
        await dialect.delete(DOCUMENT, "you-gone")
        return dialect.as_tenant("me")

    @pytest.fixture
    async def documents(self, mine: Dialect) -> Repository:
        """My documents."""
        return Repository(mine, DOCUMENT)

    async def everything_of(self, dialect: Dialect, tenant: str) -> list[Any]:
        """All rows of a tenant, deleted ones too."""
        seen: list[Any] = [
            await dialect.find(schema, {"account": tenant}, sort={"id": 1}) for schema in (FOLDER, LABEL)
        ]
        documents = {"account": tenant, "$or": [{"deleted_at": None}, {"deleted_at": {"$ne": None}}]}
        return [*seen, await dialect.find(DOCUMENT, documents, sort={"id": 1}, include=["labels"])]

    async def test_reading_sees_ones_own_rows_only(self, documents: Repository) -> None:
        """Whatever the filter says."""
        everyone: list[dict[str, Any]] = [
            {},
            {"title": "paper"},
            {"account": {"$in": ["me", "you"]}},
            {"$or": [{"account": "you"}, {"account": "me"}]},
            {"$or": [{"id": "you-d"}, {"title": {"$nin": []}}]},
            {"$nor": [{"id": "x"}]},
            {"folder.name": "folder"},
            {"labels.name": "label"},
            {"$or": [{"deleted_at": {"$ne": None}}, {"deleted_at": None}]},
        ]
        for filter in everyone:
            assert [row["id"] for row in await documents.find_all(filter)] == ["me-d"], filter
            assert [row["id"] for row in (await documents.find_page(filter)).rows] == ["me-d"], filter
            assert [row["id"] async for row in documents.stream(filter)] == ["me-d"], filter
            assert await documents.count(filter) == 1, filter
            assert await documents.distinct("id", filter) == ["me-d"], filter
            groups = await documents.aggregate([{"$match": filter}, {"$group": {"_id": "$account", "n": {"$sum": 1}}}])
            assert groups == [{"_id": "me", "n": 1}], filter
        for filter in ({"account": "you"}, {"id": "you-d"}, {"folder.id": "you-f"}, {"labels.id": "you-l"}):
            assert await documents.find_all(filter) == []
            assert await documents.exists(filter) is False
        assert await documents.find_by_id("you-d") is None
        assert [row["id"] for row in await documents.find_by_ids(["you-d", "me-d"])] == ["me-d"]
        assert [row["id"] for row in await documents.search("paper")] == ["me-d"]
        assert await documents.find_one({"account": {"$ne": "me"}}) is None

    async def test_writing_meets_ones_own_rows_only(self, dialect: Dialect, documents: Repository) -> None:
        """A row of another is as good as missing, for every write."""
        theirs = await self.everything_of(dialect, "you")
        for id in ("you-d", "you-gone"):
            assert await documents.update(id, {"title": "mine"}) is None
            assert await documents.update(id, {"labels": []}) is None
            assert await documents.increment(id, "rank") is None
            assert await documents.add_to_set(id, "tags", "x") is None
            assert await documents.pull(id, "tags", "t") is None
            assert await documents.delete(id) is False
            assert await documents.delete(id, hard=True) is False
            assert await documents.undelete(id) is None
            await refused(DuplicateKey, documents.upsert({"id": id, "title": "mine"}), documents.create({"id": id}))
        assert await documents.update_many({"account": "you"}, {"title": "mine"}) == 0
        assert await documents.delete_many({"account": "you"}) == 0
        assert await documents.update_many({"title": "paper"}, {"rank": 7}) == 1
        await refused(FilterEmpty, documents.delete_many({}), documents.update_many({}, {"rank": 1}))
        assert await documents.delete_many({}, all=True) == 1
        assert await documents.delete_many({"deleted_at": {"$ne": None}}, all=True, hard=True) == 1
        assert await self.everything_of(dialect, "you") == theirs
        assert await self.everything_of(dialect, "me") != theirs

    async def test_the_tenant_is_set(self, documents: Repository) -> None:
        """A new row is one's own; saying so is allowed, saying otherwise is not."""
        made = await documents.create({"title": "new"})
        assert made["account"] == "me"
        assert await documents.find_by_id(made["id"]) == made
        assert (await documents.upsert({"title": "newer"}))["account"] == "me"
        assert [row["account"] for row in await documents.create_many([{"title": "a"}, {"account": "me"}])] == [
            "me"
        ] * 2
        for error in await refused(
            TenantRequired,
            documents.create({"title": "x", "account": "you"}),
            documents.create_many([{"title": "x"}, {"title": "y", "account": "you"}]),
            documents.update(made["id"], {"account": "you"}),
            documents.update_many({"title": "new"}, {"account": "you"}),
            documents.upsert({"id": made["id"], "account": "you"}),
        ):
            assert error.facts["entity"] == "SuiteDocument"
        assert await documents.find_by_id(made["id"]) == made

    async def test_a_relation_to_a_row_of_another_is_one_to_nothing(self, documents: Repository) -> None:
        """It is refused with the very error of a row that does not exist."""
        before = await documents.find_all(include=["labels"])
        for there, nowhere in (("you-f", "no-f"),):
            for make in (
                lambda key: documents.create({"title": "x", "folder": key}),
                lambda key: documents.create_many([{"title": "x"}, {"title": "y", "folder": key}]),
                lambda key: documents.update("me-d", {"folder": key}),
                lambda key: documents.update_many({"id": "me-d"}, {"folder": key}),
                lambda key: documents.upsert({"id": "me-d", "folder": key}),
            ):
                foreign, missing = await refused(ConstraintViolated, make(there), make(nowhere))
                assert foreign.facts == missing.facts
                assert foreign.what == missing.what
        for key in ("you-l", "no-l"):
            await refused(
                ConstraintViolated,
                documents.create({"title": "x", "labels": ["me-l", key]}),
                documents.update("me-d", {"labels": [key]}),
                documents.upsert({"id": "me-d", "labels": [key]}),
            )
        assert await documents.find_all(include=["labels"]) == before
        await documents.update("me-d", {"folder": None, "labels": []})
        await documents.update("me-d", {"folder": "me-f", "labels": ["me-l"]})
        assert await documents.find_all(include=["labels"]) == before

    async def test_relations_load_ones_own_rows_only(self, dialect: Dialect, mine: Dialect) -> None:
        """Also where a row of one's own leads to another's."""
        await dialect.update(DOCUMENT, "me-d", {"folder": "you-f", "labels": ["me-l", "you-l"]})
        await dialect.update(DOCUMENT, "you-d", {"folder": "me-f"})
        document = await mine.find_by_id(DOCUMENT, "me-d", include=["folder", "labels"])
        assert document is not None
        assert document["folder"] is None
        assert [label["id"] for label in document["labels"]] == ["me-l"]
        folder = await mine.find_by_id(FOLDER, "me-f", include=["documents"])
        assert folder is not None
        assert folder["documents"] == []
        assert await mine.count(DOCUMENT, {"folder.name": "folder"}) == 0
        assert await mine.count(FOLDER, {"documents.title": "paper"}) == 0
        assert await mine.count(DOCUMENT, {"labels.id": "you-l"}) == 0

    async def test_unique_values_are_unique_for_each_tenant(self, dialect: Dialect, documents: Repository) -> None:
        """Where the index says so: two tenants have a title each, one has it once."""
        (error,) = await refused(DuplicateKey, documents.create({"title": "paper"}))
        self.assert_duplicate(error, "SuiteDocument", "account", "title")
        assert await dialect.count(DOCUMENT, {"title": "paper"}) == 2

    async def test_a_tenants_dialect_stays_the_tenants(self, dialect: Dialect, mine: Dialect) -> None:
        """It is nobody else's; entities without tenants are everybody's; None is no tenant."""
        with pytest.raises(TenantRequired):
            mine.as_tenant("you")
        with pytest.raises(TenantRequired):
            dialect.as_tenant(None)
        assert await mine.as_tenant("me").count(DOCUMENT) == 1
        (flags,) = await emptied(dialect, FLAG)
        made = await flags.create({"note": "n"})
        assert await mine.find_by_id(FLAG, made["id"]) == made
        assert await dialect.count(DOCUMENT) == 2
        assert await Repository(dialect, DOCUMENT).as_tenant("you").count() == 1
        await refused(ValueInvalid, dialect.as_tenant(5).find(DOCUMENT), dialect.as_tenant(5).create(DOCUMENT, {}))
        assert mine.name == dialect.name
        assert mine.schemas() == dialect.schemas()

    async def test_a_transaction_is_shared_with_the_tenants_dialect(self, dialect: Dialect, mine: Dialect) -> None:
        """Both work within the block that one of them opened."""
        needs(dialect, "transaction")

        class Undo(Exception):
            pass

        with pytest.raises(Undo):
            async with dialect.transaction():
                await mine.create(DOCUMENT, {"id": "n"})
                assert await dialect.find_by_id(DOCUMENT, "n") is not None
                raise Undo
        assert await dialect.find_by_id(DOCUMENT, "n") is None
