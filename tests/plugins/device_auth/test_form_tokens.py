"""Tokens of forms, and codes in cookies: made here, for this, and not too long ago."""

from __future__ import annotations

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st
from objectkernel_device_auth.form_tokens import CODE_LASTS, FormTokens

from tests.contrib.accounts.hosts import Ring

CODE = "BCDF-GHJK"


@pytest.fixture
def ring() -> Ring:
    return Ring()


def test_a_token_is_good_for_what_it_was_made_for(ring: Ring) -> None:
    """Another session, another purpose, or parts joined in another way: no good."""
    tokens = FormTokens(ring)
    token = tokens.make("session", "decide", "one")
    assert tokens.is_good(token, "session", "decide", "one")
    for session, *about in (
        ("other", "decide", "one"),
        ("session", "decide", "two"),
        ("session", "decide"),
        ("session", "decideone"),
        ("sessiondecide", "one"),
    ):
        assert not tokens.is_good(token, session, *about)


def test_tokens_outlive_a_change_of_the_secret_but_not_its_end(ring: Ring) -> None:
    """A key that is still accepted counts; one that is gone does not."""
    tokens = FormTokens(ring)
    token, cookie = tokens.make("session", "claim"), tokens.keep_code(CODE)
    assert cookie is not None
    ring.ids = ["second", "first"]
    assert tokens.is_good(token, "session", "claim")
    assert tokens.kept_code(cookie) == CODE
    ring.ids = ["second"]
    assert not tokens.is_good(token, "session", "claim")
    assert tokens.kept_code(cookie) is None


@given(st.text(max_size=500))
def test_no_text_is_a_token(text: str) -> None:
    """Whatever somebody sends is told apart without an error."""
    tokens = FormTokens(Ring())
    assert not tokens.is_good(text, "session", "claim")
    assert tokens.kept_code(text) is None


def test_a_code_is_kept_for_a_while(ring: Ring) -> None:
    """The end stands in the cookie and cannot be changed, nor can the code."""
    tokens = FormTokens(ring)
    with time_machine.travel("2026-02-03T10:00:00Z", tick=False) as clock:
        cookie = tokens.keep_code(CODE)
        assert cookie is not None
        assert tokens.kept_code(cookie) == CODE
        code, end, signature = cookie.split(":")
        assert tokens.kept_code(f"{code}:{int(end) + 1}:{signature}") is None
        assert tokens.kept_code(f"BBBB-BBBB:{end}:{signature}") is None
        clock.shift(CODE_LASTS)
        assert tokens.kept_code(cookie) is None


@pytest.mark.parametrize("text", ["", "x" * 33, "a b", "a:b", "é", "<b>", "a\n"])
def test_what_cannot_be_a_code_is_not_kept(ring: Ring, text: str) -> None:
    """No cookie is made of it."""
    assert FormTokens(ring).keep_code(text) is None
