"""Stored JSON, read faster than the standard library does, but not otherwise."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from objectkernel_system_dialect.stored import dump_json, load_array, load_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_what_is_stored_comes_back(value: object) -> None:
    """Every JSON value is read as it was written."""
    assert load_json(dump_json(value)) == value


@pytest.mark.parametrize("text", [' {"a": 1}', "[1, 2]\n", "\t3 ", '"é"'])
def test_spaces_around_a_value_are_allowed(text: str) -> None:
    """JSON that somebody else has written may have spaces around it."""
    assert load_json(text) == json.loads(text)


@pytest.mark.parametrize("text", ["", " ", "[1", "1 2", '{"a": 1}}', "nil", "[] x"])
def test_what_is_no_json_is_refused(text: str) -> None:
    """Text that is not one JSON value wholly is an error, also where it begins like one."""
    with pytest.raises(ValueError, match="line 1"):
        load_json(text)


def test_an_array_is_a_list() -> None:
    """Another JSON value in the place of an array is an error."""
    assert load_array("[1,[2]]") == [1, [2]]
    with pytest.raises(ValueError, match="array"):
        load_array('{"a":1}')
