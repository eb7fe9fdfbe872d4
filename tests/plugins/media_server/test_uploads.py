"""The state machine of uploads, without HTTP: several hosts at one upload, crashes, and garbage collection."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest
from objectkernel_media_server.checksums import Checksum
from objectkernel_media_server.contracts import MediaFilter
from objectkernel_media_server.errors import MediaMissing, StorageUnavailable, UploadConflict, UploadIncomplete
from objectkernel_media_server.filesystem import FilesystemDriver
from objectkernel_media_server.incoming import IncomingBody
from objectkernel_media_server.quota import AccountLimits, Quota
from objectkernel_media_server.repository import DialectMediaRepository
from objectkernel_media_server.service import HostMedia, create_media
from objectkernel_media_server.upload_collecting import UploadCollector
from objectkernel_media_server.upload_entities import UPLOAD, Upload
from objectkernel_media_server.upload_limits import UploadLimits
from objectkernel_media_server.upload_needs import NewUpload
from objectkernel_media_server.uploads import UploadService
from objectkernel_system_dialect.contracts import Dialect

from tests.plugins.media_server.databases import opened, place_of
from tests.plugins.media_server.upload_hosts import BASE, BUCKET, SECRET, webm
from tests.plugins.system_dialect.databases import (  # noqa: F401 - fixtures
    mariadb_database,
    mariadb_url,
    postgres_database,
    postgres_url,
)

pytestmark = pytest.mark.anyio
CONTENT = webm(1000)


@attrs.define
class Studio:
    """Recordings on a database and a folder."""

    dialect: Dialect
    storage: FilesystemDriver
    quota: Quota
    media: HostMedia
    uploads: UploadService
    root: Path

    def host(self, **limits: Any) -> UploadService:
        """Another process on the same database and folder."""
        most = UploadLimits(**limits)
        return UploadService(self.dialect, self.media, self.storage, most, bucket=BUCKET, file_bytes=10**6)

    async def statuses(self) -> list[str]:
        every = MediaFilter(status=("uploading", "ready", "failed", "deleted"))
        return [row.status for row in (await self.media.list_for_account("ada", every)).items]

    async def row(self, upload: Upload) -> dict[str, Any]:
        found = await self.dialect.find_by_id(UPLOAD, upload.id)
        assert found is not None
        return found

    async def reserved(self) -> int:
        return (await self.quota.usage("ada")).reserved_bytes

    def files(self) -> list[str]:
        return [path.name for path in self.root.rglob("*") if path.is_file()]


@pytest.fixture(
    name="studio",
    params=[
        "sqlite",
        pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.asyncio_only]),
        pytest.param("mariadb", marks=[pytest.mark.mariadb, pytest.mark.asyncio_only]),
    ],
)
async def _studio(request: pytest.FixtureRequest, anyio_backend: str, tmp_path: Path) -> AsyncIterator[Studio]:
    kind, root = request.param, tmp_path / "blobs"
    dialect = await opened(kind, place_of(kind, request, tmp_path))
    storage = FilesystemDriver(root, SECRET, BASE, fsync=False)
    try:
        quota = Quota(dialect, AccountLimits())
        media = create_media(storage, DialectMediaRepository(dialect, quota=quota), quota=quota)
        studio = Studio(dialect, storage, quota, media, None, root)  # type: ignore[arg-type]
        studio.uploads = studio.host()
        yield studio
    finally:
        await storage.aclose()
        await dialect.aclose()


class Sender:
    """The body of a request: what it has sent, and then what its end is; without one it stalls."""

    def __init__(self, *chunks: bytes, end: str | None = "whole") -> None:
        self._messages: list[dict[str, Any]] = [
            {"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks
        ]
        if end == "whole":
            self._messages.append({"type": "http.request", "body": b"", "more_body": False})
        elif end == "gone":
            self._messages.append({"type": "http.disconnect"})
        self.read = anyio.Event()

    async def receive(self) -> dict[str, Any]:
        if self._messages:
            return self._messages.pop(0)
        self.read.set()
        await anyio.sleep_forever()
        raise AssertionError("unreachable")

    @property
    def body(self) -> IncomingBody:
        return IncomingBody(self.receive)


async def begin(studio: Studio, length: int | None = len(CONTENT)) -> Upload:
    return await studio.uploads.create("ada", NewUpload(length=length))


async def test_append(studio: Studio) -> None:
    """What comes is appended; with the last byte the recording is ready, and the upload done."""
    upload = await begin(studio)
    part = await studio.uploads.append("ada", upload.id, 0, Sender(CONTENT[:400]).body)
    assert (part.offset, part.state, part.writer) == (400, "open", None)
    whole = await studio.uploads.append("ada", upload.id, 400, Sender(CONTENT[400:]).body)
    assert (whole.offset, whole.state) == (1000, "done")
    row = await studio.uploads.finish("ada", upload.id)
    assert (row.status, row.checksum) == ("ready", hashlib.sha256(CONTENT).hexdigest())


async def test_changes_of_a_row(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request claims the upload, records each slice, and lets go of it with the last."""
    host, changed, real = studio.host(acknowledge_bytes=100), [], studio.uploads.rows.change

    async def change(upload: Upload, expected: Mapping[str, Any], changes: Mapping[str, Any]) -> bool:
        changed.append({name: value for name, value in changes.items() if name in ("offset", "writer")})
        return await real(upload, expected, changes)

    upload = await begin(studio)
    await host.append("ada", upload.id, 0, Sender(CONTENT[:50]).body)
    monkeypatch.setattr(host.rows, "change", change)
    await host.append("ada", upload.id, 50, Sender(CONTENT[50:300]).body)
    claimed, *recorded = changed
    assert recorded == [{"offset": 150}, {"offset": 250}, {"offset": 300, "writer": None}]
    assert list(claimed) == ["writer"]


