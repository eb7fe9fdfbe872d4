"""URIs as they are stored: whatever happens to one of them, it is read as it was, or not at all."""

from __future__ import annotations

import base64
import json
import re
import traceback

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st
from objectkernel.secret import Secret
from objectkernel_project_life.contracts import EncryptionKeyMissing, UriNotEncryptable, UriUnreadable
from objectkernel_project_life.encryption import UriCipher, decrypt_uri, encrypt_uri, generate_encryption_key
from objectkernel_project_life.encryption_keys import VARIABLE, parse_keys

KEY = bytes(range(32))
OTHER = bytes(range(100, 132))
URI = "postgresql://shop:t0p-s3cret@db.example:5432/crm?sslmode=require"
PROJECT = "11111111-1111-4111-8111-111111111111"
ENVELOPE = re.compile(r"k1\.env-[0-9a-f]{16}\.[A-Za-z0-9_-]+")


def ciphers(*secrets: bytes, allow_plaintext: bool = False) -> UriCipher:
    return UriCipher(parse_keys(",".join(secret.hex() for secret in secrets)), allow_plaintext=allow_plaintext)


def told(error: UriUnreadable) -> str:
    """Everything that is to be seen of an error."""
    return "".join(traceback.format_exception(error)) + repr(error) + json.dumps(error.as_dict()) + str(error.facts)


@given(uri=st.text(min_size=1).filter(lambda text: not re.match(r"k\d+\.", text)), project=st.text())
def test_what_is_encrypted_is_read_again(uri: str, project: str) -> None:
    """Any text comes back, and looks different each time."""
    cipher = ciphers(KEY)
    one, key_id = cipher.encrypt(Secret(uri), project)
    other, _ = cipher.encrypt(uri, project)
    assert one != other
    assert cipher.decrypt(one, project) == cipher.decrypt(other, project) == Secret(uri)
    assert key_id == cipher.active_id
    assert ENVELOPE.fullmatch(one)


def test_an_envelope_opens_with_nothing_but_the_algorithm() -> None:
    """Known answer, line 7 of the defects: AES-256-GCM with a whole tag, bound to its row; made without this code."""
    known = (
        "k1.env-b9c469941774f2a9.AAAAAAAAAAAAAAAAftPGqtJe5s55xJMaN1_59qJ5ImNYrBMc4-zW94WbP3grJ4fRWp7dPAb3QsfurRsjlnQyihQe"
        "IsBtxFpXPwk8gewTN5Ftvft21VUH5VADwGY"
    )
    assert decrypt_uri(known, KEY.hex(), project_id=PROJECT) == URI

    bound = b'["k1","projects","uri","%b"]' % PROJECT.encode()
    made = encrypt_uri(URI, KEY.hex(), project_id=PROJECT).split(".")[2]
    raw = base64.urlsafe_b64decode(made + "=" * (-len(made) % 4))
    assert len(raw) == 12 + len(URI) + 16
    assert AESGCM(KEY).decrypt(raw[:12], raw[12:], bound) == URI.encode()


def test_every_altered_character_is_found() -> None:
    """Each character of an envelope, replaced by others: those of its alphabet, and some that are none of it."""
    cipher = ciphers(KEY)
    text, _ = cipher.encrypt(URI, PROJECT)
    for at, was in enumerate(text):
        for other in "AZaz09-_.=~+/ \n\0é":
            if other != was:
                with pytest.raises(UriUnreadable):
                    cipher.decrypt(text[:at] + other + text[at + 1 :], PROJECT)


@given(data=st.data())
def test_every_altered_byte_is_found(data: st.DataObject) -> None:
    """Each byte within, altered so that the text is well-formed."""
    head, id, body = encrypt_uri(URI, KEY.hex(), project_id=PROJECT).split(".")
    raw = bytearray(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    text = f"{head}.{id}.{base64.urlsafe_b64encode(raw).rstrip(b'=').decode()}"
    with pytest.raises(UriUnreadable):
        decrypt_uri(text, KEY.hex(), project_id=PROJECT)


def test_line_7_no_part_of_an_envelope_opens() -> None:
    """Every beginning of one, and every way to cut its tag short: a tag of four bytes was once accepted."""
    cipher = ciphers(KEY)
    text, _ = cipher.encrypt(URI, PROJECT)
    for length in range(len(text)):
        with pytest.raises(UriUnreadable):
            cipher.decrypt(text[:length], PROJECT)
    head, id, body = text.split(".")
    raw = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    for length in range(len(raw)):
        short = base64.urlsafe_b64encode(raw[:length]).rstrip(b"=").decode()
        with pytest.raises(UriUnreadable) as caught:
            cipher.decrypt(f"{head}.{id}.{short}", PROJECT)
        assert caught.value.facts["key_id"] == id
        assert "s3cret" not in told(caught.value)


@given(one=st.text(), other=st.text())
def test_line_7_an_envelope_belongs_to_its_row(one: str, other: str) -> None:
    """Two rows with their URIs exchanged: neither is read."""
    cipher = ciphers(KEY)
    if one == other:
        return
    with pytest.raises(UriUnreadable):
        cipher.decrypt(cipher.encrypt(URI, one)[0], other)


def test_line_7_several_keys() -> None:
    """The first encrypts, all decrypt; so a key is changed while its envelopes are about."""
    text, old = ciphers(KEY).encrypt(URI, PROJECT)
    both = ciphers(OTHER, KEY)
    assert both.decrypt(text, PROJECT) == Secret(URI)
    again, new = both.encrypt(URI, PROJECT)
    assert old != new == both.active_id
    assert ciphers(OTHER).decrypt(again, PROJECT) == Secret(URI)


def test_line_7_a_key_that_is_gone_is_named() -> None:
    """By its id, and with nothing of what it has encrypted."""
    text, id = ciphers(KEY).encrypt(URI, PROJECT)
    assert id is not None
    for cipher in (ciphers(OTHER), UriCipher(()), UriCipher((), allow_plaintext=True)):
        with pytest.raises(UriUnreadable, match=re.escape(id)) as caught:
            cipher.decrypt(text, PROJECT)
        assert caught.value.facts == {"key_id": id}
        assert text.rpartition(".")[2] not in told(caught.value)


def test_another_key_of_the_same_id() -> None:
    """An envelope whose id was altered to that of a key that is there."""
    text, id = ciphers(KEY).encrypt(URI, PROJECT)
    other = ciphers(OTHER)
    assert id is not None
    assert other.active_id is not None
    with pytest.raises(UriUnreadable, match=other.active_id):
        other.decrypt(text.replace(id, other.active_id), PROJECT)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "k",
        "k1",
        "k1.",
        "k1..",
        "k1.a",
        "k1.a.",
        "k1.a.b.c",
        "k2.a.AAAA",
        "k10.env-0.AAAA",
        "k1." + "a" * 65 + ".AAAA",
        "k1.s3cret/../x.AAAA",
        "s3cret and no URI",
        "k1.postgresql://u:s3cret@h/d",
        "k1.x:s3cret@h",
        "\ud800",
    ],
)
def test_what_is_no_envelope(text: str) -> None:
    """A damaged row is one error; a text that begins like an envelope is never taken for a plain URI."""
    for cipher in (ciphers(KEY), UriCipher((), allow_plaintext=True)):
        with pytest.raises(UriUnreadable) as caught:
            cipher.decrypt(text, PROJECT)
        assert "s3cret" not in told(caught.value)


