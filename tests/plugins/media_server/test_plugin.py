"""The plugin in a kernel: what it gives, keeps doing, and leaves behind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest
from objectkernel import Plugin, on
from objectkernel.errors import BootError, KernelError
from objectkernel_accounts.audit import AUDIT_ENTRY
from objectkernel_accounts.audit_plugin import AuditPlugin
from objectkernel_contracts import KEY_NAMES, KEYRING, METRICS, SCOPES, AccountDeleting
from objectkernel_media_server.contracts import (
    MEDIA,
    STORAGE,
    MediaDeleted,
    MediaFailed,
    MediaReady,
    MediaTypeRefused,
    MediaUploaded,
    SigningKeyMissing,
)
from objectkernel_media_server.entities import MEDIA as MEDIA_ROWS
from objectkernel_media_server.errors import LinksWithoutAddress
from objectkernel_media_server.memory_store import MemoryDriver
from objectkernel_media_server.parts import PARTS
from objectkernel_media_server.plugin import MediaServerPlugin
from objectkernel_system_dialect.contracts import SYSTEM_DIALECT

from tests.plugins.media_server.databases import BASE, webm
from tests.plugins.media_server.kernels import in_folder, in_memory

pytestmark = pytest.mark.anyio


class Listening(Plugin):
    """Hears what happens to recordings.

    Attributes:
        told: names of events and ids of recordings.
        refusing: whether it fails.
    """

    name = "listening"
    told: list[tuple[str, str]]
    refusing = False

    def __init__(self) -> None:
        self.told = []

    async def _tell(self, event: Any) -> None:
        if self.refusing:
            raise RuntimeError("not now")
        self.told.append((type(event).__name__, event.row.id))

    @on(MediaUploaded)
    async def uploaded(self, event: MediaUploaded) -> None:
        await self._tell(event)

    @on(MediaReady)
    async def ready(self, event: MediaReady) -> None:
        await self._tell(event)

    @on(MediaFailed)
    async def failed(self, event: MediaFailed) -> None:
        await self._tell(event)

    @on(MediaDeleted)
    async def deleted(self, event: MediaDeleted) -> None:
        await self._tell(event)


async def until(condition: Callable[[], Awaitable[Any]]) -> None:
    """Wait until something is so; the test's own time limit ends it."""
    while not await condition():
        await anyio.sleep(0.01)


async def heard(listening: Listening, count: int) -> list[tuple[str, str]]:
    async def enough() -> bool:
        return len(listening.told) >= count

    await until(enough)
    return listening.told


async def test_it_works(tmp_path: Path) -> None:
    """A recording is stored in the folder, with a link, and is there when the host starts again."""
    async with in_folder(tmp_path) as kernel:
        created = await kernel.get(MEDIA).create_recording("acc", webm(), mime_type="video/webm")
        assert created.signed_url.startswith(f"{BASE}/api/media/blobs/")
        with pytest.raises(MediaTypeRefused):
            await kernel.get(MEDIA).create_recording("acc", b"<html>", mime_type="video/webm")
    async with in_folder(tmp_path) as kernel:
        found = await kernel.get(MEDIA).get_media("acc", created.row.id)
        assert found is not None and found.row == created.row
        async with kernel.get(MEDIA).open_content("acc", created.row.id) as content:
            assert b"".join([piece async for piece in content]) == webm()
    assert (tmp_path / "media" / "media-recordings" / created.row.key).read_bytes() == webm()


async def test_another_store() -> None:
    """A host may give a store of its own."""
    store = MemoryDriver("https://elsewhere.example")
    async with in_memory().provide(STORAGE, store) as kernel:
        created = await kernel.get(MEDIA).create_recording("acc", webm())
        assert await store.head(created.row.bucket, created.row.key) is not None
        assert created.signed_url.startswith("https://elsewhere.example/")


async def test_subscribers() -> None:
    """Plugins that subscribe are told, in order for each recording."""
    listening = Listening()
    async with in_memory(listening) as kernel:
        row = (await kernel.get(MEDIA).create_recording("acc", webm())).row
        await kernel.get(MEDIA).delete_media("acc", row.id)
        names = [name for name, _ in await heard(listening, 3)]
        assert names == ["MediaUploaded", "MediaReady", "MediaDeleted"]


