"""Files that are open: each takes descriptors and threads of the host, of which it has so many and no more."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Protocol

DESCRIPTORS: Final = 16
"""What one open SQLite database takes at most: some connections, each with the file and its log."""


class Member(Protocol):
    """A project whose file is open."""

    @property
    def calls(self) -> int:
        """How many operations were begun so far."""
        ...

    @property
    def running(self) -> int:
        """How many are under way."""
        ...


class Crowd:
    """The SQLite databases that are open. Where there are too many, those are closed that were not used for longest.

    One that is in use is never closed, and one that was used since it was looked at last is spared once; so nothing has
    to be noted while operations run. Who is closed is opened again as soon as somebody needs it.

    Args:
        most: how many may be open; fewer where the system lets this process open fewer files.
    """

    def __init__(self, most: int) -> None:
        self.most = min(most, max(1, _descriptors() // (2 * DESCRIPTORS)))
        self._leave: OrderedDict[Member, tuple[int, Callable[[], object]]] = OrderedDict()

    def joined(self, member: Member, leave: Callable[[], object]) -> None:
        """One was opened; `leave` has it closed, and calls `left`."""
        for _ in range(2 * len(self._leave)):
            if len(self._leave) < self.most:
                break
            first, (calls, close) = self._leave.popitem(last=False)
            if first.running or first.calls != calls:
                self._leave[first] = first.calls, close
            else:
                close()
        self._leave[member] = member.calls, leave

    def left(self, member: Member) -> None:
        """One is being closed."""
        self._leave.pop(member, None)


def _descriptors() -> int:
    """How many files this process may have open."""
    try:
        import resource
    except ImportError:  # a system that has no such limit
        return 1_000_000
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1_000_000 if soft == resource.RLIM_INFINITY else soft