async def test_cancelled_request(studio: Studio) -> None:
    """A request that is cancelled, as some frameworks do when its sender goes, keeps what had come."""
    upload = await begin(studio)
    sender = Sender(CONTENT[:400], end=None)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(studio.uploads.append, "ada", upload.id, 0, sender.body)
        await sender.read.wait()
        tasks.cancel_scope.cancel()
    row = await studio.row(upload)
    assert (row["offset"], row["writer"]) == (400, None)


async def test_recorded_while_it_comes(studio: Studio) -> None:
    """A request that never ends is recorded after so many bytes, and after so long."""
    host = studio.host(acknowledge_bytes=100, acknowledge_seconds=0.05)
    upload = await begin(studio)
    sender = Sender(CONTENT[:250], CONTENT[250:330], end=None)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(host.append, "ada", upload.id, 0, sender.body)
        with anyio.fail_after(10):
            while (await studio.row(upload))["offset"] < 330:
                await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()


async def test_another_host_takes_over(studio: Studio) -> None:
    """A request to another host goes on behind what is recorded; the first host's bytes are nobody's, and it ends."""
    other = studio.host()
    upload = await begin(studio)
    await studio.uploads.append("ada", upload.id, 0, Sender(CONTENT[:300]).body)
    stalled = Sender(b"x" * 100, end=None)
    failure: list[Exception] = []

    async def stall() -> None:
        try:
            await studio.uploads.append("ada", upload.id, 300, stalled.body)
        except UploadConflict as error:
            failure.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stall)
        await stalled.read.wait()
        whole = await other.append("ada", upload.id, 300, Sender(CONTENT[300:]).body)
        assert whole.state == "done"
        await studio.uploads.look("ada", upload.id)  # has the first host record what it has, which fails
    assert len(failure) == 1
    row = await studio.uploads.finish("ada", upload.id)
    assert row.checksum == hashlib.sha256(CONTENT).hexdigest()


@pytest.mark.parametrize("checksum", [None, "sha1 " + b64encode(hashlib.sha1(b"x" * 100).digest()).decode()])
async def test_late_record(studio: Studio, monkeypatch: pytest.MonkeyPatch, checksum: str | None) -> None:
    """A host that has written, and comes to record it when another one has taken over, changes nothing."""
    other = studio.host()
    upload = await begin(studio)
    await studio.uploads.append("ada", upload.id, 0, Sender(CONTENT[:300]).body)
    append, written, goes_on = studio.storage.append, anyio.Event(), anyio.Event()

    async def late(*args: Any) -> Any:
        found = await append(*args)
        if not written.is_set():
            written.set()
            await goes_on.wait()
        return found

    monkeypatch.setattr(studio.storage, "append", late)
    failure: list[Exception] = []

    async def slow() -> None:
        try:
            said = None if checksum is None else Checksum(checksum)
            await studio.uploads.append("ada", upload.id, 300, Sender(b"x" * 100).body, checksum=said)
        except UploadConflict as error:
            failure.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(slow)
        await written.wait()
        await other.append("ada", upload.id, 300, Sender(CONTENT[300:600]).body)
        before = await studio.row(upload)
        assert before["offset"] == 600
        goes_on.set()
    assert len(failure) == 1
    assert await studio.row(upload) == before
    assert (await other.append("ada", upload.id, 600, Sender(CONTENT[600:]).body)).state == "done"
    row = await other.finish("ada", upload.id)
    assert row.checksum == hashlib.sha256(CONTENT).hexdigest()


