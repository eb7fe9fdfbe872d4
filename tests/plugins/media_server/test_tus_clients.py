"""tuspy and aiotus, as they are, against a host on the loopback."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import aiohttp
import aiotus
import anyio
import pytest
import yarl
from tusclient.client import TusClient
from tusclient.uploader import Uploader

from tests.plugins.media_server.upload_hosts import MiB, Served, served, webm


def tuspy(host: Served, content: bytes, **options: Any) -> Uploader:
    """tuspy, about to send some bytes."""
    client = TusClient(f"{host.url}/api/media/uploads/", headers={"Authorization": "Bearer ada:"})
    return client.uploader(file_stream=io.BytesIO(content), **options)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_tuspy_uploads(tmp_path: Path) -> None:
    """tuspy sends a file in chunks with checksums, and the recording is ready, with its hash."""
    content = webm(3 * MiB + 17)
    said = {"filetype": "video/webm", "sessionId": "s1", "takeIndex": "2", "title": "Ada, première prise"}
    with served(tmp_path) as host:
        tuspy(host, content, chunk_size=MiB, upload_checksum=True, metadata=said).upload()
        (row,) = host.rows()
        assert host.reserved() == (len(content), 0)
    assert row.checksum == digest(content)
    assert (row.mime_type, row.session_id, row.take_index) == ("video/webm", "s1", 2)
    assert row.metadata == {"title": "Ada, première prise"}


def test_tuspy_stops_and_resumes(tmp_path: Path) -> None:
    """Half of a file, a new client with the address alone, the other half: one recording, whole."""
    content = webm(2 * MiB)
    with served(tmp_path) as host:
        first = tuspy(host, content, chunk_size=300_000)
        first.upload(stop_at=MiB)
        assert host.rows() == ()
        second = tuspy(host, content, url=first.url, chunk_size=300_000)
        assert second.offset == MiB
        second.upload()
        (row,) = host.rows()
    assert row.checksum == digest(content)


def test_tuspy_verifies(tmp_path: Path) -> None:
    """A chunk that was damaged on its way is refused with 460, nothing of it is kept, and it can be sent again."""
    content = webm(100_000)
    with served(tmp_path) as host:
        upload = tuspy(host, content, upload_checksum=True)
        upload.set_url(upload.create_url())
        headers = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
        headers["Upload-Checksum"] = "sha1 " + "A" * 27 + "="
        with host.client() as client:
            answer = client.patch(upload.url, content=content, headers=headers)
        assert answer.status_code == 460
        assert upload.get_offset() == 0
        upload.upload()
        (row,) = host.rows()
    assert row.checksum == digest(content)


@pytest.mark.parametrize("concurrent", [False, True])
def test_aiotus_uploads(tmp_path: Path, concurrent: bool) -> None:
    """aiotus sends a file, or several that the server puts together, and reads the metadata back."""
    content = webm(2 * MiB + 5)
    halves = [io.BytesIO(content[:MiB]), io.BytesIO(content[MiB:])]

    async def send(url: str) -> dict[str, bytes | None]:
        headers = {"Authorization": "Bearer ada:"}
        endpoint = yarl.URL(f"{url}/api/media/uploads/")
        said: Any = {"filename": b"take.webm", "wanted": None}
        async with aiohttp.ClientSession(headers=headers) as session:
            if concurrent:
                location = await aiotus.upload_multiple(
                    endpoint, halves, said, client_session=session, chunksize=MiB // 2
                )
            else:
                location = await aiotus.upload(
                    endpoint, io.BytesIO(content), said, client_session=session, chunksize=MiB // 2
                )
            assert location is not None
            found = await aiotus.metadata(endpoint.join(location), client_session=session)
            assert found is not None
            return dict(found)

    with served(tmp_path) as host:
        told = anyio.run(send, host.url)
        (row,) = host.rows()
        assert host.reserved() == (len(content), 0)
        assert len(host.files()) == 1
    assert row.checksum == digest(content)
    assert told == {"filename": b"take.webm", "wanted": None}


class Breaking(io.BytesIO):
    """A file that cannot be read behind its middle, the first time that somebody tries."""

    broke_at = 0

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() >= MiB and not self.broke_at:
            self.broke_at = self.tell()
            raise OSError("the disk does not answer")
        return super().read(size)


def test_aiotus_stops_and_resumes(tmp_path: Path) -> None:
    """Half of a file, a new client with the address alone, the other half: one recording, whole."""
    content = webm(2 * MiB + 5)
    file = Breaking(content)

    async def send(url: str) -> list[int]:
        headers = {"Authorization": "Bearer ada:"}
        async with aiohttp.ClientSession(headers=headers) as session:
            endpoint = yarl.URL(f"{url}/api/media/uploads/")
            location = endpoint.join(await aiotus.creation.create(session, endpoint, file, {}))
            with pytest.raises(OSError, match="does not answer"):
                await aiotus.core.upload_buffer(session, location, file, chunksize=300_000)
        async with aiohttp.ClientSession(headers=headers) as session:
            offsets = [await aiotus.core.offset(session, location)]
            await aiotus.core.upload_buffer(session, location, file, chunksize=300_000)
            return [*offsets, await aiotus.core.offset(session, location)]

    with served(tmp_path) as host:
        assert anyio.run(send, host.url) == [file.broke_at, len(content)]
        (row,) = host.rows()
    assert file.broke_at >= MiB and row.checksum == digest(content)
