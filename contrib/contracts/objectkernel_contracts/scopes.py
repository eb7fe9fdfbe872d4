"""What a credential may be granted, and from which role on a signed-in person has it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

import attrs
from objectkernel.keys import Extension

Role: TypeAlias = Literal["viewer", "member", "admin", "owner"]
"""What a person is in an account; each has all that the one before has."""

ROLES: Final[tuple[Role, ...]] = ("viewer", "member", "admin", "owner")
"""The roles, from the least to the most."""

_NAME: Final = re.compile(r"[a-z][a-z0-9-]*(:[a-z][a-z0-9-]*)*")


def _well_named(spec: Any, attribute: attrs.Attribute[Any], name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no scope: write lower-case words joined by colons, such as packages:write")


def _translations(translations: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(dict(translations))


@attrs.frozen(kw_only=True)
class GrantableScope:
    """A scope that a plugin's routes require, for those who grant it.

    Attributes:
        name: such as ``packages:write``.
        description: what it allows, in a few words that its owner understands: "Publish and change packages".
        role: the least role that has it in its account; ``operator``: only those who run the host have it, and no
        account gives it.
        translations: the description in other languages, by their primary tags (RFC 5646): ``{"fr": "..."}``.
    """

    name: str = attrs.field(validator=_well_named)
    description: str
    role: Role | Literal["operator"] = "member"
    translations: Mapping[str, str] = attrs.field(factory=dict, converter=_translations, hash=False)

    def described(self, language: str) -> str:
        """What it allows in a language, or in English where nobody has said it in that one."""
        return self.translations.get(language, self.description)


SCOPES = Extension[GrantableScope]("scopes")
"""The scopes that plugins know. One that nobody contributes is in no session, and no page shows it."""

OPERATE: Final = "host:operate"
"""The scope of those who run the host: details of its health, its metrics, the whole audit trail."""
