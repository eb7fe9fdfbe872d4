"""Recordings as a caller of the service sees them."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import attrs
import pytest
from objectkernel_media_server import recordings
from objectkernel_media_server.contracts import (
    ChecksumMismatch,
    InvalidMedia,
    MediaFilter,
    MediaMissing,
    MediaTooLarge,
    MediaTypeRefused,
    SigningKeyMissing,
    StorageFull,
    StoredObject,
    UploadIncomplete,
)
from objectkernel_media_server.entities import MEDIA, OUTBOX
from objectkernel_media_server.service import create_media
from objectkernel_media_server.testing import MemoryDriver, MemoryMediaRepository

from tests.contrib.accounts.hosts import Recorder
from tests.plugins.media_server.databases import BASE, House, furnish, housed, opened, webm

pytestmark = pytest.mark.anyio

FOREIGN = "other"
ANY = ("uploading", "processing", "ready", "failed", "deleted")


@pytest.fixture
async def house(anyio_backend: str) -> AsyncIterator[House]:
    async with housed(max_file_bytes=10_000) as house:
        yield house


async def pieces(*given: bytes, error: Exception | None = None) -> AsyncIterator[bytes]:
    for piece in given:
        yield piece
    if error is not None:
        raise error


def blobs(house: House) -> list[str]:
    """The keys in the store."""
    return [key for _, key in house.storage._objects]


async def made(house: House, account: str = "acc", **options: Any) -> Any:
    return (await house.media.create_recording(account, webm(), **options)).row


# --- whole recordings ---------------------------------------------------------------------------------


async def test_created(house: House) -> None:
    """The row tells what came, not what was said; the link is new and works for an hour."""
    body = webm(500)
    before = datetime.now(UTC).replace(microsecond=0)
    created = await house.media.create_recording(
        "acc",
        pieces(body[:3], b"", body[3:]),
        mime_type="audio/webm;codecs=opus",
        duration_ms=5000,
        session_id="s",
        take_index=2,
        owner_email="ada@example.org",
        metadata={"a": 1},
        sha256=hashlib.sha256(body).hexdigest().upper(),
    )
    row = created.row
    assert row == attrs.evolve(
        row,
        account_id="acc",
        status="ready",
        size_bytes=500,
        checksum=hashlib.sha256(body).hexdigest(),
        mime_type="audio/webm",
        kind="audio",
        duration_ms=5000,
        session_id="s",
        take_index=2,
        owner_email="ada@example.org",
        metadata={"a": 1},
        bucket="media-recordings",
    )
    assert row.id[14] == "7" and row.key == row.key.lower() and row.key.endswith(".weba")
    assert "acc" not in row.key
    assert created.signed_url.startswith(f"{BASE}/api/media/blobs/media-recordings/{row.key}?")
    hour = timedelta(hours=1)
    assert before + hour <= created.signed_url_expires_at <= datetime.now(UTC) + hour
    assert (
        await house.media.get_media("acc", row.id)
        == attrs.evolve(created, signed_url=(await house.media.get_media("acc", row.id)).signed_url)
        or (await house.media.get_media("acc", row.id)).row == row
    )
    async with house.media.open_content("acc", row.id) as content:
        assert b"".join([piece async for piece in content]) == body
    async with house.media.open_content("acc", row.id, 2, 3) as content:
        assert b"".join([piece async for piece in content]) == body[2:5]


async def test_foreign_is_missing(house: House) -> None:
    """What another account has is what nobody has, in every call; nothing of it changes."""
    row, media = await made(house, session_id="s"), house.media
    told: set[str] = set()
    for id in (row.id, "01a1ff28-7dca-79a7-8fb9-7588dac5e444", "", "x"):
        assert await media.get_media(FOREIGN, id) is None
        assert await media.reissue_signed_url(FOREIGN, id) is None
        assert await media.find(FOREIGN, id) is None
        assert await media.delete_media(FOREIGN, id) is False
        for call in (
            media.open_content(FOREIGN, id).__aenter__(),
            media.grow_recording(FOREIGN, id, 5),
            media.finish_recording(FOREIGN, id, stored_of(row)),
        ):
            with pytest.raises(MediaMissing) as caught:
                await call
            told.add(str(caught.value))
        await media.fail_recording(FOREIGN, id, "x")
    assert len(told) == 1
    for filter in (None, MediaFilter(status=ANY), MediaFilter(session_id="s")):
        assert (await media.list_for_account(FOREIGN, filter)).items == ()
    assert (await media.get_media("acc", row.id)).row == row
    assert blobs(house) == [row.key]


def stored_of(row: Any, **changes: Any) -> StoredObject:
    return StoredObject(
        bucket=row.bucket, key=row.key, **{"size": row.size_bytes, "modified_at": datetime.now(UTC), **changes}
    )


async def test_not_ready_is_not_there(house: House) -> None:
    """A recording that is coming, failed or was deleted is listed by its status alone."""
    coming = await house.media.begin_recording("acc", mime_type="video/webm", size=50)
    failed = await house.media.begin_recording("acc")
    await house.media.fail_recording("acc", failed.id, "no reason")
    gone = await made(house)
    await house.media.delete_media("acc", gone.id)
    for row in (coming, failed, gone):
        assert await house.media.get_media("acc", row.id) is None
        assert await house.media.reissue_signed_url("acc", row.id) is None
        with pytest.raises(MediaMissing):
            await house.media.open_content("acc", row.id).__aenter__()
        assert await house.media.content_of_blob(row.bucket, row.key) is None
    assert (await house.media.list_for_account("acc")).items == ()
    listed = await house.media.list_for_account("acc", MediaFilter(status=("uploading", "deleted")))
    assert {row.id for row in listed.items} == {coming.id, gone.id}


async def test_link_for_a_while(house: House) -> None:
    """Another link works as long as it was asked for, and leaves the row as it is."""
    row = await made(house)
    linked = await house.media.reissue_signed_url("acc", row.id, 60)
    assert linked.row == row
    left = linked.signed_url_expires_at - datetime.now(UTC)
    assert timedelta(seconds=50) < left <= timedelta(seconds=60)
    for ttl in (0, -1, 0.5, 8 * 24 * 3600, float("nan"), float("inf")):
        with pytest.raises(InvalidMedia):
            await house.media.reissue_signed_url("acc", row.id, ttl)


async def test_takes_of_a_session(house: House) -> None:
    """A session's recordings come in the order of their takes, whenever they came."""
    rows = {take: await made(house, session_id="s", take_index=take) for take in (2, 0, 1)}
    listed = await house.media.list_for_account("acc", MediaFilter(session_id="s"))
    assert listed.items == (rows[0], rows[1], rows[2])


