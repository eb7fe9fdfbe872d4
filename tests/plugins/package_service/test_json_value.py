"""What JSON may not hold in a package is refused, with the place."""

from __future__ import annotations

import enum
from collections import OrderedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from objectkernel_package_service.canonical import canonical
from objectkernel_package_service.contracts import PackageInvalid
from objectkernel_package_service.json_value import DEEPEST, MOST_PROBLEMS, look_over, problems, read_json, spell

NAMES = st.text(max_size=3) | st.sampled_from(["__proto__", "\ud800", "é"])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**53 - 1, 2**53, 9007199254740992.0, 1e21, -1e20, b"bytes", enum.IntEnum("Few", "ONE").ONE])
    | st.floats()
    | st.text()
    | st.sampled_from(["\ud83d", "\udd25"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(NAMES | st.sampled_from([7, None]), inner, max_size=4)
        | st.dictionaries(NAMES, inner, max_size=4).map(OrderedDict)
    ),
    max_leaves=20,
)


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


@given(VALUES)
def test_a_look_agrees_with_what_is_listed_and_written(value):
    """What a look finds sound has no problem, is as heavy as its canonical text at most, and plain as json has it."""
    look = look_over(value, 10**9)
    if look.sound:
        assert problems(value) == []
    if not problems(value):
        assert look.weight <= len(canonical(value))
    if look.sound and look.plain:
        assert canonical(value, plain=True) == canonical(value)


@pytest.mark.parametrize("value", [[], {}, [[]], [{}, {}], {"a": []}, {"a": "", "b": [1, True, None]}, "", 7])
def test_a_look_weighs_brackets_and_commas(value):
    """The weight of what has no long numbers is that of its text, but for the last letter of `false`."""
    assert look_over(value, 10**9).weight == len(canonical(value))


@pytest.mark.parametrize("depth", [0, 1])
def test_a_look_finds_what_is_nested_too_deeply(depth):
    """It finds the same depth too deep as the list of problems does, of a document and of its parts."""
    value: object = 1
    for _ in range(DEEPEST - depth):
        value = [value]
    assert look_over(value, 10**9, depth).sound
    assert not look_over([value], 10**9, depth).sound


def test_a_look_at_what_is_too_heavy_ends():
    """A list that stands in itself, or a few that stand for any number of bytes, are looked at as far as asked."""
    ring: list[object] = []
    ring.append(ring)
    bomb: list[object] = ["x"]
    for _ in range(60):
        bomb = [bomb, bomb]
    assert look_over(ring, 10_000).weight > 10_000
    assert look_over(bomb, 10_000).weight > 10_000
