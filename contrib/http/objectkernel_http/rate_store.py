"""Where the buckets of the rate limits are kept: the contract, for whoever wants many hosts to count together."""

from __future__ import annotations

from typing import Protocol

import attrs
from objectkernel.keys import Service


@attrs.frozen
class Taken:
    """What became of one request.

    Attributes:
        granted: whether there was one left in the bucket.
        remaining: how many there are now.
        seconds: until the bucket is full; where nothing was granted, until there is one.
    """

    granted: bool
    remaining: int
    seconds: float


class RateStore(Protocol):
    """Where buckets are kept: one that several hosts share makes them count together."""

    async def take(self, bucket: str, quota: int, seconds: int) -> Taken:
        """Take one request out of a bucket, which is full when nobody has asked before.

        Args:
            quota: how many it holds.
            seconds: in which an empty one becomes full.
        """
        ...


RATE_STORE = Service[RateStore]("rate-store")
"""The buckets of all hosts; without it each process has its own."""
