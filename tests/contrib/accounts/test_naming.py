"""What people sign in with, and what they are called."""

from __future__ import annotations

import unicodedata

import pytest
from objectkernel_accounts.errors import LoginInvalid, NameInvalid
from objectkernel_accounts.naming import LONGEST_LOGIN, LONGEST_NAME, is_login, login_key, login_of, name_of


@pytest.mark.parametrize(
    "one, other",
    [
        pytest.param("Ada@Example.ORG", "ada@example.org", id="capitals"),
        pytest.param(" ada ", "ada", id="spaces around"),
        pytest.param("ａｄａ", "ada", id="full width"),
        pytest.param("Jose\u0301", "JOSÉ", id="composed"),
        pytest.param("STRASSE", "straße", id="folded"),
    ],
)
def test_logins_that_are_one(one: str, other: str) -> None:
    """A login is one however it is composed, in capitals or not."""
    assert login_key(one) == login_key(other)


@pytest.mark.parametrize("text", ["", "  ", "a b", "a\x00b", "a\nb", "a" * 255, "\u202eada", "\ud800"], ids=ascii)
def test_what_is_no_login(text: str) -> None:
    """A login has visible characters only, and not too many."""
    with pytest.raises(LoginInvalid):
        login_of(text)


def test_a_login_is_shown_as_it_was_given() -> None:
    """Capitals are kept to be shown."""
    assert login_of(" Ada@Example.org ") == "Ada@Example.org"


def test_names() -> None:
    """A name is one line; only an account must have one."""
    assert name_of("  Ada \n Lovelace ") == "Ada Lovelace"
    assert name_of("") == ""
    for text, required in (("", True), ("a" * 201, False), ("a\x07", False)):
        with pytest.raises(NameInvalid):
            name_of(text, required=required)


def test_what_is_far_too_long_is_not_composed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Composing takes time with the square of the length, and strangers send what they like: little is composed."""
    lengths: list[int] = []
    compose = unicodedata.normalize

    def counting(form: str, text: str) -> str:  # type: ignore[no-untyped-def]
        lengths.append(len(text))
        return compose(form, text)  # type: ignore[arg-type]

    monkeypatch.setattr(unicodedata, "normalize", counting)
    marks = "a" + "\u0301\u0327" * 50_000
    assert not is_login(marks)
    login_key(marks)
    with pytest.raises(NameInvalid):
        name_of(marks)
    assert lengths and max(lengths) <= 4 * max(LONGEST_LOGIN, LONGEST_NAME)


def test_a_long_login_that_is_composed() -> None:
    """The longest login there can be is one however it is composed."""
    login = "é" * LONGEST_LOGIN
    assert login_of(unicodedata.normalize("NFD", login)) == login_of(login) == login
    assert login_key(unicodedata.normalize("NFD", login)) == login_key(login)
