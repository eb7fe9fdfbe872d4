"""Which language a page is in."""

from __future__ import annotations

import pytest
from objectkernel_contracts import preferred_language


@pytest.mark.parametrize(
    "accepted, language",
    [
        ("", "en"),
        ("fr", "fr"),
        ("fr-CA", "fr"),
        ("FR", "fr"),
        ("*", "en"),
        ("en, fr", "en"),
        ("en;q=0.1, fr;q=0.2", "fr"),
        ("fr-CA;q=0.8, en;q=0.9", "en"),
        ("de, fr;q=0.1", "fr"),
        ("de", "en"),
        ("fr;q=0", "en"),
        ("fr;q=nan", "en"),
        ("fr;q=2, de;q=x", "en"),
        (";;;,,q", "en"),
        ("de," * 49 + "fr", "fr"),
        ("de," * 50 + "fr", "en"),
    ],
)
def test_which_language(accepted: str, language: str) -> None:
    """The first language that is spoken here, by the browser's weights; the first one of ours for everybody else."""
    assert preferred_language(accepted, ("en", "fr")) == language
