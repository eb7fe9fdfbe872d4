"""Named secrets of a host: what signs, peppers and encrypts, several at once so that they can be changed."""

from __future__ import annotations

from typing import Protocol

import attrs
from objectkernel.keys import Extension, Service


@attrs.frozen(kw_only=True)
class NamedKey:
    """One secret.

    Attributes:
        id: what tells it from the others of its name; not secret, to be stored beside whatever the key has made.
        secret: 32 random bytes or more.
    """

    id: str
    secret: bytes = attrs.field(repr=False)


class Keyring(Protocol):
    """The secrets of a host by name, such as ``sessions`` or ``device-codes``; read from memory, so not asynchronous.

    A name that nobody has asked for before has its secret made where the host keeps a file of its own; hosts that share
    a database on a server must be given the same secrets, so there a missing one is an error.
    """

    def current(self, name: str) -> NamedKey:
        """The key that new things are made with."""
        ...

    def keys(self, name: str) -> tuple[NamedKey, ...]:
        """Every key that is still accepted, the current one first."""
        ...

    def find(self, name: str, id: str) -> NamedKey | None:
        """The key of this id; None when it is accepted no more."""
        ...


KEYRING = Service[Keyring]("keyring")
"""The host's secrets."""

KEY_NAMES = Extension[str]("key-names")
"""Names that plugins ask `KEYRING` for, so that a host which must be given its secrets tells at its start of all."""
