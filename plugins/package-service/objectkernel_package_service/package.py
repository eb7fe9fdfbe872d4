"""From what was handed in to what is stored: every problem of a package at once, or its canonical bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from itertools import chain, islice
from typing import Any, Final

import attrs
from objectkernel.errors import nearest

from objectkernel_package_service.canonical import canonical, content_of, digest
from objectkernel_package_service.contracts import METADATA_KINDS, Package, PackageInvalid, Problem
from objectkernel_package_service.json_value import MOST_PROBLEMS, Path, problems, read_json, spell, weight
from objectkernel_package_service.naming import id_problems, kind_of, range_problems, version_problems

PARTS: Final = ("manifest", "metadata")
ALIKE: Final = 0.85
"""From here on (difflib's ratio) an unknown kind of metadata is a known one misspelt: ``objcts``, ``view``."""
LONGEST_QUOTE: Final = 80


@attrs.frozen(kw_only=True)
class Limits:
    """The largest parts of a package, in bytes of canonical JSON."""

    manifest: int
    metadata: int

    @property
    def text(self) -> int:
        """The longest JSON text that is read: white space counts, and an escape has up to six times the bytes."""
        return 6 * (self.manifest + self.metadata)


@attrs.frozen(kw_only=True)
class Canonical:
    """A package that passed every check, in the bytes that are stored and hashed."""

    id: str
    version: str
    manifest: bytes = attrs.field(repr=False)
    metadata: bytes = attrs.field(repr=False)
    hash: str

    @property
    def content(self) -> bytes:
        """The canonical JSON of ``{manifest, metadata}``."""
        return content_of(self.manifest, self.metadata)


def check(package: Package, limits: Limits) -> Canonical:
    """Check a package and canonicalise it, once.

    Raises:
        PackageInvalid: `problems` names everything that is wrong, with its JSON path.
    """
    document = _document(package, limits)
    _refuse_any(_bounds(document, limits))
    _refuse_any(chain(problems(document), _shape(document), _manifest(document), _metadata(document)))
    manifest, metadata = canonical(document["manifest"]), canonical(document["metadata"])
    _refuse_any(chain(_size("manifest", manifest, limits.manifest), _size("metadata", metadata, limits.metadata)))
    return Canonical(
        id=document["manifest"]["id"],
        version=document["manifest"]["version"],
        manifest=manifest,
        metadata=metadata,
        hash=digest(content_of(manifest, metadata)),
    )


def _document(package: Package, limits: Limits) -> dict[str, Any]:
    value: Any = package
    if isinstance(package, bytes | str):
        if len(package) > limits.text:
            raise _refusal([Problem("$", f"is longer than {limits.text:,} bytes, of which no more are read")])
        value = read_json(package)
    if isinstance(value, dict):
        return value
    if isinstance(value, Mapping):
        return dict(value)
    raise _refusal([Problem("$", f"an object with manifest and metadata is wanted, not {kind_of(value)}")])


def _refuse_any(found: Iterable[Problem]) -> None:
    listed = list(islice(found, MOST_PROBLEMS + 1))
    if len(listed) > MOST_PROBLEMS:
        listed[MOST_PROBLEMS:] = [Problem("$", f"and more; the first {MOST_PROBLEMS:,} problems are listed")]
    if listed:
        raise _refusal(listed)


def _bounds(document: dict[Any, Any], limits: Limits) -> Iterator[Problem]:
    """What is too large to be looked at any further."""
    for name, value in document.items():
        limit = limits.metadata if name == "metadata" else limits.manifest
        if weight(value, limit) > limit:
            place = spell((name,)) if isinstance(name, str) else "$"
            yield Problem(place, f"more than {limit:,} bytes of JSON, which is the most that is allowed")


def _refusal(found: list[Problem]) -> PackageInvalid:
    return PackageInvalid(
        f"the package is refused: {len(found)} problem{'s' if len(found) > 1 else ''}",
        found,
        fix="correct every place named above and publish again; nothing was stored",
    )


def _size(part: str, written: bytes, limit: int) -> Iterator[Problem]:
    if len(written) > limit:
        yield Problem(f"$.{part}", f"{len(written):,} bytes of JSON; at most {limit:,} are allowed")


def _shape(document: dict[Any, Any]) -> Iterator[Problem]:
    for part in PARTS:
        if part not in document:
            yield Problem(f"$.{part}", "is missing")
        elif not isinstance(document[part], dict):
            yield Problem(f"$.{part}", f"an object is wanted, not {kind_of(document[part])}")
    for name in document:
        if isinstance(name, str) and name not in PARTS:
            close = nearest(name, PARTS)
            meant = f"; {close[0]!r} was meant?" if close else ""
            yield Problem(spell((name,)), f"a package has a manifest and metadata, nothing else{meant}")


def _manifest(document: dict[str, Any]) -> Iterator[Problem]:
    """Id and version are asked for, what is known is checked, what is unknown is kept as it is."""
    manifest = document.get("manifest")
    if not isinstance(manifest, dict):
        return
    for name, problems_of in (("id", id_problems), ("version", version_problems)):
        if name in manifest:
            yield from problems_of(manifest[name], f"$.manifest.{name}")
        else:
            yield Problem(f"$.manifest.{name}", "is missing")
    if "name" in manifest:
        yield from _label(manifest["name"], ("manifest", "name"))
    if "engine" in manifest:
        yield from range_problems(manifest["engine"], "$.manifest.engine")
    yield from _dependencies(manifest.get("dependencies", {}), ("manifest", "dependencies"))


def _dependencies(dependencies: Any, path: Path) -> Iterator[Problem]:
    if not isinstance(dependencies, dict):
        yield Problem(spell(path), f"an object of id to range is wanted, not {kind_of(dependencies)}")
        return
    for id, wanted in dependencies.items():
        place = spell((*path, str(id)))
        yield from id_problems(id, place)
        yield from range_problems(wanted, place)


def _metadata(document: dict[str, Any]) -> Iterator[Problem]:
    metadata = document.get("metadata")
    if not isinstance(metadata, dict):
        return
    for kind, items in metadata.items():
        if not isinstance(kind, str):
            continue
        if kind not in METADATA_KINDS and (close := get_close_matches(kind.lower(), METADATA_KINDS, 1, ALIKE)):
            yield Problem(spell(("metadata", kind)), f"is no kind of metadata known here; {close[0]!r} was meant?")
        elif not isinstance(items, list | tuple):
            yield Problem(spell(("metadata", kind)), f"a list is wanted, not {kind_of(items)}")
        else:
            for position, item in enumerate(items):
                if not isinstance(item, dict):
                    yield Problem(spell(("metadata", kind, position)), f"an object is wanted, not {kind_of(item)}")
    if isinstance(metadata.get("objects"), list | tuple):
        yield from _objects(metadata["objects"])


def _objects(objects: Any) -> Iterator[Problem]:
    """An object is found by its name, so it has one, and no other object of the package has it."""
    first: dict[str, int] = {}
    for position, item in enumerate(objects):
        if not isinstance(item, dict):
            continue
        path: Path = ("metadata", "objects", position, "name")
        found = list(_label(item.get("name"), path))
        yield from found
        if found:
            continue
        earlier = first.setdefault(item["name"], position)
        if earlier != position:
            yield Problem(spell(path), f"{item['name'][:LONGEST_QUOTE]!r} is the name of objects[{earlier}] already")


def _label(value: Any, path: Path) -> Iterator[Problem]:
    if not isinstance(value, str):
        yield Problem(spell(path), f"text is wanted, not {kind_of(value)}")
    elif not value.strip():
        yield Problem(spell(path), "is empty")
