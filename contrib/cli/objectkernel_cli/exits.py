"""The exit codes of the program, and which error ends it with which."""

from __future__ import annotations

from typing import Final

from objectkernel.errors import BootError, ShutdownError

from objectkernel_cli.errors import HostError

OK: Final = 0
FAILED: Final = 1
"""Problems were found, or the command failed."""
USAGE: Final = 2
NO_HOST: Final = 3
"""The host could not be found, imported or read."""
BOOT_FAILED: Final = 4
SHUTDOWN_FAILED: Final = 5
"""The kernel stopped with errors: a teardown raised, or a critical plugin crashed while it ran."""
INTERRUPTED: Final = 130

TABLE: Final = (
    (OK, "done, and nothing was found wrong"),
    (FAILED, "problems were found, or the command failed"),
    (USAGE, "the command line is not understood"),
    (NO_HOST, "the host could not be found, imported or read"),
    (BOOT_FAILED, "the kernel did not start"),
    (SHUTDOWN_FAILED, "the kernel stopped with errors, or because a critical plugin crashed"),
    (INTERRUPTED, "interrupted before it was done"),
)


def exit_code(error: BaseException) -> int:
    """The exit code that tells this error."""
    if isinstance(error, HostError):
        return NO_HOST
    if isinstance(error, BootError):
        return BOOT_FAILED
    if isinstance(error, ShutdownError):
        return SHUTDOWN_FAILED
    return INTERRUPTED if isinstance(error, KeyboardInterrupt) else FAILED
