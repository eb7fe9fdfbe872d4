"""Ids of recordings: UUIDs that sort as they were made (RFC 9562 section 5.7)."""

from __future__ import annotations

import secrets
import time
import uuid


def new_id() -> str:
    """A UUIDv7: 48 bits of milliseconds, 12 bits of the fraction of one (section 6.2, method 3), 62 random bits."""
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    fraction = (rest << 12) // 1_000_000
    value = milliseconds << 80 | 7 << 76 | fraction << 64 | 2 << 62 | secrets.randbits(62)
    return str(uuid.UUID(int=value))
