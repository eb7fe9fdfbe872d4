"""Tables of entities: what several share, what leads to others, and what bears a name."""

from __future__ import annotations

from itertools import chain

import attrs
from objectkernel_system_dialect.contracts import EntitySchema, Field, Index, Relation
from objectkernel_system_dialect.stored import Stored
from objectkernel_system_dialect.tables import LONGEST, build_link, build_table, unique_keys
from objectkernel_system_dialect.testing.schemas import BOOK, CAT, DOG, ENTRY, GENRE, LIBRARY, MEMBER, SCHEMAS, TICKET
from sqlalchemy import ForeignKeyConstraint, Table

BY_NAME = {schema.name: schema for schema in SCHEMAS}


def built(schema: EntitySchema) -> Table:
    return build_table([schema], BY_NAME)


def names_of(table: Table) -> list[str]:
    return [str(one.name) for one in chain(table.constraints, table.indexes)]


def test_entities_in_one_collection_share_its_columns() -> None:
    """The table has the columns of all; what one of them has not may be missing, whatever the other says."""
    table = build_table([CAT, DOG], BY_NAME)
    assert {column.name: column.nullable for column in table.columns} == {
        "id": False,
        "name": True,
        "lives": True,
        "tricks": True,
        "species": False,
        "created_at": False,
        "updated_at": False,
    }


def test_a_link_is_one_table_seen_from_two_sides() -> None:
    """The side that is mapped by the other has the same table, and its own key in the other column."""
    link, back = build_link(BOOK, "genres", BY_NAME), build_link(GENRE, "books", BY_NAME)
    assert (link.table.name, link.own, link.other) == ("suite_books_genres", "source", "target")
    assert (back.table.name, back.own, back.other) == ("suite_books_genres", "target", "source")
    assert unique_keys(link.table) == {("source", "target")}
    types = {name: link.table.c[name].type for name in ("source", "target")}
    assert all(isinstance(type, Stored) for type in types.values())
    assert [types[name].field.length for name in ("source", "target")] == [36, 20]
    leads = {(*one.column_keys, one.referred_table.name, one.ondelete) for one in link.table.foreign_key_constraints}
    assert leads == {("source", "suite_books", "CASCADE"), ("target", "suite_genres", "CASCADE")}


def test_a_link_table_may_be_given_a_name() -> None:
    """`through` says it."""
    relation = attrs.evolve(BOOK.relations["genres"], through="kinds_of_books")
    book = attrs.evolve(BOOK, relations={**BOOK.relations, "genres": relation})
    assert build_link(book, "genres", BY_NAME).table.name == "kinds_of_books"


def test_unique_keys_are_all_that_no_two_rows_share() -> None:
    """Keys, unique fields, unique indexes and one-to-one relations; a sequence beside the key too."""
    assert unique_keys(built(MEMBER)) == {("id",), ("email",), ("seat", "team")}
    assert unique_keys(built(ENTRY)) == {("number",), ("rank", "topic")}
    assert unique_keys(built(TICKET)) == {("number",)}
    assert unique_keys(built(BY_NAME["SuiteProfile"])) == {("id",), ("author",)}


def test_relations_are_held_by_the_database_and_found_through_an_index() -> None:
    """What happens to a row when the other is deleted is the database's affair, and quick."""
    leads = {
        (one.column_keys[0], one.referred_table.name, one.ondelete)
        for schema in LIBRARY
        for one in built(schema).constraints
        if isinstance(one, ForeignKeyConstraint)
    }
    assert leads == {
        ("author", "suite_authors", "RESTRICT"),
        ("author", "suite_authors", "CASCADE"),
        ("mentor", "suite_authors", "SET NULL"),
        ("shelf", "suite_shelves", "SET NULL"),
        ("book", "suite_books", "CASCADE"),
    }
    assert {tuple(index.columns.keys()) for index in built(BOOK).indexes} == {("author",), ("shelf",)}


def test_names_are_short_and_nobody_elses() -> None:
    """However long the names of tables and fields are, and however alike."""
    long = "a" * 60
    schemas = [
        EntitySchema(
            name=f"Long{number}",
            collection=f"{long}_{number}",
            fields={f"{long}_x": Field("integer", unique=True), f"{long}_y": Field("integer")},
            relations={f"{long}_r": Relation(f"Long{number}")},
            indexes=(Index({f"{long}_x": 1, f"{long}_y": -1}), Index({f"{long}_x": 1, f"{long}_y": 1})),
        )
        for number in range(2)
    ]
    by_name = {schema.name: schema for schema in schemas}
    names = [name for schema in schemas for name in names_of(build_table([schema], by_name))]
    assert len(set(names)) == len(names) == 12
    assert max(map(len, names)) <= LONGEST
