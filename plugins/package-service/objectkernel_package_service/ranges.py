"""What a caller may ask for instead of an exact version: dist-tags, and npm-style ranges with their highest match."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Literal

import attrs
import nodesemver  # type: ignore[import-untyped]

from objectkernel_package_service.contracts import LATEST, PackageInvalid, Problem
from objectkernel_package_service.naming import kind_of, range_problems, squeezed, version_problems

LONGEST_TAG: Final = 50
_TAG: Final = re.compile(r"[a-z][a-z0-9]*(?:[._-][a-z0-9]+)*\Z")


@attrs.frozen
class Wanted:
    """What `PackageService.get` was asked for."""

    kind: Literal["latest", "exact", "tag", "range"]
    text: str


@attrs.frozen
class Candidate:
    """A version that a range may lead to."""

    version: str
    yanked: bool


def wanted(version: Any) -> Wanted:
    """Read what was asked for.

    Raises:
        PackageInvalid: it is none of them.
    """
    if version == LATEST:
        return Wanted("latest", version)
    if not [*version_problems(version, "")]:
        return Wanted("exact", version)
    if not [*tag_problems(version, "")]:
        return Wanted("tag", version)
    found = list(range_problems(version, "version"))
    if found:
        raise PackageInvalid(
            "no version can be meant",
            found,
            fix="give an exact version, `latest`, a dist-tag, or a range such as ^1.2.0",
        )
    return Wanted("range", version)


def tag_problems(value: Any, path: str) -> Iterator[Problem]:
    """What keeps `value` from being a dist-tag; what could be a range is none, so that nobody mistakes it for one."""
    if not isinstance(value, str):
        yield Problem(path, f"text is wanted, not {kind_of(value)}")
    elif value == LATEST:
        yield Problem(path, f"{LATEST!r} always names the version inserted last")
    elif len(value) > LONGEST_TAG:
        yield Problem(path, f"{len(value)} characters; at most {LONGEST_TAG} are allowed")
    elif not _TAG.match(value):
        yield Problem(
            path, f"{value!r} is no dist-tag: a lower case letter first, then letters, digits and single '.', '-', '_'"
        )
    elif nodesemver.valid_range(value, loose=False) is not None:
        yield Problem(path, f"{value!r} is a range of versions")


def admits(range: str) -> Callable[[Candidate], bool]:
    """Whether a version meets a dependency with this range: a yanked one only where its exact version is asked for."""
    if not [*version_problems(range, "")]:
        return lambda candidate: candidate.version == range
    tested = nodesemver.make_range(squeezed(range), loose=False)
    return lambda candidate: not candidate.yanked and bool(tested.test(candidate.version))


def highest(range: str, candidates: Iterable[Candidate]) -> str | None:
    """The highest version in a range; of several of one precedence (build metadata) the first."""
    best: str | None = None
    for candidate in filter(admits(range), candidates):
        if best is None or nodesemver.gt(candidate.version, best, loose=False):
            best = candidate.version
    return best
