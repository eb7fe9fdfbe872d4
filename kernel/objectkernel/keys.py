"""Typed names of services and extensions."""

from __future__ import annotations

import re
import sys
from typing import Any, ClassVar, Final, Generic, Self, TypeVar, get_args

from objectkernel.errors import KeyInvalid
from objectkernel.versions import release

T = TypeVar("T")

NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:[._-][a-z0-9]+)*\Z")
"""Names of services, extensions and plugins: lower case, parts joined by ``.``, ``-`` or ``_``."""


class Key(str, Generic[T]):
    """A ``str`` that carries the type of what it names; equal to every key of the same name.

    Being a ``str`` keeps the look-up at dictionary speed and makes a registry of keys unnecessary.
    """

    kind: ClassVar[str] = "key"
    version: str | None
    scope: str | None
    where: str
    __orig_class__: Any  # set by typing when the key is made from a subscripted class

    def __new__(cls, name: str, *, version: str | None = None, scope: str | None = None) -> Self:
        given: object = name
        within: object = scope
        frame = sys._getframe(1)
        if frame.f_code.co_filename.endswith("typing.py"):
            frame = frame.f_back or frame
        where = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        if not (isinstance(given, str) and NAME.match(given)):
            raise KeyInvalid(
                f"{name!r} is no name for {'an extension' if cls.kind == 'extension' else 'a service'}",
                where=where,
                why="a name is lower case letters and digits, parts joined by '.', '-' or '_'",
                fix=f'write {cls.__name__}[Type]("vendor.name")',
                name=name,
            )
        if version is not None:
            release(version, where)
        if within is not None and not (isinstance(within, str) and within):
            raise KeyInvalid(
                f"the key {name!r} has the scope {scope!r}",
                where=where,
                why="a scope goes by the name that its opener gives it",
                fix=f'write {cls.__name__}[Type]("{name}", scope="request")',
                name=name,
            )
        self = super().__new__(cls, name)
        self.version = version
        self.scope = scope
        self.where = where
        return self

    @property
    def type(self) -> Any:
        """The subscript of the key (``Ledger`` in ``Service[Ledger]("ledger")``), or None without one."""
        made_by = getattr(self, "__orig_class__", None)
        return get_args(made_by)[0] if made_by is not None else None

    def __repr__(self) -> str:
        made_by = self.type
        subscript = f"[{getattr(made_by, '__name__', made_by)}]" if made_by is not None else ""
        return f"{type(self).__name__}{subscript}({str(self)!r})"

    def __reduce__(self) -> Any:
        return str, (str(self),)


class Service(Key[T]):
    """The typed name of one object that exactly one plugin provides.

    Args:
        name: what messages, configuration, command line and graphs call it, such as ``acme.ledger``.
        version: the version of the contract, held against ``needs(KEY, version=">=1.2")``.
        scope: the name of the scope whose opener gives the object (``kernel.scope("request", {KEY: obj})``).
    """

    kind = "service"


class Extension(Key[T]):
    """The typed name of a list that any number of plugins contribute to."""

    kind = "extension"
