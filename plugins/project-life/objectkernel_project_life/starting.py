"""Whether a host that starts brings the projects back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

AS_THEY_ARE: Final[ContextVar[bool]] = ContextVar("objectkernel-projects-as-they-are", default=False)
"""Whether a host that is started here leaves all projects as they are."""


@contextmanager
def projects_as_they_are() -> Iterator[None]:
    """A host that is started within opens, heals and changes no project by itself: a command that only looks does not
    want that, and one that brings them back shows how far it is.
    """
    token = AS_THEY_ARE.set(True)
    try:
        yield
    finally:
        AS_THEY_ARE.reset(token)
