"""Which JSON values a package may hold, and reading them from text without losing a fault on the way.

RFC 8785 hashes JSON as JavaScript reads it, so what two languages would read differently is refused: numbers
that a double cannot hold, text that is no Unicode, names given twice.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final, NoReturn

import attrs

from objectkernel_package_service.contracts import PackageInvalid, Problem

LARGEST_INTEGER: Final = 2**53 - 1
"""Beyond it neighbouring integers share one double (RFC 8785, section 3.2.2.3; RFC 7493, section 2.2)."""

DEEPEST: Final = 100
MOST_PROBLEMS: Final = 1000
"""A report of more helps nobody, and a hostile text could ask for millions."""

_EXPONENT_FROM: Final = 1e21  # below it RFC 8785 writes a whole number as digits, which reads back as an integer
_LONGEST_STEP: Final = 80
_SIMPLE_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")

Path = tuple[str | int, ...]


class _Doubled(dict[str, Any]):
    """An object of a JSON text in which a name stands twice."""

    names: tuple[str, ...]


def spell(path: Path) -> str:
    """A JSON path: ``$.metadata.objects[3]["a b"]``."""
    steps = [f"[{step}]" if isinstance(step, int) else _spell_name(step) for step in path]
    return "$" + "".join(steps)


def _spell_name(name: str) -> str:
    if len(name) > _LONGEST_STEP:
        name = name[:_LONGEST_STEP] + "\u2026"
    return f".{name}" if _SIMPLE_NAME.match(name) else f"[{json.dumps(name)}]"


def read_json(text: bytes | str) -> Any:
    """Parse a JSON text; what it may not hold is kept in the value, for `problems` to find with its path.

    Raises:
        PackageInvalid: it is no JSON (RFC 8259) in UTF-8.
    """
    try:
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
        return json.loads(decoded, object_pairs_hook=_object, parse_int=_integer)
    except UnicodeDecodeError as error:
        _refuse(f"not UTF-8: byte {error.start} is {error.object[error.start]:#04x}")
    except json.JSONDecodeError as error:
        _refuse(f"not JSON: {error.msg}, line {error.lineno} column {error.colno}")
    except RecursionError:
        _refuse(f"nested deeper than {DEEPEST} levels")


def _refuse(what: str) -> NoReturn:
    raise PackageInvalid(
        "the text is no package",
        [Problem("$", what)],
        fix='give one JSON object in UTF-8: {"manifest": {...}, "metadata": {...}}',
    ) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    doubled = _Doubled(made)
    doubled.names = tuple(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
    return doubled


def _integer(digits: str) -> int:
    """An int; one of absurd length stays too large without being computed."""
    return int(digits) if len(digits) < 20 else 10**20


@attrs.frozen
class Look:
    """What one look over a value tells of it.

    Attributes:
        weight: bytes of its canonical JSON, never more than there are; names and texts count a byte a character.
        sound: `problems` finds none in it; False: it may find some.
        plain: it holds neither fractions nor names beyond ASCII, which json writes otherwise than RFC 8785 or not in
            its order; known only of what is sound.
    """

    weight: int
    sound: bool
    plain: bool


def look_over(value: Any, enough: int, depth: int = 0) -> Look:
    """Look at every part of a value once, a level after the other; no further than `enough` bytes.

    The same list in many places counts each time, as it would be written: a few can stand for any number of bytes.

    Args:
        depth: of the value in its document.
    """
    total, sound, plain = -2, True, True  # less the brackets of the list that stands around the value
    level: list[Any] = [[value]]
    while level and total <= enough:
        below: list[Any] = []
        for holder in level:
            total += len(holder) + 1 if holder else 2  # brackets and commas
            held: Iterable[Any] = holder
            if isinstance(holder, dict):
                held = holder.values()
                try:
                    names = "".join(holder)
                except TypeError:  # some name is no text
                    names, sound = "", False
                total += 3 * len(holder) + len(names)  # quotes and a colon
                if not names.isascii():
                    plain, sound = False, sound and not _in_text(names, ())
                if "__proto__" in holder or type(holder) is not dict:
                    sound = False
            for item in held:
                kind = type(item)
                if kind is str:
                    total += len(item) + 2
                    if not item.isascii() and _in_text(item, ()):
                        sound = False
                elif kind is dict or kind is list or kind is tuple:
                    below.append(item)
                elif item is None or kind is bool:
                    total += 4
                elif kind is int or kind is float:
                    total += 1
                    plain = plain and kind is int
                    if not -LARGEST_INTEGER <= item <= LARGEST_INTEGER:  # nor is NaN
                        sound = False
                else:
                    sound = False
                    if isinstance(item, dict | list | tuple):
                        below.append(item)
                    else:
                        total += len(item) + 2 if isinstance(item, str) else 1
            if total > enough:
                break
        if depth > DEEPEST:
            sound = False
        depth += 1
        level = below
    return Look(total, sound, plain)


def problems(value: Any, path: Path = ()) -> list[Problem]:
    """Everything in `value` that a package may not hold, at most `MOST_PROBLEMS`."""
    found: list[Problem] = []
    _look(value, path, 0, found)
    return found[:MOST_PROBLEMS]


def _look(value: Any, path: Path, depth: int, found: list[Problem]) -> None:
    if len(found) >= MOST_PROBLEMS:
        return
    if depth > DEEPEST:
        found.append(Problem(spell(path[:3]), f"nested deeper than {DEEPEST} levels"))
    elif isinstance(value, str):
        found += _in_text(value, path)
    elif value is None or isinstance(value, bool):
        return
    elif isinstance(value, int | float):
        found += _in_number(value, path)
    elif isinstance(value, dict):
        _look_into_object(value, path, depth, found)
    elif isinstance(value, list | tuple):
        for position, item in enumerate(value):
            _look(item, (*path, position), depth + 1, found)
    else:
        found.append(Problem(spell(path), f"a {type(value).__name__} is no JSON value"))


def _look_into_object(value: dict[Any, Any], path: Path, depth: int, found: list[Problem]) -> None:
    if isinstance(value, _Doubled):
        found += [Problem(spell((*path, name)), "the name stands twice in this object") for name in value.names]
    for name, item in value.items():
        if not isinstance(name, str):
            found.append(Problem(spell(path), f"the name of a member is a {type(name).__name__} and no text"))
            continue
        here = (*path, name)
        if name == "__proto__":
            found.append(Problem(spell(here), "this name would change the prototype of what JavaScript reads"))
        found += _in_text(name, here)
        _look(item, here, depth + 1, found)


def _in_text(text: str, path: Path) -> tuple[Problem, ...]:
    if text.isascii():
        return ()
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        found = f"a lone surrogate, U+{ord(text[error.start]):04X}, at character {error.start}"
        return (Problem(spell(path), found),)
    return ()


def _in_number(number: float, path: Path) -> tuple[Problem, ...]:
    if isinstance(number, int):
        beyond = abs(number) > LARGEST_INTEGER
    elif not math.isfinite(number):
        return (Problem(spell(path), f"{number} is not a finite number; JSON has no such value"),)
    else:
        beyond = LARGEST_INTEGER < abs(number) < _EXPONENT_FROM
    if not beyond:
        return ()
    why = "an integer beyond 2^53-1 loses digits where JSON is read as doubles; write it as text"
    return (Problem(spell(path), why),)
