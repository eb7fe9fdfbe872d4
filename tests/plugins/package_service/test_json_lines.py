"""The lines of a JSON text."""

from __future__ import annotations

import json
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st
from objectkernel_package_service.json_lines import json_lines
from objectkernel_package_service.json_value import spell

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def paths(value, path=()):
    yield path
    inner = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    for step, item in inner:
        yield from paths(item, (*path, step))


def spelled(value):
    return [*dict.fromkeys(map(spell, paths(value)))]


def test_each_value_has_its_line():
    """Members and items, also behind empty ones and in one line with others."""
    text = '{\n "a": [1,\n {"b": "x\\ny"}],\n\n "c": {}, "d": [],\n"e": null}'
    assert json_lines(text, spelled(json.loads(text))) == {
        "$": 1,
        "$.a": 2,
        "$.a[0]": 2,
        "$.a[1]": 3,
        "$.a[1].b": 3,
        "$.c": 5,
        "$.d": 5,
        "$.e": 6,
    }


def test_only_what_is_asked_for_is_kept():
    """The path of each of many values that lie deep would cost far more memory than the text has bytes."""
    depth, many = 900, 20_000
    text = "[" * depth + ",".join(["0"] * many) + "]" * depth
    tracemalloc.start()
    assert json_lines(f'{{"deep": {text},\n"here": [1,\n2]}}', {"$", "$.here", "$.here[1]", "$.gone"}) == {
        "$": 1,
        "$.here": 2,
        "$.here[1]": 3,
    }
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * len(text)


@given(VALUES, st.sampled_from([None, 1]))
def test_every_value_of_any_text_is_found(value, indent):
    """Whatever the names and texts have in them, each path has a line, in the order of the text."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    wanted = spelled(value)
    lines = json_lines(text, wanted)
    assert list(lines) == wanted
    assert list(lines.values()) == sorted(lines.values())
    assert max(lines.values()) <= text.count("\n") + 1
