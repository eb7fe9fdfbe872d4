"""What `objectkernel doctor` says of projects."""

from __future__ import annotations

from collections.abc import Iterator

from objectkernel.errors import KernelError

from objectkernel_project_life.encryption import UriCipher
from objectkernel_project_life.encryption_keys import VARIABLE
from objectkernel_project_life.errors import EncryptionKeyMissing, PlaintextAllowed


def key_findings(cipher: UriCipher) -> Iterator[KernelError]:
    """What is to be said of a host's keys."""
    if cipher.can_encrypt:
        return
    fix = (
        f"set {VARIABLE} to what `objectkernel projects generate-key` prints, or compose a plugin that provides KEYRING"
    )
    if cipher.can_store:
        yield PlaintextAllowed(
            "URIs of projects are stored as they are, with their passwords",
            why="there is no key to encrypt them with, and `allow_plaintext_uris` is set",
            fix=f"{fix}; then `objectkernel projects rotate-key`",
        )
    else:
        yield EncryptionKeyMissing(
            "there is no key to encrypt projects' URIs with, so that no project can be made",
            why="a URI holds the user and the password of a database",
            fix=fix,
        )
