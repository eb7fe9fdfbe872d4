"""The entities of the behaviour suite: together they use every kind of field, relation and option there is."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from objectkernel_system_dialect.schema import Discriminator, EntitySchema, Field, Index, Relation

ITEM: Final = EntitySchema(
    name="SuiteItem",
    collection="suite_items",
    key=("number",),
    fields={
        "number": Field("integer"),
        "name": Field("string", length=60),
        "note": Field("text"),
        "size": Field("integer"),
        "weight": Field("number"),
        "price": Field("decimal", precision=12, scale=2),
        "open": Field("boolean"),
        "moment": Field("datetime"),
        "data": Field("json"),
        "code": Field("uuid"),
        "blob": Field("binary"),
        "kind": Field("enum", enum=("small", "large", "ÜBERGROSS")),
        "labels": Field("array"),
        "counts": Field("array", items="integer"),
        "ratios": Field("array", items="number"),
        "flags": Field("array", items="boolean"),
    },
    indexes=(Index({"size": 1, "name": -1}),),
)
"""A field of each type, none of them required."""

MEMBER: Final = EntitySchema(
    name="SuiteMember",
    collection="suite_members",
    fields={
        "name": Field("string", required=True),
        "email": Field("string", unique=True),
        "team": Field("string", length=20),
        "seat": Field("integer"),
        "score": Field("integer", min=0, max=100),
        "balance": Field("decimal", precision=10, scale=2, min=Decimal("-5")),
        "rating": Field("number", max=5),
        "total": Field("integer"),
        "visits": Field("integer", required=True, default=0),
        "role": Field("enum", enum=("admin", "member"), default="member"),
        "tags": Field("array", default=list),
        "lucky": Field("array", items="integer"),
    },
    indexes=(Index(("team", "seat"), unique=True),),
    timestamps=True,
    version=True,
)
"""An implied id, defaults, bounds, unique values, times and a version."""

DRAFT: Final = EntitySchema(
    name="SuiteDraft",
    collection="suite_drafts",
    fields={"title": Field("string", unique=True), "body": Field("text"), "stars": Field("integer")},
    timestamps=True,
    soft_delete=True,
    version=True,
)
"""Rows that are deleted softly."""

FLAG: Final = EntitySchema(name="SuiteFlag", collection="suite_flags", fields={"note": Field("text")})
"""The least that an entity can be."""

ENTRY: Final = EntitySchema(
    name="SuiteEntry",
    collection="suite_entries",
    fields={
        "topic": Field("string", length=80),
        "rank": Field("integer"),
        "body": Field("text", required=True),
        "number": Field("sequence"),
    },
    key=("topic", "rank"),
    timestamps=True,
)
"""A key of two fields, and a sequence beside it."""

TICKET: Final = EntitySchema(
    name="SuiteTicket",
    collection="suite_tickets",
    fields={"number": Field("sequence"), "topic": Field("string")},
    key=("number",),
)
"""A sequence for a key."""

AUTHOR: Final = EntitySchema(
    name="SuiteAuthor",
    collection="suite_authors",
    fields={"name": Field("string"), "born": Field("integer"), "more": Field("json")},
    relations={
        "books": Relation("SuiteBook", kind="one-to-many", mapped_by="author"),
        "mentor": Relation("SuiteAuthor", on_delete="set-null"),
        "friends": Relation("SuiteAuthor", kind="many-to-many"),
    },
)
PROFILE: Final = EntitySchema(
    name="SuiteProfile",
    collection="suite_profiles",
    fields={"motto": Field("string")},
    relations={"author": Relation("SuiteAuthor", kind="one-to-one", required=True, on_delete="cascade")},
)
SHELF: Final = EntitySchema(
    name="SuiteShelf",
    collection="suite_shelves",
    key=("number",),
    fields={"number": Field("integer"), "room": Field("string")},
    relations={"books": Relation("SuiteBook", kind="one-to-many", mapped_by="shelf")},
)
GENRE: Final = EntitySchema(
    name="SuiteGenre",
    collection="suite_genres",
    key=("code",),
    fields={"code": Field("string", length=20), "label": Field("string")},
    relations={"books": Relation("SuiteBook", kind="many-to-many", mapped_by="genres")},
)
BOOK: Final = EntitySchema(
    name="SuiteBook",
    collection="suite_books",
    fields={"title": Field("string"), "pages": Field("integer"), "stars": Field("integer")},
    relations={
        "author": Relation("SuiteAuthor", on_delete="restrict"),
        "shelf": Relation("SuiteShelf", on_delete="set-null"),
        "genres": Relation("SuiteGenre", kind="many-to-many"),
    },
)
REVIEW: Final = EntitySchema(
    name="SuiteReview",
    collection="suite_reviews",
    fields={"text": Field("text")},
    relations={"book": Relation("SuiteBook", required=True, on_delete="cascade")},
)
LIBRARY: Final = (REVIEW, BOOK, GENRE, SHELF, PROFILE, AUTHOR)
"""Relations of every kind, with every answer to the deletion of the other row; in the order in which they empty."""

CAT: Final = EntitySchema(
    name="SuiteCat",
    collection="suite_pets",
    fields={"name": Field("string"), "lives": Field("integer", required=True, default=9)},
    discriminator=Discriminator("species", "cat"),
    timestamps=True,
)
DOG: Final = EntitySchema(
    name="SuiteDog",
    collection="suite_pets",
    fields={"name": Field("string"), "tricks": Field("array")},
    discriminator=Discriminator("species", "dog"),
    timestamps=True,
)
"""Two entities in one collection."""

FOLDER: Final = EntitySchema(
    name="SuiteFolder",
    collection="suite_folders",
    fields={"account": Field("string", required=True, length=40), "name": Field("string")},
    relations={"documents": Relation("SuiteDocument", kind="one-to-many", mapped_by="folder")},
    tenant="account",
)
LABEL: Final = EntitySchema(
    name="SuiteLabel",
    collection="suite_labels",
    fields={"account": Field("string", required=True, length=40), "name": Field("string")},
    tenant="account",
)
DOCUMENT: Final = EntitySchema(
    name="SuiteDocument",
    collection="suite_documents",
    fields={
        "account": Field("string", required=True, length=40),
        "title": Field("string"),
        "rank": Field("integer"),
        "tags": Field("array"),
    },
    relations={"folder": Relation("SuiteFolder"), "labels": Relation("SuiteLabel", kind="many-to-many")},
    indexes=(Index(("account", "title"), unique=True),),
    soft_delete=True,
    tenant="account",
)
ARCHIVE: Final = (DOCUMENT, LABEL, FOLDER)
"""Rows that belong to tenants, and lead to each other; in the order in which they empty."""

SCHEMAS: Final = (ITEM, MEMBER, DRAFT, FLAG, ENTRY, TICKET, *reversed(LIBRARY), CAT, DOG, *reversed(ARCHIVE))
"""All entities of the suite: a dialect that cannot make tables by itself has to have them before it is tested."""
