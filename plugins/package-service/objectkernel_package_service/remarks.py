"""What of a package's objects will not be in the tables as it is written: told before it is published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from objectkernel_system_dialect.contracts import EntitySchema

from objectkernel_package_service.contracts import Problem
from objectkernel_package_service.given_field import plain
from objectkernel_package_service.object_mapping import map_objects

REFERENCES: Final = frozenset(map(plain, ("reference", "referenceTo", "referenceObject")))
"""Attributes that lead to objects, perhaps to those of another package."""
NOT_READ: Final = EntitySchema(name="NotRead", collection="not_read", fields={})
"""Stands for an entity schema of ours, of which nothing is left out and nothing is to be told."""


def remarks(manifest: Mapping[str, Any], metadata: Mapping[str, Any]) -> tuple[Problem, ...]:
    """The warnings that installing a package would give, of one that has been checked.

    References of a package that depends on others are not judged: their objects are not at hand.
    """
    objects: Sequence[Mapping[str, Any]] = metadata.get("objects", ())
    found = map_objects(objects, lambda _: NOT_READ).warnings
    if not manifest.get("dependencies"):
        return found
    return tuple(one for one in found if plain(one.path.rpartition(".")[2]) not in REFERENCES)
