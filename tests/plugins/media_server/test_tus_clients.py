"""tuspy and aiotus, as they are, against a host on the loopback."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest
from tusclient.client import TusClient

from objectkernel_media_server.contracts import MediaRow

from tests.plugins.media_server.upload_hosts import MiB, Served, served, webm


def recordings(host: Served, account: str = "ada") -> tuple[MediaRow, ...]:
    """What an account has."""
    return host.run(host.studio.media.list_for_account, account).items


def test_tuspy_uploads(tmp_path: Path) -> None:
    """tuspy sends a file in chunks with checksums, and the recording is ready, with its hash."""
    content = webm(3 * MiB + 17)
    with served(tmp_path) as host:
        client = TusClient(f"{host.url}/api/media/uploads/", headers={"Authorization": "Bearer ada:"})
        uploader = client.uploader(
            file_stream=io.BytesIO(content),
            chunk_size=MiB,
            upload_checksum=True,
            metadata={"filetype": "video/webm", "sessionId": "s1", "takeIndex": "2"},
        )
        uploader.upload()
        (row,) = recordings(host)
    assert row.checksum == hashlib.sha256(content).hexdigest()
    assert (row.mime_type, row.session_id, row.take_index) == ("video/webm", "s1", 2)
