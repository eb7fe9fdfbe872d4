"""What a key looks like, and that a typo is told from a key without asking anybody."""

from __future__ import annotations

import hashlib
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from objectkernel_device_auth.config import DeviceAuthConfig
from objectkernel_device_auth.key_format import (
    ALPHABET,
    ID_LENGTH,
    SECRET_LENGTH,
    checksum,
    digest_of,
    key_id_of,
    make_token,
)


def test_item_27_the_shape_of_a_key() -> None:
    """Prefix, public id, and 190 random bits with their checksum, of letters and digits: a double click takes it."""
    token = make_token("ok")
    assert re.fullmatch(r"ok_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}", token.text)
    assert token.text.split("_")[1] == token.id == key_id_of(token.text)
    assert token.digest == hashlib.sha256(token.text.encode()).hexdigest() == digest_of(token.text)
    assert len(ALPHABET) ** SECRET_LENGTH > 2**128
    assert len(ALPHABET) ** ID_LENGTH > 2**64
    assert token.text not in repr(token)
    assert token.digest not in repr(token)


def test_item_27_every_typo_is_found() -> None:
    """CRC-32 finds every change of one character, and every swap of two neighbours."""
    text = make_token("ok").text
    for at, was in enumerate(text):
        for other in string.ascii_letters + string.digits:
            if other != was:
                assert key_id_of(text[:at] + other + text[at + 1 :]) is None
    for at in range(len(text) - 1):
        if text[at] != text[at + 1]:
            assert key_id_of(text[:at] + text[at + 1] + text[at] + text[at + 2 :]) is None


@pytest.mark.parametrize(
    "text",
    ["", "ok", "ok__", "Bearer x", "a" * 100_000, "ok_é", "ok_" + "٣" * 12 + "_" + "a" * 38, "\0", "\ud800"],
    ids=["empty", "prefix", "blank", "words", "long", "accent", "digits of another script", "nul", "surrogate"],
)
def test_what_is_no_key(text: str) -> None:
    """Whatever somebody sends instead of a key is none, and no error."""
    assert key_id_of(text) is None


@pytest.mark.parametrize("change", [lambda text: text[:-1], lambda text: f"{text}\n", lambda text: f" {text}"])
def test_parts_of_a_key_are_none(change) -> None:  # type: ignore[no-untyped-def]
    """A key that was cut off, or taken with what stood around it."""
    assert key_id_of(change(make_token("ok").text)) is None


@given(st.text(max_size=80))
def test_strange_texts(text: str) -> None:
    """No text makes reading fail, and none is taken by chance."""
    assert key_id_of(text) is None


def test_a_key_of_another_prefix_goes_on() -> None:
    """Whoever changes the setting keeps the keys that were made before."""
    assert key_id_of(make_token("shop2").text) is not None


def test_a_clients_secret_is_no_key() -> None:
    """A word in the place of the id makes another kind of secret."""
    assert key_id_of(make_token("ok", "client").text) is None


def test_checksums_are_as_long_for_every_number() -> None:
    """Also where CRC-32 is small: six digits of base 62 have room for all 32 bits."""
    assert {len(checksum(str(number))) for number in range(2000)} == {6}
    assert 62**6 > 2**32


@pytest.mark.parametrize("prefix", ["", "OK", "o_k", "9k", "a" * 17, "ök"])
def test_prefixes_that_are_refused(prefix: str) -> None:
    """A prefix keeps to what a key's shape has room for."""
    with pytest.raises(ValueError, match="is no prefix of keys"):
        DeviceAuthConfig(key_prefix=prefix)
