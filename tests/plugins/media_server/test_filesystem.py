"""What is the folder store's own: crashes, full disks, disks that are gone, threads and memory."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio
import pytest
from objectkernel_media_server import folder_uploads, part_files
from objectkernel_media_server.errors import KeyRefused, ObjectExists, ObjectMissing, StorageFull, StorageUnavailable
from objectkernel_media_server.filesystem import FilesystemDriver
from objectkernel_media_server.storage_contracts import AppendStopped
from objectkernel_media_server.testing.stores import MIB, body_of, content_of, read_all

from tests.plugins.media_server.killed_store import PIECE

ONE = "suite-one"
SECRET = "s" * 32

pytestmark = pytest.mark.anyio


@pytest.fixture
def store(tmp_path: Path) -> FilesystemDriver:
    return FilesystemDriver(tmp_path / "root", SECRET, "", fsync=False)


def files_of(root: Path) -> list[str]:
    """Every file below a folder, by its path."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def open_files() -> set[str]:
    """The files that this process has open."""
    found = set()
    for entry in os.scandir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.add(os.readlink(entry.path))
    return found


# --- folders ------------------------------------------------------------------------------------------------


async def test_files_and_folders_in_each_others_way(store: FilesystemDriver) -> None:
    """A key that is the beginning of another's path is refused, whichever came first; nothing is replaced."""
    await store.put_stream(ONE, "a/b", body_of(b"1"))
    with pytest.raises(KeyRefused):
        await store.put_stream(ONE, "a/b/c", body_of(b"2"))
    with pytest.raises(KeyRefused):
        await store.put_stream(ONE, "a", body_of(b"3"))
    assert await store.head(ONE, "a") is None
    assert await store.head(ONE, "a/b/c") is None
    assert not await store.delete(ONE, "a/b/c")
    with pytest.raises(ObjectMissing):
        await read_all(store, ONE, "a")
    assert files_of(store.root) == [f"{ONE}/a/b"]


async def test_empty_folders_go(store: FilesystemDriver) -> None:
    """With its last object a folder goes, up to the bucket; while others put there, none of them fails."""
    await store.put_stream(ONE, "a/b/c/1", body_of(b"1"))
    assert await store.delete(ONE, "a/b/c/1")
    assert [path.name for path in store.root.iterdir() if path.name != ".uploads"] == [ONE]
    assert not list((store.root / ONE).iterdir())

    async def put_and_delete(n: int) -> None:
        other = FilesystemDriver(store.root, SECRET, "", fsync=n < 2)
        for _ in range(30):
            await other.put_stream(ONE, f"x/y/{n}", body_of(b"1"))
            assert await other.delete(ONE, f"x/y/{n}")

    async with anyio.create_task_group() as tasks:
        for n in range(4):
            tasks.start_soon(put_and_delete, n)
    assert files_of(store.root) == []


async def test_links_are_not_followed(store: FilesystemDriver, tmp_path: Path) -> None:
    """A symbolic link within the folder leads nowhere, neither to a file nor to a folder of objects."""
    (tmp_path / "secret").write_text("secret")
    await store.put_stream(ONE, "a/b", body_of(b"1"))
    (store.root / ONE / "a" / "link").symlink_to(tmp_path / "secret")
    assert await store.head(ONE, "a/link") is None
    with pytest.raises((ObjectMissing, StorageUnavailable)):
        await read_all(store, ONE, "a/link")
    with pytest.raises((ObjectExists, KeyRefused)):
        await store.put_stream(ONE, "a/link", body_of(b"2"))
    assert [found.key async for found in store.list(ONE)] == ["a/b"]
    assert (tmp_path / "secret").read_text() == "secret"


