"""Device codes and user codes: how they look, how they are read, and what is kept of them."""

from __future__ import annotations

import math
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from objectkernel_device_auth.codes import (
    ALPHABET,
    LENGTH,
    POSSIBLE,
    UserCodes,
    digest,
    new_device_code,
    new_user_code,
    read_user_code,
    shown,
)

from tests.contrib.accounts.hosts import Ring


def test_item_05_device_codes() -> None:
    """256 bits in letters that no form and no URL has to escape; no two are alike."""
    codes = {new_device_code() for _ in range(1000)}
    assert len(codes) == 1000
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", code) for code in codes)


def test_item_06_user_codes() -> None:
    """Eight of twenty consonants, each as likely as any other at each place, shown in two halves."""
    assert ALPHABET == "BCDFGHJKLMNPQRSTVWXZ"
    assert math.log2(POSSIBLE) == pytest.approx(34.6, abs=0.1)
    codes = [new_user_code() for _ in range(4000)]
    assert all(re.fullmatch(rf"[{ALPHABET}]{{8}}", code) for code in codes)
    expected = len(codes) / len(ALPHABET)
    for place in range(LENGTH):
        counts = Counter(code[place] for code in codes)
        chi_squared = sum((counts[letter] - expected) ** 2 / expected for letter in ALPHABET)
        assert chi_squared < 70, "19 degrees of freedom: more comes once in 100 million times"
    assert shown("BCDFGHJK") == "BCDF-GHJK"


@pytest.mark.parametrize(
    "typed",
    ["BCDF-GHJK", "bcdfghjk", "bcdf ghjk", " BCDF--GHJK\n", "b.c.d.f.g.h.j.k", "BCDF\N{EN DASH}GHJK", "aBCDFeGHJK1"],
)
def test_item_07_what_is_typed(typed: str) -> None:
    """Case, hyphens, blanks and whatever else no code has make no difference."""
    assert read_user_code(typed) == "BCDFGHJK"


@pytest.mark.parametrize("typed", ["", "BCDF-GHJ", "BCDF-GHJKL", "AEIOU", "B" * 10_000, "BCDFGHJK" + " " * 200])
def test_item_07_what_is_no_code(typed: str) -> None:
    """Too few letters, or too many."""
    assert read_user_code(typed) is None


@given(st.text(alphabet=ALPHABET, min_size=LENGTH, max_size=LENGTH), st.text("aeiouyAEIOUY0123456789 -_.", max_size=9))
def test_item_07_every_code_is_read(code: str, noise: str) -> None:
    """However it is decorated."""
    assert read_user_code(noise.join(shown(code).lower())) in (code, None if len(noise) * 9 > 80 else code)


def test_item_26_what_is_kept_of_a_user_code() -> None:
    """An HMAC with a secret of the keyring: who has the digest alone cannot try all codes; old secrets count on."""
    ring = Ring()
    codes = UserCodes(ring)
    kept = codes.digest("BCDFGHJK")
    assert re.fullmatch(r"[0-9a-f]{64}", kept)
    assert kept != digest("BCDFGHJK")
    ring.ids = ["second", "first"]
    assert codes.digest("BCDFGHJK") != kept
    assert kept in codes.digests("BCDFGHJK")
    assert kept not in codes.digests("BCDFGHJL")
    ring.ids = ["second"]
    assert kept not in codes.digests("BCDFGHJK")


def test_a_sealed_user_code() -> None:
    """It opens for its own request, while its secret is accepted, and is another text each time."""
    ring = Ring()
    codes = UserCodes(ring)
    sealed = codes.sealed("BCDFGHJK", "one")
    assert "BCDFGHJK" not in sealed
    assert sealed != codes.sealed("BCDFGHJK", "one")
    assert codes.unsealed(sealed, "one") == "BCDFGHJK"
    assert codes.unsealed(sealed, "two") is None
    ring.ids = ["second", "first"]
    assert codes.unsealed(sealed, "one") == "BCDFGHJK"
    ring.ids = ["second"]
    assert codes.unsealed(sealed, "one") is None
