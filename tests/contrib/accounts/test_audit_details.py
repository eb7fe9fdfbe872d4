"""Details of an entry: JSON of bounded size, without secrets."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from objectkernel.secret import Secret
from objectkernel_accounts.audit_details import LONGEST, bounded_details, bounded_text, is_secret, told_text

SECRET = ("password", "new_password", "passwd", "secret", "clientSecret", "access_token", "Authorization", "cookie")
SECRET += ("passcode", "pin", "aws_access_key", "connection_string", "bearer", "jwt")
SECRET += ("api_key", "API-Key", "privateKey", "key", "credentials", "sgbd_uri", "pepper", "otp")
TELLING = ("key_id", "tokenIds", "fields", "monkey", "token_count", "subject", "password_expires")


@pytest.mark.parametrize("name", SECRET)
def test_secret_names(name: str) -> None:
    """A value with such a name is not written, at any depth."""
    assert is_secret(name)
    assert "hunter2" not in str(bounded_details({name: "hunter2", "a": [{name: {"b": "hunter2"}}]}))


@pytest.mark.parametrize("name", TELLING)
def test_telling_names(name: str) -> None:
    """A name that only speaks of a secret keeps its value."""
    assert bounded_details({name: "shown"}) == {name: "shown"}


def test_yes_and_no() -> None:
    """Whether there is a secret, or was a change of one, is none."""
    assert bounded_details({"password": True, "token": None}) == {"password": True, "token": None}


def test_values() -> None:
    """JSON stays as it is; what is no JSON becomes text, and wrapped secrets are not unwrapped."""
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    given: dict[str, Any] = {
        "plain": [1, 2.5, "x", None, False, {"a": [1]}],
        "moment": moment,
        "wrapped": Secret("hunter2"),
        "raw": b"hunter2",
        "strange": [math.nan, math.inf, 2**70],
        "url": "postgres://ada:hunter2@db.example/x",
    }
    assert bounded_details(given) == {
        "plain": [1, 2.5, "x", None, False, {"a": [1]}],
        "moment": str(moment),
        "wrapped": "***",
        "raw": "***",
        "strange": ["nan", "inf", str(2**70)],
        "url": "postgres://ada:***@db.example/x",
    }


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgres://ada:hunter2@db/x", "postgres://ada:***@db/x"),
        ("postgres://ada:p@ss/hunter2@db/x", "postgres://ada:***@db/x"),
        ("redis://:hunter2@db", "redis://:***@db"),
        ("see https://hunter2@host/a, please", "see https://***@host/a, please"),
        ("https://host:8080/a", "https://host:8080/a"),
        ("https://host/@scope/a", "https://host/@scope/a"),
        ("ada@example.org", "ada@example.org"),
    ],
    ids=range(7),
)
def test_credentials_of_urls(url: str, told: str) -> None:
    """A URL shows neither a password, whatever is in it, nor a user that may be a token; also where it is cut."""
    assert told_text(url, 255) == told
    assert bounded_details({"place": url}) == {"place": told}
    assert "hunter2" not in told_text("x" * 240 + " " + url, 255)


def test_cut() -> None:
    """Long texts and lists are cut; what is still too much is told by its names alone."""
    made = bounded_details({"text": "x" * 1000, "list": list(range(1000)), "deep": {"a": {"b": {"c": {"d": {}}}}}})
    assert (len(made["text"]), made["list"][-2:], made["deep"]) == (256, [49, "…"], {"a": {"b": {"c": {"d": "…"}}}})
    much = {f"name{number}": "x" * 200 for number in range(40)}
    assert bounded_details(much) == {"cut": True, "names": list(much)}
    assert bounded_text("four", 4) == "four"
    assert bounded_text("fives", 4) == "fiv…"


@settings(max_examples=40)
@given(
    st.dictionaries(
        st.text(),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.datetimes(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.sets(st.integers()),
            max_leaves=10,
        ),
    )
)
def test_always_storable(details: dict[str, Any]) -> None:
    """Whatever is given becomes JSON in UTF-8 of bounded size that every database takes."""
    text = json.dumps(bounded_details(details), ensure_ascii=False, allow_nan=False)
    assert len(text.encode()) <= LONGEST
    assert "\\u0000" not in text
