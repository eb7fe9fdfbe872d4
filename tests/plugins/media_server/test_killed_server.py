"""Twenty uploads at once into a host that is killed again and again: what it has acknowledged is there.

Senders go on where the host says that they were. At the end garbage is collected, with its clock set on: first what a
host leaves that was killed, which must touch nothing that somebody still sends; a day later what was abandoned.
"""

from __future__ import annotations

import hashlib
import os
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import attrs
import httpx
import pytest
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream
from objectkernel_media_server.collected import Report
from objectkernel_media_server.collecting import GarbageCollector
from objectkernel_media_server.entities import MEDIA
from objectkernel_media_server.filesystem import FilesystemDriver
from objectkernel_media_server.upload_collecting import UploadCollector
from objectkernel_media_server.upload_entities import UPLOAD
from objectkernel_media_server.verifying import verify

from tests.plugins.media_server import killed_host
from tests.plugins.media_server.databases import furnish, opened, place_of
from tests.plugins.media_server.tus_requests import BYTES, ENDPOINT
from tests.plugins.media_server.upload_hosts import BASE, BUCKET, SECRET, webm
from tests.plugins.system_dialect.databases import postgres_database, postgres_url

__all__ = ["postgres_database", "postgres_url"]  # fixtures

pytestmark = pytest.mark.anyio

