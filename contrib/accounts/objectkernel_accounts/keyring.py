"""`KEYRING`: the host's secrets, in memory once they were asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from objectkernel_contracts import Keyring, NamedKey

from objectkernel_accounts.keyring_config import VARIABLE
from objectkernel_accounts.keyring_errors import KeyMissing
from objectkernel_accounts.keyring_text import Keys, is_name, new_key


class KeyStore(Protocol):
    """Where a host keeps secrets that it makes for itself."""

    def ensure(self, *names: str) -> Keys:
        """Every key there is, after those names that had none were given one."""
        ...

    def read(self) -> Keys:
        """Every key there is."""
        ...

    def changed(self) -> bool:
        """Whether there may be other keys than were read last."""
        ...


class HostKeyring:
    """The secrets that a host was given, and those that it has made for itself.

    Args:
        given: what it was given; a name that is here is not looked for elsewhere.
        store: where others are kept; None: all must be given, since many hosts share them.
    """

    def __init__(self, given: Keys, store: KeyStore | None) -> None:
        self._given = given
        self._store = store
        self._keys: Keys = dict(given)

    def current(self, name: str) -> NamedKey:
        return self.keys(name)[0]

    def keys(self, name: str) -> tuple[NamedKey, ...]:
        if name not in self._keys:
            self.expect([name])
        return self._keys[name]

    def find(self, name: str, id: str) -> NamedKey | None:
        found = _with_id(self.keys(name), id)
        if found is None and name not in self._given and self._store is not None and self._store.changed():
            self._keys = {**self._store.read(), **self._given}  # another process has changed them
            found = _with_id(self.keys(name), id)
        return found

    def expect(self, names: Iterable[str]) -> None:
        """Have a key of each name: what is missing is made now, where there is a place for it.

        Raises:
            KeyMissing: there is none; with every name that must be given and was not.
            ValueError: what is no name.
        """
        missing = sorted(set(names) - set(self._keys))
        for name in missing:
            if not is_name(name):
                raise ValueError(f"{name!r} is no name of a key: write lower-case words joined by hyphens")
        if not missing:
            return
        if self._store is None:
            raise KeyMissing(
                f"the host was not given its secrets: {', '.join(missing)}",
                why="its system database is on a server, which many hosts may share: they need the same secrets",
                fix=f"set {VARIABLE} to the same for all of them; `objectkernel secrets export-env` prints a whole one",
                names=tuple(missing),
                variable=VARIABLE,
            )
        self._keys = {**self._store.ensure(*missing), **self._given}


class MemoryKeys:
    """Secrets that end with the process, for tests."""

    def __init__(self) -> None:
        self._keys: dict[str, tuple[NamedKey, ...]] = {}

    def ensure(self, *names: str) -> Keys:
        for name in names:
            self._keys.setdefault(name, (new_key(),))
        return self._keys

    def read(self) -> Keys:
        return self._keys

    def changed(self) -> bool:
        return False


def _with_id(keys: Iterable[NamedKey], id: str) -> NamedKey | None:
    return next((key for key in keys if key.id == id), None)


if TYPE_CHECKING:
    _is_a_keyring: type[Keyring] = HostKeyring
