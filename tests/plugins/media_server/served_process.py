"""``objectkernel serve`` with recordings, in a process of its own: what it has in memory and open, and what it leaves.

`kernel` is what that process serves; the settings are in its environment, and its data in its working folder.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import attrs
import httpx
from objectkernel import ObjectKernel
from objectkernel_http import serving
from objectkernel_http.plugin import HttpPlugin
from objectkernel_media_server.collecting import GarbageCollector
from objectkernel_media_server.entities import MEDIA
from objectkernel_media_server.filesystem import FilesystemDriver
from objectkernel_media_server.plugin import MediaServerPlugin
from objectkernel_media_server.upload_collecting import UploadCollector
from objectkernel_media_server.verifying import verify
from objectkernel_system_dialect.plugin import SystemDialectPlugin

from tests.contrib.http.processes import Host
from tests.plugins.media_server.databases import furnish, opened
from tests.plugins.media_server.upload_hosts import BASE, SECRET, DoormanPlugin

ACCOUNT = "ada"
PATIENCE = 30.0
"""Seconds that anything may take on a busy machine."""
ROOT = Path(__file__).parents[3]
VARIABLE = "SERVED_PROCESS"


def kernel() -> ObjectKernel:
    """What the process serves, as `serving_process` has told it."""
    told = json.loads(os.environ[VARIABLE])
    if told["descriptors"]:
        resource.setrlimit(resource.RLIMIT_NOFILE, (told["descriptors"], told["descriptors"]))
    if not told["uvloop"]:
        serving.fast_loop = lambda: False
    place = {"MOSTA_SYSTEM_DIALECT": "sqlite", "MOSTA_SYSTEM_URI": str(Path.cwd() / "system.db")}
    media = {
        "storage_dir": str(Path.cwd() / "media"),
        "signed_url_base_url": BASE,
        "collect_every": 0,
        "fsync": False,
        **told["media"],
    }
    return ObjectKernel(
        plugins=[SystemDialectPlugin, DoormanPlugin, MediaServerPlugin, HttpPlugin],
        discover=False,
        environ={"STORAGE_SIGNING_SECRET": SECRET, **place},
        config={"plugins": {"media-server": media, "http": {"metrics": "public", "access_log": False, **told["http"]}}},
    )


@attrs.frozen
class Serving:
    """A host that runs.

    Attributes:
        folder: its data, and its log.
    """

    host: Host
    folder: Path

    @property
    def port(self) -> int:
        return httpx.URL(self.host.url).port or 0

    @property
    def log(self) -> str:
        """All that it has logged."""
        return self.folder.joinpath("log").read_text()

    def client(self) -> httpx.Client:
        """A program of the account."""
        headers = {"Authorization": f"Bearer {ACCOUNT}:"}
        return httpx.Client(base_url=self.host.url, headers=headers, timeout=PATIENCE, trust_env=False)

    def descriptors(self) -> int:
        """How many files and connections it has open."""
        return len(os.listdir(f"/proc/{self.host.process.pid}/fd"))

    def memory(self) -> int:
        """Bytes of memory that it has."""
        told = Path(f"/proc/{self.host.process.pid}/status").read_text()
        return int(told.partition("VmRSS:")[2].split()[0]) * 1024

    def requests(self) -> int:
        """How many it is answering, beside the one that asks."""
        told = self.host.get("/metrics", timeout=PATIENCE).text
        return int(float(told.partition("\nobjectkernel_http_requests_in_flight ")[2].split()[0])) - 1

    def files(self) -> list[Path]:
        """All that lies in its store."""
        return [path for path in self.folder.joinpath("media").rglob("*") if path.is_file()]

    def stored(self) -> set[str]:
        """Their names, as `Left` has them."""
        return {path.relative_to(self.folder / "media").as_posix() for path in self.files()}


@contextmanager
def serving_process(
    folder: Path,
    *,
    descriptors: int = 0,
    uvloop: bool = True,
    http: dict[str, Any] | None = None,
    media: dict[str, Any] | None = None,
) -> Iterator[Serving]:
    """Serve recordings on a free port; whatever is left running at the end is killed.

    Args:
        descriptors: how many it may have; 0: as many as this process.
        http, media: settings of the plugins.
    """
    told = {"descriptors": descriptors, "uvloop": uvloop, "http": http or {}, "media": media or {}}
    command = [sys.executable, "-m", "objectkernel_cli", "--app", f"{__name__}:kernel", "serve", "--port", "0"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT), VARIABLE: json.dumps(told)}
    with folder.joinpath("log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=log, text=True)
    host = Host(process)
    try:
        yield Serving(host.wait_until_served(), folder)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that has to happen by itself."""
    late = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < late
        time.sleep(0.02)


@attrs.frozen
class Left:
    """What a host that is gone has left, before garbage is collected and after.

    Attributes:
        before: the statuses of the recordings, by id.
        after: those a day and more later, when garbage was collected.
        files: of recordings that are ready.
    """

    before: dict[str, str]
    after: dict[str, str]
    files: set[str]


def collected(folder: Path) -> Left:
    """Collect the garbage of a host that is gone, as it is when everything that was given up has expired.

    Every recording that is ready is read, and has to be what its row says.
    """

    async def main() -> Left:
        dialect = await opened("sqlite", str(folder / "system.db"))
        store = FilesystemDriver(folder / "media", SECRET, BASE)
        house = furnish(dialect, store)

        async def statuses() -> dict[str, str]:
            return {row["id"]: row["status"] for row in await dialect.find(MEDIA, limit=10**6)}

        before = await statuses()
        later = datetime.now(UTC) + timedelta(hours=30)
        hooks = [UploadCollector(house.parts.uploads)] if house.parts.uploads is not None else []
        collector = GarbageCollector(house.parts.repo, house.media.recordings, hooks, grace=0, clock=lambda: later)
        report = await collector.collect()
        assert report.trouble == []
        assert {one.finding async for one in verify(house.parts.repo, store)} <= {"good"}
        rows = await dialect.find(MEDIA, {"status": "ready"}, limit=10**6)
        left = Left(before, await statuses(), {f"{row['bucket']}/{row['key']}" for row in rows})
        await store.aclose()
        await dialect.aclose()
        return left

    return anyio.run(main)