SENDERS = 20
LARGEST = 600_000
PATIENCE = 60.0
"""Seconds that anything may take on a busy machine."""
ROOT = Path(__file__).parents[3]
ACCOUNT = "ada"
PARTED = (httpx.TransportError, anyio.EndOfStream)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Of the test and of PostgreSQL; what is killed has always the same."""
    return "asyncio"


# --- the host ---------------------------------------------------------------------------------------------


class Host:
    """What is killed, and where it answers at the moment."""

    def __init__(self, process: Process) -> None:
        assert process.stdin is not None and process.stdout is not None
        self._input = process.stdin
        self._output = BufferedByteReceiveStream(process.stdout)
        self._pid = 0
        self._started = anyio.Event()
        self.url = ""
        self.kills = 0

    async def line(self) -> list[str]:
        """The next words of the process."""
        with anyio.fail_after(PATIENCE):
            return (await self._output.receive_until(b"\n", 65536)).decode().split()

    async def start(self) -> None:
        """Have it serve."""
        await self._input.send(b"go\n")
        told = await self.line()
        assert told[0] == "serving", told
        self._pid, self.url = int(told[1]), told[2]
        self._started.set()

    async def kill(self) -> None:
        """End it without a word."""
        self._started = anyio.Event()
        os.kill(self._pid, 9)
        assert await self.line() == ["gone"]
        self.kills += 1

    async def answering(self) -> str:
        """Wait until it serves; its address."""
        with anyio.fail_after(PATIENCE):
            await self._started.wait()
        return self.url


@asynccontextmanager
async def a_host(root: Path, kind: str, place: str) -> AsyncIterator[Host]:
    """A process that serves for each `Host.start` until `Host.kill`."""
    command = [sys.executable, "-m", killed_host.__name__, str(root), kind, place]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    async with await anyio.open_process(command, cwd=ROOT, env=environ, stderr=None) as process:
        host = Host(process)
        try:
            assert await host.line() == ["ready"]
            await host.start()
            yield host
            await host.kill()
        finally:
            if host._pid and process.returncode is None:
                with suppress(ProcessLookupError):
                    os.kill(host._pid, 9)
            process.kill()


# --- who sends --------------------------------------------------------------------------------------------


@attrs.define(eq=False)
class Sent:
    """One recording, and what its sender was told of it.

    Attributes:
        path: of its upload; "" before there is one.
        acknowledged: bytes that the host said it has.
        id: of the recording, once all of it is there.
    """

    content: bytes
    deferred: bool
    path: str = ""
    acknowledged: int = 0
    id: str = ""

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@attrs.define(eq=False)
class Senders:
    """All of them together, and what is to be found in the end."""

    host: Host
    chance: random.Random
    stopped: bool = False
    ready: dict[str, Sent] = attrs.field(factory=dict)
    deleted: set[str] = attrs.field(factory=set)
    doubtful: set[str] = attrs.field(factory=set)
    paused: list[Sent] = attrs.field(factory=list)
    abandoned: list[Sent] = attrs.field(factory=list)
    resumed: int = 0

    async def run(self) -> None:
        """Send one recording after another until it is said to stop; then finish the one that is on its way."""
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {ACCOUNT}:"}, timeout=PATIENCE) as client:
            while not self.stopped:
                size = int(self.chance.triangular(50, LARGEST, 50_000))
                content = webm(size, self.chance.randrange(2**32))
                what = self.chance.random()
                if what < 0.25:
                    await self.whole(client, content)
                else:
                    sent = Sent(content, deferred=what < 0.5)
                    leave = self.chance.random() if what > 0.9 else None
                    await self.resumable(client, sent, leave)
                    if leave is not None and not sent.id:
                        self.abandoned.append(sent)
                if self.ready and self.chance.random() < 0.15:
                    await self.delete(client)

    async def whole(self, client: httpx.AsyncClient, content: bytes) -> None:
        """One request; one that has no answer may have come or not."""
        url = await self.host.answering()
        headers = {"Content-Type": "video/webm"}
        try:
            answer = await client.post(f"{url}/api/media/recordings", content=self.pieces(content), headers=headers)
        except PARTED:
            return
        assert answer.status_code == 201, answer.text
        id = answer.json()["row"]["id"]
        self.ready[id] = Sent(content, False, acknowledged=len(content), id=id)

    async def resumable(self, client: httpx.AsyncClient, sent: Sent, leave: float | None = None) -> None:
        """tus, for as long as it takes; with `leave` only so much of it."""
        most = len(sent.content) if leave is None else int(len(sent.content) * leave)
        while not sent.id:
            url = await self.host.answering()
            try:
                if not sent.path:
                    await self.begin(client, url, sent)
                else:
                    await self.look(client, url, sent)
                    while not sent.id and sent.acknowledged < most:
                        await self.append(client, url, sent, most)
                    if leave is not None:
                        return
                    if sent.deferred and not sent.id:
                        await self.finish(client, url, sent)
            except PARTED:
                self.resumed += 1
        self.ready[sent.id] = sent

    async def begin(self, client: httpx.AsyncClient, url: str, sent: Sent) -> None:
        length = {"Upload-Defer-Length": "1"} if sent.deferred else {"Upload-Length": str(len(sent.content))}
        answer = await client.post(f"{url}{ENDPOINT}", headers={**TUS, **length})
        assert answer.status_code == 201, answer.text
        sent.path = f"{ENDPOINT}{answer.headers['location']}"

    async def look(self, client: httpx.AsyncClient, url: str, sent: Sent) -> None:
        """How far it is: never less than was said before, and never more than was sent."""
        answer = await client.head(f"{url}{sent.path}", headers=TUS)
        assert answer.status_code == 200, (answer.status_code, sent.acknowledged)
        offset = int(answer.headers["upload-offset"])
        assert sent.acknowledged <= offset <= len(sent.content)
        sent.acknowledged = offset
        self.over(sent, answer)

    async def append(self, client: httpx.AsyncClient, url: str, sent: Sent, most: int) -> None:
        offset = sent.acknowledged
        piece = sent.content[offset : min(offset + self.chance.randint(1, 300_000), most)]
        headers = {**TUS, "Upload-Offset": str(offset), "Content-Type": BYTES}
        answer = await client.patch(f"{url}{sent.path}", content=self.pieces(piece), headers=headers)
        if answer.status_code == 409:  # a request that was cut off may have come after all
            await self.look(client, url, sent)
            return
        assert answer.status_code == 204, (answer.status_code, answer.text)
        sent.acknowledged = int(answer.headers["upload-offset"])
        assert sent.acknowledged == offset + len(piece)
        self.over(sent, answer)

    async def finish(self, client: httpx.AsyncClient, url: str, sent: Sent) -> None:
        answer = await client.post(f"{url}{sent.path}/finish")
        assert answer.status_code == 200, answer.text
        sent.id = answer.json()["row"]["id"]

    def over(self, sent: Sent, answer: httpx.Response) -> None:
        """See whether the host has all of it, and says so."""
        whole = sent.acknowledged == len(sent.content)
        if whole and (not sent.deferred or "upload-expires" not in answer.headers):
            sent.id = answer.headers["recording-id"]

    async def delete(self, client: httpx.AsyncClient) -> None:
        id = self.chance.choice(list(self.ready))
        del self.ready[id]
        self.doubtful.add(id)
        try:
            answer = await client.delete(f"{await self.host.answering()}/api/media/{id}")
        except PARTED:
            return
        assert answer.status_code == 204, answer.text
        self.deleted.add(id)

    async def pieces(self, content: bytes) -> AsyncIterator[bytes]:
        """A body that takes its time, so that it is met in the middle."""
        for start in range(0, len(content), 65_000):
            yield content[start : start + 65_000]
            await anyio.sleep(self.chance.uniform(0.0, 0.01))


TUS = {"Tus-Resumable": "1.0.0"}


# --- what is found in the end -----------------------------------------------------------------------------


@attrs.frozen
class Ground:
    """The store and the database of a host that is gone."""

    root: Path
    kind: str
    place: str

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Any]:
        """Recordings without a host."""
        dialect = await opened(self.kind, self.place)
        store = FilesystemDriver(self.root, SECRET, BASE)
        yield furnish(dialect, store)
        await store.aclose()
        await dialect.aclose()

    async def collect(self, house: Any, hours: float) -> Report:
        """Garbage as it is so much later; what it says that it would do, it does."""
        later = datetime.now(UTC) + timedelta(hours=hours)
        hooks = [UploadCollector(house.parts.uploads)]
        recordings = house.media.recordings
        collector = GarbageCollector(house.parts.repo, recordings, hooks, grace=0, clock=lambda: later)
        would, did = await collector.collect(dry_run=True), await collector.collect()
        assert did.trouble == []
        assert {kind: count for kind, count in did.counts.items() if count < would.counts[kind]} == {}
        assert (await collector.collect()).total == 0
        return did

    def files(self) -> set[str]:
        """All that lies in the store."""
        return {path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file()}


async def check_whole(house: Any, senders: Senders) -> set[str]:
    """Every recording that was finished is there, what was deleted is not; the files of what is there."""
    ready = {row["id"]: row for row in await house.dialect.find(MEDIA, {"status": "ready"}, limit=10**6)}
    for id, sent in senders.ready.items():
        assert (ready[id]["checksum"], ready[id]["size_bytes"]) == (sent.sha256, len(sent.content)), id
    assert not senders.deleted & ready.keys()
    found = [one async for one in verify(house.parts.repo, house.storage)]
    assert len(found) == len(ready) and {one.finding for one in found} <= {"good"}
    return {f"{row['bucket']}/{row['key']}" for row in ready.values()}


async def story(ground: Ground, kills: int, seconds: float) -> None:
    chance = random.Random()
    print("seed", seed := chance.randrange(2**32))
    chance.seed(seed)
    async with a_host(ground.root, ground.kind, ground.place) as host:
        senders = Senders(host, chance)
        async with anyio.create_task_group() as tasks:
            for _ in range(SENDERS):
                tasks.start_soon(senders.run)
            for _ in range(kills):
                await anyio.sleep(chance.uniform(0.0, seconds))
                await host.kill()
                await host.start()
            senders.stopped = True
        half = [Sent(webm(200_000, number), deferred=bool(number % 2)) for number in range(4)]
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {ACCOUNT}:"}, timeout=PATIENCE) as client:
            for sent in half:
                await senders.resumable(client, sent, 0.5)
        await host.kill()

        async with ground.opened() as house:
            collected = await ground.collect(house, 2)
            files = await check_whole(house, senders)
            print("collected", collected.counts, "ready", len(senders.ready), "resumed", senders.resumed)
            uploads = {one["key"] for one in await house.dialect.find(UPLOAD, limit=10**6)}
            unfinished = [key async for key, _, _ in house.storage.unfinished(BUCKET)]
            assert set(unfinished) <= uploads
            assert len(ground.files() - files) == len(unfinished) >= len(half)

        await host.start()
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {ACCOUNT}:"}, timeout=PATIENCE) as client:
            for sent in half:
                await senders.resumable(client, sent)
            for sent in senders.abandoned:
                if sent.path:
                    await senders.look(client, host.url, sent)
    assert host.kills == kills + 2
    async with ground.opened() as house:
        await ground.collect(house, 30)
        files = await check_whole(house, senders)
        assert await house.dialect.count(UPLOAD) == 0
        assert ground.files() == files
        assert [one async for one in house.storage.unfinished(BUCKET)] == []
    assert senders.ready and senders.resumed > kills  # it has met somebody in the middle


@pytest.mark.slow
async def test_killed_twice(tmp_path: Path) -> None:
    """Acknowledged bytes are there after each kill, finished files whole; garbage collection takes the rest alone."""
    await story(Ground(tmp_path / "media", "sqlite", str(tmp_path / "system.db")), 2, 0.5)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("kind", "kills"), [("sqlite", 50), pytest.param("postgres", 20, marks=pytest.mark.postgres)])
async def test_killed(kind: str, kills: int, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """So it is after fifty kills, wherever each of them met the host; after fewer where it takes longer to start."""
    await story(Ground(tmp_path / "media", kind, place_of(kind, request, tmp_path)), kills, 1.0)
