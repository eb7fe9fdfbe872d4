"""Packages in one file: a zip whose bytes depend on nothing but what it holds.

index.json                         what is said of each package and each version, in the order of their insertion
packages/acme.crm/1.2.0.json       the canonical bytes, with the very hash that they have in the registry
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any, Final

import attrs
from cattrs import BaseValidationError, Converter, transform_error

from objectkernel_package_service.canonical import canonical, digest
from objectkernel_package_service.contracts import ArchiveInvalid, PackageInvalid, PackageRecord, Policy, Visibility
from objectkernel_package_service.curating import message_problems
from objectkernel_package_service.json_value import problems, read_json
from objectkernel_package_service.naming import is_key
from objectkernel_package_service.ranges import tag_problems
from objectkernel_package_service.tagging import MOST_TAGS

INDEX: Final = "index.json"
FORMAT: Final = "objectkernel-packages/1"
EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""The time of every file in it: the earliest that a zip can tell."""
READABLE: Final = 0o100644 << 16
LEVEL: Final = 6
PACKED: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""What is unpacked piece by piece; zipfile unpacks the others at once, however much comes of it."""
LONGEST_INDEX: Final = 64 * 1024 * 1024
BROKEN: Final = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError)
"""What reading a zip may raise that is none, that is cut off, that has a password, or that is packed in a way which
zipfile does not know: that is its `NotImplementedError`.
"""


@attrs.frozen(kw_only=True)
class ArchivedPackage:
    """What is said of a package as a whole."""

    visibility: Visibility
    policy: Policy
    tags: Mapping[str, str]


@attrs.frozen(kw_only=True)
class ArchivedVersion:
    """What is said of one version."""

    id: str
    version: str
    hash: str
    deprecated: str | None = None
    yanked: bool = False

    @property
    def file(self) -> str:
        return f"packages/{self.id}/{self.version}.json"


@attrs.frozen(kw_only=True)
class Index:
    """What an archive holds."""

    format: str
    packages: Mapping[str, ArchivedPackage]
    versions: tuple[ArchivedVersion, ...]


def _exactly(wanted: type) -> Callable[[Any, Any], Any]:
    def check(value: Any, _: Any) -> Any:
        if type(value) is not wanted:
            raise TypeError(f"{wanted.__name__} is wanted, not {type(value).__name__}")
        return value

    return check


CONVERTER: Final = Converter(forbid_extra_keys=True)
CONVERTER.register_structure_hook(str, _exactly(str))
CONVERTER.register_structure_hook(bool, _exactly(bool))


class ArchiveWriter:
    """Writes an archive, version by version in the order of their insertion."""

    def __init__(self, file: IO[bytes]) -> None:
        self._zip = zipfile.ZipFile(file, "w")
        self._packages: dict[str, ArchivedPackage] = {}
        self._versions: list[ArchivedVersion] = []

    def add(self, record: PackageRecord) -> None:
        """Write one version."""
        tags = {**getattr(self._packages.get(record.id), "tags", {}), **dict.fromkeys(record.tags, record.version)}
        self._packages[record.id] = ArchivedPackage(visibility=record.visibility, policy=record.policy, tags=tags)
        version = ArchivedVersion(
            id=record.id,
            version=record.version,
            hash=record.hash,
            deprecated=record.deprecated,
            yanked=record.yanked,
        )
        self._versions.append(version)
        self._write(version.file, record.content)

    def finish(self) -> None:
        """Write the index; nothing can be added any more."""
        index = Index(format=FORMAT, packages=self._packages, versions=tuple(self._versions))
        self._write(INDEX, canonical(attrs.asdict(index)))
        self._zip.close()

    def _write(self, name: str, content: bytes) -> None:
        entry = zipfile.ZipInfo(name, EPOCH)
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.create_system, entry.external_attr = 3, READABLE
        self._zip.writestr(entry, content, compresslevel=LEVEL)


class ArchiveReader:
    """Reads an archive of anybody's making: no name in it becomes a path, and no more is unpacked than may be.

    Attributes:
        index: what it holds.
    """

    def __init__(self, file: IO[bytes], longest: int) -> None:
        """Read the index.

        Args:
            longest: bytes that one version may have.

        Raises:
            ArchiveInvalid
        """
        self._longest = longest
        with _told():
            self._zip = zipfile.ZipFile(file)
        for entry in self._zip.infolist():
            if entry.compress_type not in PACKED:
                raise _invalid(f"{entry.filename!r} is not packed as an export packs it")
        self._check_names(Counted(entry.filename for entry in self._zip.infolist()))

    def _check_names(self, names: Counted) -> None:
        if INDEX not in names:
            raise _invalid(f"it has no {INDEX}")
        self.index = self._index()
        wanted = Counted([INDEX, *(one.file for one in self.index.versions)])
        for name in {*names, *wanted}:
            if names.get(name) != wanted.get(name):
                raise _invalid(
                    f"{name!r} is in it {names.get(name, 0)} times and in its index {wanted.get(name, 0)} times"
                )

    def _index(self) -> Index:
        try:
            value = read_json(self._bytes(INDEX, LONGEST_INDEX))
            if found := problems(value):
                raise _invalid(f"{INDEX}: {found[0]}")
            index = CONVERTER.structure(value, Index)
        except PackageInvalid as error:
            raise _invalid(f"{INDEX}: {error.problems[0]}") from None
        except (BaseValidationError, AttributeError) as error:  # the latter: the whole is no object
            raise _invalid(f"{INDEX} is not what it should be: {transform_error(error)[0]}") from None
        if index.format != FORMAT:
            raise _invalid(f"its format is {index.format!r}, and {FORMAT} is known")
        for one in index.versions:
            if not is_key(one.id, one.version) or one.id not in index.packages:
                raise _invalid(f"no package can be called {one.id!r} {one.version!r}")
            if found := [*message_problems(one.deprecated, f"the deprecation of {one.id}@{one.version}")]:
                raise _invalid(str(found[0]))
        known = {(one.id, one.version) for one in index.versions}
        for id, package in index.packages.items():
            if len(package.tags) > MOST_TAGS:
                raise _invalid(f"{id!r} has {len(package.tags):,} dist-tags, and may have {MOST_TAGS}")
            for tag, version in package.tags.items():
                if [*tag_problems(tag, "")] or (id, version) not in known:
                    raise _invalid(f"{tag!r} can be no dist-tag of {id!r} for {version!r}")
        return index

    def content(self, version: ArchivedVersion) -> bytes:
        """The bytes of one version, which have its hash, its id and its version, and are canonical.

        Raises:
            ArchiveInvalid
        """
        content = self._bytes(version.file, self._longest)
        if digest(content) != version.hash:
            raise _invalid(f"the bytes of {version.file} have not the hash that the index tells")
        try:
            package = read_json(content)
            sound = not problems(package) and canonical(package) == content
            named = sound and (package["manifest"]["id"], package["manifest"]["version"])
        except (PackageInvalid, KeyError, TypeError):
            named = None
        if named != (version.id, version.version):
            raise _invalid(f"{version.file} is not the canonical JSON of that package")
        return content

    def _bytes(self, name: str, longest: int) -> bytes:
        with _told(), self._zip.open(name) as opened:
            content = opened.read(longest + 1)
        if len(content) > longest:
            raise _invalid(f"{name} has more than {longest:,} bytes")
        return content


class Counted(dict[str, int]):
    """How often each name comes."""

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__()
        for name in names:
            self[name] = self.get(name, 0) + 1


@contextmanager
def _told() -> Iterator[None]:
    """Around what a damaged zip may raise."""
    try:
        yield
    except BROKEN as error:
        raise _invalid(str(error) or type(error).__name__) from error


def _invalid(why: str) -> ArchiveInvalid:
    return ArchiveInvalid(
        "the file is no archive of packages, or damaged; nothing was imported",
        why=why,
        fix="make it again with `objectkernel packages export`",
    )
