"""Which language a page is in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

MOST: Final = 50
"""Parts of a header that are read."""
WEIGHT: Final = re.compile(r"[01](\.\d{0,3})?", re.ASCII)


def preferred_language(accept_language: str, languages: Sequence[str]) -> str:
    """The one of `languages` that an ``Accept-Language`` weighs most (RFC 9110, section 12.5.4).

    Args:
        accept_language: the header's value; without the header, "".
        languages: those that there are, as primary tags (RFC 5646): ``("en", "fr")``. The first one is for everybody
            whose language is not among them.
    """
    best, weight = languages[0], 0.0
    for part in accept_language.split(",")[:MOST]:
        tag, _, parameter = part.partition(";")
        language = tag.strip().lower().partition("-")[0]
        if language in languages and (found := _weight(parameter)) > weight:
            best, weight = language, found
    return best


def _weight(parameter: str) -> float:
    """Of ``q=0.5``; without one 1, and 0 where it is none."""
    name, _, value = parameter.strip().partition("=")
    if name != "q":
        return 1.0
    return float(value) if WEIGHT.fullmatch(value) else 0.0
