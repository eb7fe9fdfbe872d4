"""Keys as text: what is refused is told completely, and never shown."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from objectkernel.secret import Secret
from objectkernel_accounts.keyring_errors import KeysInvalid
from objectkernel_accounts.keyring_text import given_keys, key_text, new_key
from objectkernel_contracts import NamedKey

GOOD = base64.b64encode(b"x" * 32).decode()


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True), st.binary(min_size=32, max_size=100))
def test_round_trip(id: str, secret: bytes) -> None:
    """A key is given as it was printed."""
    key = NamedKey(id=id, secret=secret)
    assert given_keys({"sessions": [Secret(key_text(key))]}, "X") == {"sessions": (key,)}


@pytest.mark.parametrize(
    ("name", "texts", "problem"),
    [
        ("sessions", [f"a:{GOOD}", "hunter2hunter2"], "key 2 of 'sessions' has no id"),
        ("sessions", ["a:hunter2!"], "key 1 of 'sessions' is no base64"),
        ("sessions", [f"a:{GOOD[:-1]}"], "key 1 of 'sessions' is no base64"),
        ("sessions", ["a:hünter2"], "key 1 of 'sessions' is no base64"),
        ("sessions", ["a:aHVudGVyMg=="], "the key 'a' of 'sessions' has 7 bytes; 32 to 1024"),
        ("sessions", [f"a:{base64.b64encode(b'x' * 1025).decode()}"], "has 1025 bytes"),
        ("sessions", [f"a:{GOOD}", f"a:{GOOD}"], "'sessions' has two keys with the id 'a'"),
        ("sessions", [f"a b:{GOOD}"], "'sessions' has a key whose id is none"),
        ("sessions", [], "'sessions' has no key"),
        ("Sessions", [f"a:{GOOD}"], "'Sessions' is no name of a key"),
    ],
)
def test_refused(name: str, texts: list[str], problem: str) -> None:
    """Each mistake is told by its place and never by its value."""
    with pytest.raises(KeysInvalid) as caught:
        given_keys({name: [Secret(text) for text in texts]}, "OBJECTKERNEL_KEYS")
    assert any(problem in one for one in caught.value.problems), caught.value.problems
    text = str(caught.value)
    assert "OBJECTKERNEL_KEYS" in text
    for secret in ("hunter2", "hünter2", "aHVudGVyMg", GOOD[:8]):
        assert secret not in text


def test_every_problem() -> None:
    """All that is wrong is told at once."""
    with pytest.raises(KeysInvalid) as caught:
        given_keys({"a": [Secret("x")], "B": [], "c": [Secret("d:eA==")]}, "X")
    assert len(caught.value.problems) == 4


def test_new() -> None:
    """A new key has 32 random bytes and an id that begins with its day."""
    made = new_key(datetime(2026, 3, 1, tzinfo=UTC))
    assert made.id.startswith("20260301-")
    assert given_keys({"x": [Secret(key_text(made))]}, "X") == {"x": (made,)}
    assert len({new_key().id for _ in range(100)}) == 100
