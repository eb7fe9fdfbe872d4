"""What a package holds is looked at by kind."""

from __future__ import annotations

import pytest
from objectkernel_package_service.metadata import MOST_FIELDS, metadata_problems
from objectkernel_system_dialect.schema_files import read_schema


def paths(metadata, read=None):
    return [problem.path for problem in metadata_problems(metadata, read)]


def test_sound_metadata():
    """Objects of both kinds, members of known kinds, kinds that nobody knows."""
    sound = {
        "objects": [
            {"name": "a", "fields": {"x": {"type": "text"}}},
            {"name": "b", "fields": [{"name": "x", "type": "text"}]},
            {"name": "C", "collection": "c", "fields": {"x": {"type": "string"}}},
            {"name": "d"},
        ],
        "views": [{"name": "v", "object": "a"}, {}],
        "flows": [{"name": "f", "nodes": [], "edges": []}],
        "dashboards": [{"anything": 1}],
    }
    assert paths(sound, read_schema) == []


@pytest.mark.parametrize(
    ("kind", "item", "member"),
    [
        ("views", {"object": 1}, "object"),
        ("apps", {"navigation": {}}, "navigation"),
        ("flows", {"nodes": "x"}, "nodes"),
        ("agents", {"tools": "x"}, "tools"),
        ("tools", {"parameters": []}, "parameters"),
        ("translations", {"locale": 1}, "locale"),
    ],
)
def test_members_of_known_kinds_have_their_type(kind, item, member):
    """Where they are; nothing is asked for."""
    assert paths({kind: [{}, item]}) == [f"$.metadata.{kind}[1].{member}"]


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ("x", ""),
        ({"x": "text"}, ".x"),
        ([{"type": "text"}], "[0].name"),
        (["x"], "[0]"),
        ({" ": {}}, '[" "]'),
        ({str(n): {} for n in range(MOST_FIELDS + 1)}, ""),
    ],
    ids=["text", "field-is-text", "nameless", "list-of-text", "blank", "too-many"],
)
def test_fields_are_objects_with_names(fields, place):
    """By name or in a list; of what type they are is only warned about."""
    assert paths({"objects": [{"name": "a", "fields": fields}]}) == [f"$.metadata.objects[0].fields{place}"]


def test_entity_schemas_of_ours_are_read():
    """Each problem with its place, where somebody can read them."""
    objects = [{"name": "A", "collection": "a", "fields": {"x": {"type": "string", "lenght": 1}}}]
    (path,) = paths({"objects": objects}, read_schema)
    assert path.startswith("$.metadata.objects[0].fields")
    assert paths({"objects": objects}) == []


def test_hostile_names_are_kept_as_names():
    """What JavaScript has on every object is a name like any other here; `__proto__` is refused with all values."""
    objects = [{"name": "constructor", "fields": {"prototype": {"type": "text"}, "toString": {"type": "text"}}}]
    assert paths({"objects": objects}) == []
