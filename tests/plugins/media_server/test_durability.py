"""What is on the disk when the folder store says so: the order of writing, `fsync` and names, as the system sees it.

A crash of the process does not show it: what was written is with the operating system then. So the calls are recorded.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from objectkernel_media_server.filesystem import FilesystemDriver
from objectkernel_media_server.testing.stores import MIB, body_of, content_of

ONE = "suite-one"
KEY = "a/b/c.webm"
SECRET = "s" * 32
WRITES = ("write", "writev", "ftruncate", "utime", "copy_file_range")

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="names of open files are read there"),
]


class Disk:
    """Records what is written, synced and named below a folder; every call is made.

    Attributes:
        calls: what was called, with the path that it was about.
    """

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.calls: list[tuple[str, str]] = []
        for name in (*WRITES, "fsync"):
            place = 1 if name == "copy_file_range" else 0
            monkeypatch.setattr(os, name, self._recording(name, getattr(os, name), place))
        monkeypatch.setattr(os, "supports_fd", {*os.supports_fd, os.utime})
        for name, place in (("mkdir", 0), ("link", 1), ("unlink", 0)):
            monkeypatch.setattr(os, name, self._recording(name, getattr(os, name), place))

    def _recording(self, name: str, call: Callable[..., Any], place: int) -> Callable[..., Any]:
        def recording(*args: Any, **options: Any) -> Any:
            about = args[place]
            path = Path(os.readlink(f"/proc/self/fd/{about}")) if isinstance(about, int) else Path(about)
            found = call(*args, **options)
            if path.is_relative_to(self.root):
                self.calls.append((name, str(path.relative_to(self.root))))
            return found

        return recording

    def at(self, name: str, path: str) -> list[int]:
        """When something was done to a path."""
        return [n for n, call in enumerate(self.calls) if call == (name, path)]

    def written(self, path: str) -> list[int]:
        """When something of a file was changed."""
        return [n for n, (name, about) in enumerate(self.calls) if about == path and name in WRITES]

    def named(self) -> tuple[int, str]:
        """When the object got its name, and what its part file was called."""
        ((when, _),) = [(n, about) for n, (name, about) in enumerate(self.calls) if name == "link"]
        (part,) = {about for name, about in self.calls if name == "unlink"}
        return when, part


@pytest.fixture
def store(tmp_path: Path) -> FilesystemDriver:
    return FilesystemDriver(tmp_path / "root", SECRET, "")


@pytest.fixture
def disk(store: FilesystemDriver, monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(store.root, monkeypatch)


def is_named_for_good(disk: Disk) -> None:
    """The content was on the disk before it had its name, and its name and folders before its other name went."""
    linked, part = disk.named()
    assert disk.at("fsync", part) and disk.at("fsync", part)[-1] > disk.written(part)[-1]
    assert disk.at("fsync", part)[-1] < linked
    (removed,) = disk.at("unlink", part)
    assert any(linked < n < removed for n in disk.at("fsync", f"{ONE}/a/b"))
    for folder in (ONE, f"{ONE}/a", f"{ONE}/a/b"):
        (made,) = disk.at("mkdir", folder)
        above = str(Path(folder).parent)
        assert any(made < n < linked for n in disk.at("fsync", above)), folder


async def test_put(store: FilesystemDriver, disk: Disk) -> None:
    """An object that was put is on the disk, with its name and the folders that it is in."""
    await store.put_stream(ONE, KEY, body_of(content_of(9 * MIB)))
    is_named_for_good(disk)


async def test_begin_and_append(store: FilesystemDriver, disk: Disk) -> None:
    """What is acknowledged is on the disk, and so is the name of the file that it is in."""
    token = await store.begin(ONE, KEY)
    (part,) = {about for name, about in disk.calls if name == "fsync" and about.endswith(token)}
    folder = str(Path(part).parent)
    assert disk.at("fsync", folder)[-1] > disk.at("fsync", part)[0]
    (made,) = disk.at("mkdir", folder)
    assert any(n > made for n in disk.at("fsync", str(Path(folder).parent)))
    offset = 0
    for size in (1, 5 * MIB):
        del disk.calls[:]
        token, offset = await store.append(ONE, KEY, token, offset, body_of(content_of(size)))
        assert disk.written(part) and disk.at("fsync", part)[-1] > disk.written(part)[-1]
    await store.finish(ONE, KEY, token, offset)
    is_named_for_good(disk)


async def test_fence(store: FilesystemDriver, disk: Disk) -> None:
    """The copy that another host goes on with is on the disk, and has its name there."""
    token, offset = await store.append(ONE, KEY, await store.begin(ONE, KEY), 0, body_of(content_of(1000)))
    del disk.calls[:]
    token = await store.fence(ONE, KEY, token, offset)
    (copy,) = {about for name, about in disk.calls if name in WRITES}
    assert copy.endswith(token)
    assert disk.written(copy)[-1] < disk.at("fsync", copy)[-1] < disk.at("fsync", str(Path(copy).parent))[-1]


async def test_folder_of_somebody_else(store: FilesystemDriver, disk: Disk) -> None:
    """A folder that is there already is written to the disk too: whoever made it may have died before he did that."""
    (store.root / ONE / "a" / "b").mkdir(parents=True)
    await store.put_stream(ONE, KEY, body_of(b"x"))
    linked, _ = disk.named()
    for above in (".", ONE, f"{ONE}/a"):
        assert any(n < linked for n in disk.at("fsync", above)), above


async def test_delete(store: FilesystemDriver, disk: Disk) -> None:
    """What was removed does not come back."""
    await store.put_stream(ONE, KEY, body_of(b"x"))
    del disk.calls[:]
    await store.delete(ONE, KEY)
    (removed,) = disk.at("unlink", f"{ONE}/{KEY}")
    assert disk.at("fsync", f"{ONE}/a/b")[-1] > removed


async def test_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever does not want to wait for the disk does not."""
    store = FilesystemDriver(tmp_path / "root", SECRET, "", fsync=False)
    disk = Disk(store.root, monkeypatch)
    token, offset = await store.append(ONE, KEY, await store.begin(ONE, KEY), 0, body_of(content_of(1000)))
    token = await store.fence(ONE, KEY, token, offset)
    await store.finish(ONE, KEY, token, offset)
    await store.put_stream(ONE, "b", body_of(b"x"))
    await store.delete(ONE, "b")
    assert [name for name, _ in disk.calls if name == "fsync"] == [] and disk.calls
