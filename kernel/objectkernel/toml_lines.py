"""On which line of a TOML text each table, key and array element stands (TOML 1.0).

``tomllib`` gives values without places. This finds the places in a text that ``tomllib`` has accepted, so it
need not refuse anything.
"""

from __future__ import annotations

import re
import tomllib
from typing import Final

Path = tuple[str | int, ...]
"""Keys from the top of the document; an element of an array has its index."""

_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE: Final = re.compile(r"[ \t]*")
_STRING: Final = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}' r"|'''.*?'{3,5}" r'|"(?:\\.|[^"\\])*"' r"|'[^']*'",
    re.DOTALL,
)
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_BARE_VALUE: Final = re.compile(r"[^,\]}#\r\n]+")


def find_lines(text: str) -> dict[Path, int]:
    """Map the path of each table, key and array element of valid TOML to its line, from 1."""
    finder = _Finder(text)
    finder.document()
    return finder.lines


class _Finder:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Path, int] = {}
        self._counts: dict[Path, int] = {}  # of the elements of each array of tables
        self._line, self._line_at = 1, 0

    def document(self) -> None:
        table: Path = ()
        while self._skip(_BLANK) < len(self.text):
            if self._next("["):
                table = self._header()
            else:
                self._pair(table)

    def _skip(self, pattern: re.Pattern[str]) -> int:
        found = pattern.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return self.at

    def _next(self, expected: str) -> bool:
        """Whether `expected` is next; it is passed if so."""
        found = self.text.startswith(expected, self.at)
        self.at += len(expected) if found else 0
        return found

    def _line_here(self) -> int:
        self._line += self.text.count("\n", self._line_at, self.at)
        self._line_at = self.at
        return self._line

    def _note(self, table: Path, keys: tuple[str, ...], line: int) -> Path:
        """Note a dotted key below `table`, and the tables it makes unless they stand elsewhere already."""
        for depth in range(1, len(keys)):
            self.lines.setdefault(table + keys[:depth], line)
        self.lines[table + keys] = line
        return table + keys

    def _header(self) -> Path:
        """``[a.b]`` or ``[[a.b]]``; a part that is an array of tables means its last element."""
        is_element = self._next("[")
        line = self._line_here()
        keys = self._key()
        self.at += 2 if is_element else 1
        table: Path = ()
        for key in keys[:-1]:
            table = self._last_element((*table, key), line)
        table = (*table, keys[-1])
        if not is_element:
            self.lines[table] = line
            return table
        self.lines.setdefault(table, line)
        self._counts[table] = self._counts.get(table, 0) + 1
        table = self._last_element(table, line)
        self.lines[table] = line
        return table

    def _last_element(self, table: Path, line: int) -> Path:
        self.lines.setdefault(table, line)
        return (*table, self._counts[table] - 1) if table in self._counts else table

    def _pair(self, table: Path) -> None:
        line = self._line_here()
        path = self._note(table, self._key(), line)
        self.at += 1  # the equals sign
        self._value(path)

    def _key(self) -> tuple[str, ...]:
        """A dotted key; what follows it is next."""
        parts = []
        while True:
            self._skip(_SPACE)
            start = self.at
            if self.text[start] in "\"'":
                parts.append(str(tomllib.loads(f"k = {self._string()}")["k"]))
            else:
                self._skip(_BARE_KEY)
                parts.append(self.text[start : self.at])
            self._skip(_SPACE)
            if self.at == start or not self._next("."):
                return tuple(parts)

    def _string(self) -> str:
        start = self.at
        return self.text[start : self._skip(_STRING)]

    def _value(self, path: Path) -> None:
        self._skip(_SPACE)
        if self._next("["):
            self._items("]", path)
        elif self._next("{"):
            self._items("}", path)
        elif self.text[self.at] in "\"'":
            self._string()
        else:
            self._skip(_BARE_VALUE)

    def _items(self, end: str, path: Path) -> None:
        """The elements of an array, or the pairs of an inline table."""
        index = 0
        self._skip(_BLANK)
        while not self._next(end):
            if end == "}":
                self._pair(path)
            else:
                self.lines[(*path, index)] = self._line_here()
                self._value((*path, index))
            index += 1
            self._skip(_BLANK)
            self._next(",")
            self._skip(_BLANK)
