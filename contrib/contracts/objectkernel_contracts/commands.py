"""How a plugin adds a command to the `objectkernel` program."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeAlias, TypeVar

from objectkernel.keys import Extension, Service

T = TypeVar("T")

CommandMaker: TypeAlias = Callable[[], Any]
"""A callable without arguments that returns a `click.Command`; click is imported when it is called, not
before.
"""

COMMANDS = Extension[CommandMaker]("commands")
"""Commands of plugins: each becomes a sub-command of `objectkernel`, under the command's own name."""


class CommandContext(Protocol):
    """What a plugin's command finds in click's ``ctx.obj``."""

    json: bool
    """Whether the user asked for JSON on standard output (``--json``)."""

    def run(self, job: Callable[[Services], Awaitable[T]]) -> T:
        """Boot the kernel, await `job` with it, shut it down, and return what the job returned."""
        ...


class Services(Protocol):
    """The part of a kernel that a command uses."""

    def get(self, key: Service[T], /) -> T:
        """The running service under this key."""
        ...