async def test_bad_filter_of_any_repository() -> None:
    """A filter is checked before a repository has it, whoever has written that."""

    class Careless(MemoryMediaRepository):
        async def list(self, account_id: str, filter: Any = None) -> Any:
            pytest.fail("it was asked")

    media = create_media(MemoryDriver(BASE), Careless())
    with pytest.raises(InvalidMedia):
        await media.list_for_account("acc", MediaFilter(limit=1000))


# --- what is refused, or breaks off -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "options", "error"),
    [
        (b"<html>", {"mime_type": "video/webm"}, MediaTypeRefused),
        (b"", {}, MediaTypeRefused),
        (webm(), {"session_id": ""}, InvalidMedia),
        (webm(), {"size": 10_001}, MediaTooLarge),
        (webm(10_001), {}, MediaTooLarge),
    ],
)
async def test_refused_at_once(house: House, body: bytes, options: Any, error: type[Exception]) -> None:
    """What is known to be wrong before anything is stored leaves neither row nor blob nor reservation."""
    with pytest.raises(error):
        await house.media.create_recording("acc", body, **options)
    assert await house.statuses() == [] and blobs(house) == []


async def broken(house: House, body: Any, **options: Any) -> BaseException:
    """The error of a recording that does not come; its row says so, and nothing else is left."""
    with pytest.raises(Exception) as caught:
        await house.media.create_recording("acc", body, **options)
    assert await house.statuses() == ["failed"]
    assert blobs(house) == []
    usage = await house.media.quota.usage("acc")
    assert not usage
    (event,) = await house.dialect.find(OUTBOX)
    assert event["type"] == "MediaFailed"
    return caught.value


async def test_other_content(house: House) -> None:
    """What is not what its sender has hashed fails, and its blob is gone."""
    assert isinstance(await broken(house, webm(), sha256="0" * 64), ChecksumMismatch)


async def test_sender_breaks_off(house: House) -> None:
    """An error of the body is the caller's."""
    error = ConnectionResetError()
    assert await broken(house, pieces(webm(5000), error=error)) is error
    (event,) = await house.dialect.find(OUTBOX)
    assert event["reason"] == "it broke off: ConnectionResetError"


async def test_too_few_and_too_many(house: House) -> None:
    """As many bytes as were said, or it is incomplete."""
    assert isinstance(await broken(house, pieces(webm()), size=101), UploadIncomplete)


async def test_grows_too_large(house: House) -> None:
    """A recording whose size nobody has said fails when it is too large."""
    assert isinstance(await broken(house, pieces(webm(), *[bytes(1000)] * 10)), MediaTooLarge)


