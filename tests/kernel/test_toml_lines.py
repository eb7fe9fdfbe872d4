"""toml_lines: where each key of a TOML text stands."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from objectkernel.toml_lines import find_lines

TEXT = '''# a comment with [brackets] and = signs
title = "x # no comment" # comment
[kernel]
without = [
  "a", # ] no end
  """b
]""",
  { n = 1, "q.r" = 2 },
]
a."b.c".d = 1979-05-27 07:32:00Z
'lit.eral' = 'c:\\'

[[arr.x]]
k = 1
[arr.x.sub]
z = \'\'\'
[no]
key = "no"
\'\'\'
[[arr.x]]
k = 2
[ "plugins" . "acme.billing" ]
inline = {p.q = {r = [1,
2]}, s = """a"b\\""""" }
e = """"""
"esc\\u0061ped" = -inf
last = 1'''

EXPECTED = {
    ("title",): 2,
    ("kernel",): 3,
    ("kernel", "without"): 4,
    ("kernel", "without", 0): 5,
    ("kernel", "without", 1): 6,
    ("kernel", "without", 2): 8,
    ("kernel", "without", 2, "n"): 8,
    ("kernel", "without", 2, "q.r"): 8,
    ("kernel", "a"): 10,
    ("kernel", "a", "b.c"): 10,
    ("kernel", "a", "b.c", "d"): 10,
    ("kernel", "lit.eral"): 11,
    ("arr",): 13,
    ("arr", "x"): 13,
    ("arr", "x", 0): 13,
    ("arr", "x", 0, "k"): 14,
    ("arr", "x", 0, "sub"): 15,
    ("arr", "x", 0, "sub", "z"): 16,
    ("arr", "x", 1): 20,
    ("arr", "x", 1, "k"): 21,
    ("plugins",): 22,
    ("plugins", "acme.billing"): 22,
    ("plugins", "acme.billing", "inline"): 23,
    ("plugins", "acme.billing", "inline", "p"): 23,
    ("plugins", "acme.billing", "inline", "p", "q"): 23,
    ("plugins", "acme.billing", "inline", "p", "q", "r"): 23,
    ("plugins", "acme.billing", "inline", "p", "q", "r", 0): 23,
    ("plugins", "acme.billing", "inline", "p", "q", "r", 1): 24,
    ("plugins", "acme.billing", "inline", "s"): 24,
    ("plugins", "acme.billing", "e"): 25,
    ("plugins", "acme.billing", "escaped"): 26,
    ("plugins", "acme.billing", "last"): 27,
}


def paths(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every key and array element of what tomllib gives."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, part in value.items():
            yield from paths(part, (*path, key))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from paths(part, (*path, index))


def test_every_form_of_key_has_its_line() -> None:
    """Tables, dotted and quoted keys, arrays, inline tables, arrays of tables, strings of several lines."""
    assert find_lines(TEXT) == EXPECTED


def test_it_finds_what_tomllib_finds() -> None:
    """The paths are those of the parsed document, none more and none less."""
    assert set(find_lines(TEXT)) == set(paths(tomllib.loads(TEXT)))


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment", "\t\r\n"])
def test_empty_texts_have_no_lines(text: str) -> None:
    """A text without keys has no lines."""
    assert find_lines(text) == {}


def test_a_table_has_the_line_of_its_own_header() -> None:
    """A table that a deeper header made first has the line of its own header once that comes."""
    lines = find_lines("[a.b]\nx = 1\n[a]\ny = 2\n")
    assert lines["a",] == 3
    assert lines["a", "b"] == 1
