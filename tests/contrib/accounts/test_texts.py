"""What the pages say: everything, in each language."""

from __future__ import annotations

import re
from importlib import resources
from string import Formatter
from typing import get_args

import pytest
from objectkernel_accounts import errors
from objectkernel_accounts.errors import AccountsError, Reason
from objectkernel_accounts.texts import LANGUAGES, NOTICES, PROBLEMS, TEXTS, WORDS, preferred
from objectkernel_contracts import ROLES

TEMPLATES = [
    path.read_text("utf-8")
    for path in resources.files("objectkernel_accounts").joinpath("templates").iterdir()
    if path.name.endswith(".html")
]


def test_every_word_of_the_templates_is_there() -> None:
    """Templates use no word that is missing, and no word lies unused."""
    used = {word for text in TEMPLATES for word in re.findall(r"\bwords\.(\w+)", text)}
    titles = {"sign_in", "sign_out", "account", "invitation", "reset", "problem"}
    assert set(WORDS) == used | titles | set(ROLES) | NOTICES


@pytest.mark.parametrize("texts", [WORDS, PROBLEMS], ids=["words", "problems"])
def test_each_language_says_it(texts: dict[str, tuple[str, ...]]) -> None:
    """Nothing is left untranslated, and what is filled in is filled in everywhere."""
    for said in texts.values():
        assert len(said) == len(LANGUAGES) and all(said)
        assert len({tuple(name for _, name, _, _ in Formatter().parse(text)) for text in said}) == 1


def test_every_problem_has_words() -> None:
    """Every reason to refuse a password, and every error's code, is a sentence; what is unforeseen too."""
    codes = {kind.code for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, AccountsError)}
    assert set(PROBLEMS) == {code for code in PROBLEMS if code in codes} | set(get_args(Reason)) | {"other"}
    assert list(TEXTS["en"].problems(AccountsError("x"))) == [PROBLEMS["other"][0]]


@pytest.mark.parametrize("accepted, language", [("", "en"), ("en;q=0.1, fr-CA;q=0.2", "fr"), ("de", "en")])
def test_which_language(accepted: str, language: str) -> None:
    """The first language that is spoken here, by the browser's weights; English for everybody else."""
    assert preferred(accepted).language == language