def before_its_claim(host: UploadService, step: Callable[[], Awaitable[object]], patch: pytest.MonkeyPatch) -> None:
    """Have something happen when a host has read an upload, and has not claimed it yet."""
    claim, steps = host.rows.claim, [step]

    async def late(upload: Upload, writer: str) -> bool:
        if steps:
            await steps.pop()()
        return await claim(upload, writer)

    patch.setattr(host.rows, "claim", late)


async def test_appended_before_the_claim(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that another host has acknowledged since the offset was read are not written over."""
    other = studio.host()
    upload = await begin(studio)
    await studio.uploads.append("ada", upload.id, 0, Sender(CONTENT[:300]).body)
    before_its_claim(
        other, lambda: studio.uploads.append("ada", upload.id, 300, Sender(CONTENT[300:400]).body), monkeypatch
    )
    with pytest.raises(UploadConflict):
        await other.append("ada", upload.id, 300, Sender(b"x" * 50).body)
    assert (await other.look("ada", upload.id)).offset == 400
    assert (await other.append("ada", upload.id, 400, Sender(CONTENT[400:]).body)).state == "done"
    assert (await other.finish("ada", upload.id)).checksum == hashlib.sha256(CONTENT).hexdigest()


async def test_claimed_before_the_claim(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that another one was ahead of shuts that one out before it writes."""
    other = studio.host()
    upload = await begin(studio)
    await studio.uploads.append("ada", upload.id, 0, Sender(CONTENT[:300]).body)
    old = (await studio.row(upload))["token"]
    stalled = Sender(b"x" * 100, end=None)
    async with anyio.create_task_group() as tasks:

        async def stall() -> None:
            with suppress(UploadConflict):
                await studio.uploads.append("ada", upload.id, 300, stalled.body)

        async def claimed() -> None:
            tasks.start_soon(stall)
            await stalled.read.wait()

        before_its_claim(other, claimed, monkeypatch)
        await other.append("ada", upload.id, 300, Sender(CONTENT[300:400]).body)
        row = await studio.row(upload)
        assert (row["offset"], row["writer"]) == (400, None) and row["token"] != old
        tasks.cancel_scope.cancel()
    assert (await other.append("ada", upload.id, 400, Sender(CONTENT[400:]).body)).state == "done"
    assert (await other.finish("ada", upload.id)).checksum == hashlib.sha256(CONTENT).hexdigest()


async def test_host_that_died(studio: Studio) -> None:
    """The writer of a host that is no more keeps nobody out; what it had written and not recorded is dropped."""
    upload = await begin(studio)
    await studio.uploads.append("ada", upload.id, 0, Sender(CONTENT[:300]).body)
    row = await studio.row(upload)

    async def more() -> AsyncIterator[bytes]:
        yield b"y" * 50

    await studio.storage.append(upload.bucket, upload.key, row["token"], 300, more())
    await studio.dialect.update(UPLOAD, upload.id, {"writer": "dead:1"})
    other = studio.host()
    assert (await other.look("ada", upload.id)).offset == 300
    whole = await other.append("ada", upload.id, 300, Sender(CONTENT[300:]).body)
    assert whole.state == "done"
    row = await studio.row(upload)
    assert row["token"] is not None
    assert len(studio.files()) == 1


async def test_fence_that_failed(studio: Studio) -> None:
    """A host that could not shut out the one before it tries again, before it writes anything."""
    upload = await begin(studio)
    await studio.uploads.append("ada", upload.id, 0, Sender(CONTENT[:300]).body)
    old = (await studio.row(upload))["token"]
    await studio.dialect.update(UPLOAD, upload.id, {"writer": "dead:1"})
    other, away = studio.host(), studio.root.with_name("away")
    studio.root.rename(away)
    studio.root.touch()
    with pytest.raises(StorageUnavailable):
        await other.append("ada", upload.id, 300, Sender(CONTENT[300:]).body)
    studio.root.unlink()
    away.rename(studio.root)
    await other.append("ada", upload.id, 300, Sender(CONTENT[300:400]).body)
    assert (await studio.row(upload))["token"] != old


async def test_strangers_stop_nobody(studio: Studio) -> None:
    """A request for another account's upload, or at another offset, leaves the one that is at it alone."""
    upload = await begin(studio)
    sender = Sender(CONTENT[:400], end=None)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(studio.uploads.append, "ada", upload.id, 0, sender.body)
        await sender.read.wait()
        with pytest.raises(MediaMissing):
            await studio.uploads.append("eve", upload.id, 0, Sender(b"x").body)
        with pytest.raises(UploadConflict):
            await studio.uploads.append("ada", upload.id, 7, Sender(b"x").body)
        for step in (studio.uploads.finish, studio.uploads.terminate, studio.uploads.look):
            with pytest.raises(MediaMissing):
                await step("eve", upload.id)
        assert (await studio.row(upload))["writer"] is not None
        tasks.cancel_scope.cancel()
    assert (await studio.uploads.look("ada", upload.id)).offset == 400


async def test_finished_after_a_crash(studio: Studio) -> None:
    """All bytes were there when the host died: a look at the upload makes the recording ready."""
    upload = await begin(studio)

    async def all_of_it() -> AsyncIterator[bytes]:
        yield CONTENT

    token = await studio.storage.begin(upload.bucket, upload.key)
    token, offset = await studio.storage.append(upload.bucket, upload.key, token, 0, all_of_it())
    changes = {"token": token, "offset": offset, "writer": "dead:1"}
    await studio.dialect.update(UPLOAD, upload.id, changes)
    looked = await studio.host().look("ada", upload.id)
    assert looked.state == "done"
    assert await studio.statuses() == ["ready"]


async def test_stored_before_a_crash(studio: Studio) -> None:
    """The same, when the store had the whole object already."""
    upload = await begin(studio)

    async def all_of_it() -> AsyncIterator[bytes]:
        yield CONTENT

    token = await studio.storage.begin(upload.bucket, upload.key)
    token, offset = await studio.storage.append(upload.bucket, upload.key, token, 0, all_of_it())
    await studio.dialect.update(UPLOAD, upload.id, {"token": token, "offset": offset, "writer": "dead:1"})
    await studio.storage.finish(upload.bucket, upload.key, token, offset)
    assert (await studio.host().look("ada", upload.id)).state == "done"
    assert await studio.statuses() == ["ready"]


async def test_finished_by_several_hosts(studio: Studio) -> None:
    """Whoever looks at an upload that is whole finishes it; together they come to one recording."""
    upload = await begin(studio)

    async def all_of_it() -> AsyncIterator[bytes]:
        yield CONTENT

    token = await studio.storage.begin(upload.bucket, upload.key)
    token, offset = await studio.storage.append(upload.bucket, upload.key, token, 0, all_of_it())
    await studio.dialect.update(UPLOAD, upload.id, {"token": token, "offset": offset})
    states: list[str] = []

    async def look(host: UploadService) -> None:
        states.append((await host.look("ada", upload.id)).state)

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(look, studio.host())
    assert states == ["done"] * 5
    assert await studio.statuses() == ["ready"]


async def test_store_down(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the store is down nothing is acknowledged, and nothing of what was is lost."""
    upload = await begin(studio)
    await studio.uploads.append("ada", upload.id, 0, Sender(CONTENT[:300]).body)
    away = studio.root.with_name("away")
    studio.root.rename(away)
    studio.root.touch()
    with pytest.raises(StorageUnavailable):
        await studio.uploads.append("ada", upload.id, 300, Sender(CONTENT[300:]).body)
    studio.root.unlink()
    away.rename(studio.root)
    assert (await studio.uploads.look("ada", upload.id)).offset == 300
    assert (await studio.uploads.append("ada", upload.id, 300, Sender(CONTENT[300:]).body)).state == "done"


async def test_sender_gone(studio: Studio) -> None:
    """It is told to whoever listens, after what came was recorded."""
    upload = await begin(studio)
    with pytest.raises(UploadIncomplete):
        await studio.uploads.append("ada", upload.id, 0, Sender(CONTENT[:400], end="gone").body)
    assert (await studio.uploads.look("ada", upload.id)).offset == 400


async def test_deleted_meanwhile(studio: Studio) -> None:
    """A recording that is deleted while it comes ends its upload; nothing is left of either."""
    upload = await begin(studio)
    await studio.uploads.append("ada", upload.id, 0, Sender(CONTENT[:400]).body)
    assert upload.media_id is not None
    await studio.media.delete_media("ada", upload.media_id)
    with pytest.raises(MediaMissing):
        await studio.uploads.append("ada", upload.id, 400, Sender(CONTENT[400:]).body)
    assert await studio.dialect.count(UPLOAD) == 0
    assert studio.files() == []
    assert await studio.reserved() == 0


async def test_expired(studio: Studio) -> None:
    """An upload that got no bytes for too long is as one that is not there; all that came of it is collected."""
    upload, fresh = await begin(studio), await begin(studio)
    await studio.uploads.append("ada", upload.id, 0, Sender(CONTENT[:400]).body)
    late = datetime.now(UTC) - timedelta(seconds=1)
    await studio.dialect.update(UPLOAD, upload.id, {"expires_at": late})
    with pytest.raises(MediaMissing):
        await studio.uploads.look("ada", upload.id)
    collector = UploadCollector(studio.uploads)
    now = datetime.now(UTC)
    told = await collector.collect(now=now, dry_run=True)
    assert [(one.kind, one.key, one.size) for one in told] == [("upload", upload.key, 400)]
    assert await collector.collect(now=now, dry_run=False) == told
    assert await collector.collect(now=now, dry_run=False) == []
    assert sorted(await studio.statuses()) == ["failed", "uploading"]
    assert await collector.needed(BUCKET, [upload.key, fresh.key, "other"]) == {fresh.key}
    assert studio.files() == []
    assert await studio.reserved() == 1000


async def test_bytes_before_it_is_given_up(studio: Studio) -> None:
    """An upload that was found to have expired, and got bytes then, stays."""
    found = await begin(studio)
    await studio.uploads.append("ada", found.id, 0, Sender(CONTENT[:400]).body)
    with pytest.raises(MediaMissing):
        await studio.uploads.expire(found)
    assert (await studio.uploads.look("ada", found.id)).offset == 400
    assert await studio.statuses() == ["uploading"]


async def test_expiry_of_what_is_done(studio: Studio) -> None:
    """The upload is forgotten, and the recording stays."""
    upload = await begin(studio)
    await studio.uploads.append("ada", upload.id, 0, Sender(CONTENT).body)
    collector = UploadCollector(studio.uploads)
    await collector.collect(now=datetime.now(UTC) + timedelta(days=2), dry_run=False)
    assert await studio.dialect.count(UPLOAD) == 0
    assert await studio.statuses() == ["ready"]
    assert len(studio.files()) == 1


async def test_parts_that_wait(studio: Studio) -> None:
    """A part that is done is an object that no recording has: it is needed until somebody puts it into one."""
    part = await studio.uploads.create("ada", NewUpload(length=1000, kind="partial"))
    part = await studio.uploads.append("ada", part.id, 0, Sender(CONTENT).body)
    assert part.state == "done"
    collector = UploadCollector(studio.uploads)
    assert await collector.needed(BUCKET, [part.key, "partial/other"]) == {part.key}
    final = await studio.uploads.create("ada", NewUpload(kind="final", parts=(part.id,)))
    assert final.state == "done"
    assert await collector.needed(BUCKET, [part.key]) == set()


async def test_account_goes(studio: Studio) -> None:
    """All of its uploads go, parts too, and nobody else's."""
    for kind in ("whole", "partial"):
        upload = await studio.uploads.create("ada", NewUpload(length=1000, kind=kind))  # type: ignore[arg-type]
        await studio.uploads.append("ada", upload.id, 0, Sender(CONTENT[:500]).body)
    done = await studio.uploads.create("ada", NewUpload(length=1000, kind="partial"))
    await studio.uploads.append("ada", done.id, 0, Sender(CONTENT).body)
    other = await studio.uploads.create("eve", NewUpload(length=10))
    collector = UploadCollector(studio.uploads)
    assert await collector.reserved(["ada", "eve"]) == {"ada": 2000, "eve": 0}
    await collector.forget_account("ada")
    assert [row["id"] for row in await studio.dialect.find(UPLOAD)] == [other.id]
    assert studio.files() == []
    assert await studio.reserved() == 0


async def test_many_at_once(studio: Studio) -> None:
    """Ten requests at one offset: one of them, or none, is acknowledged, and the upload is never longer than that."""
    upload = await begin(studio)
    told: list[str] = []

    async def send(number: int) -> None:
        try:
            await studio.uploads.append("ada", upload.id, 0, Sender(CONTENT[:100]).body)
            told.append("kept")
        except UploadConflict:
            told.append("refused")

    async with anyio.create_task_group() as tasks:
        for number in range(10):
            tasks.start_soon(send, number)
    assert told.count("kept") <= 1
    offset = (await studio.uploads.look("ada", upload.id)).offset
    assert offset == 100 * told.count("kept") or offset in (0, 100)
    rest: Sequence[bytes] = (CONTENT[offset:],)
    assert (await studio.uploads.append("ada", upload.id, offset, Sender(*rest).body)).state == "done"
