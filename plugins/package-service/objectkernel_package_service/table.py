"""The tables of the registry.

`sys_packages` has a row a version. What is said once for all versions of a package, its owner, who sees it, its tags,
and which version is its latest, is in its head; a page of a list is a walk along the heads' index. The history gives
each change of a package the next number: of two changes at once only one can have it, so the other one looks again
first, on every database alike.
"""

from __future__ import annotations

from typing import Final, get_args

from objectkernel_system_dialect.contracts import EntitySchema, Field, Index

from objectkernel_package_service.contracts import Policy, Visibility
from objectkernel_package_service.naming import LONGEST_ID, LONGEST_VERSION

LONGEST_RANGE: Final = LONGEST_VERSION * 4
LONGEST_ACCOUNT: Final = 255
LONGEST_MESSAGE: Final = 1000
LONGEST_NAME: Final = 200
"""Characters of a name that a search looks at."""

PACKAGE: Final = EntitySchema(
    name="Package",
    collection="sys_packages",
    key=("id", "version"),
    fields={
        "id": Field("string", required=True, length=LONGEST_ID),
        "version": Field("string", required=True, length=LONGEST_VERSION),
        "hash": Field("string", required=True, length=64),
        "previous_hash": Field("string", length=64),
        "created_at": Field("datetime", required=True),
        "updated_at": Field("datetime", required=True),
        "size": Field("integer", required=True),
        "deprecated": Field("string", length=LONGEST_MESSAGE),
        "yanked": Field("boolean", required=True, default=False),
        "sequence": Field("sequence"),
        # The large ones last: a column behind them is reached only by reading past them.
        "manifest": Field("text", required=True),
        "metadata": Field("text", required=True),
    },
    indexes=(Index({"id": 1, "created_at": -1}), Index({"id": 1, "sequence": -1})),
)
"""One row a version. `sequence` is its place among all insertions: clocks tie and turn back, it does not."""

HEAD: Final = EntitySchema(
    name="PackageHead",
    collection="sys_package_heads",
    key=("id",),
    fields={
        "id": Field("string", required=True, length=LONGEST_ID),
        "owner": Field("string", length=LONGEST_ACCOUNT),
        "visibility": Field("enum", enum=get_args(Visibility), required=True),
        "policy": Field("enum", enum=get_args(Policy), required=True),
        "tags": Field("json", required=True),
        "words": Field("string", required=True, length=LONGEST_ID + 1 + LONGEST_NAME),
        "latest": Field("integer"),
    },
    indexes=(
        Index({"latest": -1}),
        Index({"visibility": 1, "latest": -1}),
        Index({"owner": 1, "visibility": 1, "latest": -1}),
    ),
)
"""One row a package id, also when all its versions are deleted.

`latest` is the sequence of the version inserted last that is not yanked, `words` its id and name in lower case.
"""

CHANGE: Final = EntitySchema(
    name="PackageChange",
    collection="sys_package_history",
    key=("id", "number"),
    fields={
        "id": Field("string", required=True, length=LONGEST_ID),
        "number": Field("integer", required=True),
        "action": Field("string", required=True, length=20),
        "version": Field("string", length=LONGEST_VERSION),
        "hash": Field("string", length=64),
        "details": Field("json", required=True),
        "by": Field("string", length=LONGEST_ACCOUNT),
        "at": Field("datetime", required=True),
    },
)
"""One row a change; nothing removes it."""

NEED: Final = EntitySchema(
    name="PackageNeed",
    collection="sys_package_needs",
    key=("id", "version", "needs"),
    fields={
        "id": Field("string", required=True, length=LONGEST_ID),
        "version": Field("string", required=True, length=LONGEST_VERSION),
        "needs": Field("string", required=True, length=LONGEST_ID),
        "range": Field("string", required=True, length=LONGEST_RANGE),
    },
    indexes=(Index({"needs": 1, "range": 1}),),
)
"""One row a dependency of a version: from its manifest, so that it is known who needs a package."""

SCHEMAS: Final = (PACKAGE, HEAD, CHANGE, NEED)
