"""Reading the metadata of installed distributions: only what names our entry points."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from typing import Final

import attrs

PLUGINS: Final = "objectkernel.plugins.v1"
PROVIDES: Final = "objectkernel.provides.v1"

Row = tuple[str, str, str, str, str, str]
"""Group, name, reference, distribution, version, where."""
Stamp = tuple[int, int, int]
"""Modification time (ns), size, inode: changes whenever a file or the list of a folder does."""

_SUFFIXES: Final = (".dist-info", ".egg-info")


@attrs.frozen
class EntryPoint:
    """Where a distribution says that a plugin is.

    Attributes:
        reference: ``module.path:name``.
        where: the file that says so.
    """

    name: str
    reference: str
    distribution: str
    version: str
    where: str


@attrs.frozen
class Scan:
    """What was found, and every file and folder whose change may change it.

    Attributes:
        watched: path → its stamp, None where there is nothing. Taken before the content was read.
        began: when the scan did (ns since 1970).
    """

    began: int
    rows: tuple[Row, ...]
    watched: dict[str, Stamp | None]


def absolute(entry: str) -> str:
    """An entry of ``sys.path`` as an absolute path; the empty one is the current folder."""
    return os.path.abspath(entry or os.curdir)


def stamp(path: str) -> Stamp | None:
    """The stamp of a file or folder, None where there is none."""
    try:
        told = os.stat(path)
    except (OSError, ValueError):
        return None
    return told.st_mtime_ns, told.st_size, told.st_ino


def scan(folders: Sequence[str]) -> Scan:
    """Read the entry points of all distributions; of several of one name the first counts."""
    began = time.time_ns()
    rows: list[Row] = []
    watched: dict[str, Stamp | None] = {}
    seen: set[str] = set()
    for folder in folders:
        watched[folder] = stamp(folder)
        if not os.path.isdir(folder):
            if watched[folder] is not None:
                rows += _of_archive(folder, seen)
            continue
        for path, name in _metadata_folders(folder):
            text = _read_watched(path, "entry_points.txt", watched)
            folded = re.sub(r"[-_.]+", "-", name).lower()
            if folded in seen:
                continue
            seen.add(folded)
            if text is not None and "objectkernel." in text:
                rows += _of_folder(path, name, text, watched)
    return Scan(began, tuple(rows), watched)


def _metadata_folders(folder: str) -> Iterator[tuple[str, str]]:
    """Each distribution's metadata folder with the distribution's name, as the folder spells it."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return
    in_egg = folder.endswith(".egg")
    for name in names:
        if name.endswith(_SUFFIXES):
            yield f"{folder}{os.sep}{name}", name.rpartition(".")[0].partition("-")[0]
        elif in_egg and name == "EGG-INFO":
            yield f"{folder}{os.sep}{name}", os.path.basename(folder).partition("-")[0]


def _read_watched(folder: str, name: str, watched: dict[str, Stamp | None]) -> str | None:
    """A file of a metadata folder; without it the folder is watched, whose stamp changes when it comes."""
    path = f"{folder}{os.sep}{name}"
    file = _opened(path)
    if file is None:
        watched[folder] = stamp(folder)
        file = _opened(path)  # again, for it may have come before the stamp was taken
    if file is None:
        return None
    try:
        told = os.fstat(file)
        watched[path] = told.st_mtime_ns, told.st_size, told.st_ino
        raw = os.read(file, told.st_size + 1)
    finally:
        os.close(file)
    return raw.decode("utf-8", "replace")


def _opened(path: str) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except OSError:
        return None


def _of_folder(path: str, name: str, text: str, watched: dict[str, Stamp | None]) -> Iterator[Row]:
    where = f"{path}{os.sep}entry_points.txt"
    metadata = _read_watched(path, "METADATA", watched) or _read_watched(path, "PKG-INFO", watched) or ""
    version = os.path.basename(path).rpartition(".")[0].partition("-")[2]
    headers = dict(_headers(metadata))
    told = headers.get("name", name), headers.get("version", version)
    for group, entry, reference in _entries(text):
        yield group, entry, reference, *told, where


def _headers(metadata: str) -> Iterator[tuple[str, str]]:
    """The headers Name and Version, of the head of a METADATA file."""
    for line in metadata.splitlines():
        if not line.strip():
            return
        key, _, value = line.partition(":")
        if key.lower() in ("name", "version"):
            yield key.lower(), value.strip()


def _entries(text: str) -> Iterator[tuple[str, str, str]]:
    """Group, name and reference of our groups; extras behind a reference are left out."""
    group = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            group = line[1:-1].strip()
        elif group in (PLUGINS, PROVIDES) and "=" in line and not line.startswith(("#", ";")):
            name, _, reference = line.partition("=")
            yield group, name.strip(), reference.partition("[")[0].strip()


def _of_archive(path: str, seen: set[str]) -> Iterator[Row]:
    """A zip or egg file, which only `importlib.metadata` can read."""
    from importlib.metadata import distributions

    for distribution in distributions(path=[path]):
        name = distribution.metadata["Name"] or ""
        folded = re.sub(r"[-_.]+", "-", name).lower()
        if folded in seen:
            continue
        seen.add(folded)
        for group, entry, reference in _entries(distribution.read_text("entry_points.txt") or ""):
            yield group, entry, reference, name, distribution.version, path
