"""Packages with the entities that their objects become."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from objectkernel_system_dialect.contracts import EntitySchema

from objectkernel_package_service.install_contracts import Installed
from objectkernel_package_service.object_mapping import ReadSchema, map_objects
from objectkernel_package_service.resolution import Piece


@attrs.frozen(eq=False)
class Loaded:
    """A package as it is in use: itself, and its entities."""

    piece: Piece
    schemas: tuple[EntitySchema, ...]

    @property
    def package(self) -> Installed:
        """The package with what has become of its objects."""
        return self.piece.package

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What it holds, by kind."""
        return self.piece.metadata


def load(pieces: Mapping[str, Piece], read_schema: ReadSchema, live: Mapping[str, Loaded]) -> dict[str, Loaded]:
    """The packages with their entities, in the given order, which is that of dependencies.

    Args:
        live: packages in use, which are taken as they are where nothing that they depend on is another.

    Raises:
        SchemaInvalid: an entity schema of ours cannot be read.
    """
    owners = {str(item["name"]): id for id, piece in pieces.items() for item in _objects(piece)}
    made: dict[str, Loaded] = {}
    for id, piece in pieces.items():
        needed = _needed(made, piece)
        known = live.get(id)
        if known is not None and known.piece is piece and all(live.get(one) is made[one] for one in needed):
            made[id] = known
            continue
        mapped = map_objects(
            _objects(piece),
            read_schema,
            known=[schema for one in needed for schema in made[one].schemas],
            others={name: owner for name, owner in owners.items() if owner != id},
        )
        names = tuple(schema.name for schema in mapped.schemas)
        package = attrs.evolve(piece.package, entities=names, warnings=mapped.warnings)
        made[id] = Loaded(attrs.evolve(piece, package=package), mapped.schemas)
    return made


def _objects(piece: Piece) -> Sequence[Mapping[str, Any]]:
    objects: Sequence[Mapping[str, Any]] = piece.metadata.get("objects", ())
    return objects


def _needed(made: Mapping[str, Loaded], piece: Piece) -> list[str]:
    """The packages that one depends on, at whatever distance."""
    found: dict[str, None] = {}
    waiting = list(piece.manifest.dependencies)
    while waiting:
        id = waiting.pop()
        if id in made and id not in found:
            found[id] = None
            waiting += made[id].piece.manifest.dependencies
    return list(found)
