"""The manifest of a package: what is known of it as a typed value, what is not kept as it came."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any, Final

import attrs
import nodesemver  # type: ignore[import-untyped]

from objectkernel_package_service.contracts import Problem
from objectkernel_package_service.json_value import Path, spell
from objectkernel_package_service.naming import id_problems, kind_of, range_problems, squeezed, version_problems

MOST_NEEDED: Final = 1000
"""Packages, or engines, that a manifest may name: each is a row, and looked for when the package is installed."""
ENGINE: Final = "objectkernel"
"""The engine that this host is; a package may name others beside it, which are not held against anything."""
_TEXTS: Final = ("description", "type", "license")
_RELEASE: Final = re.compile(r"(\d+)(?:\.(\d+))?(?:\.(\d+))?")


@attrs.frozen(kw_only=True)
class Manifest:
    """What a package says of itself.

    Attributes:
        dependencies: ids of other packages, each with an npm-style range of versions.
        engine: names of hosts, each with a range of their versions; of a text alone it is ours.
        more: every other member, unchanged.
    """

    id: str
    version: str
    name: str | None = None
    description: str | None = None
    type: str | None = None
    license: str | None = None
    keywords: tuple[str, ...] = ()
    dependencies: Mapping[str, str] = attrs.field(factory=dict)
    engine: Mapping[str, str] = attrs.field(factory=dict)
    more: Mapping[str, Any] = attrs.field(factory=dict)

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Manifest:
        """Read a manifest in which `manifest_problems` finds none."""
        known = {field.name for field in attrs.fields(cls)} - {"more"}
        given = {name: value for name, value in raw.items() if name in known and value is not None}
        given["keywords"] = tuple(given.get("keywords", ()))
        given["engine"] = _engines(given.get("engine", {}))
        return cls(**given, more={name: value for name, value in raw.items() if name not in known})

    def fits(self, host: str) -> bool:
        """Whether the package runs on a host of this version; of a pre-release its release counts."""
        wanted = self.engine.get(ENGINE)
        return wanted is None or bool(nodesemver.satisfies(host, squeezed(wanted), loose=False))


def host_version() -> str:
    """The version of this host as semver has it: its three numbers."""
    match = _RELEASE.match(version("objectkernel"))
    return ".".join(number or "0" for number in match.groups()) if match else "0.0.0"


def manifest_problems(manifest: Mapping[str, Any]) -> Iterator[Problem]:
    """Id and version are asked for, what is known is checked, what is unknown may be anything."""
    path: Path = ("manifest",)
    for name, problems_of in (("id", id_problems), ("version", version_problems)):
        place = f"$.manifest.{name}"
        if name in manifest:
            yield from problems_of(manifest[name], place)
        else:
            yield Problem(place, "is missing")
    if "name" in manifest:
        yield from label_problems(manifest["name"], (*path, "name"))
    for name in _TEXTS:
        if manifest.get(name) is not None and not isinstance(manifest[name], str):
            yield Problem(spell((*path, name)), f"text is wanted, not {kind_of(manifest[name])}")
    yield from _keyword_problems(manifest.get("keywords"), (*path, "keywords"))
    if "engine" in manifest:
        yield from _engine_problems(manifest["engine"], (*path, "engine"))
    yield from _range_problems(manifest.get("dependencies", {}), (*path, "dependencies"), "id")


def label_problems(value: Any, path: Path) -> Iterator[Problem]:
    """What keeps a value from being a name for people."""
    if not isinstance(value, str):
        yield Problem(spell(path), f"text is wanted, not {kind_of(value)}")
    elif not value.strip():
        yield Problem(spell(path), "is empty")


def _keyword_problems(keywords: Any, path: Path) -> Iterator[Problem]:
    if keywords is None:
        return
    if not isinstance(keywords, list | tuple):
        yield Problem(spell(path), f"a list of texts is wanted, not {kind_of(keywords)}")
        return
    for position, keyword in enumerate(keywords):
        if not isinstance(keyword, str):
            yield Problem(spell((*path, position)), f"text is wanted, not {kind_of(keyword)}")


def _engine_problems(engine: Any, path: Path) -> Iterator[Problem]:
    if isinstance(engine, dict):
        yield from _range_problems(engine, path, None)
    else:
        yield from range_problems(engine, spell(path))


def _range_problems(ranges: Any, path: Path, kind: str | None) -> Iterator[Problem]:
    """What keeps `ranges` from being an object of names to ranges; names of the kind ``id`` are ids of packages."""
    if not isinstance(ranges, dict):
        yield Problem(spell(path), f"an object of {kind or 'name'} to range is wanted, not {kind_of(ranges)}")
        return
    if len(ranges) > MOST_NEEDED:
        yield Problem(spell(path), f"{len(ranges):,} of them; at most {MOST_NEEDED:,} are allowed")
        return
    for name, wanted in ranges.items():
        place = spell((*path, str(name)))
        if kind == "id":
            yield from id_problems(name, place)
        yield from range_problems(wanted, place)


def _engines(engine: Any) -> dict[str, str]:
    return {ENGINE: engine} if isinstance(engine, str) else dict(engine)
