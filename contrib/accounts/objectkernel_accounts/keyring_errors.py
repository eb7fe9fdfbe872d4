"""What can be wrong with the host's secrets; no error shows one."""

from __future__ import annotations

from objectkernel.errors import KernelError


class KeyringError(KernelError):
    """The base of all errors of the keyring."""

    code = "A300"


class KeyMissing(KeyringError):
    """A secret that the host must be given was not given. Attributes: names, variable."""

    code = "A301"


class KeysInvalid(KeyringError):
    """Secrets were given, and not as they should be. Attributes: problems (all of them), variable."""

    code = "A302"


class KeyFileUnsafe(KeyringError):
    """Others may read or change the key file. Attributes: path."""

    code = "A303"


class KeyFileDamaged(KeyringError):
    """The key file does not hold what was written to it. It is never made anew by itself. Attributes: path."""

    code = "A304"


class KeyFileUnusable(KeyringError):
    """The key file cannot be read or written, or is gone. Attributes: path."""

    code = "A305"


class KeyNotChanged(KeyringError):
    """A key cannot be changed as asked: it is not there, is the current one, or is not in the file.

    Attributes: name, id.
    """

    code = "A306"