async def test_subscribers_after_a_restart(tmp_path: Path) -> None:
    """What could not be told before the host ended is told by the next one."""
    refusing, listening = Listening(), Listening()
    refusing.refusing = True
    async with in_folder(tmp_path, refusing) as kernel:
        row = (await kernel.get(MEDIA).create_recording("acc", webm())).row
    async with in_folder(tmp_path, listening, events_every=0.05):
        assert await heard(listening, 2) == [("MediaUploaded", row.id), ("MediaReady", row.id)]


async def test_garbage_is_collected() -> None:
    """In the background, as often as the settings say."""
    async with in_memory(collect_every=0.02, collect_grace=0.0) as kernel:
        dialect, media = kernel.get(SYSTEM_DIALECT), kernel.get(PARTS).media
        row = await media.begin_recording("acc")
        await dialect.update_many(MEDIA_ROWS, {"id": row.id}, {"stuck_at": datetime.now(UTC) - timedelta(seconds=1)})

        async def failed() -> bool:
            found = await media.find("acc", row.id)
            return found is not None and found.status == "failed"

        await until(failed)


async def test_an_account_goes() -> None:
    """Its recordings go with it; with a successor they are his."""
    async with in_memory() as kernel:
        media = kernel.get(MEDIA)
        rows = [(await media.create_recording(account, webm())).row for account in ("one", "two")]
        await kernel.emit(AccountDeleting(account_id="one"))
        await kernel.emit(AccountDeleting(account_id="two", successor_id="heir"))
        assert await media.get_media("one", rows[0].id) is None
        assert await media.get_media("heir", rows[1].id) is not None


async def test_trail() -> None:
    """What is stored and deleted is in the audit trail."""
    async with in_memory(AuditPlugin) as kernel:
        row = (await kernel.get(MEDIA).create_recording("acc", webm())).row
        await kernel.get(MEDIA).delete_media("acc", row.id)
        entries = await kernel.get(SYSTEM_DIALECT).find(AUDIT_ENTRY)
        assert {(entry["action"], entry["account_id"]) for entry in entries} == {
            ("media.create", "acc"),
            ("media.delete", "acc"),
        }


async def test_what_it_contributes() -> None:
    """Its scopes, in two languages; the name of its secrets; its figures."""
    async with in_memory() as kernel:
        scopes = {scope.name: scope for scope in kernel.contributions(SCOPES)}
        assert scopes["media:read"].role == "viewer" and scopes["media:write"].role == "member"
        assert scopes["media:write"].described("fr") == "Créer et supprimer des enregistrements"
        assert "media-links" in kernel.contributions(KEY_NAMES)
        names = {figure.name for source in kernel.contributions(METRICS) for figure in source()}
        assert {"media_recordings_ready", "media_events_waiting", "media_collected"} <= names


async def test_no_secret(tmp_path: Path) -> None:
    """Without a secret for links, and a keyring, the host does not start, and says what to set."""
    kernel = in_folder(tmp_path)
    kernel._given.pop(KEYRING)
    with pytest.raises(BootError) as caught:
        async with kernel:
            pass
    (problem,) = caught.value.exceptions
    assert isinstance(problem, SigningKeyMissing) and "STORAGE_SIGNING_SECRET" in problem.fix


async def test_links_without_an_address() -> None:
    """`doctor` says that links begin with their path, where nothing says where the host is."""

    def findings(**settings: Any) -> list[type[KernelError]]:
        config = MediaServerPlugin.fake(storage=None).config
        plugin = MediaServerPlugin.fake(storage=MemoryDriver(), config=attrs.evolve(config, **settings))
        return [type(one) for one in plugin.kernel_findings(None)]  # type: ignore[arg-type]

    assert findings() == [LinksWithoutAddress] and LinksWithoutAddress.tolerable
    assert findings(signed_url_base_url=BASE) == []


@pytest.mark.parametrize(
    "settings",
    [
        {"storage": "tape"},
        {"allowed_types": ["video/webm", "text/html"]},
        {"signed_url_ttl": 0.5},
        {"max_file_bytes": 0},
        {"content_by": "carrier pigeon"},
        {"upload_expires": 0},
        {"stuck_after": 1.0},
    ],
)
async def test_settings_that_cannot_be_meant(settings: dict[str, Any]) -> None:
    """They are refused before anything starts."""
    with pytest.raises(BootError):
        async with in_memory(**settings):
            pass


async def test_settings_of_uploads() -> None:
    """The settings of uploads are those that uploads know."""
    async with in_memory(upload_expires=7.0, max_ranges=3) as kernel:
        uploads = kernel.get(PARTS).config.uploads
        assert (uploads.upload_expires, uploads.max_ranges) == (7.0, 3)
