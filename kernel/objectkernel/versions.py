"""Versions and the specifiers that admit them, as far as declarations need them."""

from __future__ import annotations

import operator
import re
from typing import Any, Final

from objectkernel.errors import DeclarationInvalid

_VERSION: Final = re.compile(r"\s*v?(\d+(?:\.\d+)*)")
_CLAUSE: Final = re.compile(r"\s*(==|!=|<=|>=|<|>|~=)?\s*v?(\d+(?:\.\d+)*)[\w.+-]*\s*\Z")
_COMPARE: Final = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


def release(version: Any, where: str = "") -> tuple[int, ...]:
    """The numbers of a version without trailing zeros: ``"1.2.0rc1"`` → ``(1, 2)``.

    Raises:
        DeclarationInvalid: it is no string that starts with a number.
    """
    match = _VERSION.match(version) if isinstance(version, str) else None
    if match is None:
        raise DeclarationInvalid(
            f"{version!r} is no version",
            where=where,
            why="a version is a string that starts with a number",
            fix='write version="1.2"',
        )
    numbers = [int(n) for n in match[1].split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def clauses(specifier: Any, where: str = "") -> list[tuple[str, str]]:
    """(operator, version) of each clause of a comma-separated specifier such as ``>=1.2,<2`` or ``~=1.2``.

    Raises:
        DeclarationInvalid: a clause cannot be read.
    """
    found = []
    for clause in specifier.split(",") if isinstance(specifier, str) else (specifier,):
        match = _CLAUSE.match(clause) if isinstance(clause, str) else None
        if match is None:
            raise DeclarationInvalid(
                f"{specifier!r} is no version specifier",
                where=where,
                why=f"cannot read {clause!r}",
                fix='write clauses such as ">=1.2,<2"',
            )
        found.append((match[1] or "==", match[2]))
    return found


def admits(specifier: str, version: str) -> bool:
    """Whether `version` meets every clause of a specifier.

    Release numbers are compared; pre-release tags are not looked at.
    """
    got = release(version)
    for sign, text in clauses(specifier):
        if sign == "~=":  # at least this, and all but its last number the same
            prefix = tuple(int(part) for part in text.split(".")[:-1])
            padded = got + (0,) * (len(prefix) - len(got))
            if got < release(text) or padded[: len(prefix)] != prefix:
                return False
        elif not _COMPARE[sign](got, release(text)):
            return False
    return True
