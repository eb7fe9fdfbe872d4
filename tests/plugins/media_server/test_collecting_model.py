"""Garbage collection at any moment, beside hosts that store, delete and die at any moment: nothing that is needed is
removed, and in the end nothing is left that is not.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from objectkernel_media_server.collecting import GarbageCollector
from objectkernel_media_server.contracts import MediaError
from objectkernel_media_server.entities import LIVE, MEDIA, OUTBOX
from objectkernel_media_server.links import Links
from objectkernel_media_server.quota import NOTHING
from objectkernel_media_server.recordings import Recordings
from objectkernel_media_server.repository import DialectMediaRepository, Keeping
from objectkernel_media_server.service import HostMedia, create_media
from objectkernel_media_server.testing import MemoryDriver

from tests.plugins.media_server.databases import BASE, opened, webm
from tests.plugins.media_server.interleaving import Host, Stage

STEPS = st.one_of(st.none(), st.integers(1, 25))
LIVES = [
    [],
    ["MediaFailed"],
    ["MediaFailed", "MediaDeleted"],
    ["MediaDeleted"],
    ["MediaUploaded", "MediaReady"],
    ["MediaUploaded", "MediaReady", "MediaDeleted"],
]


class World:
    """One database, one store, and what hosts were told.

    Attributes:
        kept: by id of what was acknowledged and is not being deleted, its content.
        deleted: ids whose deletion was acknowledged.
        robbed: keys of blobs that were removed while a row needed them.
    """

    def __init__(self, dialect: Any) -> None:
        self.dialect = dialect
        self.store = MemoryDriver(BASE)
        self.repo = DialectMediaRepository(dialect, keeping=Keeping(coming=0, ended=10**6))
        self.kept: dict[str, bytes] = {}
        self.deleted: set[str] = set()
        self.robbed: list[str] = []
        remove = self.store.delete

        async def delete(bucket: str, key: str) -> bool:
            needed = {"bucket": bucket, "key": key, "status": {"$in": list(LIVE)}}
            self.robbed += [key] if await dialect.exists(MEDIA, needed) else []
            return await remove(bucket, key)

        self.store.delete = delete  # type: ignore[method-assign]

    def recordings(self, host: Host | None) -> Recordings:
        """The recordings as one host sees them; None: one that nobody disturbs."""
        repo = self.repo if host is None else host.through(self.repo)
        store = self.store if host is None else host.through(self.store)
        return create_media(store, repo).recordings

    async def store_and_delete(self, host: Host, number: int, then_delete: bool) -> None:
        content = webm(5000 + number)

        async def body() -> AsyncIterator[bytes]:
            yield content[:4500]
            await host.step()
            yield content[4500:]

        recordings = self.recordings(host)
        media = HostMedia(recordings, Links(self.store, 60.0), self.repo.quota)
        try:
            id = (await media.create_recording("acc", body())).row.id
        except MediaError:
            return  # collected while it came, which it is told
        self.kept[id] = content
        if then_delete:
            del self.kept[id]
            assert await media.delete_media("acc", id)
            self.deleted.add(id)

    async def collect(self, host: Host, times: int) -> None:
        collector = GarbageCollector(self.repo, self.recordings(host), grace=0)
        collector._dialect = host.through(self.dialect)
        for _ in range(times):
            assert (await collector.collect()).trouble == []

    async def check(self) -> None:
        """What has to be when all is over and garbage was collected once more."""
        collector = GarbageCollector(self.repo, self.recordings(None), grace=0)
        assert (await collector.collect()).trouble == []
        assert (await collector.collect(dry_run=True)).total == 0
        assert self.robbed == []
        rows = {row["id"]: row for row in await self.dialect.find(MEDIA)}
        ready = {id: row for id, row in rows.items() if row["status"] == "ready"}
        blobs = {key: content for (_, key), (_, content) in self.store._objects.items()}
        assert blobs.keys() == {row["key"] for row in ready.values()}
        assert {row["status"] for row in rows.values()} <= {"ready", "failed", "deleted"}
        assert {id: bytes(blobs[ready[id]["key"]]) for id in self.kept} == self.kept
        assert all(rows[id]["status"] == "deleted" for id in self.deleted)
        assert await self.repo.quota.recount("acc", mend=False) == NOTHING
        told: dict[str, list[str]] = {id: [] for id in rows}
        for event in await self.dialect.find(OUTBOX, sort={"number": 1}):
            told[event["media_id"]].append(event["type"])
        assert all(types in LIVES for types in told.values()), told
        ends = Counter(types[-1] for types in told.values() if types)
        last = {"ready": "MediaReady", "failed": "MediaFailed", "deleted": "MediaDeleted"}
        statuses = Counter(last[row["status"]] for row in rows.values())
        assert ends == statuses


async def scenario(data: st.DataObject) -> None:
    dialect = await opened("sqlite", ":memory:")
    try:
        world = World(dialect)
        stage = Stage(random.Random(data.draw(st.integers(0, 2**32), "order")).randrange)
        parts: list[Any] = []
        for number in range(data.draw(st.integers(1, 3), "recordings")):
            host = Host(stage, data.draw(STEPS, "dies at"))
            then_delete = data.draw(st.booleans(), "then deleted")
            parts.append(lambda h=host, n=number, d=then_delete: world.store_and_delete(h, n, d))
        for _ in range(data.draw(st.integers(1, 2), "collections")):
            host = Host(stage, data.draw(STEPS, "dies at"))
            parts.append(lambda h=host: world.collect(h, 2))
        await stage.play(parts)
        await world.check()
    finally:
        await dialect.aclose()


@settings(max_examples=6)
@given(st.data())
def test_interleaved(data: st.DataObject) -> None:
    """Hosts that store and delete, and collections, in any order of their steps, each of which may be the last."""
    anyio.run(scenario, data)


@pytest.mark.slow
@settings(max_examples=40)
@given(st.data())
def test_interleaved_for_longer(data: st.DataObject) -> None:
    """The same, many times."""
    anyio.run(scenario, data)
