"""Hosts that are killed between a row and its blob, and then garbage collection."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from objectkernel_media_server.collecting import GarbageCollector
from objectkernel_media_server.entities import MEDIA, OUTBOX
from objectkernel_media_server.filesystem import FilesystemDriver
from objectkernel_media_server.quota import NOTHING
from objectkernel_media_server.verifying import verify

from tests.plugins.media_server import killed_recorder
from tests.plugins.media_server.databases import furnish, opened

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

KILLS = 4
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Of the test; what is killed has always the same."""
    return "asyncio"


def killed(folder: Path, after: float) -> list[list[str]]:
    """What a recorder has said before it was killed, `after` seconds from its first promise on."""
    command = [sys.executable, "-m", killed_recorder.__name__, str(folder)]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(after)
        process.kill()
        rest = process.stdout.read()
    said = [line.split() for line in (first + rest).splitlines(keepends=True) if line.endswith("\n")]
    assert said, "it has promised nothing"
    return said


async def test_killed(tmp_path: Path) -> None:
    """After each kill: what was stored is there and whole, what was deleted is not; of the rest nothing is left."""
    chance = random.Random()
    print("seed", seed := chance.randrange(2**32))
    chance.seed(seed)
    stored: dict[str, str] = {}
    deleting: set[str] = set()
    deleted: set[str] = set()
    for _ in range(KILLS):
        for what, id, *checksum in killed(tmp_path, chance.uniform(0.0, 0.4)):
            if what == "stored":
                stored[id] = checksum[0]
            (deleting if what == "deleting" else deleted if what == "deleted" else set()).add(id)
    dialect = await opened("sqlite", str(tmp_path / "system.db"))
    store = FilesystemDriver(tmp_path / "media", killed_recorder.SECRET, "https://media.example")
    house = furnish(dialect, store)
    later = datetime.now(UTC) + timedelta(hours=2)
    collector = GarbageCollector(house.parts.repo, house.media.recordings, grace=0, clock=lambda: later)
    would = await collector.collect(dry_run=True)
    did = await collector.collect()
    assert (would.counts, did.trouble) == (did.counts, [])
    assert (await collector.collect()).total == 0
    rows = {row["id"]: row for row in await dialect.find(MEDIA)}
    ready = {id: row for id, row in rows.items() if row["status"] == "ready"}
    for id, checksum in stored.items():
        if id not in deleting:
            assert ready[id]["checksum"] == checksum
    assert not deleted & ready.keys()
    assert {row["status"] for row in rows.values()} <= {"ready", "failed", "deleted"}
    found = [one async for one in verify(house.parts.repo, store)]
    assert len(found) == len(ready) and {one.finding for one in found} == {"good"}
    blobs = {one.key async for one in store.list("media-recordings")}
    assert blobs == {row["key"] for row in ready.values()}
    assert [one async for one in store.unfinished("media-recordings")] == []
    assert await house.media.quota.recount("acc", mend=False) == NOTHING
    assert {event["media_id"] for event in await dialect.find(OUTBOX)} >= ready.keys()
    await store.aclose()
    await dialect.aclose()
