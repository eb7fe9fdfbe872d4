"""What garbage collection tells, and what it asks of whoever else keeps something."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, Literal, Protocol, TypeAlias

import attrs

CollectedKind: TypeAlias = Literal["forgotten", "purge", "upload", "stuck", "orphan", "unfinished", "usage"]
"""
==============  ======================================================================
``forgotten``   the row of a recording that failed or was deleted long ago
``purge``       the blob of one that failed or was deleted, and could not be removed yet
``upload``      an upload that was abandoned
``stuck``       a recording that comes no more, with what there is of it
``orphan``      a blob that no recording has
``unfinished``  parts of a blob in the store, of which no upload knows
``usage``       an account's usage that differs from the sum over its rows
==============  ======================================================================
"""
KINDS: Final[tuple[CollectedKind, ...]] = ("forgotten", "purge", "upload", "stuck", "orphan", "unfinished", "usage")
SHOWN: Final = 1000
"""Things that a report names; the others are counted."""


@attrs.frozen(kw_only=True)
class Collected:
    """One thing that was collected, or would be."""

    kind: CollectedKind
    account_id: str = ""
    bucket: str = ""
    key: str = ""
    size: int = 0
    why: str = ""


class CollectingHook(Protocol):
    """Whoever else keeps something of the store, or of accounts."""

    async def collect(self, *, now: datetime, dry_run: bool) -> Sequence[Collected]:
        """Remove what is over, and tell it; `dry_run`: tell it alone."""
        ...

    async def needed(self, bucket: str, keys: Sequence[str]) -> set[str]:
        """Which of these keys it still needs."""
        ...

    async def reserved(self, account_ids: Sequence[str]) -> Mapping[str, int]:
        """Bytes that it has reserved in accounts."""
        ...

    async def forget_account(self, account_id: str) -> None:
        """Remove what it has of an account; called again after a crash."""
        ...


@attrs.define
class Report:
    """What one collection has done, or would do.

    Attributes:
        counts, bytes: by kind.
        items: the first of them.
        trouble: what kept it from doing all, in words.
    """

    dry_run: bool
    counts: dict[str, int] = attrs.field(factory=lambda: dict.fromkeys(KINDS, 0))
    bytes: dict[str, int] = attrs.field(factory=lambda: dict.fromkeys(KINDS, 0))
    items: list[Collected] = attrs.field(factory=list)
    trouble: list[str] = attrs.field(factory=list)

    @property
    def total(self) -> int:
        """How many things."""
        return sum(self.counts.values())

    def add(self, item: Collected) -> None:
        """One more."""
        self.counts[item.kind] += 1
        self.bytes[item.kind] += item.size
        if len(self.items) < SHOWN:
            self.items.append(item)
