"""Entities for the tests of HTTP and NET: every type, a composite key, tenants, versions, relations, soft deletes."""

from __future__ import annotations

from objectkernel_system_dialect.contracts import Dialect, EntitySchema, Field, Relation
from objectkernel_system_dialect.sqlite_dialect import open_sqlite

THING = EntitySchema(
    name="Thing",
    collection="things",
    fields={
        "name": Field("string", required=True),
        "note": Field("text"),
        "size": Field("integer", min=-(2**63)),
        "weight": Field("number"),
        "price": Field("decimal", precision=12, scale=2),
        "open": Field("boolean"),
        "moment": Field("datetime"),
        "data": Field("json"),
        "code": Field("uuid", unique=True),
        "blob": Field("binary"),
        "kind": Field("enum", enum=("small", "large"), default="small"),
        "labels": Field("array", default=list),
    },
)
STOCK = EntitySchema(
    name="Stock",
    collection="stock",
    key=("shop", "article"),
    fields={"shop": Field("string"), "article": Field("string"), "pieces": Field("integer", default=0)},
    soft_delete=True,
)
FOLDER = EntitySchema(
    name="Folder",
    collection="folders",
    fields={"owner": Field("string", required=True), "title": Field("string"), "secret": Field("string")},
    tenant="owner",
)
NOTE = EntitySchema(
    name="Note",
    collection="notes",
    fields={"owner": Field("string", required=True), "text": Field("text"), "stars": Field("integer", default=0)},
    relations={"folder": Relation("Folder"), "tags": Relation("Tag", kind="many-to-many")},
    tenant="owner",
    version=True,
)
TAG = EntitySchema(name="Tag", collection="tags", fields={"id": Field("integer"), "word": Field("string")})
VISIT = EntitySchema(
    name="Visit",
    collection="visits",
    key=("guest", "at"),
    fields={"guest": Field("uuid"), "at": Field("datetime"), "remark": Field("string")},
    version=True,
)
CREDENTIAL = EntitySchema(
    name="Credential",
    collection="sys_credentials",
    fields={"hash": Field("string")},
    relations={"folder": Relation("Folder")},
)
"""Stands for the system's own data, where it shares a database with the business data."""
BUSINESS = (THING, STOCK, FOLDER, NOTE, TAG, VISIT)


async def opened() -> Dialect:
    """A dialect in memory with the entities."""
    dialect = await open_sqlite(":memory:")
    await dialect.register(*BUSINESS, CREDENTIAL)
    return dialect
