"""What `objectkernel media` prints: recordings, bytes and bars for them."""

from __future__ import annotations

from typing import Any, Final

import attrs
from objectkernel_contracts import CommandContext
from objectkernel_contracts.terminal import Bar

from objectkernel_media_server.contracts import MediaRow

HEAD: Final = ("ID", "ACCOUNT", "STATUS", "TYPE", "SIZE", "SESSION", "MADE (UTC)")
STEP: Final = 2**20
"""Bytes of one step of a bar."""
UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")


class ByteBar:
    """A bar for bytes.

    Args:
        total: how many there will be.
    """

    def __init__(self, obj: CommandContext, label: str, total: int) -> None:
        self._bar = Bar(obj, label, -(-total // STEP))
        self._count = 0

    def add(self, count: int) -> None:
        """So many more."""
        self._count += count
        self._bar.show(self._count // STEP)

    def end(self) -> None:
        """Take the bar away."""
        self._bar.end()


def document(row: MediaRow) -> dict[str, Any]:
    """A recording for ``--json``."""
    told = attrs.asdict(row, recurse=False)
    return {
        **told,
        "metadata": None if row.metadata is None else dict(row.metadata),
        "created_at": row.created_at.isoformat(),
        "updated_at": None if row.updated_at is None else row.updated_at.isoformat(),
    }


def line(row: MediaRow) -> tuple[str, ...]:
    """A recording in a table."""
    session = "-" if row.session_id is None else row.session_id
    take = "" if row.take_index is None else f" #{row.take_index}"
    made = f"{row.created_at:%Y-%m-%d %H:%M}"
    return row.id, row.account_id, row.status, row.mime_type, size(row.size_bytes), f"{session}{take}", made


def size(count: int) -> str:
    """Bytes for people."""
    value, unit = float(count), 0
    while value >= 1024 and unit < len(UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.0f} {UNITS[unit]}" if unit == 0 or value >= 100 else f"{value:.1f} {UNITS[unit]}"
