"""One field of an object as a package gives it: read leniently, and what cannot be kept exactly is noted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from objectkernel_package_service.contracts import Problem
from objectkernel_package_service.json_value import Path, spell


class Notes:
    """Warnings of one mapping, each with its place."""

    def __init__(self) -> None:
        self.all: list[Problem] = []

    def add(self, path: Path, what: str) -> None:
        """Note something at a place."""
        self.all.append(Problem(spell(path), what))


class GivenField:
    """A field in ObjectStack's format. Attributes may be spelled ``maxLength`` or ``max_length``.

    Attributes:
        name: what the package calls it.
        path: its place in the package.
    """

    def __init__(self, name: str, raw: Mapping[str, Any], path: Path, notes: Notes) -> None:
        self.name = name
        self.path = path
        self._raw = {plain(key): (key, value) for key, value in raw.items()}
        self._notes = notes

    def warn(self, what: str, attribute: str | None = None) -> None:
        """Note something about the field, or about one of its attributes."""
        at = () if attribute is None else (self._raw.get(plain(attribute), (attribute, None))[0],)
        self._notes.add((*self.path, *at), what)

    def get(self, attribute: str) -> Any:
        """The value of an attribute, None where there is none."""
        return self._raw.get(plain(attribute), (attribute, None))[1]

    def first(self, *attributes: str) -> tuple[str, Any]:
        """The first of these attributes that has a value; ("", None) where none has."""
        return next(((one, self.get(one)) for one in attributes if self.get(one) is not None), ("", None))

    def with_attribute(self, attribute: str, value: Any) -> GivenField:
        """The same field with another value of an attribute."""
        raw = dict(self._raw.values()) | {attribute: value}
        return GivenField(self.name, raw, self.path, self._notes)

    def flag(self, attribute: str) -> bool:
        """Whether an attribute is true."""
        return self.get(attribute) is True

    def whole(self, attribute: str, least: int = 0) -> int | None:
        """A whole number that is not below `least`; another value is noted and left out."""
        value = self.get(attribute)
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= least):
            return value
        self.warn(f"is no whole number from {least} on, and is left out", attribute)
        return None


def plain(name: str) -> str:
    """A name without case and signs: ``EmailTemplate`` and ``email_template`` are one."""
    return "".join(filter(str.isalnum, name.casefold()))
