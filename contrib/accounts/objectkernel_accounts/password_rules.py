"""Which passwords are taken: long ones that are not among the first that somebody would try."""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Final

from objectkernel_accounts.errors import PasswordRefused, Reason
from objectkernel_accounts.naming import login_key

SHORTEST: Final = 12
LONGEST: Final = 1024
MOST_TYPED: Final = 4 * LONGEST
"""Characters before they are composed."""
FEWEST_CHARACTERS: Final = 5
"""Different ones."""
LONGEST_UNIT: Final = 8
"""Of what a password repeats: ``passwordpassword``."""

LONGEST_PADDING: Final = 8
"""Digits and signs that make no guess harder when they are put around a common word."""
FEW: Final = 2
"""Common words, and letters beside them."""
RUNS: Final = (
    "0123456789" * 2,
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
    "azertyuiopqsdfghjklmwxcvbn",
    "1q2w3e4r5t6z7u8i9o0p",
    "1q2w3e4r5t6y7u8i9o0p",
    "1qaz2wsx3edc4rfv5tgb6yhn",
)
LEET: Final = str.maketrans("@4310$5!7", "aaeiossit")
WHY: Final[dict[Reason, str]] = {
    "short": f"it has fewer than {SHORTEST} characters",
    "long": f"it has more than {LONGEST} characters",
    "characters": "it has characters that are none",
    "common": "it is among the first that somebody would try",
    "login": "it is the login with little added",
    "differs": "it was not repeated as it is",
}


def normalized(password: str) -> str:
    """A password as it is hashed, however a keyboard composes it (NFKC, as NIST SP 800-63B section 3.1.1.2 advises)."""
    return unicodedata.normalize("NFKC", password)


def refused(*reasons: Reason) -> PasswordRefused:
    """The error for a password that is not taken."""
    return PasswordRefused(reasons, [WHY[reason] for reason in reasons])


def check_password(password: str, login: str) -> None:
    """Refuse a new password that is too easily guessed.

    Raises:
        PasswordRefused: with every reason.
    """
    reasons: list[Reason] = ["long"] if len(password) > MOST_TYPED else _reasons(normalized(password), login_key(login))
    if reasons:
        raise refused(*reasons)


def _reasons(password: str, login: str) -> list[Reason]:
    if any(unicodedata.category(character) == "Cs" for character in password):
        return ["characters"]
    if len(password) < SHORTEST:
        return ["short"]
    if len(password) > LONGEST:
        return ["long"]
    folded = password.casefold()
    found: list[Reason] = []
    if _is_common(folded):
        found.append("common")
    if login in (folded, folded[::-1]) or _is_padded(folded, (login, login.partition("@")[0])):
        found.append("login")
    return found


def _is_common(folded: str) -> bool:
    if len(set(folded)) < FEWEST_CHARACTERS or _repeats(folded):
        return True
    letters = "".join(character for character in folded if character.isalnum())
    if any(letters in run or letters[::-1] in run for run in RUNS):
        return True
    return _is_made_of_words(folded) or _is_made_of_words(folded.strip(string.digits).translate(LEET))


def _repeats(text: str) -> bool:
    return any(text == (text[:unit] * (len(text) // unit + 1))[: len(text)] for unit in range(1, LONGEST_UNIT + 1))


def _is_padded(text: str, words: Iterable[str]) -> bool:
    """Whether a text is one of these words with little around it."""
    stem = _stem(text)
    return len(text) - len(stem) <= LONGEST_PADDING and stem in {_stem(word) for word in words} - {""}


def _is_made_of_words(text: str) -> bool:
    """Whether one or two common words and little else make a text."""
    stem = rest = _stem(text)
    count = 0
    for word in common_words():
        count += rest.count(word)
        rest = rest.replace(word, "")
    return 0 < count <= FEW and len(rest) <= FEW and len(text) - len(stem) <= LONGEST_PADDING


def _stem(text: str) -> str:
    """The letters of a text: digits and signs are what people add."""
    return "".join(character for character in text if character.isalpha())


@cache
def common_words() -> tuple[str, ...]:
    """What the most common passwords are made of, the longest first."""
    words = resources.files("objectkernel_accounts").joinpath("common_words.txt").read_text("utf-8").split()
    return tuple(sorted(words, key=len, reverse=True))
