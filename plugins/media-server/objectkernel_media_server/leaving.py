"""An account goes: its recordings go with it, or are handed over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from objectkernel_media_server.collected import CollectingHook
from objectkernel_media_server.contracts import StorageUnavailable
from objectkernel_media_server.entities import MEDIA, USAGE
from objectkernel_media_server.quota import NOTHING, share
from objectkernel_media_server.recordings import Recordings
from objectkernel_media_server.repository import DialectMediaRepository
from objectkernel_media_server.rows import recording

BATCH: Final = 100


class Leaving:
    """Lets accounts go. Each step may be done again after a crash."""

    def __init__(
        self, repo: DialectMediaRepository, recordings: Recordings, hooks: Sequence[CollectingHook] = ()
    ) -> None:
        self._repo = repo
        self._dialect = repo.dialect
        self._recordings = recordings
        self._hooks = hooks

    async def leave(self, account_id: str, successor_id: str | None) -> None:
        """Hand over what is ready, or remove it; remove everything else.

        The successor gets it whatever his limits are.

        Raises:
            StorageUnavailable: a blob could not be removed; the account still has what is left.
        """
        for hook in self._hooks:
            await hook.forget_account(account_id)
        if successor_id is not None:
            while await self._hand_over(account_id, successor_id):
                pass
        while rows := await self._dialect.find(MEDIA, {"account_id": account_id}, sort={"id": 1}, limit=BATCH):
            for row in rows:
                await self._remove(row)
        await self._dialect.delete_many(USAGE, {"account_id": account_id})

    async def _hand_over(self, account_id: str, successor_id: str) -> int:
        """Hand over some recordings; how many."""
        quota = self._repo.quota
        await quota.open(account_id)
        await quota.open(successor_id)
        async with self._dialect.transaction():
            ready = {"account_id": account_id, "status": "ready"}
            rows = await self._dialect.find(MEDIA, ready, sort={"id": 1}, limit=BATCH)
            moved = NOTHING
            for row in rows:
                this = {"id": row["id"], "size_bytes": row["size_bytes"], **ready}
                if await self._dialect.update_many(MEDIA, this, {"account_id": successor_id}):
                    moved += share("ready", row["size_bytes"])
            for account in sorted((account_id, successor_id)):  # the same order for all: nobody waits for ever
                change = moved if account == successor_id else NOTHING - moved
                await quota.move(account, change, unlimited=True)
        return len(rows)

    async def _remove(self, row: dict[str, Any]) -> None:
        account_id, id = row["account_id"], row["id"]
        if row["status"] != "deleted":
            await self._recordings.delete(account_id, id)
        elif row["purge_at"] is not None:
            await self._recordings.purge(recording(row))
        left = await self._dialect.find_one(MEDIA, {"id": id, "account_id": account_id}, select=("id", "purge_at"))
        if left is not None and left["purge_at"] is not None:
            raise StorageUnavailable(
                "an account's recordings cannot be removed",
                why="the store does not remove a blob of theirs",
                fix="see to the store; the deletion goes on by itself",
                store=self._recordings.storage.name,
                reason="",
            )
        await self._repo.delete(account_id, id)
