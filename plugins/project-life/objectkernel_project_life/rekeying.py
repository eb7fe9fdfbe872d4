"""Encrypting the URIs of all projects with the active key, while they are served."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Final

import anyio

from objectkernel_project_life.contracts import RotationProgress
from objectkernel_project_life.encrypting import encrypted_anew
from objectkernel_project_life.errors import EncryptionKeyMissing, UriUnreadable
from objectkernel_project_life.ground import Ground
from objectkernel_project_life.storage import Record

log = logging.getLogger("objectkernel.plugin.project-life")

PAUSE: Final = 0.2
"""Seconds between two looks at projects to which something is being done."""


class Rekeying:
    """Re-encrypts rows, each by itself: killed at any moment, it is simply begun again."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    async def rotate_key(self, batch: int) -> AsyncIterator[RotationProgress]:
        """Do all rows that the active key has not encrypted, and tell after each `batch` of them.

        Raises:
            EncryptionKeyMissing: there is no key.
            DataError: of the system's database.
        """
        ground = self._ground
        await ground.step("rotate_key.begin")
        active = ground.cipher.active_id
        if active is None:
            raise EncryptionKeyMissing(
                "the URIs of projects cannot be encrypted",
                why="the host has no key",
                fix="set PROJECT_ENCRYPTION_KEY to what `objectkernel projects generate-key` prints",
            )
        others = {"$or": [{"uri_key": {"$ne": active}}, {"uri_key": None}]}
        total, done = await ground.register.count({}), 0
        done = total - await ground.register.count(others)
        unreadable: list[str] = []
        waiting: list[str] = []
        since = 0
        async for record in ground.register.all(others):
            if record.transition is not None or not await self._rewrite(record, unreadable):
                waiting.append(record.id)
                continue
            done, since = done + (record.id not in unreadable), since + 1
            if since % batch == 0:
                yield RotationProgress(done=done, total=total, unreadable=tuple(unreadable))
        async for id in self._until_free(waiting, unreadable):
            done += id not in unreadable
        yield RotationProgress(done=done, total=total, unreadable=tuple(unreadable))

    async def _until_free(self, waiting: list[str], unreadable: list[str]) -> AsyncIterator[str]:
        """The projects to which something was being done, each when it is rewritten or gone."""
        config = self._ground.config
        end = anyio.current_time() + 2 * (config.open_timeout + config.pause_deadline)
        while waiting and anyio.current_time() < end:
            for id in tuple(waiting):
                record = await self._ground.register.get(id)
                free = record is None or record.transition is None
                if free and (record is None or await self._rewrite(record, unreadable)):
                    waiting.remove(id)
                    yield id
            if waiting:
                await anyio.sleep(PAUSE)
        for id in waiting:
            log.warning("the URI of %s is not encrypted anew: something is being done to the project", id)

    async def _rewrite(self, record: Record, unreadable: list[str]) -> bool:
        """Encrypt the URI of a row; whether nothing is left to do. A row that cannot be read is `unreadable`."""
        ground = self._ground
        if record.uri_key == ground.cipher.active_id:
            return True
        try:
            anew = encrypted_anew(ground.cipher, record)
        except UriUnreadable:
            unreadable.append(record.id)
            return True
        await ground.step("rotate_key.encrypted")
        written = await ground.register.change(record, **anew)
        await ground.step("rotate_key.written")
        return written is not None