async def test_store_full() -> None:
    """A store without room is a clear error, and the next recording is stored when there is some."""
    async with housed(MemoryDriver(BASE, room=50)) as house:
        assert isinstance(await broken(house, webm()), StorageFull)
        assert (await house.media.create_recording("acc", webm(50))).row.status == "ready"


async def test_sender_goes_away(house: House) -> None:
    """A caller that is cancelled leaves a row that failed."""
    started = anyio.Event()

    async def stalling() -> AsyncIterator[bytes]:
        yield webm(5000)
        started.set()
        await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(house.media.create_recording, "acc", stalling())
        await started.wait()
        assert await house.statuses() == ["uploading"]
        tasks.cancel_scope.cancel()
    assert await house.statuses() == ["failed"] and blobs(house) == []
    (event,) = await house.dialect.find(OUTBOX)
    assert event["reason"] == "the sender broke off"


async def test_deleted_while_it_comes(house: House) -> None:
    """Whoever deletes a recording that is coming wins: it is not there, and neither is its blob."""

    async def body() -> AsyncIterator[bytes]:
        yield webm(5000)
        (row,) = (await house.media.list_for_account("acc", MediaFilter(status="uploading"))).items
        assert await house.media.delete_media("acc", row.id)
        yield b"more"

    with pytest.raises(MediaMissing):
        await house.media.create_recording("acc", body())
    assert await house.statuses() == ["deleted"] and blobs(house) == []
    assert not await house.media.quota.usage("acc")


async def test_store_without_links(house: House) -> None:
    """A store that signs nothing is told apart when somebody wants a link."""

    class Plain:
        def __init__(self, store: MemoryDriver) -> None:
            self.name = "plain"
            for member in ("put_stream", "open_range", "head", "delete", "list", "ping", "aclose"):
                setattr(self, member, getattr(store, member))

    media: Any = create_media(Plain(MemoryDriver(BASE)), MemoryMediaRepository())  # type: ignore[arg-type]
    with pytest.raises(SigningKeyMissing, match="plain"):
        await media.create_recording("acc", webm())
    (row,) = (await media.list_for_account("acc")).items
    assert row.status == "ready"


# --- deletion -----------------------------------------------------------------------------------------


async def test_delete(house: House) -> None:
    """A recording that is deleted is gone at once, with its blob, and is deleted once."""
    row = await made(house)
    assert await house.media.delete_media("acc", row.id) is True
    assert await house.media.delete_media("acc", row.id) is False
    assert blobs(house) == [] and await house.statuses() == ["deleted"]
    (kept,) = await house.dialect.find(MEDIA)
    assert kept["purge_at"] is None and kept["forget_at"] is not None


async def test_purged_when_the_store_answers() -> None:
    """While the store is down a deletion succeeds; the blob goes when it answers again."""
    store = Stubborn(BASE)
    async with housed(store) as house:
        row = await made(house)
        store.is_down = True
        assert await house.media.delete_media("acc", row.id) is True
        assert blobs(house) == [row.key]
        report = await house.parts.collector.collect()
        assert report.counts["purge"] == 0 and report.trouble
        store.is_down = False
        assert (await house.parts.collector.collect()).counts["purge"] == 0  # not so soon again
        await house.dialect.update_many(MEDIA, {"id": row.id}, {"purge_at": datetime.now(UTC)})
        assert (await house.parts.collector.collect()).counts["purge"] == 1
        assert blobs(house) == []
        assert (await house.parts.collector.collect()).total == 0


@pytest.mark.parametrize(("failures", "removed"), [(2, True), (3, False)])
async def test_purged_by_a_repository_that_does_not_remember(
    monkeypatch: pytest.MonkeyPatch, failures: int, removed: bool
) -> None:
    """Where nobody remembers that a blob has to go, it is tried three times at once; the deletion succeeds anyway."""
    monkeypatch.setattr(recordings, "PAUSES", (0.0, 0.0))
    store = Stubborn(BASE)
    media = create_media(store, MemoryMediaRepository())
    row = (await media.create_recording("acc", webm())).row
    store.failures = failures
    assert await media.delete_media("acc", row.id) is True
    assert (await store.head(row.bucket, row.key) is None) is removed


class Stubborn(MemoryDriver):
    """A store that removes nothing while it is down, or so many times."""

    is_down = False
    failures = 0

    async def delete(self, bucket: str, key: str) -> bool:
        if self.failures:
            self.failures -= 1
            raise StorageFull("the store does not answer", store=self.name, reason="test")
        if self.is_down:
            raise StorageFull("the store does not answer", store=self.name, reason="test")
        return await super().delete(bucket, key)


