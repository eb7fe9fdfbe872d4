"""Who an operation on a project is for: said where a request comes in, asked where the audit trail is written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from objectkernel_contracts import Principal

ACTING: Final[ContextVar[Principal | None]] = ContextVar("objectkernel-project-life-acting", default=None)
"""Whoever has sent the request that this task works for; None: the host itself, or its operator."""


@contextmanager
def acting(by: Principal) -> Iterator[None]:
    """What is done within is done by somebody."""
    token = ACTING.set(by)
    try:
        yield
    finally:
        ACTING.reset(token)
