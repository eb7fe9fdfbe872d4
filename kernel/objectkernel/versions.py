"""Versions and the specifiers that admit them, as far as declarations need them."""

from __future__ import annotations

import operator
import re
from typing import Final

from objectkernel.errors import DeclarationInvalid

_CLAUSE: Final = re.compile(r"\s*(==|!=|<=|>=|<|>|~=)?\s*v?(\d+(?:\.\d+)*)[\w.+-]*\s*\Z")
_COMPARE: Final = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


def release(version: str) -> tuple[int, ...]:
    """The numbers of a version without trailing zeros: ``"1.2.0rc1"`` → ``(1, 2)``."""
    match = re.match(r"v?(\d+(?:\.\d+)*)", version.strip())
    if match is None:
        raise DeclarationInvalid(f"{version!r} is no version", why="a version starts with a number", fix='write "1.2"')
    numbers = [int(n) for n in match[1].split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def admits(specifier: str, version: str) -> bool:
    """Whether `version` meets every clause of a comma-separated specifier such as ``>=1.2,<2`` or ``~=1.2``.

    Release numbers are compared; pre-release tags are not looked at.
    """
    got = release(version)
    for clause in specifier.split(","):
        match = _CLAUSE.match(clause)
        if match is None:
            raise DeclarationInvalid(
                f"{specifier!r} is no version specifier",
                why=f"cannot read {clause.strip()!r}",
                fix='write clauses such as ">=1.2,<2"',
            )
        wanted = release(match[2])
        if match[1] == "~=":
            parts = match[2].split(".")
            if got < wanted or got[: len(parts) - 1] != tuple(int(p) for p in parts[:-1]):
                return False
        elif not _COMPARE[match[1] or "=="](got, wanted):
            return False
    return True
