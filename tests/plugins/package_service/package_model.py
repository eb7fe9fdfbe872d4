"""What the registry promises, in forty lines of dictionaries: the model that it is compared with."""

from __future__ import annotations

from itertools import count
from typing import Any

import attrs

ADMITS = {
    "*": lambda v: "-" not in v,
    "^1.0.0": lambda v: v in ("1.0.0", "1.9.0", "1.10.0"),
    "~1.9": lambda v: v == "1.9.0",
    ">=2.0.0-rc.0": lambda v: v in ("2.0.0", "2.0.0-rc.1"),
    "1.0.0": lambda v: v == "1.0.0",
}
"""Ranges, and which of `ASCENDING` are in them."""
ASCENDING = ("1.0.0", "1.9.0", "1.10.0", "2.0.0-rc.1", "2.0.0")


@attrs.define
class Version:
    """One version."""

    content: int
    sequence: int
    needs: dict[str, str]
    deprecated: str | None = None
    yanked: bool = False


@attrs.define
class Known:
    """One id that was published once."""

    owner: str | None
    visibility: str = "public"
    policy: str = "mutable"
    tags: dict[str, str] = attrs.field(factory=dict)
    versions: dict[str, Version] = attrs.field(factory=dict)
    published: dict[str, int] = attrs.field(factory=dict)
    history: list[tuple[str, str | None, str | None]] = attrs.field(factory=list)


class Refused(Exception):
    """The registry has to refuse this; `args[0]` is the name of its error."""


class Model:
    """The registry. Contents are numbers, and `by` None is the host."""

    def __init__(self) -> None:
        self.known: dict[str, Known] = {}
        self._sequence = count(1)

    # --- seeing -----------------------------------------------------------------------------------------

    def sees(self, id: str, by: str | None) -> Known | None:
        one = self.known.get(id)
        return one if one and (by is None or one.visibility == "public" or one.owner == by) else None

    def get(self, id: str, wanted: str, by: str | None) -> tuple[str, int] | None:
        one = self.sees(id, by)
        version = None if one is None else self._find(one, wanted)
        return None if one is None or version is None else (version, one.versions[version].content)

    def _find(self, one: Known, wanted: str) -> str | None:
        if wanted in ASCENDING:
            return wanted if wanted in one.versions else None
        listed = [v for v in one.versions if not one.versions[v].yanked]
        if wanted == "latest":
            return max(listed, key=lambda v: one.versions[v].sequence, default=None)
        if wanted in ADMITS:
            return max(filter(ADMITS[wanted], listed), key=ASCENDING.index, default=None)
        return one.tags.get(wanted) if one.tags.get(wanted) in listed else None

    def list(self, by: str | None, *, all_versions: bool = False, word: str = "") -> list[tuple[Any, ...]]:
        rows = []
        for id, one in self.known.items():
            if self.sees(id, by) and word in id:
                shown = one.versions if all_versions else filter(None, [self._find(one, "latest")])
                rows += [(one.versions[version].sequence, *self.row(id, version)) for version in shown]
        return [row[1:] for row in sorted(rows, reverse=True)]

    def row(self, id: str, version: str) -> tuple[Any, ...]:
        one, at = self.known[id], self.known[id].versions[version]
        tags = tuple(sorted(tag for tag, named in one.tags.items() if named == version))
        return id, version, one.owner, one.visibility, one.policy, tags, at.deprecated, at.yanked

    # --- changing ---------------------------------------------------------------------------------------

    def changes(self, id: str, by: str | None) -> Known | None:
        """The package, if this caller may change it; None where it sees none."""
        one = self.sees(id, by)
        if one is not None and by is not None and one.owner != by:
            raise Refused("PackageForeign")
        return one

    def expects(self, id: str, version: str | None, by: str | None) -> Known:
        one = self.changes(id, by)
        if one is None or not one.versions or (version is not None and version not in one.versions):
            raise Refused("PackageMissing")
        return one

    def stays_immutable(self, one: Known, policy: str | None, by: str | None) -> None:
        """An account does not take back that its package is immutable."""
        if one.policy == "immutable" and policy == "mutable" and by is not None:
            raise Refused("PackageConflict")

    def publish(self, id: str, version: str, content: int, needs: dict[str, str], by: str | None, **said: Any) -> None:
        one = self.known.setdefault(id, Known(by)) if self.sees(id, None) is None else self.changes(id, by)
        if one is None:
            raise Refused("PackageForeign")
        self.stays_immutable(one, said.get("policy"), by)
        if one.policy == "immutable":
            if one.published.get(version, content) != content:
                raise Refused("PackageConflict")
            if version in one.versions and not said:
                return
        at = one.versions.setdefault(version, Version(content, 0, needs))
        at.sequence = at.sequence or next(self._sequence)
        at.content, at.needs, one.published[version] = content, needs, content
        one.visibility, one.policy = said.get("visibility", one.visibility), said.get("policy", one.policy)
        if "tag" in said:
            one.tags[said["tag"]] = version
        one.history.append(("publish", version, by))

    def delete(self, id: str, versions: list[str] | None, by: str | None, *, force: bool) -> bool:
        one = self.changes(id, by)
        gone = set() if one is None else set(one.versions) & set(one.versions if versions is None else versions)
        if one is None or not gone:
            return False
        if not force and self._is_needed(id, one, gone):
            raise Refused("PackageNeeded")
        for version in sorted(gone, key=lambda v: one.versions[v].sequence):
            del one.versions[version]
            one.history.append(("delete", version, by))
        one.tags = {tag: version for tag, version in one.tags.items() if version not in gone}
        return True

    def _is_needed(self, id: str, one: Known, gone: set[str]) -> bool:
        def meets(range: str, version: str) -> bool:
            return (
                version == range if range in ASCENDING else ADMITS[range](version) and not one.versions[version].yanked
            )

        ranges = [
            at.needs[id]
            for other, package in self.known.items()
            for at in package.versions.values()
            if other != id and id in at.needs and not at.yanked
        ]
        rest = set(one.versions) - gone
        return any(any(meets(range, v) for v in gone) and not any(meets(range, v) for v in rest) for range in ranges)
