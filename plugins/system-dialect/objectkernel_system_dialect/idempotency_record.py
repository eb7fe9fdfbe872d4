"""What the data plane keeps in each database that it serves, so that a write that is asked for twice is made once."""

from __future__ import annotations

from typing import Final

from objectkernel_system_dialect.schema import EntitySchema, Field, Index

IDEMPOTENCY: Final = EntitySchema(
    name="IdempotencyRecord",
    collection="sys_idempotency",
    fields={
        "id": Field("string", length=64, required=True),
        "request": Field("string", length=64, required=True),
        "made_at": Field("datetime", required=True),
        "status": Field("integer"),
        "headers": Field("json"),
        "body": Field("text"),
    },
    indexes=(Index({"made_at": 1}),),
)
"""The answers to writes, in the database that they were made in; never served."""
