"""What JSON may not hold in a package is refused, with the place."""

from __future__ import annotations

import pytest
from objectkernel_package_service.contracts import PackageInvalid
from objectkernel_package_service.json_value import DEEPEST, MOST_PROBLEMS, problems, read_json, spell


def paths(value):
    return [problem.path for problem in problems(value)]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), "$"),
        (("metadata", "objects", 3, "name"), "$.metadata.objects[3].name"),
        (("a b", 'c"d', "é"), '$["a b"]["c\\"d"]["\\u00e9"]'),
        (("x" * 100_000,), '$["' + "x" * 80 + '\\u2026"]'),
    ],
)
def test_a_path_is_spelled_so_that_it_can_be_found(path, text):
    """Plain names stand after a dot, all others quoted in brackets."""
    assert spell(path) == text


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -(2**53) + 1,
        2**53 - 1,
        1.5,
        -0.0,
        1e21,
        1e300,
        5e-324,
        "",
        "漢字 🔥",
        [],
        {},
        {"": [[]]},
        (1,),
    ],
)
def test_what_every_reader_of_json_agrees_on_is_allowed(value):
    """Values that a double and UTF-8 hold exactly are no problem."""
    assert problems(value) == []


@pytest.mark.parametrize(
    "value",
    [
        2**53,
        -(2**53),
        10**400,
        9007199254740992.0,
        -1e20,
        float("nan"),
        float("inf"),
        float("-inf"),
        "\ud800",
        "ab\udfff",
        b"bytes",
        {1, 2},
        object(),
    ],
)
def test_what_readers_would_disagree_on_is_refused_with_its_path(value):
    """Integers beyond 2^53-1, NaN, infinities, lone surrogates and foreign types are named with the place."""
    assert paths({"a": [0, value]}) == ["$.a[1]"]


@pytest.mark.parametrize("name", ["__proto__", "\ud800", 7, None])
def test_a_name_that_would_be_read_otherwise_is_refused(name):
    """A prototype's name, a lone surrogate or something that is no text cannot name a member."""
    assert len(problems({"a": {name: 1}})) == 1


def test_every_problem_is_listed():
    """One look finds all problems, in the order of the document."""
    value = {"b": [float("nan"), 2**60], "a": {"__proto__": "\udc00"}}
    assert paths(value) == ["$.b[0]", "$.b[1]", "$.a.__proto__", "$.a.__proto__"]


def test_the_list_of_problems_is_bounded():
    """A hostile value cannot ask for a report without end."""
    assert len(problems([float("nan")] * (MOST_PROBLEMS + 5))) == MOST_PROBLEMS


def test_deep_nesting_is_refused_without_running_out_of_stack():
    """Nesting is bounded, in values (a ring too) and in text."""
    ring: list[object] = []
    ring.append(ring)
    assert "nested deeper" in problems({"a": ring})[0].what
    assert problems(read_json("[" * DEEPEST + "]" * DEEPEST)) == []
    with pytest.raises(PackageInvalid, match="nested deeper"):
        read_json("[" * 500_000)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('{"a": {"b": 1, "b": 1}}', "$.a.b"),
        ('{"a": [NaN]}', "$.a[0]"),
        ('{"a": -Infinity}', "$.a"),
        ('{"a": 1e400}', "$.a"),
        ('{"a": 9007199254740992}', "$.a"),
        ('{"a": ' + "9" * 5000 + "}", "$.a"),
        ('{"a": "\\ud83d"}', "$.a"),
        ('{"__proto__": {}}', "$.__proto__"),
        ('{"\\u005f_proto__": {}}', "$.__proto__"),
    ],
)
def test_faults_of_a_text_are_found_with_their_path(text, path):
    """Reading a text loses no fault: names given twice, numbers out of range and escapes are found."""
    assert paths(read_json(text)) == [path]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "line 1 column 1"),
        ('{"a": 1,\n}', "line "),
        (b'{"a": "\xff"}', "byte 7 is 0xff"),
        (b"\xef\xbb\xbf{}", "BOM"),
        ('{"a": 1} x', "line 1 column 10"),
    ],
)
def test_a_text_that_is_no_json_is_refused_with_the_place(text, why):
    """The line and column, or the byte, say where the text stops being JSON in UTF-8."""
    with pytest.raises(PackageInvalid, match=why) as caught:
        read_json(text)
    assert [problem.path for problem in caught.value.problems] == ["$"]
