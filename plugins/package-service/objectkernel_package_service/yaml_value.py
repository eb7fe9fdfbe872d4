"""Reading YAML as JSON: no tags, no aliases, no name twice, and no value that JSON does not have.

Numbers, true, false and null are what YAML 1.2 and JSON both call so. Everything else that is written plain is text:
dates, ``yes`` and ``no``, ``012``, ``1_000``, ``12:30``. Versions of YAML read these differently, and a package is the
same everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from typing import Any, Final, NoReturn

import attrs
import yaml  # type: ignore[import-untyped]

from objectkernel_package_service.json_lines import ROOT, below
from objectkernel_package_service.json_value import DEEPEST, MOST_PROBLEMS

LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Only its parser is used: which events a text has. What they mean is said here."""

NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
BOOLEANS: Final = {word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")}
LONGEST_INTEGER: Final = 20
QUOTED: Final = 80
"""Characters of a name that a fault repeats."""

_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)\Z")
_FRACTION: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?\Z")
_NO_NUMBER: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)\Z|\.(?:nan|NaN|NAN)\Z")


@attrs.frozen
class Fault:
    """What is wrong with a text, and the line it is in, from 1 on."""

    line: int
    what: str


class Unreadable(Exception):
    """A text that is no YAML, or holds what JSON has no form for."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(faults)
        self.faults = tuple(faults)


@attrs.frozen
class Document:
    """The value of a text, and the lines that parts of it begin in, by their paths."""

    value: Any
    lines: dict[str, int]


def read_yaml(text: bytes, wanted: Container[str] = frozenset()) -> Document:
    """Read one document.

    Args:
        wanted: the paths whose lines are told, with those of what holds them.

    Raises:
        Unreadable: with everything that is wrong, as far as the text could be read.
    """
    return _Reader(wanted).read(text)


class _Reader:
    def __init__(self, wanted: Container[str]) -> None:
        self._wanted = wanted
        self._events: Iterator[Any] = iter(())
        self._lines: dict[str, int] = {}
        self._faults: list[Fault] = []

    def read(self, text: bytes) -> Document:
        try:
            self._events = yaml.parse(text.decode("utf-8-sig"), Loader=LOADER)
            value = self._document()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = (
                min(mark.line + 1, len(text.splitlines())) if mark else 1
            )  # its end has a line of its own for libyaml
            self._stop(max(line, 1), f"not YAML: {error.problem or error.context}")
        except yaml.YAMLError as error:
            self._stop(1, f"not YAML: {str(error).splitlines()[0]}")
        except UnicodeDecodeError as error:
            line = text.count(b"\n", 0, error.start) + 1
            self._stop(line, f"not UTF-8: byte {error.start} is {text[error.start]:#04x}")
        if self._faults:
            raise Unreadable(self._faults)
        return Document(value, self._lines)

    def _document(self) -> Any:
        found: list[Any] = []
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent) and found:
                self._stop(event.start_mark.line + 1, "a second document begins; a file holds one")
            if isinstance(event, yaml.NodeEvent):
                found.append(self._value(event, ROOT if ROOT in self._wanted else None, 0))
        if not found:
            self._stop(1, "the file is empty")
        return found[0]

    def _value(self, event: Any, place: str | None, depth: int) -> Any:
        if place is not None:
            self._lines.setdefault(place, event.start_mark.line + 1)
        self._check(event)
        if isinstance(event, yaml.AliasEvent):
            return None
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if depth > DEEPEST:
            self._stop(event.start_mark.line + 1, f"nested deeper than {DEEPEST} levels")
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(place, depth + 1)
        return self._mapping(place, depth + 1)

    def _check(self, event: Any) -> None:
        if isinstance(event, yaml.AliasEvent):
            self._fault(event, f"*{event.anchor[:QUOTED]} stands for a value written elsewhere; write it out")
            return
        if event.anchor is not None:
            self._fault(event, f"&{event.anchor[:QUOTED]} names a value for use elsewhere; write it out there")
        if event.tag is not None:
            self._fault(event, f"the tag {event.tag[:QUOTED]} makes a value that JSON does not have; leave it out")

    def _sequence(self, place: str | None, depth: int) -> list[Any]:
        items: list[Any] = []
        for event in self._until(yaml.SequenceEndEvent):
            items.append(self._value(event, below(place, len(items), self._wanted), depth))
        return items

    def _mapping(self, place: str | None, depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for event in self._until(yaml.MappingEndEvent):
            name = self._name(event, depth)
            if name in made:
                self._fault(event, f"the name {name[:QUOTED]!r} stands twice in this object")
            made[name] = self._value(next(self._events), below(place, name, self._wanted), depth)
        return made

    def _until(self, end: type) -> Iterator[Any]:
        return iter(lambda: event if not isinstance(event := next(self._events), end) else None, None)

    def _name(self, event: Any, depth: int) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            self._fault(event, "the name of a member is no text")
            self._value(event, None, depth)
            return ""
        self._check(event)
        text: str = event.value
        if event.implicit[0] and (text == "<<" or not isinstance(self._scalar(event), str)):
            self._fault(
                event,
                f"{text[:QUOTED]!r} as a name has a meaning of its own; write it in quotes if it is meant as text",
            )
        return text

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        if not event.implicit[0]:
            return text
        if text in NULLS:
            return None
        if text in BOOLEANS:
            return BOOLEANS[text]
        if _INTEGER.match(text):
            return int(text) if len(text) < LONGEST_INTEGER else 10**LONGEST_INTEGER
        if _FRACTION.match(text):
            return float(text)
        if _NO_NUMBER.match(text):
            self._fault(event, f"{text} is no number in JSON; write it in quotes if it is meant as text")
        return text

    def _fault(self, event: Any, what: str) -> None:
        self._faults.append(Fault(event.start_mark.line + 1, what))
        if len(self._faults) >= MOST_PROBLEMS:
            raise Unreadable(self._faults)

    def _stop(self, line: int, what: str) -> NoReturn:
        raise Unreadable([*self._faults, Fault(line, what)]) from None
