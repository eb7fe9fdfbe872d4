"""What this host has done since it started, for its figures."""

from __future__ import annotations

from collections.abc import Iterable

import attrs
from objectkernel_contracts import Figure


@attrs.define
class Tally:
    """Counts, from memory.

    Attributes:
        unpurged: how often a blob could not be removed.
        collected: things that garbage collection has removed or set right.
    """

    ready: int = 0
    bytes: int = 0
    failed: int = 0
    deleted: int = 0
    unpurged: int = 0
    collected: int = 0

    def stored(self, size: int) -> None:
        """A recording of so many bytes is ready."""
        self.ready += 1
        self.bytes += size

    def figures(self) -> Iterable[Figure]:
        """See `METRICS`."""
        for name, help, value in (
            ("media_recordings_ready", "Recordings that this host has stored", self.ready),
            ("media_received_bytes", "Bytes of recordings that this host has stored", self.bytes),
            ("media_recordings_failed", "Recordings that did not come", self.failed),
            ("media_recordings_deleted", "Recordings that were deleted", self.deleted),
            ("media_purges_failed", "Attempts to remove a blob that failed", self.unpurged),
            ("media_collected", "What garbage collection has removed or set right", self.collected),
        ):
            yield Figure(name=name, help=help, value=value, kind="counter")
