"""YAML read as JSON: what it means, and what is refused with its line."""

from __future__ import annotations

import json

import pytest
from objectkernel_package_service.yaml_value import Fault, Unreadable, read_yaml


def refused(text: bytes) -> tuple[Fault, ...]:
    with pytest.raises(Unreadable) as caught:
        read_yaml(text)
    return caught.value.faults


@pytest.mark.parametrize(
    "text",
    [
        *("yes", "no", "on", "off", "y", "n", "NO", "yEs", "2024-01-01", "2024-01-01T10:00:00Z", "12:30:45"),
        *("012", "0x1F", "0o17", "0b1", "1_000", "+3", "1.", ".5", "1.2.0", "=", "-"),
    ],
)
def test_what_json_has_no_word_for_is_text(text: str) -> None:
    """Country codes, dates, octal and sexagesimal numbers: versions of YAML differ on them, so they are text."""
    value = read_yaml(f"a: {text}\n".encode()).value["a"] if text != "-" else read_yaml(b"a: '-'").value["a"]
    assert value == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("1", 1), ("-7", -7), ("0", 0), ("1.5", 1.5), ("1e3", 1000.0), ("-0.25", -0.25)),
        *(("true", True), ("False", False), ("null", None), ("~", None), ("", None)),
        *(("'1'", "1"), ('"true"', "true"), ('""', "")),
    ],
)
def test_what_json_has_a_word_for_is_that(text: str, value: object) -> None:
    """Numbers, true, false and null are JSON's; quotes make each of them text."""
    found = read_yaml(f"a: {text}\n".encode()).value["a"]
    assert (found, type(found)) == (value, type(value))


def test_json_reads_as_itself() -> None:
    """A JSON text of one line is YAML with the same value."""
    value = {"a": [1, 2.5, True, None, "é \U0001f600"], "b": {"c": []}}
    assert read_yaml(json.dumps(value, ensure_ascii=False).encode()).value == value


def test_each_value_knows_its_line() -> None:
    """Names and items, nested ones too, so that a problem can be told where it is."""
    text = b"# first\na:\n  - b: 1\n    c: 2\n  - d\ne: f\n"
    every = {"$": 2, "$.a": 3, "$.a[0]": 3, "$.a[0].b": 3, "$.a[0].c": 4, "$.a[1]": 5, "$.e": 6}
    assert read_yaml(text, every).lines == every
    assert read_yaml(text, {"$", "$.a", "$.a[1]", "$.gone"}).lines == {"$": 2, "$.a": 3, "$.a[1]": 5}
    assert read_yaml(text).lines == {}


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        (b"a: 1\nb: 2\na: 3", 3, "the name 'a' stands twice"),
        (b"a: &x 1\nb: 2", 1, "&x names a value"),
        (b"a: 1\nb: *a", 2, "*a stands for a value"),
        (b"a: !!python/object/apply:os.system [ls]", 1, "the tag tag:yaml.org,2002:python/object/apply:os.system"),
        (b"a: !secret b", 1, "the tag !secret"),
        (b"a: 1\n<<: {b: 1}", 2, "'<<' as a name"),
        (b"1: a", 1, "'1' as a name"),
        (b"true: a", 1, "'true' as a name"),
        (b"? [a]\n: b", 1, "the name of a member is no text"),
        (b"a: .inf", 1, ".inf is no number"),
        (b"a: -.Inf", 1, "-.Inf is no number"),
        (b"a: .nan", 1, ".nan is no number"),
        (b"a: 1\n---\nb: 2", 2, "a second document"),
        (b"", 1, "the file is empty"),
        (b"# only this\n", 1, "the file is empty"),
        (b"a: 1\nb: [", 2, "not YAML"),
        (b"a: 1\n\tb: 2", 2, "not YAML"),
        (b"a: 1\nb: \xff", 2, "not UTF-8: byte 8 is 0xff"),
        (b"a: \x00", 1, "not YAML"),
        (b"[" * 5000, 1, "nested deeper than 100 levels"),
    ],
    ids=range(20),
)
def test_what_is_refused_has_its_line(text: bytes, line: int, what: str) -> None:
    """Tags, anchors, merges, names twice, infinities, several documents, and what is no YAML."""
    first = next(fault for fault in refused(text) if fault.what.startswith(what))
    assert first.line == line


def test_aliases_cannot_multiply() -> None:
    """A few lines that would stand for a billion values cost nothing: each anchor is refused as it is met."""
    bomb = b"a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += b"".join(b"a%d: &a%d [%s]\n" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 10)) for n in range(1, 10))
    assert len(refused(bomb)) == 10 + 90


@pytest.mark.parametrize("text", ["a: &%s 1", "a: *%s", "a: !%s b", "%s: a", "k%s: 1\nk%s: 2"], ids=range(5))
def test_a_fault_quotes_a_name_briefly(text: str) -> None:
    """However long an anchor, a tag or a name is: the report of a bad file does not repeat the file."""
    hostile = text.replace("%s", "1" * 100_000).encode()
    assert all(len(fault.what) < 200 for fault in refused(hostile))


def test_all_faults_are_told_at_once() -> None:
    """And not the first alone, up to a number that helps nobody."""
    assert [fault.line for fault in refused(b"a: .nan\nb: &x 1\na: 2\n")] == [1, 2, 3]
    assert len(refused(b"- .nan\n" * 5000)) == 1000


def test_a_huge_integer_is_left_to_the_package_check() -> None:
    """It stays too large without being computed, so that it is refused with its path."""
    assert read_yaml(b"a: " + b"9" * 100_000).value["a"] > 2**53
