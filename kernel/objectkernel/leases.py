"""Leases: who uses a node at this moment. It is stopped when the last one ends, or its drain deadline has passed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from objectkernel.graph import Node


class Lease:
    """One user of a node that is up.

    A lease may outlive the object that it was taken of: then it counts for nothing, not for the next object either.
    """

    __slots__ = ("_life", "_serial")

    def __init__(self, node: Node) -> None:
        self._life = node.life
        self._serial = node.life.serial
        node.life.leases += 1

    def end(self) -> None:
        """Use it no more."""
        life = self._life
        if life.serial == self._serial:
            life.leases -= 1
            if not life.leases and life.freed is not None:
                life.freed.set()


def held_handler(handler: Callable[[Any], Any], whole: Node, is_async: bool) -> Callable[[Any], Any]:
    """`handler`, called while its plugin is up as a whole and keeping it up meanwhile."""
    life = whole.life
    if not is_async:
        return lambda event: handler(event) if life.state == "up" else None

    async def held(event: Any) -> None:
        if life.state == "up":
            lease = Lease(whole)
            try:
                await handler(event)
            finally:
                lease.end()

    return held
