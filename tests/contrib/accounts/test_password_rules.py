"""Which passwords are taken."""

from __future__ import annotations

import pytest
from objectkernel_accounts.errors import PasswordRefused
from objectkernel_accounts.password_rules import check_password

LOGIN = "ada.lovelace@example.org"


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "x7Kp2mQ9vLwe",
        "830271645920",
        "пароль из случайных слов",
        "😀😁😂🤣😃 пять и ещё семь",
        "orange teapot sings quietly",
        "a" * 5 + "bcdefgh" + "i" * 1012,
    ],
    ids=ascii,
)
def test_taken(password: str) -> None:
    """A password of 12 to 1024 characters, of any kind, is taken."""
    check_password(password, LOGIN)


@pytest.mark.parametrize(
    "password, reason",
    [
        ("elevenchars", "short"),
        ("x7Kp2mQ9vLw", "short"),
        ("abcdefgh" * 128 + "z", "long"),
        ("a\ud800bcdefghijkl", "characters"),
        ("aaaaaaaaaaaaaaaa", "common"),
        ("abababababababab", "common"),
        ("123456789012", "common"),
        ("qwertyuiopasdf", "common"),
        ("passwordpassword", "common"),
        ("Password1234!", "common"),
        ("P4ssw0rd123456", "common"),
        ("Motdepasse2026!", "common"),
        ("administrator1", "common"),
        ("ada.lovelace@example.org", "login"),
        ("AdaLovelace1815", "login"),
        ("gro.elpmaxe@ecalevol.ada", "login"),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_refused(password: str, reason: str) -> None:
    """What is short, endless, no text, among the first guesses, or the login itself is refused with the reason."""
    with pytest.raises(PasswordRefused) as caught:
        check_password(password, LOGIN)
    assert reason in caught.value.reasons
    assert password not in str(caught.value)


def test_length_counts_what_is_read() -> None:
    """A letter and its accent are one character, however a keyboard sends them."""
    with pytest.raises(PasswordRefused):
        check_password("e\u0301bcdfghijkl", LOGIN)
    check_password("e\u0301bcdfghijklm", LOGIN)
