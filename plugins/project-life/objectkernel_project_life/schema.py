"""The register: one row for each project, in the system's database."""

from __future__ import annotations

from typing import Final

from objectkernel_system_dialect.contracts import EntitySchema, Field, Index

LONGEST_NAME: Final = 200
LONGEST_SLUG: Final = 63
LONGEST_OWNER: Final = 255

PROJECT_SCHEMA: Final = EntitySchema(
    name="RegisteredProject",
    collection="projects",
    fields={
        "id": Field("string", length=36, required=True),
        "account": Field("string", length=LONGEST_OWNER, required=True),
        "home": Field("string", length=LONGEST_OWNER),
        "name": Field("string", length=LONGEST_NAME, required=True),
        "slug": Field("string", length=LONGEST_SLUG, required=True),
        "dialect": Field("string", length=20, required=True),
        "uri": Field("text", required=True),
        "uri_key": Field("string", length=64),
        "place": Field("string", length=64, unique=True, required=True),
        "next_uri": Field("text"),
        "next_place": Field("string", length=64, unique=True),
        "schemas": Field("json", required=True),
        "next_schemas": Field("json"),
        "transports": Field("array", required=True),
        "pool_size": Field("integer", required=True),
        "pool_min": Field("integer", required=True),
        "status": Field("enum", enum=("provisioning", "active", "paused", "error", "deprovisioning"), required=True),
        "transition": Field("string", length=20),
        "error": Field("text"),
        "mproject_name": Field("string", length=63, required=True),
    },
    indexes=(
        Index(("account", "slug"), unique=True),
        Index({"account": 1, "created_at": 1, "id": 1}),
        Index({"created_at": 1, "id": 1}),
        Index(("uri_key",)),
    ),
    timestamps=True,
    version=True,
)
"""A project. `account` has no foreign key: whose accounts these are, another plugin knows, or another system.

`home` is the account that it was taken over from, in whose folder its SQLite file stays; None: it is in its account's.
`uri` is an envelope of `encryption`, or a plain URI of a host without a key; `uri_key` is the id of the envelope's key,
None for a plain one. `place` is a keyed hash of where the database is: no two projects share one. `next_uri`,
`next_place` and `next_schemas` are those that it is on its way to.
"""
