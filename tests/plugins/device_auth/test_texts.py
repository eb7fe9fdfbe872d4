"""What the pages say: everything, in each language."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from importlib import resources
from string import Formatter

import pytest
from objectkernel_device_auth import page_errors
from objectkernel_device_auth.errors import DeviceAuthError, TooManyTries
from objectkernel_device_auth.texts import AGES, LANGUAGES, NOTICES, PROBLEMS, TEXTS, WORDS, preferred

NOW = datetime(2026, 2, 3, 10, tzinfo=UTC)


def templates() -> dict[str, str]:
    folder = resources.files("objectkernel_device_auth") / "templates"
    return {file.name: file.read_text() for file in folder.iterdir() if file.name.endswith(".html")}


def test_every_word_of_a_page_is_there_and_no_other() -> None:
    """Templates name words in texts, and each of these is said somewhere."""
    named = {word for text in templates().values() for word in re.findall(r"words\.(\w+)", text)}
    titles = {"connect", "decide", "revoke_ask", "problem", "devices", "approved", "denied"}
    labels = {"sign_in", "back"}
    assert named <= WORDS.keys()
    assert WORDS.keys() - named == (titles | labels | NOTICES | {"approved_hint", "denied_hint"}) - named


@pytest.mark.parametrize("name, texts", [*WORDS.items(), *PROBLEMS.items(), *((text[0], text) for text in AGES)])
def test_each_text_is_in_each_language(name: str, texts: tuple[str, ...]) -> None:
    """None is empty, and all have the same places to fill."""
    assert len(texts) == len(LANGUAGES) and all(texts)
    places = [{field for _, field, *_ in Formatter().parse(text) if field} for text in texts]
    assert all(one == places[0] for one in places)


def test_every_error_of_a_page_has_its_own_sentence() -> None:
    """Nobody is told only that something did not work."""
    own = {
        kind.code
        for kind in vars(page_errors).values()
        if isinstance(kind, type) and kind.__module__.endswith("page_errors")
    }
    assert own | {"O101", "O102", "O104"} == PROBLEMS.keys() - {"other"}
    assert TEXTS["fr"].problem(TooManyTries(7)) == "Trop de codes ont été essayés. Réessayez dans 7 secondes."
    assert TEXTS["en"].problem(DeviceAuthError("x")) == "This did not work."


@pytest.mark.parametrize(
    "passed, told",
    [
        (timedelta(seconds=-5), "less than a minute ago"),
        (timedelta(seconds=59), "less than a minute ago"),
        (timedelta(minutes=59), "59 min ago"),
        (timedelta(hours=47), "47 h ago"),
        (timedelta(days=2), "2 d ago"),
        (timedelta(days=400), "400 d ago"),
    ],
)
def test_ages(passed: timedelta, told: str) -> None:
    """How long ago something was, in the unit that says it best."""
    assert TEXTS["en"].age(NOW - passed, NOW) == told


@pytest.mark.parametrize("accepted, language", [("", "en"), ("en;q=0.1, fr-CA;q=0.2", "fr"), ("de", "en")])
def test_language(accepted: str, language: str) -> None:
    """The first language that is spoken here, by the browser's weights; English for everybody else."""
    assert preferred(accepted).language == language


def test_no_line_begins_with_a_mark() -> None:
    """French has a space before some, at which no browser may break the line."""
    assert TEXTS["fr"].words["decide"] == "Autoriser cet appareil\N{NO-BREAK SPACE}?"
    problem = TEXTS["fr"].problem(page_errors.CodeUnusable())
    assert problem.startswith("Ce code ne peut pas servir\N{NO-BREAK SPACE}:")
