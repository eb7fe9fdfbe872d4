"""Entity schemas as JSON values, and back."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from objectkernel_project_life.schema import PROJECT_SCHEMA
from objectkernel_project_life.schema_documents import document_of
from objectkernel_system_dialect.contracts import Discriminator, EntitySchema, Field, Index, Relation
from objectkernel_system_dialect.schema_files import read_schema

EVERYTHING = EntitySchema(
    name="Order",
    collection="orders",
    fields={
        "number": Field("sequence"),
        "state": Field("enum", enum=("open", "closed"), default="open", required=True),
        "total": Field("decimal", precision=12, scale=2, default=Decimal("0.10"), min=Decimal("-1.50")),
        "due": Field("datetime", default=datetime(2026, 1, 31, 9, 30, tzinfo=UTC)),
        "key": Field("uuid", default=UUID("12345678-1234-5678-1234-567812345678")),
        "count": Field("integer", min=0, max=2**60, default=2**60),
        "share": Field("number", default=0.1, max=1.5),
        "day": Field("string", length=10, format="date", unique=True),
        "tags": Field("array", items="integer", default=[1, 2]),
        "meta": Field("json", default={"a": [None, True]}),
        "done": Field("boolean", default=False),
    },
    relations={
        "customer": Relation("Customer", required=True, on_delete="cascade"),
        "lines": Relation("Line", kind="one-to-many", mapped_by="order"),
        "labels": Relation("Label", kind="many-to-many", through="order_labels"),
    },
    indexes=(Index({"state": 1, "total": -1}), Index(("day",), unique=True)),
    key=("day", "state"),
    timestamps=True,
    soft_delete=True,
    version=True,
    tenant="state",
    discriminator=Discriminator("kind", "order"),
)


@pytest.mark.parametrize("schema", [EVERYTHING, PROJECT_SCHEMA], ids=lambda schema: schema.name)
def test_there_and_back(schema: EntitySchema) -> None:
    """What a schema is made of comes back from JSON as it was."""
    assert read_schema(json.loads(json.dumps(document_of(schema)))) == schema


FIELDS = st.one_of(
    st.builds(Field, st.just("string"), length=st.integers(1, 1000), default=st.none() | st.text(max_size=5)),
    st.builds(Field, st.just("integer"), min=st.none() | st.integers(), default=st.none() | st.integers()),
    st.builds(Field, st.just("decimal"), default=st.none() | st.decimals(allow_nan=False, allow_infinity=False)),
    st.builds(Field, st.just("boolean"), default=st.none() | st.booleans(), required=st.booleans()),
    st.builds(Field, st.just("datetime"), default=st.none() | st.datetimes(timezones=st.just(UTC))),
)
SCHEMAS = st.builds(
    EntitySchema,
    name=st.text("ABC", min_size=1),
    collection=st.text("abc", min_size=1),
    fields=st.dictionaries(st.text("abc", min_size=1), FIELDS, max_size=4),
    timestamps=st.booleans(),
    soft_delete=st.booleans(),
)


@given(schema=SCHEMAS)
def test_any_schema_comes_back(schema: EntitySchema) -> None:
    """Whatever fields there are."""
    assert read_schema(json.loads(json.dumps(document_of(schema)))) == schema


@pytest.mark.parametrize("default", [list, lambda: 3, b"bytes"])
def test_what_json_has_not(default: object) -> None:
    """A default that is a function, or bytes, is refused by its place."""
    kind = "binary" if isinstance(default, bytes) else "array"
    with pytest.raises(ValueError, match=r"^A\.x has a default"):
        document_of(EntitySchema(name="A", collection="a", fields={"x": Field(kind, default=default)}))


def test_what_has_its_default_is_left_out() -> None:
    """A document is as somebody would write it."""
    schema = EntitySchema(name="Note", collection="notes", fields={"title": Field("string", required=True)})
    assert document_of(schema) == {
        "name": "Note",
        "collection": "notes",
        "fields": {"title": {"type": "string", "required": True}},
    }
