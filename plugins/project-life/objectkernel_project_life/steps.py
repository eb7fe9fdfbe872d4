"""The steps of operations by name, so that a test can end a host at each of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

STEPS: Final = (
    "provision.begin",
    "provision.registered",
    "provision.opened",
    "provision.confirmed",
    "provision.failed",
    "provision.closed",
    "pause.begin",
    "pause.intended",
    "pause.closed",
    "pause.confirmed",
    "resume.begin",
    "resume.intended",
    "resume.opened",
    "resume.failed",
    "resume.confirmed",
    "rotate.begin",
    "rotate.intended",
    "rotate.opened",
    "rotate.failed",
    "rotate.confirmed",
    "deprovision.begin",
    "deprovision.intended",
    "deprovision.closed",
    "deprovision.removed",
    "rotate_key.begin",
    "rotate_key.encrypted",
    "rotate_key.written",
)
"""Every step that an operation comes to. ``begin``: nothing is done yet; ``intended`` and ``registered``: what will be
done is written; ``failed``: the database could not be opened, and nothing of that is written yet. A change of schemas
takes the steps of ``rotate``.
"""

AtStep: TypeAlias = Callable[[str], Awaitable[None] | None]
"""Is called with the name of each step that an operation comes to."""


def no_step(name: str) -> None:
    """What happens at a step outside of tests: nothing."""
