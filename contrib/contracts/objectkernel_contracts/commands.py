"""How a plugin adds a command to the `objectkernel` program."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

from objectkernel.keys import Extension, Service

if TYPE_CHECKING:
    from objectkernel.compose import Composition

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
        """Boot the kernel, await `job` with it, shut it down, and return what the job returned.

        What is printed while the kernel starts and stops goes to standard error, what the job prints does not.
        """
        ...

    def kernel(self) -> Unstarted:
        """The host's kernel, not started: for a command about what would not start, or would change by starting."""
        ...

    def progress(self, items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
        """Iterate over `items` with a bar on the terminal's standard error; without a terminal, silently.

        Args:
            total: how many there are, where `len` cannot tell.
        """
        ...


class Unstarted(Protocol):
    """The part of a kernel that has not started which a command uses."""

    def compose(self) -> Composition:
        """The selected plugins and their settings."""
        ...

    def contributions(self, key: Extension[T], /) -> tuple[T, ...]:
        """What plugins contribute that depends on nothing (``uses=()``)."""
        ...


class Services(Protocol):
    """The part of a kernel that a command uses."""

    def get(self, key: Service[T], /) -> T:
        """The running service under this key."""
        ...
