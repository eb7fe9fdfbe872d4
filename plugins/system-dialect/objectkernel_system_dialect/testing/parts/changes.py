"""Rows are written, changed, counted up and put in the place of others; each write is whole, or was not made."""

from __future__ import annotations

from datetime import UTC
from decimal import Decimal
from functools import partial
from typing import Any

import anyio
import pytest

from objectkernel_system_dialect.dialect import Dialect
from objectkernel_system_dialect.errors import (
    ConstraintViolated,
    DuplicateKey,
    FilterEmpty,
    OptionInvalid,
    ValueInvalid,
    VersionConflict,
)
from objectkernel_system_dialect.repository import Repository
from objectkernel_system_dialect.testing.schemas import DRAFT, ENTRY, FLAG, ITEM, MEMBER, TICKET
from objectkernel_system_dialect.testing.tools import Suite, emptied, odd, refused, together


@pytest.mark.anyio
class Changes(Suite):
    """Writing and changing."""

    @pytest.fixture
    async def members(self, dialect: Dialect) -> Repository:
        """Members, of whom there are none."""
        (members,) = await emptied(dialect, MEMBER)
        return members

    # --- create ---------------------------------------------------------------------------------------

    async def test_a_created_row_is_read_back_as_it_was_returned(self, members: Repository) -> None:
        """`create` returns the whole row, with id, defaults, times and version."""
        made = await members.create({"name": "Ada"})
        assert await members.find_by_id(made["id"]) == made
        assert list(made) == list(MEMBER.names)
        assert made["created_at"].tzinfo is UTC
        assert made["updated_at"] == made["created_at"]
        assert made["version"] == 1

    async def test_a_bulk_insert_is_made_wholly_or_not_at_all(self, members: Repository) -> None:
        """One row that the database refuses undoes them all, however many there are."""
        rows: list[dict[str, Any]] = [{"name": "n", "email": str(number)} for number in range(1500)]
        (error,) = await refused(DuplicateKey, members.create_many([*rows, {"name": "n", "email": "7"}]))
        self.assert_duplicate(error, "SuiteMember", "email")
        assert await members.count() == 0

    async def test_a_duplicate_names_the_fields_and_no_value(self, members: Repository, dialect: Dialect) -> None:
        """A second row with a key or a unique value is refused; missing values are no duplicates."""
        first = await members.create({"id": "a", "name": "Ada", "email": "ada@example.org", "team": "t", "seat": 1})
        (entries,) = await emptied(dialect, ENTRY)
        await entries.create({"topic": "t", "rank": 1, "body": "x"})
        for error, fields in zip(
            await refused(
                DuplicateKey,
                members.create({"id": "a", "name": "Bob"}),
                members.create({"name": "Bob", "email": "ada@example.org"}),
                members.create({"name": "Bob", "team": "t", "seat": 1}),
            ),
            (("id",), ("email",), ("seat", "team")),
            strict=True,
        ):
            self.assert_duplicate(error, "SuiteMember", *fields)
            assert "ada@example.org" not in str(error)
        (error,) = await refused(DuplicateKey, entries.create({"topic": "t", "rank": 1, "body": "y"}))
        self.assert_duplicate(error, "SuiteEntry", "topic", "rank")
        for other in ("ADA@example.org", "ada@example.org ", None, None):
            await members.create({"name": "Bob", "email": other, "team": "t"})
        assert await members.find_by_id("a") == first
        bob = await members.create({"name": "Bob"})
        await refused(
            DuplicateKey,
            members.update(bob["id"], {"email": "ada@example.org"}),
            members.update(bob["id"], {"name": "Eve", "team": "t", "seat": 1}),
            members.update_many({"name": "Bob"}, {"email": "same"}),
        )
        assert await members.find_by_id(bob["id"]) == bob

    # --- update ---------------------------------------------------------------------------------------

    async def test_update_changes_one_row_and_returns_it(self, members: Repository) -> None:
        """Only the fields given change, the time and the version; a key that nobody has gives None."""
        made = await members.create({"name": "Ada", "score": 36, "tags": ["x"]})
        other = await members.create({"name": "Bob", "score": 1})
        changed = await members.update(made["id"], {"score": 37, "email": None})
        assert changed is not None
        assert changed == made | {"score": 37, "updated_at": changed["updated_at"], "version": 2}
        assert changed["updated_at"] > made["updated_at"]
        assert await members.find_by_id(made["id"]) == changed
        assert await members.find_by_id(other["id"]) == other
        assert await members.update("nobody", {"score": 1}) is None
        assert await members.update(made["id"], {}) == changed
        assert await members.update("nobody", {}) is None

    async def test_an_update_to_the_same_value_is_one(self, members: Repository) -> None:
        """A row that already has the value was found, and is returned."""
        made = await members.create({"name": "Ada"})
        again = await members.update(made["id"], {"name": "Ada"})
        assert again is not None
        assert again["version"] == 2
        assert await members.update_many({"name": "Ada"}, {"name": "Ada"}) == 1

    async def test_a_version_is_demanded(self, members: Repository) -> None:
        """With another version than the row's nothing is changed, and the error says which was wanted."""
        made = await members.create({"name": "Ada"})
        changed = await members.update(made["id"], {"name": "Eve"}, version=1)
        assert changed is not None
        assert changed["version"] == 2
        for error in await refused(
            VersionConflict,
            members.update(made["id"], {"name": "Bob"}, version=1),
            members.update(made["id"], {"name": "Bob"}, version=3),
            members.update(made["id"], {}, version=1),
        ):
            assert error.facts["entity"] == "SuiteMember"
            assert error.facts["key"] == made["id"]
        assert await members.find_by_id(made["id"]) == changed
        assert await members.update("nobody", {"name": "Bob"}, version=1) is None
        assert await members.update(made["id"], {}, version=2) == changed
        await refused(ValueInvalid, members.update(made["id"], {"name": "x"}, version=odd("1")))

    async def test_one_of_many_wins_a_version(self, members: Repository) -> None:
        """Of many changes made for one version at the same time one is made; the others hear of it."""
        made = await members.create({"name": "Ada"})

        async def change(name: str) -> bool:
            try:
                await members.update(made["id"], {"name": name}, version=1)
            except VersionConflict:
                return False
            return True

        won = await together(*(partial(change, f"n{number}") for number in range(8)))
        assert sum(won) == 1
        row = await members.find_by_id(made["id"])
        assert row is not None
        assert (row["name"], row["version"]) == (f"n{won.index(True)}", 2)

    async def test_update_many_changes_what_matches(self, members: Repository) -> None:
        """It returns the number of rows, and changes the others not; everything needs `all=True`."""
        await members.create_many([{"id": f"{n}", "name": f"n{n}", "score": n} for n in range(6)])
        assert await members.update_many({"score": {"$lt": 3}}, {"score": 50, "team": "t"}) == 3
        rows = await members.find_all(sort={"name": 1})
        assert [row["score"] for row in rows] == [50, 50, 50, 3, 4, 5]
        assert [row["version"] for row in rows] == [2, 2, 2, 1, 1, 1]
        assert rows[0]["updated_at"] > rows[0]["created_at"]
        assert await members.update_many({"score": 99}, {"score": 1}) == 0
        assert await members.update_many({"score": 50}, {}) == 3
        filters: list[dict[str, Any]] = [{}, {"score": {"$nin": []}}, {"$nor": [{"name": {"$in": []}}]}]
        for everything in filters:
            await refused(FilterEmpty, members.update_many(everything, {"score": 1}))
        assert await members.count({"score": 1}) == 0
        assert await members.update_many({}, {"score": 1}, all=True) == 6
        assert await members.count({"score": 1}) == 6

    # --- upsert ---------------------------------------------------------------------------------------

    async def test_upsert_keeps_what_belongs_to_the_first_insert(self, dialect: Dialect) -> None:
        """A row that is there keeps `created_at`, its sequence and the fields not given."""
        entries, members = await emptied(dialect, ENTRY, MEMBER)
        first = await entries.upsert({"topic": "a", "rank": 1, "body": "x"})
        other = await entries.create({"topic": "a", "rank": 2, "body": "y"})
        again = await entries.upsert({"topic": "a", "rank": 1, "body": "z"})
        assert again == first | {"body": "z", "updated_at": again["updated_at"]}
        assert again["updated_at"] > first["updated_at"]
        assert await entries.find_all(sort={"rank": 1}) == [again, other]
        made = await members.upsert({"id": "a", "name": "Ada", "score": 5, "tags": ["t"], "role": "admin"})
        assert made["version"] == 1
        changed = await members.upsert({"id": "a", "name": "Eve", "score": None})
        assert changed == made | {"name": "Eve", "score": None, "updated_at": changed["updated_at"], "version": 2}
        assert await members.find_all() == [changed]
        fresh = await members.upsert({"name": "Bob"})
        assert fresh["id"] != "a"
        assert fresh["role"] == "member"

    async def test_an_upsert_of_the_key_alone_returns_the_row(self, dialect: Dialect) -> None:
        """Where nothing but the key is given, the row that is there comes back unchanged."""
        (flags,) = await emptied(dialect, FLAG)
        made = await flags.create({"id": "a", "note": "n"})
        assert await flags.upsert({"id": "a"}) == made

    async def test_an_upsert_changes_no_other_row(self, members: Repository) -> None:
        """When another row has a unique value of it, neither row changes."""
        ada = await members.create({"id": "a", "name": "Ada", "email": "x", "team": "t", "seat": 1})
        bob = await members.create({"id": "b", "name": "Bob", "email": "y"})
        await refused(
            DuplicateKey,
            members.upsert({"id": "b", "name": "Eve", "email": "x"}),
            members.upsert({"id": "c", "name": "Eve", "email": "x"}),
            members.upsert({"id": "c", "name": "Eve", "team": "t", "seat": 1}),
        )
        assert await members.find_all(sort={"id": 1}) == [ada, bob]

    async def test_many_upserts_of_one_key(self, members: Repository) -> None:
        """At the same time they all succeed, and leave one row with one version for each."""
        rows = await together(
            *(partial(members.upsert, {"id": "a", "name": f"n{number}", "score": number}) for number in range(12))
        )
        (row,) = await members.find_all()
        assert row["version"] == 12
        assert sorted(row["version"] for row in rows) == list(range(1, 13))
        assert row["name"] == f"n{row['score']}"

    async def test_a_key_that_the_database_gives_cannot_be_upserted(self, dialect: Dialect) -> None:
        """Nobody can name the row that is meant."""
        (tickets,) = await emptied(dialect, TICKET)
        await refused(OptionInvalid, tickets.upsert({"topic": "a"}))
        assert await tickets.count() == 0

    # --- increment ------------------------------------------------------------------------------------

    async def test_increments_add_up(self, members: Repository) -> None:
        """Many at the same time lose none; the row comes back whole, with its time and version."""
        made = await members.create({"id": "a", "name": "Ada"})
        rows = await together(*(partial(members.increment, "a", "visits", number) for number in range(1, 13)))
        row = await members.find_by_id("a")
        assert row is not None
        assert row["visits"] == 78
        assert row["version"] == 13
        assert row["updated_at"] > made["updated_at"]
        assert {row["version"] for row in rows if row} == set(range(2, 14))
        assert row == made | {name: row[name] for name in ("visits", "version", "updated_at")}

    async def test_what_is_added(self, members: Repository) -> None:
        """Integers, decimals and floats, below zero too; a missing value counts as 0; no row gives None."""
        await members.create({"id": "a", "name": "Ada", "balance": Decimal("1.10"), "rating": 0.5})

        async def added(field: str, by: Any) -> Any:
            row = await members.increment("a", field, by)
            assert row is not None
            assert row == await members.find_by_id("a")
            return row[field]

        assert await added("visits", -3) == -3
        assert await added("total", 2**62) == 2**62
        assert await added("total", 2**62 - 1) == 2**63 - 1
        assert repr(await added("balance", Decimal("0.2"))) == "Decimal('1.30')"
        assert repr(await added("balance", -1)) == "Decimal('0.30')"
        assert await added("rating", 0.25) == 0.75
        assert repr(await added("rating", -1)) == "-0.25"
        assert await added("score", 100) == 100
        assert await members.increment("nobody", "visits") is None
        row = await members.increment("a", "visits")
        assert row is not None
        assert row["visits"] == -2

    async def test_an_increment_stays_within_the_bounds(self, members: Repository) -> None:
        """What would leave the field's bounds, or 64 bits, changes nothing, also where nothing is there yet."""
        made = await members.create({"id": "a", "name": "Ada", "score": 99, "total": 2**63 - 1, "rating": 4.5})
        for field, by in (
            ("score", 2), ("score", -100), ("score", 2**62), ("total", 1), ("balance", Decimal("-5.01")), ("rating", 1),
        ):  # fmt: skip
            (error,) = await refused(ConstraintViolated, members.increment("a", field, by))
            assert error.facts["entity"] == "SuiteMember", field
        assert await members.find_by_id("a") == made
        assert (await members.increment("a", "balance", Decimal("99999999.99"))) is not None
        await refused(ConstraintViolated, members.increment("a", "balance", Decimal("0.01")))

    async def test_an_increment_of_the_wrong_type_is_refused(self, members: Repository) -> None:
        """What is added has to be a value of the field, and the field one that is written."""
        made = await members.create({"id": "a", "name": "Ada", "balance": 1})
        for field, by in (("visits", 1.5), ("visits", "1"), ("visits", True), ("visits", None), ("balance", 0.5)):
            await refused(ValueInvalid, members.increment("a", field, by))
        await refused(ValueInvalid, members.increment("a", "version"))
        assert await members.find_by_id("a") == made

    # --- sets -----------------------------------------------------------------------------------------

    async def test_a_set_takes_each_value_once(self, members: Repository) -> None:
        """`add_to_set` appends what is not there; a missing array begins with the value."""
        made = await members.create({"id": "a", "name": "Ada", "tags": ["x"], "lucky": None})
        first = await members.add_to_set("a", "tags", "y")
        assert first is not None
        assert first == made | {"tags": ["x", "y"], "version": 2, "updated_at": first["updated_at"]}
        second = await members.add_to_set("a", "tags", "x")
        assert second is not None
        assert second["tags"] == ["x", "y"]
        third = await members.add_to_set("a", "lucky", 2**53 + 1)
        assert third is not None
        assert third["lucky"] == [2**53 + 1]
        assert await members.find_by_id("a") == third
        assert await members.add_to_set("nobody", "tags", "x") is None
        await refused(ValueInvalid, members.add_to_set("a", "tags", 1), members.add_to_set("a", "lucky", True))

    async def test_a_value_is_pulled_out_wherever_it_is(self, members: Repository) -> None:
        """`pull` takes every one; without one, or without an array, the row stays as it is."""
        await members.create({"id": "a", "name": "Ada", "tags": ["x", "y", "x", "X"], "lucky": None})
        row = await members.pull("a", "tags", "x")
        assert row is not None
        assert row["tags"] == ["y", "X"]
        assert await members.find_by_id("a") == row
        again = await members.pull("a", "tags", "x")
        assert again is not None
        assert again["tags"] == ["y", "X"]
        nothing = await members.pull("a", "lucky", 1)
        assert nothing is not None
        assert nothing["lucky"] is None
        assert await members.pull("nobody", "tags", "x") is None
        await refused(ValueInvalid, members.pull("a", "tags", None))

    async def test_sets_lose_nothing(self, members: Repository) -> None:
        """Many values added and taken at the same time are all in, and all out."""
        await members.create({"id": "a", "name": "Ada", "tags": [f"old{number}" for number in range(6)]})
        await together(
            *(partial(members.add_to_set, "a", "tags", f"new{number}") for number in range(6)),
            *(partial(members.pull, "a", "tags", f"old{number}") for number in range(6)),
        )
        row = await members.find_by_id("a")
        assert row is not None
        assert sorted(row["tags"]) == [f"new{number}" for number in range(6)]
        assert row["version"] == 13

    # --- cancellation ---------------------------------------------------------------------------------

    async def test_a_cancelled_write_is_whole_or_was_not_made(self, dialect: Dialect) -> None:
        """Whenever its caller leaves; and the dialect is as good as before."""
        items, drafts = await emptied(dialect, ITEM, DRAFT)
        for number in range(12):
            rows = [{"number": number * 100 + row, "size": number} for row in range(100)]
            with anyio.move_on_after(number * 0.0004):
                await items.create_many(rows)
        assert await items.count() % 100 == 0
        for number in range(12):
            made = await items.count({"size": number})
            assert made in (0, 100)
            with anyio.move_on_after(number * 0.0002):
                await items.update_many({"size": number}, {"name": "changed"})
            assert await items.count({"size": number, "name": "changed"}) in (0, made)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await drafts.create({"title": "never"})
        assert scope.cancelled_caught
        assert await drafts.create({"title": "later"}) == await drafts.find_one({"title": "later"})
        await dialect.ping()

    async def test_cancelled_reads_disturb_nobody(self, dialect: Dialect) -> None:
        """Reads that are left half way and reads that are not, at the same time."""
        (items,) = await emptied(dialect, ITEM)
        await items.create_many([{"number": number, "note": "x" * 100} for number in range(500)])

        async def leave(seconds: float) -> int:
            with anyio.move_on_after(seconds):
                await items.find_all(sort={"note": 1})
            return 500

        async def stay() -> int:
            return len(await items.find_all())

        assert await together(*(partial(leave, n * 0.0005) for n in range(8)), *(stay for _ in range(8))) == [500] * 16
