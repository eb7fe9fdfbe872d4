"""The plugin `keyring`: the host's secrets, given to it or kept in a file of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from objectkernel import Plugin, collects, configured_by, contributes, provides, wants
from objectkernel_contracts import COMMANDS, KEY_NAMES, KEYRING, CommandMaker, Keyring
from objectkernel_system_dialect.contracts import SYSTEM_DIALECT

from objectkernel_accounts.keyring import HostKeyring, KeyStore, MemoryKeys
from objectkernel_accounts.keyring_config import VARIABLE, KeyringConfig
from objectkernel_accounts.keyring_text import given_keys

if TYPE_CHECKING:
    from click import Command

ALONE = frozenset({"sqlite"})
"""Databases that one machine has to itself; any other may be shared by many hosts."""


class KeyringPlugin(Plugin):
    """Provides `KEYRING`."""

    name = "keyring"
    config = configured_by(KeyringConfig)
    names = collects(KEY_NAMES)
    system = wants(SYSTEM_DIALECT)

    _in_memory = False

    @classmethod
    def in_memory(cls) -> KeyringPlugin:
        """For tests: secrets that end with the kernel, whatever the settings say."""
        plugin = cls()
        plugin._in_memory = True
        return plugin

    @provides(KEYRING)
    def keyring(self) -> Keyring:
        if self._in_memory:
            return HostKeyring({}, MemoryKeys())
        given = given_keys(self.config.keys, VARIABLE)
        ring = HostKeyring(given, self._store())
        ring.expect(self.names)
        return ring

    def _store(self) -> KeyStore | None:
        """The key file, read once so that what is wrong with it is known now; None where the host must be given all."""
        if self.system is not None and self.system.name not in ALONE:
            return None
        from objectkernel_accounts.keyring_file import key_file

        file = key_file(self.config.data_dir)
        file.read()
        return file

    @contributes(COMMANDS, uses=())
    def secrets_command(self) -> CommandMaker:
        return _secrets_command


def _secrets_command() -> Command:
    from objectkernel_accounts.keyring_commands import secrets

    return secrets
