"""From what was handed in to what is stored: every problem of a package at once, or its canonical bytes."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Any, Final

import attrs
from objectkernel.errors import nearest

from objectkernel_package_service.canonical import canonical, content_of, digest
from objectkernel_package_service.contracts import Package, PackageInvalid, Problem
from objectkernel_package_service.json_value import MOST_PROBLEMS, Look, look_over, problems, read_json, spell
from objectkernel_package_service.manifest import manifest_problems
from objectkernel_package_service.metadata import metadata_problems
from objectkernel_package_service.naming import kind_of
from objectkernel_package_service.object_mapping import ReadSchema

PARTS: Final = ("manifest", "metadata")
LARGE: Final = 65_536
"""Bytes of a package from which it is checked, read and hashed in a thread: so much takes a millisecond or a few."""


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


def check(
    package: Package, limits: Limits, read_schema: ReadSchema | None = None, look: Look | None = None
) -> Canonical:
    """Check a package and canonicalise it, once.

    Args:
        read_schema: reads the entity schemas of ours among its objects; None: they are not looked into.
        look: what `look_over` has told of it already, as far as `LARGE` bytes.

    Raises:
        PackageInvalid: `problems` names everything that is wrong, with its JSON path.
    """
    document = _document(package, limits)
    if look is None or document is not package:
        look = look_over(document, LARGE)
    if look.weight > LARGE:
        _refuse_any(_bounds(document, limits))
        look = look_over(document, sys.maxsize)
    found = () if look.sound else problems(document)
    _refuse_any(chain(found, _shape(document), _inside(document, read_schema)))
    manifest, metadata = (canonical(document[part], plain=look.sound and look.plain) for part in PARTS)
    _refuse_any(chain(_size("manifest", manifest, limits.manifest), _size("metadata", metadata, limits.metadata)))
    return Canonical(
        id=document["manifest"]["id"],
        version=document["manifest"]["version"],
        manifest=manifest,
        metadata=metadata,
        hash=digest(content_of(manifest, metadata)),
    )


def _inside(document: dict[str, Any], read_schema: ReadSchema | None) -> Iterator[Problem]:
    manifest, metadata = (document.get(part) for part in PARTS)
    if isinstance(manifest, dict):
        yield from manifest_problems(manifest)
    if isinstance(metadata, dict):
        yield from metadata_problems(metadata, read_schema)


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
        if look_over(value, limit).weight > limit:
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
