"""Packages as files: one of JSON or YAML with manifest and metadata, or a folder with a file for each part.

crm/manifest.yaml              the manifest
crm/objects/account.yaml       one object, or a list of them; its name is that of the file where it has none
crm/views/...                  each folder is a kind of metadata, its files in the order of their names
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import attrs

from objectkernel_package_service.contracts import FileFailed, Package, PackageInvalid, Problem
from objectkernel_package_service.json_lines import ROOT, json_lines
from objectkernel_package_service.json_value import MOST_PROBLEMS, read_json, spell
from objectkernel_package_service.json_value import Path as Steps
from objectkernel_package_service.package import Limits, check
from objectkernel_package_service.yaml_value import Unreadable, read_yaml

YAML: Final = frozenset({".yaml", ".yml"})
KNOWN: Final = YAML | {".json"}
MANIFEST: Final = "manifest"
LEFT_OUT: Final = frozenset({"node_modules"})
UNNAMED_KINDS: Final = frozenset({"translations"})
"""Whose files do not give their names to what is in them."""
LONGEST_LOCATED: Final = 4 * 1024 * 1024
"""Bytes of a JSON text in which a line is looked for."""


@attrs.frozen(kw_only=True)
class PackageFiles:
    """A package as it was read.

    Attributes:
        package: what `PackageService.publish` takes.
        parts: the files that it was read from, by the path of what each holds.
    """

    package: Package
    parts: Mapping[Steps, Part]

    def located(self, error: PackageInvalid) -> PackageInvalid:
        """The same error, its places with file and line: ``objects/account.yaml:12 $.metadata.objects[0].fields``."""
        return PackageInvalid(error.what, self.placed(error.problems), fix=error.fix)

    def placed(self, problems: Sequence[Problem]) -> list[Problem]:
        """The same problems, their places with file and line."""
        roots = {spell(root): part for root, part in self.parts.items()}
        places = [_place(problem.path, roots) for problem in problems]
        wanted: dict[File, set[str]] = defaultdict(set)
        for file, path in filter(None, places):
            wanted[file].update(_outwards(path))
        lines = {file: file.lines(paths) for file, paths in wanted.items()}
        return [
            problem if place is None else Problem(f"{_told(*place, lines[place[0]])} {problem.path}", problem.what)
            for problem, place in zip(problems, places, strict=True)
        ]


@attrs.frozen(eq=False)
class File:
    """A file as it was read."""

    name: str
    content: bytes = attrs.field(repr=False)

    @property
    def is_yaml(self) -> bool:
        return Path(self.name).suffix in YAML

    def lines(self, wanted: Container[str]) -> dict[str, int]:
        """The lines in which the values at these paths begin, as far as they can be told."""
        if len(self.content) > LONGEST_LOCATED:
            return {}
        try:
            return read_yaml(self.content, wanted).lines if self.is_yaml else json_lines(self.content.decode(), wanted)
        except (Unreadable, ValueError, IndexError):
            return {}


@attrs.frozen
class Part:
    """What a file holds of a package: the whole of it, or an item of its list, which has the path `within`."""

    file: File
    within: str = ROOT


def _place(path: str, roots: Mapping[str, Part]) -> tuple[File, str] | None:
    """The file that has what is at a path of the package, and the path in that file."""
    for holder in _outwards(path):
        if part := roots.get(holder):
            return part.file, f"{part.within}{path[len(holder) :]}"
    return None


def _told(file: File, path: str, lines: Mapping[str, int]) -> str:
    """``name:line`` of the value at a path, or of what holds it; else the name alone."""
    holders = (holder for holder in _outwards(path) if holder in lines and holder != ROOT)
    return next((f"{file.name}:{lines[holder]}" for holder in holders), file.name)


def packages_in(path: Path) -> list[Path]:
    """What is published when `path` is named: itself, or each package of a folder that holds several.

    Raises:
        FileFailed: the folder cannot be read.
    """
    with _reading(path):
        if path.is_file() or not path.is_dir() or _manifests(path):
            return [path]
        return sorted(
            one for one in path.iterdir() if _shown(one) and (one.suffix in KNOWN or (one.is_dir() and _manifests(one)))
        )


def read_package(path: Path, most: int, found_in: Path | None = None) -> PackageFiles:
    """Read a package from a file or a folder; of what is too large just so much that it is refused.

    Args:
        most: bytes.
        found_in: the folder of packages that it is one of, out of which no link may lead.

    Raises:
        PackageInvalid: a file is no YAML or JSON; `problems` names the line.
        FileFailed: a file cannot be read.
    """
    if found_in is not None:
        _expect_within(found_in, path)
    if path.is_dir() and path.suffix not in KNOWN:
        with _reading(path):
            return _Folder(path, most).read()
    file = File(path.name, _content(path, most))
    package: Package = _as_package(_value(file), file.name) if file.is_yaml else file.content
    return PackageFiles(package=package, parts={(): Part(file)})


def _outwards(path: str) -> Iterator[str]:
    """A path, that of what holds it, and so on."""
    while path:
        yield path
        path = path[: max(path.rfind("."), path.rfind("["), 0)]


class _Folder:
    """Reads the files of one folder."""

    def __init__(self, path: Path, most: int) -> None:
        self._path = path
        self._left = most
        self._most = most
        self._full = False
        self._parts: dict[Steps, Part] = {}
        self._faults: list[Problem] = []

    def read(self) -> PackageFiles:
        package: dict[str, Any] = {}
        with self._noted():
            package[MANIFEST] = self._read(self._manifest(), (MANIFEST,))
        package["metadata"] = {folder.name: self._kind(folder) for folder in self._kinds()}
        read = PackageFiles(package=package, parts=self._parts)
        if self._faults:
            raise _refused([*self._faults, *self._others(read)][:MOST_PROBLEMS])
        return read

    @contextmanager
    def _noted(self) -> Iterator[None]:
        """Go on behind a file that cannot be taken, so that what is wrong with the others is told with it."""
        try:
            yield
        except PackageInvalid as error:
            self._faults += error.problems
            if self._full or len(self._faults) >= MOST_PROBLEMS:
                raise _refused(self._faults[:MOST_PROBLEMS]) from None

    def _others(self, read: PackageFiles) -> Iterator[Problem]:
        """What is wrong with the files that could be read, as far as it can be told without the others."""
        try:
            check(read.package, Limits(manifest=self._most, metadata=self._most))
        except PackageInvalid as error:
            missing = spell((MANIFEST,))
            yield from (one for one in read.located(error).problems if one.path != missing)

    def _manifest(self) -> Path:
        first, *others = _manifests(self._path)
        if others:
            raise _refused([Problem(others[0].name, f"there is {first.name} too; a package has one manifest")])
        return first

    def _kinds(self) -> Iterator[Path]:
        for folder in sorted(self._path.iterdir()):
            if _shown(folder) and folder.is_dir() and next(_files(folder), None) is not None:
                yield folder

    def _kind(self, folder: Path) -> list[Any]:
        items: list[Any] = []
        for file in sorted(_files(folder)):
            with self._noted():
                self._add(file, folder.name, items)
        return items

    def _add(self, file: Path, kind: str, items: list[Any]) -> None:
        if file.suffix not in KNOWN:
            name = file.relative_to(self._path).as_posix()
            raise _refused([Problem(name, "is neither YAML nor JSON; move it out of the folder")])
        here: Steps = ("metadata", kind, len(items))
        value = self._read(file, here)
        if not isinstance(value, list):
            if isinstance(value, dict) and kind not in UNNAMED_KINDS:
                value.setdefault("name", file.name.partition(".")[0])
            items.append(value)
            return
        whole = self._parts.pop(here)
        for number in range(len(value)):
            self._parts["metadata", kind, len(items) + number] = Part(whole.file, spell((number,)))
        items += value

    def _read(self, file: Path, here: Steps) -> Any:
        name = _expect_within(self._path, file)
        read = File(name, _content(file, self._left))
        if len(read.content) > self._left:
            self._full = True
            raise _refused([Problem(name, f"with it the package has more than {self._most:,} bytes")])
        self._left -= len(read.content)
        value = _value(read)
        self._parts[here] = Part(read)
        return value


def _value(file: File) -> Any:
    """The value of a file, with its line where it has none."""
    if file.is_yaml:
        try:
            return read_yaml(file.content).value
        except Unreadable as error:
            raise _refused([Problem(f"{file.name}:{one.line}", one.what) for one in error.faults]) from None
    try:
        return read_json(file.content)
    except PackageInvalid as error:
        raise _refused([Problem(file.name, one.what) for one in error.problems]) from None


def _as_package(value: Any, name: str) -> Package:
    if isinstance(value, dict):
        return value
    raise _refused([Problem(f"{name}:1", "an object with manifest and metadata is wanted")])


def _refused(found: list[Problem]) -> PackageInvalid:
    return PackageInvalid(
        "the files are no package", found, fix="correct every place named above; nothing was published"
    )


def _manifests(folder: Path) -> list[Path]:
    return sorted(one for one in folder.iterdir() if one.stem == MANIFEST and one.suffix in KNOWN)


def _files(folder: Path) -> Iterator[Path]:
    """The files of a folder and of those in it, but for hidden ones; a link counts as a file, whatever it leads to."""
    for entry in sorted(folder.iterdir()):
        if not _shown(entry):
            continue
        if entry.is_dir() and not entry.is_symlink():
            yield from _files(entry)
        elif entry.is_file() or entry.is_symlink():
            yield entry


def _shown(path: Path) -> bool:
    return not path.name.startswith(".") and path.name not in LEFT_OUT


def _expect_within(folder: Path, file: Path) -> str:
    """The name of a file of a folder, which is no link that leads out of it.

    Raises:
        PackageInvalid
    """
    name = file.relative_to(folder).as_posix()
    if not _real(file).is_relative_to(_real(folder)):
        raise _refused([Problem(name, "is a link that leads out of the folder; copy what is meant into it")])
    return name


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _content(file: Path, most: int) -> bytes:
    """The bytes of a file; of one that is too large just so many that it is refused."""
    with _reading(file), file.open("rb") as opened:
        return opened.read(most + 1)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Around reading a file or a folder.

    Raises:
        FileFailed
    """
    try:
        yield
    except OSError as error:
        file = str(error.filename or path)
        raise FileFailed(
            f"{file} cannot be read",
            why=error.strerror or type(error).__name__,
            fix="check the path and its permissions",
            file=file,
        ) from error
