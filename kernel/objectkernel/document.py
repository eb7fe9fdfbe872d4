"""The configuration of a host as it was given: a TOML file or a mapping, with the place of each key."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Self

import attrs

from objectkernel.errors import (
    ConfigFileInvalid,
    ConfigFileMissing,
    ConfigTypeInvalid,
    ConfigUnknownSection,
    KernelError,
    nearest,
)

if TYPE_CHECKING:
    from objectkernel.toml_lines import Path

SECTIONS: Final = ("kernel", "plugins")


@attrs.frozen(kw_only=True)
class Document:
    """A configuration: the table ``[kernel]`` and the tables ``[plugins.<name>]``, their values unchecked.

    Attributes:
        path: the file as it was named, "" where a mapping was given.
        kernel: the ``[kernel]`` table.
        plugins: plugin name → its table.
        problems: sections that belong to nobody, or that are no tables.
    """

    path: str = ""
    kernel: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    plugins: Mapping[str, Mapping[str, Any]] = attrs.field(factory=dict, repr=False)
    problems: tuple[KernelError, ...] = attrs.field(default=(), eq=False)
    _text: str = attrs.field(default="", repr=False, eq=False, alias="text")

    @classmethod
    def read(cls, config: str | os.PathLike[str] | Mapping[str, Any] | None) -> Self:
        """Read a TOML file (UTF-8), or take a mapping of its shape; None is an empty configuration.

        Raises:
            ConfigFileMissing: the file is not there or cannot be read.
            ConfigFileInvalid: it is not UTF-8 or not TOML; `where` has the line.
        """
        if config is None or isinstance(config, Mapping):
            return cls._of(config or {}, "", "")
        path = os.fspath(config)
        text = _read_text(path)
        return cls._of(_parse(text, path), path, text)

    @classmethod
    def _of(cls, tables: Mapping[str, Any], path: str, text: str) -> Self:
        bare = cls(path=path, text=text)
        problems: list[KernelError] = [
            _unknown_section(name, bare.where(name)) for name in tables if name not in SECTIONS
        ]
        kernel = bare._table(tables, ("kernel",), problems)
        plugins = bare._table(tables, ("plugins",), problems)
        return attrs.evolve(
            bare,
            kernel=kernel,
            plugins={n: bare._table(plugins, ("plugins", n), problems) for n in plugins},
            problems=tuple(problems),
        )

    def _table(
        self, parent: Mapping[str, Any], path: tuple[str, ...], problems: list[KernelError]
    ) -> Mapping[str, Any]:
        table = parent.get(path[-1], {})
        if isinstance(table, Mapping):
            return table
        section = ".".join(path)
        problems.append(
            ConfigTypeInvalid(
                f"[{section}] is no table",
                where=self.where(*path),
                why=f"it is a {type(table).__name__}",
                fix=f"write a section [{section}] with its keys below",
                option=section,
                **({"plugin": path[1]} if len(path) > 1 else {}),
            )
        )
        return {}

    @cached_property
    def _lines(self) -> dict[Path, int]:
        from objectkernel.toml_lines import find_lines

        return find_lines(self._text)

    def where(self, *path: str | int) -> str:
        """The place of a section or key as ``file:line``; of what would enclose it, if it is not there."""
        if not self.path:
            return f"config mapping, {'.'.join(str(part) for part in path)}"
        parts = [path[:length] for length in range(len(path), 0, -1)]
        line = next((self._lines[part] for part in parts if part in self._lines), None)
        return f"{self.path}:{line}" if line is not None else self.path


def _read_text(path: str) -> str:
    try:
        with open(path, "rb") as file:
            raw = file.read()
    except OSError as error:
        raise ConfigFileMissing(
            f"the configuration file {path!r} cannot be read",
            where=path,
            why=f"{error.strerror or error} (from the folder {os.getcwd()})",
            fix="make the file, or name the one that is meant",
            path=path,
        ) from error
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        byte = raw[error.start]
    raise ConfigFileInvalid(  # outside the except: the decoder's error holds the whole file
        f"the configuration file {path!r} is not UTF-8",
        where=f"{path}:{line}",
        why=f"the byte 0x{byte:02x} on line {line} begins no character",
        fix="save the file as UTF-8",
        path=path,
        line=line,
    )


def _parse(text: str, path: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except RecursionError:
        reason = "it is nested too deeply"
    except ValueError as error:
        reason = str(error)
    found = re.search(r"at line (\d+)", reason)
    line = int(found[1]) if found else text.count("\n") + (not text.endswith("\n"))
    raise ConfigFileInvalid(  # outside the except: the parser's error may hold the whole file
        f"the configuration file {path!r} is not valid TOML",
        where=f"{path}:{line}",
        why=reason,
        fix="correct the line; strings stand in quotes, a key stands once, a section once",
        path=path,
        line=line,
    )


def _unknown_section(name: str, where: str) -> ConfigUnknownSection:
    close = nearest(name, SECTIONS)
    return ConfigUnknownSection(
        f"the section [{name}] belongs to nobody",
        where=where,
        why="a configuration has the sections [kernel] and [plugins.<name>]",
        fix=f"did you mean [{close[0]}]?" if close else f"write [plugins.{name}] if {name} is a plugin",
        section=name,
        known=close,
    )
