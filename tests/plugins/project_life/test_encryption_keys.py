"""Keys: every documented spelling is read, everything else is refused without being shown."""

from __future__ import annotations

import base64
import re
import traceback

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from objectkernel.secret import Secret
from objectkernel_contracts import NamedKey
from objectkernel_project_life.contracts import EncryptionKeyMissing, UriUnreadable
from objectkernel_project_life.encryption import UriCipher
from objectkernel_project_life.encryption_keys import (
    LONGEST_ID,
    VARIABLE,
    generate_encryption_key,
    get_encryption_key,
    parse_keys,
    uri_keys,
)

KEY = bytes(range(220, 252))
"""Its base64 has characters in which the two alphabets differ."""
RANDOM = st.binary(min_size=32, max_size=32).filter(lambda secret: len(set(secret)) >= 8)


@attrs.frozen
class GivenKeys:
    """A `KEYRING` that holds these."""

    found: tuple[NamedKey, ...]

    def keys(self, name: str) -> tuple[NamedKey, ...]:
        assert name == "project-uris"
        return self.found

    def current(self, name: str) -> NamedKey:
        return self.keys(name)[0]

    def find(self, name: str, id: str) -> NamedKey | None:
        return next((key for key in self.keys(name) if key.id == id), None)


@given(secret=RANDOM)
def test_line_7_every_spelling_is_the_same_key(secret: bytes) -> None:
    """Hexadecimal in both cases, base64 and base64url, with and without padding."""
    spellings = {
        secret.hex(),
        secret.hex().upper(),
        base64.b64encode(secret).decode(),
        base64.b64encode(secret).decode().rstrip("="),
        base64.urlsafe_b64encode(secret).decode(),
        base64.urlsafe_b64encode(secret).decode().rstrip("="),
    }
    for text in spellings:
        (key,) = parse_keys(f" {text}\n")
        assert key.secret == secret
        assert re.fullmatch("env-[0-9a-f]{16}", key.id)
        assert key == parse_keys(secret.hex())[0]


def test_a_new_key_is_a_key() -> None:
    """Base64url of 32 bytes, another each time."""
    made = {generate_encryption_key() for _ in range(20)}
    assert len(made) == 20
    for text in made:
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}", text)
        assert len(parse_keys(text)) == 1


def _refused(size: int) -> list[str]:
    secret = bytes(range(200, 200 + size))
    return [secret.hex(), base64.b64encode(secret).decode(), base64.urlsafe_b64encode(secret).decode().rstrip("=")]


@pytest.mark.parametrize(
    "text",
    [
        *_refused(16),
        *_refused(31),
        *_refused(33),
        *_refused(48),
        "correct horse battery staple",
        KEY.hex()[:-1],
        KEY.hex() + "0",
        KEY.hex()[:-1] + "g",
        base64.b64encode(KEY).decode() + "=",
        base64.b64encode(KEY).decode()[:20] + "\n" + base64.b64encode(KEY).decode()[20:],
        "+_" + base64.b64encode(bytes(31)).decode()[2:44],
        base64.urlsafe_b64encode(KEY).decode()[:42] + "B",
        "é" * 43,
        "\ud800" * 43,
        "00" * 32,
        base64.b64encode(b"0123456" * 4 + b"0123").decode(),
        ":" + KEY.hex(),
    ],
)
def test_what_is_no_key_is_not_shown(text: str) -> None:
    """Not 32 bytes, not in one alphabet, not the one spelling of its bytes, or no random bytes."""
    good = generate_encryption_key()
    for given_text, number in ((text, 1), (f"{good},{text}", 2)):
        with pytest.raises(EncryptionKeyMissing, match=f"key {number}") as caught:
            parse_keys(given_text)
        shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.as_dict())
        assert text not in shown
        assert good not in shown


def test_every_problem_of_a_list_is_told() -> None:
    """By number."""
    with pytest.raises(EncryptionKeyMissing) as caught:
        parse_keys(f"no,{KEY.hex()},neither")
    assert [line.partition(",")[0] for line in caught.value.why] == ["key 1", "key 3"]


def test_lists() -> None:
    """In their order; empty places and repetitions mean nothing."""
    one, two = generate_encryption_key(), generate_encryption_key()
    ids = [key.id for key in parse_keys(f"{one},{two}")]
    assert ids == [parse_keys(one)[0].id, parse_keys(two)[0].id]
    assert [key.id for key in parse_keys(f" ,{one},, {two} ,{one},")] == ids
    assert parse_keys("") == parse_keys(" , ") == ()


def test_the_variable() -> None:
    """None where it is not set; a wrong value is told, not taken for none."""
    key = generate_encryption_key()
    assert get_encryption_key({VARIABLE: key}) == Secret(key)
    assert get_encryption_key({}) is None
    assert get_encryption_key({VARIABLE: " "}) is None
    with pytest.raises(EncryptionKeyMissing):
        get_encryption_key({VARIABLE: "hunter2"})


def test_keys_do_not_show_themselves() -> None:
    """Neither their bytes nor their text."""
    (key,) = parse_keys(KEY.hex())
    assert "secret" not in repr(key)
    assert KEY.hex() not in repr(key)


def test_keys_of_the_keyring() -> None:
    """They are used where none is set, and read where one is; no id is that of another kind of key."""
    (own,) = parse_keys(KEY.hex())
    ring = GivenKeys(
        (
            NamedKey(id="20260101-ab.cd", secret=bytes(range(32))),
            NamedKey(id="x" * 64, secret=bytes(range(1, 33))),
            NamedKey(id=own.id, secret=bytes(range(2, 34))),
        )
    )
    ringed = uri_keys(None, ring)
    assert [key.id[:9] for key in ringed] == ["ring-2026", "ringhash-", "ring-env-"]
    assert all("." not in key.id and len(key.id) <= LONGEST_ID for key in ringed)
    assert all(key.secret != made.secret for key, made in zip(ringed, ring.found, strict=True)), "derived ones"
    assert uri_keys(Secret(KEY.hex()), ring) == (own, *ringed)
    assert uri_keys(Secret(KEY.hex()), None) == (own,)
    assert uri_keys(None, None) == ()

    for at, _ in enumerate(ringed):
        text, id = UriCipher(ringed[at:]).encrypt("sqlite:///a.db", "1")
        assert id == ringed[at].id
        assert UriCipher(uri_keys(Secret(KEY.hex()), ring)).decrypt(text, "1").reveal() == "sqlite:///a.db"
        with pytest.raises(UriUnreadable, match=id):
            UriCipher((own,)).decrypt(text, "1")
