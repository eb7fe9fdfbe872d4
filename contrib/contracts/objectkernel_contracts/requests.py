"""The request that is being served, for whoever writes about it: in the log, in the audit trail."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

REQUEST_ID: Final[ContextVar[str | None]] = ContextVar("objectkernel-request-id", default=None)
"""The id of the request that this task works for, or None. The host sets it before anything else is done for it."""