def test_plain_uris_are_read_and_then_encrypted() -> None:
    """Those of a time without a key: read as they are, encrypted when they are written again."""
    before = UriCipher((), allow_plaintext=True)
    assert before.encrypt(Secret(URI), PROJECT) == (URI, None)
    cipher = ciphers(KEY)
    found = cipher.decrypt(URI, PROJECT)
    assert found == Secret(URI)
    text, key_id = cipher.encrypt(found, PROJECT)
    assert ENVELOPE.fullmatch(text)
    assert key_id == cipher.active_id
    assert ciphers(KEY, allow_plaintext=True).encrypt(URI, PROJECT)[1] == cipher.active_id, (
        "where there is a key, always"
    )


def test_without_a_key_nothing_is_stored() -> None:
    """Unless that was allowed."""
    cipher = UriCipher(())
    assert (cipher.can_encrypt, cipher.can_store, cipher.active_id) == (False, False, None)
    with pytest.raises(EncryptionKeyMissing, match=VARIABLE) as caught:
        cipher.encrypt(Secret(URI), PROJECT)
    assert "s3cret" not in str(caught.value)
    allowed = UriCipher((), allow_plaintext=True)
    assert (allowed.can_encrypt, allowed.can_store) == (False, True)
    assert (ciphers(KEY).can_encrypt, ciphers(KEY).can_store) == (True, True)


@pytest.mark.parametrize(
    "uri", ["", None, 1, b"postgresql://h/s3cret", "sqlite:///\ud800s3cret", "k1.a.s3cret", "k9.x"]
)
def test_what_is_not_encrypted(uri: object) -> None:
    """No text, nothing, or what is encrypted already: two layers would be read as one."""
    for cipher in (ciphers(KEY), UriCipher((), allow_plaintext=True)):
        for given_as in (uri, Secret(uri)):
            with pytest.raises(UriNotEncryptable) as caught:
                cipher.encrypt(given_as, PROJECT)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
            assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def test_a_plain_text_without_scheme_is_not_stored() -> None:
    """It could not be told from a damaged row when it is read."""
    with pytest.raises(UriNotEncryptable):
        UriCipher((), allow_plaintext=True).encrypt("crm.db", PROJECT)


def test_the_functions_read_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """`key=None`: what `PROJECT_ENCRYPTION_KEY` says; its first key encrypts."""
    one, two = generate_encryption_key(), generate_encryption_key()
    monkeypatch.setenv(VARIABLE, one)
    text = encrypt_uri(URI, project_id=PROJECT)
    monkeypatch.setenv(VARIABLE, f"{two}, {one}")
    assert decrypt_uri(text, project_id=PROJECT) == URI
    assert encrypt_uri(Secret(URI), project_id=PROJECT).split(".")[1] == parse_keys(two)[0].id
    assert decrypt_uri(text, one, project_id=PROJECT) == decrypt_uri(text, Secret(one), project_id=PROJECT) == URI
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(EncryptionKeyMissing):
        encrypt_uri(URI, project_id=PROJECT)
    with pytest.raises(UriUnreadable):
        decrypt_uri(text, project_id=PROJECT)
    assert decrypt_uri(URI, project_id=PROJECT) == URI


def test_places_are_found_again_and_show_nothing() -> None:
    """With the active key first; those of older keys, and of none, are there to be looked up."""
    place = "postgresql://db.example:5432/crm"
    alone, older, both = ciphers(KEY), ciphers(OTHER), ciphers(KEY, OTHER)
    unkeyed = UriCipher(())
    found = both.place_indexes(place)
    assert found == (alone.place_indexes(place)[0], older.place_indexes(place)[0], unkeyed.place_indexes(place)[0])
    assert len(set(found)) == 3
    assert all(re.fullmatch("[0-9a-f]{64}", one) for one in found)
    assert set(found).isdisjoint(both.place_indexes(f"{place}2"))
