"""The business data of a library: every type of field, every kind of relation, and all of it somebody's own."""

from __future__ import annotations

from objectkernel import Plugin, contributes
from objectkernel_system_dialect.contracts import BUSINESS_SCHEMAS, EntitySchema, Field, Relation

AUTHOR = EntitySchema(
    name="Author",
    collection="authors",
    fields={"library": Field("string", required=True), "name": Field("string", required=True)},
    relations={"books": Relation("Book", kind="one-to-many", mapped_by="author")},
    tenant="library",
    timestamps=True,
)
BOOK = EntitySchema(
    name="Book",
    collection="books",
    fields={
        "library": Field("string", required=True),
        "title": Field("string", required=True, length=100),
        "blurb": Field("text"),
        "pages": Field("integer", min=1, max=100_000),
        "weight": Field("number", min=0),
        "price": Field("decimal", precision=12, scale=2),
        "lent": Field("boolean", default=False),
        "published": Field("datetime"),
        "extra": Field("json"),
        "code": Field("uuid"),
        "cover": Field("binary"),
        "kind": Field("enum", enum=("novel", "atlas"), default="novel"),
        "words": Field("array", default=list),
        "number": Field("sequence"),
    },
    relations={"author": Relation("Author"), "editors": Relation("Author", kind="many-to-many")},
    tenant="library",
    version=True,
)
SHELF = EntitySchema(
    name="Shelf",
    collection="shelves",
    key=("room", "place"),
    fields={
        "library": Field("string", required=True),
        "room": Field("string", length=40),
        "place": Field("integer"),
        "note": Field("string"),
    },
    tenant="library",
    soft_delete=True,
)


class Library(Plugin):
    """Brings the entities."""

    name = "library"

    @contributes(BUSINESS_SCHEMAS, uses=())
    def author(self) -> EntitySchema:
        return AUTHOR

    @contributes(BUSINESS_SCHEMAS, uses=())
    def book(self) -> EntitySchema:
        return BOOK

    @contributes(BUSINESS_SCHEMAS, uses=())
    def shelf(self) -> EntitySchema:
        return SHELF
