"""The host's secrets: given ones win, missing ones are made where the host has a place of its own for them."""

from __future__ import annotations

import pytest
from objectkernel_accounts.keyring import HostKeyring, MemoryKeys
from objectkernel_accounts.keyring_errors import KeyMissing
from objectkernel_contracts import NamedKey

OLD = NamedKey(id="old", secret=b"o" * 32)
NEW = NamedKey(id="new", secret=b"n" * 32)


class ElsewhereChanged(MemoryKeys):
    """A store that another process changes."""

    reads = 0
    told = False

    def change(self, name: str, *keys: NamedKey) -> None:
        self._keys[name] = keys
        self.told = True

    def read(self) -> dict[str, tuple[NamedKey, ...]]:
        self.reads += 1
        self.told = False
        return dict(self._keys)

    def changed(self) -> bool:
        return self.told


def test_given() -> None:
    """The first key that was given is the current one; all are found by their ids."""
    ring = HostKeyring({"sessions": (NEW, OLD)}, None)
    assert ring.current("sessions") is NEW
    assert ring.keys("sessions") == (NEW, OLD)
    assert (ring.find("sessions", "old"), ring.find("sessions", "older")) == (OLD, None)


def test_made_once() -> None:
    """A name that nobody has asked for gets a secret of 32 random bytes, and keeps it; each name has its own."""
    ring = HostKeyring({}, MemoryKeys())
    made = ring.current("device-codes")
    assert (len(made.secret), ring.current("device-codes"), ring.keys("device-codes")) == (32, made, (made,))
    assert ring.current("csrf").secret != made.secret
    assert ring.find("device-codes", made.id) == made


def test_given_wins() -> None:
    """What was given is not looked for in the store, and the store's other names are there beside it."""
    store = MemoryKeys()
    stored = store.ensure("sessions", "csrf")
    ring = HostKeyring({"sessions": (NEW,)}, store)
    assert ring.keys("sessions") == (NEW,)
    assert ring.keys("csrf") == stored["csrf"]
    assert ring.keys("sessions") == (NEW,)


def test_missing() -> None:
    """Without a place of its own a host must be given every secret: the error names the variable and all names."""
    ring = HostKeyring({"sessions": (NEW,)}, None)
    with pytest.raises(KeyMissing) as caught:
        ring.expect(["urls", "sessions", "csrf"])
    assert (caught.value.names, caught.value.variable) == (("csrf", "urls"), "OBJECTKERNEL_KEYS")
    with pytest.raises(KeyMissing) as caught:
        ring.current("urls")
    assert caught.value.names == ("urls",)
    ring.expect(["sessions"])


def test_another_process_rotates() -> None:
    """An id that is not known is looked for once more when the store has changed, and only then."""
    store = ElsewhereChanged()
    ring = HostKeyring({"given": (OLD,)}, store)
    before = ring.current("sessions")
    assert (ring.find("sessions", "new"), store.reads) == (None, 0)
    store.change("sessions", NEW, before)
    assert ring.current("sessions") == before
    assert ring.find("given", "new") is None
    assert store.reads == 0
    assert ring.find("sessions", "new") == NEW
    assert (ring.current("sessions"), ring.keys("given")) == (NEW, (OLD,))
    assert (ring.find("sessions", "newer"), store.reads) == (None, 1)


@pytest.mark.parametrize("name", ["", "Sessions", "a b", "-a", "a-", "../x", "a" * 65, "x\n"])
def test_no_name(name: str) -> None:
    """What is no name is a mistake in the plugin, and makes no key."""
    with pytest.raises(ValueError, match="no name of a key"):
        HostKeyring({}, MemoryKeys()).current(name)


def test_nothing_shows_a_secret() -> None:
    """Neither a key nor an error about keys prints what is secret."""
    assert "nnn" not in repr(HostKeyring({"sessions": (NEW,)}, None).current("sessions"))
    assert "nnn" not in repr((NEW, [NEW]))
