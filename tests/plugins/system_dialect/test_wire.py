"""Values as JSON: nothing is lost on the way there and back, and what is no value of a field is told."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from objectkernel_system_dialect.contracts import Field
from objectkernel_system_dialect.values import Misfit, type_check
from objectkernel_system_dialect.wire import Unreadable, Unsendable, dump, from_text, from_wire, load, to_wire

FIELDS = {
    "string": (Field("string"), st.text(st.characters(codec="utf-8", exclude_characters="\0"))),
    "integer": (Field("integer"), st.integers(-(2**63), 2**63 - 1)),
    "number": (Field("number"), st.floats(allow_nan=False, allow_infinity=False)),
    "decimal": (Field("decimal"), st.decimals(-(10**11), 10**11, places=6)),
    "boolean": (Field("boolean"), st.booleans()),
    "datetime": (Field("datetime"), st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.replace(fold=0))),
    "uuid": (Field("uuid"), st.uuids()),
    "binary": (Field("binary"), st.binary()),
    "array": (Field("array", items="integer"), st.lists(st.integers(-(2**63), 2**63 - 1))),
    "json": (
        Field("json"),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        ),
    ),
}


@pytest.mark.parametrize("name", FIELDS)
@given(data=st.data())
def test_there_and_back(name: str, data: st.DataObject) -> None:
    """A value that went through JSON's text is the same value of the same type."""
    field, values = FIELDS[name]
    try:
        value = type_check(field)(data.draw(values))
    except Misfit:  # a lone surrogate, or a whole number of more digits than JSON's readers hold
        return
    back = type_check(field)(from_wire(field, load(dump(to_wire(field, value)), 100)))
    assert back == value
    assert repr(back) == repr(value)


def test_shapes() -> None:
    """Each type has the form in JSON that the document promises."""
    moment = datetime(2024, 5, 17, 10, 30, tzinfo=timezone(timedelta(hours=2)))
    assert to_wire(Field("datetime"), moment) == "2024-05-17T08:30:00Z"
    assert to_wire(Field("decimal"), Decimal("0E-6")) == "0.000000"
    assert to_wire(Field("decimal"), Decimal("-12.50")) == "-12.50"
    assert to_wire(Field("uuid"), UUID(int=1)) == "00000000-0000-0000-0000-000000000001"
    assert to_wire(Field("binary"), b"\xff\x00") == "/wA="
    assert to_wire(Field("binary"), None) is None


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("decimal", 1.5),
        ("decimal", "1e3"),
        ("decimal", "NaN"),
        ("decimal", " 1"),
        ("decimal", "١"),
        ("decimal", True),
        ("datetime", "2024-05-17"),
        ("datetime", "2024-05-17T08:30:00"),
        ("datetime", "2024-05-17T08:30:00.1234567Z"),
        ("datetime", "2024-13-17T08:30:00Z"),
        ("datetime", "0001-01-01T00:00:00+23:00"),
        ("datetime", 5),
        ("uuid", "0" * 32),
        ("uuid", "{00000000-0000-0000-0000-000000000001}"),
        ("binary", "a"),
        ("binary", "/w=A"),
        ("binary", "ä"),
        ("binary", 5),
    ],
)
def test_refused(kind: Any, value: Any) -> None:
    """What is not how JSON holds a value of the type is refused, never guessed at or rounded."""
    with pytest.raises(Misfit):
        from_wire(Field(kind), value)


def test_numbers_without_a_point() -> None:
    """A float that another writer wrote as a whole number is a float again; an integer stays one, however large."""
    assert repr(from_wire(Field("number"), 5)) == "5.0"
    assert from_wire(Field("integer"), 2**63 - 1) == 2**63 - 1
    assert load(b"9007199254740993", 1) == 2**53 + 1


def test_whole_numbers_with_a_point() -> None:
    """Whether an integer has a point is nothing to JSON; one that reading may have rounded is refused by its field."""
    assert repr(from_wire(Field("integer"), load(b"7.0", 1))) == "7"
    assert repr(from_wire(Field("sequence"), -7.0)) == "-7"
    assert repr(from_wire(Field("array", items="integer"), [7.0, 7.5, True])) == "[7, 7.5, True]"
    for kept in (7.5, float(2**53), float("inf"), True, "7.0"):
        assert repr(from_wire(Field("integer"), kept)) == repr(kept)


@pytest.mark.parametrize(
    ("text", "value"), [("42", 42), ("-7", -7), ("4.0", None), ("+4", None), ("0x1", None), ("", None), ("٤", None)]
)
def test_text_of_integer_keys(text: str, value: int | None) -> None:
    """A whole number in a path is digits."""
    if value is None:
        with pytest.raises(Misfit):
            from_text(Field("integer"), text)
    else:
        assert from_text(Field("integer"), text) == value


@pytest.mark.parametrize("value", [object(), float("nan"), {"a": b"x"}, "\ud800"])
def test_unsendable(value: Any) -> None:
    """What JSON cannot hold is an error and no guess."""
    with pytest.raises(Unsendable):
        dump(value)


@pytest.mark.parametrize(
    "text",
    [
        b"{",
        b"NaN",
        b"[Infinity]",
        b"\xff",
        b"",
        b'{"a":1}x',
        b"[" * 100_000,
        b"9" * 5000,
        b'["\\ud800"]',
        b'{"\\uDFFF":1}',
    ],
)
def test_no_json(text: bytes) -> None:
    """Text that is no JSON is refused, also where Python's reader would take it or give up."""
    with pytest.raises(ValueError):
        load(text, 100)


def test_names_that_stand_twice() -> None:
    """Where nothing may be lost, an object with one name twice is refused; pairs of surrogates are characters."""
    assert load(b'{"a":1,"a":2}', 100) == {"a": 2}
    with pytest.raises(Unreadable, match="twice"):
        load(b'[{"b":{"a":1,"a":2}}]', 100, unique=True)
    assert load(b'{"a":"\\ud83d\\ude00"}', 100, unique=True) == {"a": "\U0001f600"}


def test_depth() -> None:
    """Lists and objects may be nested as deeply as is said, and no deeper; how many there are does not matter."""
    assert load(b"[[1]]", 2) == [[1]]
    with pytest.raises(ValueError, match="nested"):
        load(b"[[[1]]]", 2)
    with pytest.raises(ValueError, match="nested"):
        load(b'{"a":{"b":[]}}', 2)
    many = json.dumps([{"a": 1}] * 1000).encode()
    assert len(load(many, 2)) == 1000
