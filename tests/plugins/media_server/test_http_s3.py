"""Uploads and downloads over HTTP, of a host whose blobs are in a real S3-compatible store."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.plugins.media_server.object_servers import (  # noqa: F401 - fixture
    ACCESS_KEY,
    BUCKETS,
    SECRET_KEY,
    ObjectServer,
    server,
)
from tests.plugins.media_server.tus_requests import Tus, b64
from tests.plugins.media_server.upload_hosts import MiB, served, webm

pytestmark = pytest.mark.slow
CONTENT = webm(11 * MiB + 5)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
RECORDINGS = "/api/media/recordings"


def settings(server: ObjectServer, **more: Any) -> dict[str, Any]:  # noqa: F811
    """Of a host with this store."""
    return {
        "storage": "s3",
        "s3_endpoint": server.url,
        "s3_access_key": ACCESS_KEY,
        "s3_secret_key": SECRET_KEY,
        "default_bucket": BUCKETS[0],
        **more,
    }


def test_tus(tmp_path: Path, server: ObjectServer) -> None:  # noqa: F811
    """In pieces of any size, with checksums that are good and bad, by two hosts: the object is whole."""
    cuts = [0, 1, 3 * MiB, 9 * MiB + 7, len(CONTENT)]
    database = str(tmp_path / "system.db")
    with served(tmp_path, database, **settings(server)) as host, host.client() as client:
        tus = Tus(client)
        url = tus.create(len(CONTENT))
        for start, stop in pairwise(cuts[:-1]):
            piece = CONTENT[start:stop]
            wrong, right = (f"sha1 {b64(hashlib.sha1(text).digest())}" for text in (b"", piece))
            assert tus.patch(url, start, piece, upload_checksum=wrong).status_code == 460
            assert tus.offset(url) == start
            assert tus.patch(url, start, piece, upload_checksum=right).status_code == 204
        host.run(host.dialect.update_many, upload_schema(), {"state": "open"}, {"writer": "dead:1"})
    with served(tmp_path, database, **settings(server)) as host, host.client() as client:
        answer = Tus(client).patch(url, cuts[-2], CONTENT[cuts[-2] :])
        assert answer.status_code == 204, answer.text
        (row,) = host.rows()
        assert row.checksum == SHA256


def upload_schema() -> Any:
    from objectkernel_media_server.upload_entities import UPLOAD

    return UPLOAD


def test_parts(tmp_path: Path, server: ObjectServer) -> None:  # noqa: F811
    """Parts become one object, and go."""
    with served(tmp_path, **settings(server)) as host, host.client() as client:
        tus = Tus(client)
        parts = [tus.create(size, upload_concat="partial") for size in (6 * MiB, 5 * MiB + 5)]
        tus.patch(parts[0], 0, CONTENT[: 6 * MiB])
        tus.patch(parts[1], 0, CONTENT[6 * MiB :])
        tus.create(upload_concat=f"final;{parts[0]} {parts[1]}")
        (row,) = host.rows()
        assert row.checksum == SHA256
        assert host.uploads()[0].kind == "final"
        assert len(host.uploads()) == 1


@pytest.mark.parametrize("content_by", ["redirect", "proxy"])
def test_content(tmp_path: Path, server: ObjectServer, content_by: str) -> None:  # noqa: F811
    """Readers are led to the store, or get everything from the host, as configured."""
    with served(tmp_path, **settings(server, content_by=content_by)) as host, host.client() as client:
        made = client.post(RECORDINGS, content=CONTENT).json()
        address = f"/api/media/{made['row']['id']}/content"
        answer = client.get(address, headers={"Range": "bytes=5-9"})
        head = client.head(address)
        assert (head.status_code, head.headers["content-length"]) == (200, str(len(CONTENT)))
        with httpx.Client() as anybody:
            assert anybody.get(made["signedUrl"]).content == CONTENT
            if content_by == "proxy":
                assert (answer.status_code, answer.content) == (206, CONTENT[5:10])
                return
            assert answer.status_code == 302
            assert answer.headers["location"].startswith(server.url)
            led = anybody.get(answer.headers["location"], headers={"Range": "bytes=5-9"})
            assert (led.status_code, led.content) == (206, CONTENT[5:10])
            assert led.headers["content-type"] == "video/webm"
