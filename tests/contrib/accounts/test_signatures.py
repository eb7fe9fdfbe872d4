"""Texts that nobody else can have made."""

from __future__ import annotations

import pytest
from objectkernel_accounts.signatures import Signer

from tests.contrib.accounts.hosts import Ring


def test_signed_for_this_alone() -> None:
    """A text counts for what it was signed for, and for nothing else; none is made twice."""
    signer = Signer(Ring(), "csrf")
    text = signer.sign("session", "one")
    assert signer.nonce_of(text, "session", "one") == text.partition(".")[0]
    assert signer.sign("session", "one") != text
    for what in (("session", "other"), ("visitor", "one"), ("sessiono", "ne"), ("session", "one", "")):
        assert signer.nonce_of(text, *what) is None
    assert Signer(Ring(), "devices").nonce_of(text, "session", "one") is None


def test_a_change_of_keys() -> None:
    """What was signed before a change of keys counts until the old key is taken away."""
    ring = Ring()
    signer = Signer(ring, "csrf")
    old = signer.sign("session", "one")
    ring.ids.insert(0, "second")
    new = signer.sign("session", "one")
    assert signer.nonce_of(old, "session", "one") and signer.nonce_of(new, "session", "one")
    ring.ids.remove("first")
    assert signer.nonce_of(old, "session", "one") is None
    assert signer.nonce_of(new, "session", "one")


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a.first.b", "é.first.x", "x" * 5000, "a.missing.b", "\ud800.first.x"], ids=ascii
)
def test_rubbish(text: str) -> None:
    """Whatever was not signed is nothing."""
    assert Signer(Ring(), "csrf").nonce_of(text, "session", "one") is None


def test_every_character_counts() -> None:
    """A text that was changed anywhere counts no more."""
    signer = Signer(Ring(), "csrf")
    text = signer.sign("one")
    for at in range(len(text)):
        changed = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
        assert signer.nonce_of(changed, "one") is None
