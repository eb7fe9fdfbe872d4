"""In which line of a JSON text a value begins: asked only when something is wrong with one."""

from __future__ import annotations

import json
import re
from collections.abc import Container
from typing import Final

from objectkernel_package_service.json_value import spell

_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+|\n', re.DOTALL)

ROOT: Final = spell(())


def json_lines(text: str, wanted: Container[str]) -> dict[str, int]:
    """The line, from 1 on, of each of these paths that a JSON text has.

    Args:
        wanted: paths, with those of what holds them: the others cost no memory, however many and deep they are.
    """
    lines: dict[str, int] = {}
    line, steps = 1, _Steps(wanted)
    for token in map(re.Match.group, _TOKEN.finditer(text)):
        if token == "\n":
            line += 1
        elif token in ",:":
            steps.pass_mark(token)
        elif token in "}]":
            steps.leave()
        elif steps.wants_name:
            steps.name = json.loads(token)
        else:
            if (place := steps.place) is not None:
                lines.setdefault(place, line)
            if token in "{[":
                steps.enter(token, place)
    return lines


def below(place: str | None, step: str | int, wanted: Container[str]) -> str | None:
    """The path of what is in the value at `place`, None where it is not wanted, and so nothing in it."""
    if place is None:
        return None
    found = f"{place}{spell((step,)).removeprefix(ROOT)}"
    return found if found in wanted else None


class _Steps:
    """Where in a value the reading is."""

    def __init__(self, wanted: Container[str]) -> None:
        self._wanted = wanted
        self._root = ROOT if ROOT in wanted else None
        self._open: list[tuple[str | None, str | int]] = []
        self.wants_name = False

    @property
    def place(self) -> str | None:
        """The path of the value that begins here, where it is wanted."""
        return below(*self._open[-1], self._wanted) if self._open else self._root

    @property
    def name(self) -> str | int:
        return self._open[-1][1]

    @name.setter
    def name(self, name: str | int) -> None:
        self._open[-1] = self._open[-1][0], name

    def enter(self, bracket: str, place: str | None) -> None:
        self._open.append((place, "" if bracket == "{" else 0))
        self.wants_name = bracket == "{"

    def leave(self) -> None:
        self._open.pop()
        self.wants_name = False

    def pass_mark(self, mark: str) -> None:
        if mark == ":":
            self.wants_name = False
        elif isinstance(self.name, int):
            self.name += 1
        else:
            self.wants_name = True
