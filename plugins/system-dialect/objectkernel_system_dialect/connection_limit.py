"""`ConnectionLimit`: how many connections to one server may be open, whichever pools they belong to."""

from __future__ import annotations


class ConnectionLimit:
    """The places for connections to one server, shared by the pools that were opened with it.

    A pool of PostgreSQL, MariaDB or MySQL takes a place before it connects, and gives it back when the connection is
    closed. Where none is free, the pool whose idle connection was used longest ago closes that one, whatever its
    `IsolatedOptions.pool_min`: a request that waits is worth more than a connection that rests. Otherwise the request
    waits, in the order of arrival, for as long as ``pool_timeout`` lets it; then it ends with `DatabaseBusy`, whose
    `why` has this limit and its setting. Other databases take no notice of it. It belongs to one event loop.

    Attributes:
        most: how many places there are.
        setting: what the host calls that number, for messages.
        open: how many are taken.
        peak: how many have been at a time.
    """

    def __init__(self, most: int, *, setting: str = "the limit of connections") -> None:
        """Make a limit.

        Args:
            most: at least 1.

        Raises:
            ValueError: `most` is less.
        """
        if most < 1:
            raise ValueError(f"a limit of {most} connections lets nobody in")
        self.most = most
        self.setting = setting
        self.open = 0
        self.peak = 0

    @property
    def waiting(self) -> int:
        """How many places are being waited for."""
        return 0
