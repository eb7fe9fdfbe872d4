"""Recordings in memory: for tests, and the shortest `MediaRepository` there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import attrs

from objectkernel_media_server.contracts import (
    InvalidMedia,
    MediaEvent,
    MediaFilter,
    MediaPage,
    MediaRepository,
    MediaRow,
    MediaStatus,
)
from objectkernel_media_server.paging import read
from objectkernel_media_server.rows import refuse_unknown


class MemoryMediaRepository:
    """Rows in a dictionary.

    Attributes:
        events: what was to be told, in order.
    """

    def __init__(self) -> None:
        self._rows: dict[str, MediaRow] = {}
        self.events: list[MediaEvent] = []

    async def insert(self, account_id: str, row: MediaRow, *, event: MediaEvent | None = None) -> MediaRow:
        if row.id in self._rows or row.account_id != account_id:
            raise InvalidMedia(
                "the recording cannot be kept",
                why="there is one with this id, or it is of another account",
                fix="give it an id of its own",
            )
        self._rows[row.id] = row
        self.events += [] if event is None else [attrs.evolve(event, row=row)]
        return row

    async def find_by_id(self, account_id: str, id: str) -> MediaRow | None:
        row = self._rows.get(id)
        return row if row is not None and row.account_id == account_id else None

    async def update(
        self,
        account_id: str,
        id: str,
        changes: Mapping[str, Any],
        *,
        expect: Sequence[MediaStatus] = (),
        events: Sequence[MediaEvent] = (),
    ) -> MediaRow | None:
        refuse_unknown(changes)
        row = await self.find_by_id(account_id, id)
        if row is None or (expect and row.status not in expect):
            return None
        row = self._rows[id] = attrs.evolve(row, **{"updated_at": datetime.now(UTC), **changes})
        self.events += [attrs.evolve(event, row=row) for event in events]
        return row

    async def delete(self, account_id: str, id: str) -> bool:
        if await self.find_by_id(account_id, id) is None:
            return False
        del self._rows[id]
        return True

    async def list(self, account_id: str, filter: MediaFilter | None = None) -> MediaPage:
        asked = read(filter)
        wanted = [
            row
            for row in self._rows.values()
            if row.account_id == account_id
            and row.status in asked.statuses
            and (asked.session_id is None or row.session_id == asked.session_id)
        ]
        return asked.page(row for row in wanted if asked.is_behind(row))


if TYPE_CHECKING:
    _is_a_repository: type[MediaRepository] = MemoryMediaRepository
