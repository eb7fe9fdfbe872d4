"""What a package may hold: lists of objects by kind, and of the known kinds what is known of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final

from objectkernel_package_service.contracts import METADATA_KINDS, Problem
from objectkernel_package_service.json_value import Path, spell
from objectkernel_package_service.manifest import label_problems
from objectkernel_package_service.naming import kind_of
from objectkernel_package_service.object_mapping import ReadSchema, entity_problems, is_entity_schema

ALIKE: Final = 0.85
"""From here on (difflib's ratio) an unknown kind of metadata is a known one misspelt: ``objcts``, ``view``."""
LONGEST_QUOTE: Final = 80
MOST_FIELDS: Final = 900
"""Fields of an object; tables of more columns no database is sure to have."""
_TYPES: Final[Mapping[type, str]] = {str: "text", list: "a list", dict: "an object"}
_MEMBERS: Final[Mapping[str, Mapping[str, type]]] = {
    "views": {"name": str, "object": str},
    "apps": {"name": str, "navigation": list},
    "flows": {"name": str, "nodes": list, "edges": list},
    "agents": {"name": str, "tools": list},
    "tools": {"name": str, "parameters": dict},
    "translations": {"locale": str, "language": str},
}
"""Members of the known kinds that, where they are, are of this type; objects are looked at closer."""


def metadata_problems(metadata: Mapping[Any, Any], read_schema: ReadSchema | None) -> Iterator[Problem]:
    """Everything that is wrong with the metadata of a package.

    Args:
        read_schema: reads entity schemas of ours; None: they are not looked into.
    """
    for kind, items in metadata.items():
        if isinstance(kind, str):  # what else a mapping may have is told by `json_value.problems`
            yield from _kind_problems(kind, items)
    objects = metadata.get("objects")
    if isinstance(objects, list | tuple):
        yield from _object_problems(objects)
        if read_schema is not None:
            yield from entity_problems(objects, read_schema)


def _kind_problems(kind: str, items: Any) -> Iterator[Problem]:
    path: Path = ("metadata", kind)
    if kind not in METADATA_KINDS and (close := get_close_matches(kind.lower(), METADATA_KINDS, 1, ALIKE)):
        yield Problem(spell(path), f"is no kind of metadata known here; {close[0]!r} was meant?")
    elif not isinstance(items, list | tuple):
        yield Problem(spell(path), f"a list is wanted, not {kind_of(items)}")
    else:
        for position, item in enumerate(items):
            if isinstance(item, dict):
                yield from _member_problems(item, _MEMBERS.get(kind, {}), (*path, position))
            else:
                yield Problem(spell((*path, position)), f"an object is wanted, not {kind_of(item)}")


def _member_problems(item: Mapping[str, Any], members: Mapping[str, type], path: Path) -> Iterator[Problem]:
    for name, wanted in members.items():
        value = item.get(name)
        if value is not None and not isinstance(value, wanted):
            yield Problem(spell((*path, name)), f"{_TYPES[wanted]} is wanted, not {kind_of(value)}")


def _object_problems(objects: Any) -> Iterator[Problem]:
    """An object is found by its name, so it has one, and no other object of the package has it."""
    first: dict[str, int] = {}
    for position, item in enumerate(objects):
        if not isinstance(item, dict):
            continue
        path: Path = ("metadata", "objects", position)
        found = list(label_problems(item.get("name"), (*path, "name")))
        yield from found
        if not is_entity_schema(item):
            yield from _field_problems(item.get("fields"), (*path, "fields"))
        if found:
            continue
        earlier = first.setdefault(item["name"], position)
        if earlier != position:
            name = item["name"][:LONGEST_QUOTE]
            yield Problem(spell((*path, "name")), f"{name!r} is the name of objects[{earlier}] already")


def _field_problems(fields: Any, path: Path) -> Iterator[Problem]:
    """Fields are objects, by name or with it; of what type they are is not asked here."""
    if fields is None:
        return
    if not isinstance(fields, dict | list | tuple):
        yield Problem(spell(path), f"an object of name to field is wanted, not {kind_of(fields)}")
        return
    if len(fields) > MOST_FIELDS:
        yield Problem(spell(path), f"{len(fields):,} fields; at most {MOST_FIELDS} are allowed")
        return
    by_name = isinstance(fields, dict)
    for key, field in fields.items() if isinstance(fields, dict) else enumerate(fields):
        if field is None and by_name:
            field = {}  # as applications have it where a type was unknown
        if not isinstance(field, dict):
            yield Problem(spell((*path, key)), f"an object is wanted, not {kind_of(field)}")
        elif not by_name:
            yield from label_problems(field.get("name"), (*path, key, "name"))
        elif isinstance(key, str) and not key.strip():
            yield Problem(spell((*path, key)), "the name of a field is empty")
