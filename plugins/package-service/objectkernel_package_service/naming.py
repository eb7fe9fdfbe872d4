"""Ids and versions of packages: what they may look like."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from typing import Any, Final

import nodesemver  # type: ignore[import-untyped]

from objectkernel_package_service.contracts import LATEST, PackageInvalid, Problem

LONGEST_ID: Final = 200
LONGEST_VERSION: Final = 100
"""Characters; key and index stay small enough for every database."""

_ID: Final = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*\Z")
_NUMBER: Final = r"(?:0|[1-9][0-9]*)"
_PRERELEASE: Final = rf"(?:{_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_VERSION: Final = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}"
    rf"(?:-{_PRERELEASE}(?:\.{_PRERELEASE})*)?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?\Z"
)
"""Semantic Versioning 2.0.0, items 2, 9 and 10."""


def id_problems(value: Any, path: str) -> Iterator[Problem]:
    """What keeps `value` from being the id of a package."""
    text = yield from _text_problems(value, path, LONGEST_ID)
    if text and not _ID.match(text):
        yield Problem(
            path,
            f"{text!r} is no package id: lower case letters and digits, parts joined by one '.', '-' or '_'",
        )


def version_problems(value: Any, path: str) -> Iterator[Problem]:
    """What keeps `value` from being the version of a package."""
    text = yield from _text_problems(value, path, LONGEST_VERSION)
    if text == LATEST:
        yield Problem(path, f"{LATEST!r} names the version inserted last; it is no version itself")
    elif text and not _VERSION.match(text):
        yield Problem(path, f"{text!r} is no semantic version such as 1.2.0 or 2.0.0-rc.1 (semver 2.0.0)")


def is_key(id: Any, version: Any) -> bool:
    """Whether a package can be called that."""
    return not [*id_problems(id, ""), *version_problems(version, "")]


def range_problems(value: Any, path: str) -> Iterator[Problem]:
    """What keeps `value` from being an npm-style range of versions."""
    text = yield from _text_problems(value, path, LONGEST_VERSION * 4)
    if text and nodesemver.valid_range(squeezed(text), loose=False) is None:
        yield Problem(path, f"{text!r} is no range of versions such as ^1.2.0 or '>=1.0.0 <3.0.0'")


def squeezed(range: str) -> str:
    """The same range with one space between its words: time grows with the cube of a run of them (CVE-2022-25883)."""
    return " ".join(range.split())


def _text_problems(value: Any, path: str, longest: int) -> Generator[Problem, None, str | None]:
    """Yield what is wrong with `value` as text; the generator returns it where it is right."""
    if not isinstance(value, str):
        yield Problem(path, f"text is wanted, not {kind_of(value)}")
    elif not value.strip():
        yield Problem(path, "is empty")
    elif len(value) > longest:
        yield Problem(path, f"{len(value)} characters; at most {longest} are allowed")
    else:
        return value
    return None


def kind_of(value: Any) -> str:
    """The JSON name of a value's type, with its article."""
    names = {str: "a text", bool: "a boolean", dict: "an object", list: "a list", type(None): "null"}
    return names.get(type(value), "a number" if isinstance(value, int | float) else f"a {type(value).__name__}")


def check_request(id: str, *version: str) -> None:
    """Refuse an id, or a version where one is given, that no package can have.

    Raises:
        PackageInvalid: with the parameter's name as the path.
    """
    found = list(id_problems(id, "id"))
    for one in version:
        found += version_problems(one, "version")
    if found:
        raise PackageInvalid("no package can be called that", found, fix="give an id and an exact version")
