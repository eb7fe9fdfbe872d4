"""Writing a new plugin from the templates of this package."""

from __future__ import annotations

import importlib.util
import keyword
import sys
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path, PurePath
from string import Template
from tempfile import TemporaryDirectory
from typing import Final

from objectkernel.keys import NAME

from objectkernel_cli.errors import PluginNotWritten

SUFFIX: Final = ".tmpl"
"""What the templates' names end with, so that no tool takes them for code."""

PACKAGE: Final = "PACKAGE"
"""Stands for the import package in the templates' names."""

RESERVED: Final = frozenset({"attr", "attrs", "conftest", "hatchling", "pytest", "tests"})
"""What the new distribution itself imports, installed or not, and its folder of tests."""


def write_plugin(name: str, into: Path) -> tuple[Path, list[PurePath]]:
    """Write the distribution of a plugin into a new folder of its name under `into`.

    Returns:
        the folder, and the files in it.

    Raises:
        PluginNotWritten: the name will not do, the folder exists, or it cannot be written.
    """
    folder = into / name
    words = _words(name)
    if folder.exists():
        raise PluginNotWritten(
            f"{folder} exists already",
            where=str(folder),
            why="nothing that exists is overwritten",
            fix="choose another name, another folder with --into, or remove it yourself",
            name=name,
        )
    written = []
    try:
        with TemporaryDirectory(prefix=".new-plugin-", dir=into) as unfinished:  # all of it comes, or nothing
            for path, text in sorted(_templates(files("objectkernel_cli") / "templates" / "plugin", PurePath())):
                relative = PurePath(str(path).replace(PACKAGE, words["package"]).removesuffix(SUFFIX))
                target = Path(unfinished, name, relative)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(Template(text).substitute(words), encoding="utf-8")
                written.append(relative)
            Path(unfinished, name).rename(folder)
    except OSError as error:
        raise PluginNotWritten(
            f"{folder} cannot be written",
            where=str(folder),
            why=error.strerror or str(error),
            fix="choose another folder with --into",
            name=name,
        ) from error
    return folder, written


def _templates(folder: Traversable, path: PurePath) -> list[tuple[PurePath, str]]:
    found = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _templates(entry, path / entry.name)
        elif entry.name.endswith(SUFFIX):
            found.append((path / entry.name, entry.read_text(encoding="utf-8")))
    return found


def _words(name: str) -> dict[str, str]:
    """What is filled into the templates, if the name will do."""
    package = name.replace("-", "_").replace(".", "_")
    if not NAME.match(name):
        why, fix = "a name is lower case letters and digits, parts joined by '.', '-' or '_'", _better(name)
    elif package in RESERVED or keyword.iskeyword(package) or package in sys.stdlib_module_names:
        why, fix = (
            f"a package {package!r} would stand in the way of another",
            f"put a name of yours before it: acme-{name}",
        )
    elif (there := _installed(package)) is not None:
        why, fix = f"the package {package!r} is installed already, {there}", "choose another name"
    elif package == "objectkernel" or package.startswith("objectkernel_"):
        why, fix = (
            "objectkernel's own distributions have such names",
            "begin it with a name of yours: acme-...",
        )
    else:
        words = package.split("_")
        return {
            "name": name,
            "package": package,
            "class_name": "".join(word.capitalize() for word in words),  # with Plugin or Config behind it
        }
    raise PluginNotWritten(f"{name!r} is no name for a plugin", why=why, fix=fix, name=name)


def _installed(package: str) -> str | None:
    """The file of an installed package of this name; a plain folder beside is none."""
    spec = importlib.util.find_spec(package)
    return spec.origin if spec is not None else None


def _better(name: str) -> str:
    parts = "".join(c if c.isascii() and c.isalnum() else "-" for c in name.lower()).strip("-").split("-")
    better = "-".join(part for part in parts if part).lstrip("0123456789-")
    return f"write {better!r}" if NAME.match(better) else "write acme-billing, for example"
