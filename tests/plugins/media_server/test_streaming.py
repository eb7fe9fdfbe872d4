"""However large a recording is, a host has little of it in its memory."""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.plugins.media_server.test_tus_disturbed import killable
from tests.plugins.media_server.tus_requests import BYTES, Tus
from tests.plugins.media_server.upload_hosts import MiB, webm

SIZE = 192
MOST = 40
"""MiB of the host's memory beyond what it had before."""
PIECE = webm(MiB)


def peak(pid: int) -> int:
    """The most memory that a process has had, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def sent(base: str, method: str, path: str, **headers: str) -> None:
    """A body of `SIZE` MiB, as fast as it is taken."""
    address = urlsplit(base)
    told = {"Host": address.netloc, "Authorization": "Bearer ada:", "Content-Length": str(SIZE * MiB)}
    told |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items()), "", ""]
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=120) as sock:
        sock.sendall("\r\n".join(lines).encode())
        for _ in range(SIZE):
            sock.sendall(PIECE)
        assert sock.recv(1000).split()[1] in (b"201", b"204")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells how much memory a process had")
def test_memory(tmp_path: Path) -> None:
    """Sent whole and by tus, read whole and in parts."""
    hasher = hashlib.sha256()
    for _ in range(SIZE):
        hasher.update(PIECE)
    with killable(tmp_path / "blobs", tmp_path / "system.db") as (base, process):
        headers = {"Authorization": "Bearer ada:"}
        with httpx.Client(base_url=base, headers=headers, timeout=120) as client:
            client.post("/api/media/recordings", content=PIECE)
            before = peak(process.pid)
            sent(base, "PUT", "/api/media/recordings")
            url = Tus(client).create(SIZE * MiB)
            sent(base, "PATCH", url, Tus_Resumable="1.0.0", Upload_Offset="0", Content_Type=BYTES)
            rows = client.get("/api/media/recordings").json()["items"]
            assert [row["checksum"] for row in rows[:2]] == [hasher.hexdigest()] * 2
            address = f"/api/media/{rows[0]['id']}/content"
            with client.stream("GET", address) as answer:
                assert sum(map(len, answer.iter_bytes())) == SIZE * MiB
            wanted = f"bytes=0-1,{10 * MiB}-{SIZE * MiB - 1}"
            with client.stream("GET", address, headers={"Range": wanted}) as answer:
                assert sum(map(len, answer.iter_bytes())) > (SIZE - 10) * MiB
        assert peak(process.pid) - before < MOST
