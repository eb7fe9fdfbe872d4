"""Rows lead to rows: relations of every kind are written, loaded, filtered by, and held to by the database."""

from __future__ import annotations

from typing import Any

import pytest

from objectkernel_system_dialect.dialect import Dialect
from objectkernel_system_dialect.errors import (
    ConstraintViolated,
    DuplicateKey,
    FilterInvalid,
    OptionInvalid,
    UnknownField,
    ValueInvalid,
)
from objectkernel_system_dialect.repository import Repository
from objectkernel_system_dialect.testing.schemas import AUTHOR, BOOK, GENRE, LIBRARY, PROFILE, REVIEW, SHELF
from objectkernel_system_dialect.testing.tools import Suite, emptied, refused


def ids(rows: Any) -> set[Any]:
    """The keys of rows."""
    return {row["id"] for row in rows}


@pytest.mark.anyio
class Relations(Suite):
    """What leads from row to row."""

    @pytest.fixture
    async def books(self, dialect: Dialect) -> Repository:
        """Three books of two authors, on a shelf, of genres, with reviews."""
        await dialect.update_many(AUTHOR, {}, {"mentor": None}, all=True)
        await emptied(dialect, *LIBRARY)
        await dialect.create(AUTHOR, {"id": "ada", "name": "Ada", "born": 1815, "more": {"city": "London"}})
        await dialect.create(AUTHOR, {"id": "bob", "name": "Bob", "mentor": "ada", "friends": ["ada"]})
        await dialect.create(AUTHOR, {"id": "eve", "name": "Eve"})
        await dialect.create(PROFILE, {"id": "p", "author": "ada", "motto": "calculate"})
        await dialect.create_many(SHELF, [{"number": 1, "room": "west"}, {"number": 2}])
        await dialect.create_many(GENRE, [{"code": "sf", "label": "Science"}, {"code": "cr", "label": "Crime"}])
        await dialect.create_many(
            BOOK,
            [
                {"id": "x", "title": "X", "pages": 100, "author": "ada", "shelf": 1, "genres": ["sf", "cr"]},
                {"id": "y", "title": "Y", "pages": 200, "author": "ada", "genres": ["sf"]},
                {"id": "z", "title": "Z", "pages": 300, "author": "bob", "shelf": 1},
                {"id": "o", "title": "O"},
            ],
        )
        await dialect.create_many(REVIEW, [{"id": "r1", "text": "good", "book": "x"}, {"id": "r2", "book": "x"}])
        return Repository(dialect, BOOK)

    # --- loading --------------------------------------------------------------------------------------

    async def test_a_row_holds_the_key_of_another(self, books: Repository) -> None:
        """A relation with a column is the other's key, or None; one without is no part of a row."""
        row = await books.find_by_id("x")
        assert row == {"id": "x", "title": "X", "pages": 100, "stars": None, "author": "ada", "shelf": 1}
        nobody = await books.find_by_id("o")
        assert nobody is not None
        assert (nobody["author"], nobody["shelf"]) == (None, None)

    async def test_the_other_row_is_loaded_in_the_keys_place(self, books: Repository, dialect: Dialect) -> None:
        """Many-to-one and one-to-one: the whole other row, or None."""
        ada = await dialect.find_by_id(AUTHOR, "ada")
        rows = await books.find_all(sort={"title": 1}, include=["author", "shelf"])
        assert [row["author"] and row["author"]["name"] for row in rows] == [None, "Ada", "Ada", "Bob"]
        assert [row["shelf"] and row["shelf"]["room"] for row in rows] == [None, "west", None, "west"]
        assert rows[1]["author"] == ada
        (profile,) = await dialect.find(PROFILE, {}, include="author")
        assert profile == {"id": "p", "motto": "calculate", "author": ada}
        bob = await dialect.find_by_id(AUTHOR, "bob", include=["mentor"])
        assert bob is not None
        assert bob["mentor"] == ada

    async def test_lists_of_other_rows_are_loaded_beside_the_fields(self, books: Repository, dialect: Dialect) -> None:
        """One-to-many and many-to-many, from both sides: a list in the order of the keys, empty where there is none."""
        authors = await dialect.find(AUTHOR, sort={"name": 1}, include=["books", "friends"])
        assert [[book["id"] for book in author["books"]] for author in authors] == [["x", "y"], ["z"], []]
        assert [[friend["id"] for friend in author["friends"]] for author in authors] == [[], ["ada"], []]
        rows = await books.find_all(sort={"title": 1}, include=["genres"])
        assert [[genre["code"] for genre in row["genres"]] for row in rows] == [[], ["cr", "sf"], ["sf"], []]
        genres = await dialect.find(GENRE, sort={"code": 1}, include=["books"])
        assert [[book["title"] for book in genre["books"]] for genre in genres] == [["X"], ["X", "Y"]]
        (shelf,) = await dialect.find(SHELF, {"number": 1}, include=["books"])
        assert [book["id"] for book in shelf["books"]] == ["x", "z"]

    async def test_every_reading_can_include(self, books: Repository) -> None:
        """One row, rows by key, pages and lists; together with selections."""
        wanted = {"name": "Ada"}
        one = await books.find_one({"title": "X"}, include=["author"])
        by_id = await books.find_by_id("x", include=["author"])
        (by_ids,) = await books.find_by_ids(["x"], include=["author"])
        page = await books.find_page({"title": "X"}, include=["author", "genres"], select=["title"])
        for row in (one, by_id, by_ids):
            assert row is not None
            assert row["author"]["name"] == wanted["name"]
        (row,) = page.rows
        assert set(row) == {"title", "author", "genres"}
        assert [genre["code"] for genre in row["genres"]] == ["cr", "sf"]
        assert await books.find_all({"title": "O"}, select=["title"], include=["author", "genres"]) == [
            {"title": "O", "author": None, "genres": []}
        ]
        assert await books.find_all({"title": "none"}, include=["author", "genres"]) == []
        assert await books.find_by_id("none", include=["author"]) is None
        related = await books.find_with_relations({"title": "X"}, include=["author"])
        assert related == [one]
        whole = await books.find_all({"title": "X"}, include=[])
        assert whole == [await books.find_by_id("x")]

    async def test_many_rows_include(self, books: Repository, dialect: Dialect) -> None:
        """Hundreds of rows that lead to hundreds of others."""
        await dialect.create_many(AUTHOR, [{"id": f"a{number:03}", "name": f"n{number}"} for number in range(300)])
        await books.create_many([{"id": f"b{n:03}", "author": f"a{n:03}", "pages": n + 1000} for n in range(300)])
        rows = await books.find_all({"pages": {"$gte": 1000}}, include=["author"], sort={"pages": 1})
        assert [row["author"]["name"] for row in rows] == [f"n{number}" for number in range(300)]
        authors = await dialect.find(AUTHOR, {"name": {"$like": "n%"}}, include=["books"])
        assert all([book["author"] for book in author["books"]] == [author["id"]] for author in authors)
        assert len(authors) == 300

    async def test_a_relation_is_a_value_too(self, books: Repository) -> None:
        """Rows are sorted, counted, grouped and paged by the keys that they hold."""
        assert await books.distinct("author") == ["ada", "bob"]
        assert [row["id"] for row in await books.find_all(sort={"author": -1, "id": 1})] == ["z", "x", "y", "o"]
        first = await books.find_page(sort={"author": 1}, limit=2, select=["id"], include=["author"])
        assert [(row["id"], row["author"] and row["author"]["name"]) for row in first.rows] == [
            ("o", None),
            ("x", "Ada"),
        ]
        rest = await books.find_page(sort={"author": 1}, after=first.next, select=["id"])
        assert list(rest.rows) == [{"id": "y"}, {"id": "z"}]
        groups = await books.aggregate([{"$group": {"_id": "$author", "n": {"$sum": 1}}}, {"$sort": {"_id": 1}}])
        assert [(group["_id"], group["n"]) for group in groups] == [(None, 1), ("ada", 2), ("bob", 1)]

    # --- filters --------------------------------------------------------------------------------------

    async def test_filters_reach_into_related_rows(self, books: Repository, dialect: Dialect) -> None:
        """At least one related row fulfils the condition; through several relations, and into json."""
        cases: list[tuple[Repository, dict[str, Any], set[str]]] = [
            (books, {"author": "ada"}, {"x", "y"}),
            (books, {"author": None}, {"o"}),
            (books, {"author": {"$in": ["bob", None]}}, {"z", "o"}),
            (books, {"author.name": "Ada"}, {"x", "y"}),
            (books, {"author.id": "bob"}, {"z"}),
            (books, {"author.name": {"$ne": "Ada"}}, {"z"}),
            (books, {"author.born": {"$gt": 1800}}, {"x", "y"}),
            (books, {"author.born": None}, {"z"}),
            (books, {"author.mentor.name": "Ada"}, {"z"}),
            (books, {"author.mentor": "ada"}, {"z"}),
            (books, {"author.books.title": "Y"}, {"x", "y"}),
            (books, {"shelf.room": "west", "pages": {"$lt": 200}}, {"x"}),
            (books, {"genres.code": "cr"}, {"x"}),
            (books, {"genres.label": {"$like": "S%"}}, {"x", "y"}),
            (books, {"genres.label": {"$ne": "Science"}}, {"x"}),
            (books, {"$nor": [{"author.name": "Ada"}]}, {"z", "o"}),
            (books, {"$nor": [{"genres.code": "sf"}]}, {"z", "o"}),
            (books, {"author.name": {"$not": {"$eq": "Ada"}}}, {"z"}),
            (books, {"$or": [{"author.name": "Bob"}, {"title": "O"}]}, {"z", "o"}),
            (books, {"author.name": {"$in": []}}, set()),
            (books, {"author.name": {"$nin": []}}, {"x", "y", "z"}),
            (books, {"author.name": "Ada", "shelf.room": "west", "title": "X"}, {"x"}),
            (Repository(dialect, AUTHOR), {"books.title": "X"}, {"ada"}),
            (Repository(dialect, AUTHOR), {"books.pages": {"$between": [150, 400]}}, {"ada", "bob"}),
            (Repository(dialect, AUTHOR), {"$nor": [{"books.pages": {"$gt": 0}}]}, {"eve"}),
            (Repository(dialect, AUTHOR), {"friends.name": "Ada"}, {"bob"}),
            (Repository(dialect, AUTHOR), {"books.genres.code": "cr"}, {"ada"}),
            (Repository(dialect, PROFILE), {"author.name": "Ada"}, {"p"}),
            (Repository(dialect, REVIEW), {"book.author.name": "Ada"}, {"r1", "r2"}),
        ]
        if "json" in dialect.capabilities:
            cases.append((books, {"author.more.city": "London"}, {"x", "y"}))
        for repository, filter, expected in cases:
            assert ids(await repository.find_all(filter)) == expected, filter
            assert await repository.count(filter) == len(expected), filter
        assert [row["code"] for row in await dialect.find(GENRE, {"books.author.name": "Ada"}, sort={"code": 1})] == [
            "cr",
            "sf",
        ]
        assert await books.update_many({"author.name": "Ada"}, {"stars": 5}) == 2
        assert ids(await books.find_all({"stars": 5})) == {"x", "y"}
        assert await dialect.delete_many(REVIEW, {"book.author.name": "Ada"}) == 2

    async def test_a_filter_into_a_relation_is_checked(self, books: Repository) -> None:
        """Unknown fields and wrong values of the other entity are refused like one's own."""
        await refused(UnknownField, books.find_all({"author.nmae": "x"}), books.find_all({"authro.name": "x"}))
        await refused(ValueInvalid, books.find_all({"author.born": "x"}), books.find_all({"author": 5}))
        await refused(
            FilterInvalid,
            books.find_all({"genres": "sf"}),
            books.find_all({"genres": {"$exists": True}}),
            books.find_all({"author.name.first": "x"}),
        )
        await refused(UnknownField, books.find_all(include=["title"]), books.find_all(sort={"genres": 1}))

    # --- writing --------------------------------------------------------------------------------------

    async def test_what_leads_nowhere_is_refused(self, books: Repository, dialect: Dialect) -> None:
        """Nothing is written, and the error says that a relation was the reason."""
        before = await books.find_all(sort={"id": 1}, include=["genres"])
        for error in await refused(
            ConstraintViolated,
            books.create({"title": "N", "author": "nobody"}),
            books.create_many([{"title": "N", "author": "ada"}, {"title": "N", "author": "nobody"}]),
            books.update("x", {"author": "nobody"}),
            books.upsert({"id": "x", "shelf": 99}),
            books.update_many({"title": "X"}, {"shelf": 99}),
            books.create({"title": "N", "genres": ["none"]}),
            books.update("x", {"title": "N", "genres": ["sf", "none"]}),
            books.upsert({"id": "x", "title": "N", "genres": ["none"]}),
        ):
            assert error.facts["constraint"] == "foreign key"
        assert await books.find_all(sort={"id": 1}, include=["genres"]) == before
        await refused(ValueInvalid, dialect.create(REVIEW, {"text": "of nothing"}), books.create({"author": 5}))

    async def test_only_one_row_leads_to_a_one_to_one(self, books: Repository, dialect: Dialect) -> None:
        """A second one is a duplicate."""
        (error,) = await refused(DuplicateKey, dialect.create(PROFILE, {"author": "ada"}))
        self.assert_duplicate(error, "SuiteProfile", "author")
        await dialect.create(PROFILE, {"author": "bob"})

    async def test_links_are_written_as_a_list_of_keys(self, books: Repository, dialect: Dialect) -> None:
        """They become these and no others, each once; left out they stay; both sides write the same links."""

        async def genres(id: str) -> list[str]:
            row = await books.find_by_id(id, include=["genres"])
            assert row is not None
            return [genre["code"] for genre in row["genres"]]

        made = await books.create({"id": "n", "title": "N", "genres": ("sf", "sf")})
        assert "genres" not in made
        assert await genres("n") == ["sf"]
        changed = await books.update("n", {"genres": ["cr"]})
        assert changed == made
        assert await genres("n") == ["cr"]
        await books.update("n", {"title": "M"})
        assert await genres("n") == ["cr"]
        await books.upsert({"id": "n", "title": "L"})
        assert await genres("n") == ["cr"]
        await books.upsert({"id": "n", "genres": {"sf", "cr"}})
        assert await genres("n") == ["cr", "sf"]
        await books.update("n", {"genres": []})
        assert await genres("n") == []
        assert await books.update("nobody", {"genres": ["sf"]}) is None
        await dialect.update(GENRE, "cr", {"books": ["n", "z"]})
        assert (await genres("n"), await genres("z"), await genres("x")) == (["cr"], ["cr"], ["sf"])
        await dialect.create(GENRE, {"code": "new", "books": ["x"]})
        assert await genres("x") == ["new", "sf"]
        await refused(ValueInvalid, books.update("n", {"genres": "sf"}), books.update("n", {"genres": [5]}))
        await refused(ValueInvalid, books.update("n", {"genres": None}), books.update("n", {"genres": [None]}))
        await refused(OptionInvalid, books.update_many({"id": "n"}, {"genres": ["sf"]}))
        assert await genres("n") == ["cr"]

    async def test_lists_of_a_one_to_many_are_not_written(self, books: Repository, dialect: Dialect) -> None:
        """The other rows hold the keys."""
        await refused(
            UnknownField, dialect.create(AUTHOR, {"books": ["x"]}), dialect.update(AUTHOR, "ada", {"books": []})
        )

    async def test_a_relation_is_no_number(self, books: Repository) -> None:
        """A key in a relation is not added to."""
        await refused(OptionInvalid, books.increment("x", "shelf"))

    # --- deletion -------------------------------------------------------------------------------------

    async def test_restrict_keeps_the_other_row(self, books: Repository, dialect: Dialect) -> None:
        """A row that others lead to is not deleted, alone or among many."""
        for error in await refused(
            ConstraintViolated, dialect.delete(AUTHOR, "ada"), dialect.delete_many(AUTHOR, {"name": {"$ne": None}})
        ):
            assert error.facts["constraint"] == "foreign key"
        assert await dialect.count(AUTHOR) == 3
        assert await dialect.delete(AUTHOR, "eve") is True

    async def test_cascade_deletes_too(self, books: Repository, dialect: Dialect) -> None:
        """With the book go its reviews and its links, and nothing else."""
        assert await books.delete("x") is True
        assert await dialect.count(REVIEW) == 0
        assert await dialect.count(GENRE) == 2
        assert await dialect.count(GENRE, {"books.id": "x"}) == 0
        genre = await dialect.find_by_id(GENRE, "sf", include=["books"])
        assert genre is not None
        assert ids(genre["books"]) == {"y"}
        assert await dialect.delete(GENRE, "sf") is True
        assert await books.count() == 3

    async def test_set_null_lets_go(self, books: Repository, dialect: Dialect) -> None:
        """The rows that led there stay, and lead nowhere."""
        assert await dialect.delete(SHELF, 1) is True
        assert await books.count({"shelf": None}) == 4
        await dialect.update_many(BOOK, {"author": "ada"}, {"author": None})
        assert await dialect.delete(AUTHOR, "ada") is True
        assert await dialect.count(PROFILE) == 0
        bob = await dialect.find_by_id(AUTHOR, "bob", include=["mentor", "friends"])
        assert bob is not None
        assert (bob["mentor"], bob["friends"]) == (None, [])
