"""What an entry says beside who and what: JSON of bounded size, in which no secret stands."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from objectkernel.secret import SHOWN, Secret

LONGEST: Final = 4096
"""Bytes of all details together, as JSON."""
LONGEST_TEXT: Final = 256
MOST_ITEMS: Final = 50
"""Members of an object, elements of a list."""
DEPTH: Final = 4
CUT: Final = "…"

SECRET: Final = re.compile(
    r"passw|passphrase|passcode|secret|token|bearer|credential|authorization|cookie|pepper|connectionstring"
    r"|(api|access|private|signing|encryption)key|^key$|^pwd$|^pin$|^otp$|jwt$|uri$|dsn$"
)
NO_SECRET: Final = re.compile(r"(id|ids|count|expires|expiresat|lifetime)$")
"""Ends of a name that only speaks of a secret: ``token_id``."""
USER_INFO: Final = re.compile(r"(\w://[^\s/@:]*:)\S*@|(\w://)[^\s/@:]+@")
"""Of a URL, a password, in which people leave slashes and @ as they are, or a user without one, who may be a token."""
LONGEST_READ: Final = 1024
"""Characters of a text that are looked at; of what is behind them nothing is told."""


def bounded_text(text: str, longest: int) -> str:
    """A text without NULs, which no database takes, cut where it is too long."""
    clean = text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
    return clean if len(clean) <= longest else clean[: longest - 1] + CUT


def told_text(text: str, longest: int) -> str:
    """A bounded text in which no URL shows a credential."""
    start = text[: max(longest + 1, LONGEST_READ)]
    return bounded_text(USER_INFO.sub(lambda found: f"{found[1] or found[2]}{SHOWN}@", start), longest)


def bounded_details(details: Mapping[str, Any]) -> dict[str, Any]:
    """Details as JSON has them. A value whose name says that it is secret is ``***``; what is too long is cut."""
    made = {name: _named(name, value, DEPTH) for name, value in _first(details)}
    if len(json.dumps(made, ensure_ascii=False).encode()) <= LONGEST:
        return made
    return {"cut": True, "names": list(made)[:MOST_ITEMS]}


def is_secret(name: str) -> bool:
    """Whether a name says that its value is nobody's business."""
    folded = re.sub(r"[^a-z0-9]", "", name.lower())
    return SECRET.search(folded) is not None and NO_SECRET.search(folded) is None


def _named(name: str, value: Any, depth: int) -> Any:
    telling = value is not None and not isinstance(value, bool)
    return SHOWN if telling and is_secret(name) else _value(value, depth)


def _value(value: Any, depth: int) -> Any:
    match value:
        case None | bool() | int() if value is None or abs(value) < 2**63:
            return value
        case float() if value - value == 0:  # neither infinite nor no number
            return value
        case str():
            return told_text(value, LONGEST_TEXT)
        case Secret() | bytes():
            return SHOWN
        case Mapping():
            return {name: _named(name, inner, depth - 1) for name, inner in _first(value)} if depth else CUT
        case list() | tuple() | set() | frozenset():
            inner = [_value(one, depth - 1) for one in list(value)[:MOST_ITEMS]] if depth else []
            return [*inner, CUT] if len(value) > len(inner) else inner
        case _:
            return told_text(str(value), LONGEST_TEXT)


def _first(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(bounded_text(str(name), 64), value) for name, value in list(values.items())[:MOST_ITEMS]]