# --- recordings that come in several goes -------------------------------------------------------------


async def test_in_several_goes(house: House) -> None:
    """A row that was begun is finished when its blob is there: with its real type; again it is the same."""
    row = await house.media.begin_recording("acc", mime_type="video/webm", size=100, session_id="s")
    assert (row.status, row.size_bytes, row.mime_type) == ("uploading", 100, "video/webm")
    await house.media.grow_recording("acc", row.id, 200)
    await house.media.grow_recording("acc", row.id, 150)
    assert (await house.media.find("acc", row.id)).size_bytes == 200
    stored = await house.storage.put_stream(row.bucket, row.key, pieces(webm(180)))
    finished = await house.media.finish_recording("acc", row.id, stored)
    assert (finished.status, finished.size_bytes, finished.checksum) == ("ready", 180, stored.sha256)
    assert await house.media.finish_recording("acc", row.id, stored) == finished
    await house.media.fail_recording("acc", row.id, "too late")
    assert (await house.media.find("acc", row.id)).status == "ready"
    with pytest.raises(MediaMissing):
        await house.media.grow_recording("acc", row.id, 300)
    found = await house.media.content_of_blob(row.bucket, row.key)
    assert found is not None and (found.key, found.checksum) == (row.key, stored.sha256)
    types = [event["type"] for event in await house.dialect.find(OUTBOX, sort={"number": 1})]
    assert types == ["MediaUploaded", "MediaReady"]


@pytest.mark.parametrize(
    ("options", "body", "error"),
    [
        ({}, b"<html>", MediaTypeRefused),
        ({"sha256": "0" * 64}, webm(), ChecksumMismatch),
        ({}, webm(10_001), MediaTooLarge),
    ],
)
async def test_finished_with_something_else(house: House, options: Any, body: bytes, error: Any) -> None:
    """What turns out to be none of what is taken fails at its end, and its blob goes."""
    row = await house.media.begin_recording("acc", **options)
    stored = await house.storage.put_stream(row.bucket, row.key, pieces(body))
    with pytest.raises(error):
        await house.media.finish_recording("acc", row.id, stored)
    assert await house.statuses() == ["failed"] and blobs(house) == []


async def test_finished_when_it_is_over(house: House) -> None:
    """What was deleted or given up while it came is missing, and its blob goes."""
    for end in (house.media.delete_media, lambda account, id: house.media.fail_recording(account, id, "x")):
        row = await house.media.begin_recording("acc")
        await end("acc", row.id)
        stored = await house.storage.put_stream(row.bucket, row.key, pieces(webm()))
        with pytest.raises(MediaMissing):
            await house.media.finish_recording("acc", row.id, stored)
        assert blobs(house) == []


# --- the audit trail ----------------------------------------------------------------------------------


async def test_trail(anyio_backend: str) -> None:
    """Who has made and deleted recordings is noted, nothing of what is in them; what failed is not."""
    from objectkernel_contracts import Principal
    from objectkernel_media_server.trail import acting_as

    audit, ada = Recorder(), Principal(account_id="acc", user_id="ada", scopes=())
    dialect = await opened("sqlite", ":memory:")
    house = furnish(dialect, audit=audit)
    with acting_as(ada):
        row = await made(house, metadata={"secret": "x"}, owner_email="ada@example.org")
        await made(house, "other")
    await house.media.delete_media("acc", row.id)
    with pytest.raises(ChecksumMismatch):
        await house.media.create_recording("acc", webm(), sha256="0" * 64)
    await dialect.aclose()
    assert [(one.action, one.by, one.account_id) for one in audit.entries] == [
        ("media.create", "ada", "acc"),
        ("media.create", None, "other"),
        ("media.delete", None, "acc"),
    ]
    assert audit.entries[0].subject == row.id
    assert audit.entries[0].details == {"type": "video/webm", "bytes": 100}


def test_figures() -> None:
    """What a host has done is counted."""

    async def run() -> dict[str, float]:
        async with housed() as house:
            row = await made(house)
            await house.media.delete_media("acc", row.id)
            with pytest.raises(ChecksumMismatch):
                await house.media.create_recording("acc", webm(), sha256="0" * 64)
            return {figure.name: figure.value for figure in house.parts.tally.figures()}

    assert anyio.run(run) == {
        "media_recordings_ready": 1,
        "media_received_bytes": 100,
        "media_recordings_failed": 1,
        "media_recordings_deleted": 1,
        "media_purges_failed": 0,
        "media_collected": 0,
    }