async def test_a_disk_that_is_gone(store: FilesystemDriver) -> None:
    """Where the folder itself is gone, nothing counts as missing, and nothing is made in its place; it comes back."""
    await store.put_stream(ONE, "a/b", body_of(b"1"))
    token, offset = await store.append(ONE, "u", await store.begin(ONE, "u"), 0, body_of(b"12"))
    away = store.root.with_name("away")
    store.root.rename(away)
    for look in (
        lambda: store.head(ONE, "a/b"),
        lambda: store.head(ONE, "none"),
        lambda: store.delete(ONE, "a/b"),
        lambda: read_all(store, ONE, "a/b"),
        lambda: store.put_stream(ONE, "c", body_of(b"1")),
        lambda: store.append(ONE, "u", token, offset, body_of(b"3")),
        lambda: store.fence(ONE, "u", token, offset),
        lambda: store.finish(ONE, "u", token, offset),
        lambda: store.begin(ONE, "v"),
        store.ping,
    ):
        with pytest.raises(StorageUnavailable) as caught:
            await look()
        assert str(store.root) not in str(caught.value)
    with pytest.raises(StorageUnavailable):
        _ = [found async for found in store.list(ONE)]
    with pytest.raises(StorageUnavailable):
        _ = [found async for found in store.unfinished(ONE)]
    assert not store.root.exists()
    away.rename(store.root)
    await store.ping()
    assert await read_all(store, ONE, "a/b") == b"1"
    token, offset = await store.append(ONE, "u", token, offset, body_of(b"3"))
    await store.finish(ONE, "u", token, offset)
    assert await read_all(store, ONE, "u") == b"123"


# --- what is left -------------------------------------------------------------------------------------------


async def test_nothing_stays_open(store: FilesystemDriver) -> None:
    """No file is left open, whatever ends a put, an append or a reading."""
    await store.put_stream(ONE, "a", body_of(content_of(3 * MIB)))
    token = await store.begin(ONE, "u")
    with pytest.raises(ZeroDivisionError):
        await store.put_stream(ONE, "b", body_of(content_of(5 * MIB), then=ZeroDivisionError()))
    with pytest.raises(AppendStopped):
        await store.append(ONE, "u", token, 0, body_of(content_of(5 * MIB), then=ZeroDivisionError()))
    with pytest.raises(ObjectExists):
        await store.put_stream(ONE, "a", body_of(b""))
    with anyio.CancelScope() as scope:
        async with store.open_range(ONE, "a") as pieces:
            async for _ in pieces:
                scope.cancel()
    assert not [name for name in open_files() if str(store.root) in name]
    assert len(files_of(store.root)) == 2


@pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
@pytest.mark.parametrize("moment", ["write", "publish"])
async def test_cancelled_by_force(store: FilesystemDriver, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    """`asyncio.Task.cancel` breaks off while a thread writes: the thread comes to its end, and then nothing is left."""
    entered, leave = threading.Event(), threading.Event()
    step = {"write": "_write", "publish": "publish"}[moment]
    real = getattr(part_files.PartFile, step)

    def slow(*args: object) -> object:
        entered.set()
        assert leave.wait(30)
        return real(*args)

    monkeypatch.setattr(part_files.PartFile, step, slow)
    task = asyncio.create_task(store.put_stream(ONE, "a", body_of(content_of(9 * MIB))))
    while not entered.is_set():
        await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.sleep(0.05)
    leave.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert files_of(store.root) == []
    assert not [name for name in open_files() if str(store.root) in name]


async def test_killed(tmp_path: Path) -> None:
    """After kill -9 everything acknowledged is there, and what else is there is found and can be removed."""
    root = tmp_path / "root"
    with subprocess.Popen(
        [sys.executable, Path(__file__).with_name("killed_store.py"), root], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        token = process.stdout.readline().strip()
        for _ in range(8):
            assert process.stdout.readline()
        process.kill()
        lines = process.stdout.read().split("\n")
    acknowledged = max([8 * 7 * len(PIECE), *[int(line) for line in lines[:-1]]])
    store = FilesystemDriver(root, SECRET, "")
    assert [found async for found in store.list("bucket")] == []
    begun = {key: token async for key, token, _ in store.unfinished("bucket")}
    assert set(begun) <= {"killed/upload", "killed/put"}
    assert begun["killed/upload"] == token
    done = await store.finish("bucket", "killed/upload", token, acknowledged)
    assert done.sha256 == hashlib.sha256(PIECE * (acknowledged // len(PIECE))).hexdigest()
    if "killed/put" in begun:
        await store.abort("bucket", "killed/put", begun["killed/put"])
    assert files_of(root) == ["bucket/killed/upload"]


async def test_killed_between_link_and_unlink(store: FilesystemDriver) -> None:
    """A crash after an object got its name, and before the part file lost its own, is no other object."""
    content = content_of(1000)
    token, offset = await store.append(ONE, "a", await store.begin(ONE, "a"), 0, body_of(content))
    (part,) = (store.root / ".uploads" / ONE).iterdir()
    (store.root / ONE).mkdir()
    os.link(part, store.root / ONE / "a")
    again = FilesystemDriver(store.root, SECRET, "")
    done = await again.finish(ONE, "a", token, offset)
    assert done.sha256 == hashlib.sha256(content).hexdigest()
    assert files_of(store.root) == [f"{ONE}/a"]


# --- full disks ---------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 12 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = (
        sys.platform == "linux"
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", disk], capture_output=True, check=False
        ).returncode
    )
    if not mounted:
        assert not os.environ.get("CI"), "a disk must be mounted here"
        pytest.skip("a disk can be mounted by root on Linux alone")
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


async def test_put_on_a_full_disk(small_disk: Path) -> None:
    """What does not fit is refused and leaves nothing, so that what fits has room again."""
    store = FilesystemDriver(small_disk, SECRET, "")
    await store.put_stream(ONE, "kept", body_of(content_of(MIB)))
    content = content_of(16 * MIB)
    for _ in range(3):
        async with aclosing(body_of(content)) as body:
            with pytest.raises(StorageFull) as caught:
                await store.put_stream(ONE, "large", body)
        assert caught.value.http_status == 507
    assert files_of(small_disk) == [f"{ONE}/kept"]
    await store.put_stream(ONE, "fits", body_of(content_of(9 * MIB)))
    assert await read_all(store, ONE, "kept") == content_of(MIB)


async def test_append_on_a_full_disk(small_disk: Path) -> None:
    """What an upload has is kept when the disk is full, with what still fitted; once there is room it goes on."""
    store = FilesystemDriver(small_disk, SECRET, "")
    content = content_of(11 * MIB)
    await store.put_stream(ONE, "other", body_of(content_of(5 * MIB)))
    token, offset = await store.append(ONE, "u", await store.begin(ONE, "u"), 0, body_of(content[:MIB]))
    async with aclosing(body_of(content[offset:])) as body:
        with pytest.raises(AppendStopped) as stopped:
            await store.append(ONE, "u", token, offset, body)
    assert isinstance(stopped.value.__cause__, StorageFull)
    assert MIB < stopped.value.offset < 8 * MIB
    offset = stopped.value.offset
    async with aclosing(body_of(content[offset:])) as body:
        with pytest.raises((StorageFull, AppendStopped)) as again:
            await store.append(ONE, "u", token, offset, body)
    if isinstance(again.value, AppendStopped):
        offset = again.value.offset
    with pytest.raises(StorageFull):
        await store.fence(ONE, "u", token, offset)
    assert len(list((small_disk / ".uploads" / ONE).iterdir())) == 1
    await store.delete(ONE, "other")
    token, offset = await store.append(ONE, "u", token, offset, body_of(content[offset:]))
    done = await store.finish(ONE, "u", token, offset)
    assert done.sha256 == hashlib.sha256(content).hexdigest()
    assert await read_all(store, ONE, "u") == content


# --- memory -------------------------------------------------------------------------------------------------


async def test_steps_of_an_append(store: FilesystemDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes in one batch goes to a thread once: to be written, hashed, closed, and known when more comes."""
    token, steps, run = await store.begin(ONE, "u"), [], store._run

    async def counted(step: Callable[..., Any], *args: Any) -> Any:
        steps.append(step.__name__)
        return await run(step, *args)

    monkeypatch.setattr(store, "_run", counted)
    monkeypatch.setattr(folder_uploads, "hash_of", None)
    for offset in range(0, 4 * MIB, MIB):
        assert await store.append(ONE, "u", token, offset, body_of(content_of(MIB))) == (token, offset + MIB)
    assert steps == ["close"] * 4
    done = await store.finish(ONE, "u", token, 4 * MIB)
    assert done.sha256 == hashlib.sha256(content_of(MIB) * 4).hexdigest()


@pytest.mark.slow
async def test_memory_is_bounded(store: FilesystemDriver) -> None:
    """64 MiB go in and out through less than 20 MiB of memory."""
    piece = content_of(64 * 1024)

    async def body() -> AsyncIterator[bytes]:
        for _ in range(64 * 16):
            yield piece

    tracemalloc.start()
    try:
        await store.put_stream(ONE, "large", body())
        token, offset = await store.append(ONE, "u", await store.begin(ONE, "u"), 0, body())
        await store.finish(ONE, "u", token, offset)
        async with store.open_range(ONE, "large") as pieces:
            got = 0
            async for one in pieces:
                got += len(one)
        assert got == 64 * MIB
        assert tracemalloc.get_traced_memory()[1] < 20 * MIB
    finally:
        tracemalloc.stop()
