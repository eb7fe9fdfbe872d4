"""Kept tokens: readable for their owner alone, replaced as a whole, locked between processes."""

from __future__ import annotations

import errno
import json
import logging
import os
import signal
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest
from filelock import FileLock
from objectkernel.secret import Secret
from objectkernel_device_auth import token_file
from objectkernel_device_auth.contracts import AuthorizationFailed
from objectkernel_device_auth.token_file import FileTokenStore, folder_of

from tests.plugins.device_auth.client_side import token

pytestmark = pytest.mark.anyio
ISSUER = "https://auth.example"


@pytest.fixture
def store(tmp_path: Path) -> FileTokenStore:
    """A store in a folder that is not there yet."""
    return FileTokenStore(tmp_path / "config" / "objectkernel")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_what_is_kept_comes_back(anyio_backend: str, store: FileTokenStore) -> None:
    """With everything that belongs to it; nothing is there before."""
    assert await store.load(ISSUER, "a", "x") is None
    kept = token(ISSUER, client_id="a", scope="x", granted_scope="y", refresh_token=Secret("r"))
    await store.save(kept)
    assert await store.load(ISSUER, "a", "x") == kept
    endless = token(ISSUER, ends=None)
    await store.save(endless)
    assert await store.load(ISSUER, "objectkernel-cli", "") == endless


async def test_item_37_each_issuer_client_and_scope_has_its_own(anyio_backend: str, store: FileTokenStore) -> None:
    """One is replaced, the others stay."""
    several = [token(ISSUER, client_id=c, scope=s) for c in ("a", "b") for s in ("", "x")]
    several.append(token("https://other.example"))
    for one in several:
        await store.save(one)
    await store.save(token(ISSUER, client_id="a", scope="x", access_token=Secret("newer")))
    assert len(await store.tokens()) == 5
    kept = await store.load(ISSUER, "a", "x")
    assert kept is not None and kept.access_token == Secret("newer")
    assert await store.load(ISSUER, "b", "") == several[2]
    assert await store.load(ISSUER, "c", "") is None


async def test_item_37_the_folder_is_the_platforms(
    anyio_backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``XDG_CONFIG_HOME`` is honoured; without it the folder lies in the user's home."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    assert folder_of("orphan-care") == tmp_path / "xdg" / "orphan-care"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert folder_of("orphan-care") == tmp_path / ".config" / "orphan-care"


async def test_item_35_only_the_owner_may_read(anyio_backend: str, store: FileTokenStore) -> None:
    """The folder is 0700 and the file 0600, whatever the process's mask is."""
    before = os.umask(0)
    try:
        await store.save(token(ISSUER))
    finally:
        os.umask(before)
    assert mode(store.folder) == 0o700
    assert {path.name: mode(path) for path in store.folder.iterdir()} == {"auth.json": 0o600, "auth.json.lock": 0o600}


async def test_item_35_what_was_open_to_others_is_closed(anyio_backend: str, store: FileTokenStore) -> None:
    """An existing file and folder get the modes too, the file already when it is read."""
    await store.save(token(ISSUER))
    for path, wide in ((store.path, 0o644), (store.folder, 0o755)):
        path.chmod(wide)
    await store.load(ISSUER, "objectkernel-cli", "")
    assert mode(store.path) == 0o600
    store.path.chmod(0o666)
    await store.save(token(ISSUER))
    assert (mode(store.path), mode(store.folder)) == (0o600, 0o700)


@pytest.mark.parametrize(
    "content",
    [b"", b"\0" * 100, b'{"tokens": [', b"[]", b'{"tokens": {}}', b"null", b'{"tokens": [5]}', b"[" * 10**5],
    ids=lambda content: repr(content[:14]),
)
async def test_item_35_a_damaged_file_is_set_aside(
    anyio_backend: str, store: FileTokenStore, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """It is as if nothing were kept; the next key makes a new file, and the old one can be looked at."""
    await store.save(token(ISSUER))
    store.path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert await store.load(ISSUER, "objectkernel-cli", "") is None
        kept = token(ISSUER)
        await store.save(kept)
    assert await store.load(ISSUER, "objectkernel-cli", "") == kept
    damaged = store.path.with_name("auth.json.damaged")
    assert (damaged.read_bytes(), mode(damaged)) == (content, 0o600)
    assert "damaged" in caplog.text


async def test_good_entries_of_a_damaged_file_stay(anyio_backend: str, store: FileTokenStore) -> None:
    """An entry that is not understood costs no other."""
    good = token(ISSUER)
    await store.save(good)
    document = json.loads(store.path.read_bytes())
    entry = document["tokens"][0]
    document["tokens"] += [
        entry | {"expires_at": "soon"},
        entry | {"access_token": 5},
        entry | {"refresh_token": ["x"]},
        {"issuer": ISSUER},
    ]
    store.path.write_text(json.dumps(document))
    assert await store.tokens() == (good,)


async def test_item_35_a_write_that_fails_leaves_what_was_there(
    anyio_backend: str, store: FileTokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full: the error says so and what to do, the old key is as it was, and nothing half lies about."""
    old = token(ISSUER)
    await store.save(old)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(AuthorizationFailed) as caught:
        await store.save(token(ISSUER, access_token=Secret("newer")))
    assert caught.value.reason == "not-kept"
    assert "No space left" in str(caught.value) and str(store.folder) in str(caught.value)
    with pytest.raises(AuthorizationFailed):
        async with store.exclusive():
            pytest.fail("there is no room for a key")
    monkeypatch.undo()
    assert await store.tokens() == (old,)
    assert {path.name for path in store.folder.iterdir()} == {"auth.json", "auth.json.lock"}
    async with store.exclusive():  # the lock was given back
        pass


async def test_a_folder_that_cannot_be_made_is_told(anyio_backend: str, tmp_path: Path) -> None:
    """Before anybody is asked for anything: a file stands where the folder would be."""
    (tmp_path / "config").write_text("a file")
    store = FileTokenStore(tmp_path / "config" / "objectkernel")
    with pytest.raises(AuthorizationFailed) as caught:
        async with store.exclusive():
            pytest.fail("nothing can be kept")
    assert caught.value.reason == "not-kept"
    with pytest.raises(AuthorizationFailed):
        await store.tokens()


async def test_a_read_only_folder_is_told(
    anyio_backend: str, store: FileTokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept can be read; to get a key is refused before anybody is asked."""
    await store.save(token(ISSUER))

    def read_only(self: FileLock, **options: object) -> None:
        raise PermissionError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(FileLock, "acquire", read_only)
    assert len(await store.tokens()) == 1
    with pytest.raises(AuthorizationFailed, match="Read-only file system"):
        async with store.exclusive():
            pytest.fail("nothing can be kept")


async def test_forgetting_is_no_error_where_nothing_is(anyio_backend: str, store: FileTokenStore) -> None:
    """Not even a folder is made for it."""
    await store.clear()
    assert not store.folder.exists()
    await store.save(token(ISSUER))
    await store.clear()
    assert await store.tokens() == ()
    assert not store.path.exists()


async def test_forgetting_does_not_wait_for_a_person(
    anyio_backend: str, store: FileTokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may hold the lock for minutes, until somebody approves."""
    monkeypatch.setattr(token_file, "CLEARED_AFTER", 0.1)
    await store.save(token(ISSUER))
    async with FileTokenStore(store.folder).exclusive():
        await store.clear()
    assert await store.tokens() == ()


async def test_item_36_one_holds_the_lock(anyio_backend: str, store: FileTokenStore) -> None:
    """Others of the same folder wait, in this process too; the holder itself can save."""
    other = FileTokenStore(store.folder)
    seen: list[str] = []

    async def second() -> None:
        async with other.exclusive():
            seen.append("second")

    async with anyio.create_task_group() as tasks, store.exclusive():
        tasks.start_soon(second)
        await anyio.sleep(0.3)
        await store.save(token(ISSUER))
        seen.append("first")
    assert seen == ["first", "second"]


async def test_who_is_cancelled_while_waiting_holds_nothing(anyio_backend: str, store: FileTokenStore) -> None:
    """Neither the lock nor the others."""
    other = FileTokenStore(store.folder)
    async with store.exclusive():
        with anyio.move_on_after(0.2):
            async with other.exclusive():
                pytest.fail("two hold it")
    async with other.exclusive():
        pass


KILLED = """
import os, sys, anyio
from pathlib import Path
from objectkernel.secret import Secret
from objectkernel_device_auth import token_file
from objectkernel_device_auth.token_file import FileTokenStore
from tests.plugins.device_auth.client_side import token

def killed(*_):
    os.kill(os.getpid(), 9)

setattr(token_file.os, sys.argv[2], killed)
store = FileTokenStore(Path(sys.argv[1]))
anyio.run(store.save, token("https://auth.example", access_token=Secret("half")))
"""


@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_item_38_who_is_killed_leaves_no_half_file(store: FileTokenStore, moment: str) -> None:
    """Before the write is on the disk, and before it takes the place of the old one: the old key is there."""
    old = token(ISSUER)
    anyio.run(store.save, old)
    root = Path(__file__).parents[3]
    ended = subprocess.run([sys.executable, "-c", KILLED, str(store.folder), moment], cwd=root, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert anyio.run(store.tokens) == (old,)
    newer = token(ISSUER, access_token=Secret("newer"))
    anyio.run(store.save, newer)  # the lock of the dead is free
    assert anyio.run(store.tokens) == (newer,)
    assert not store.path.with_name("auth.json.new").exists()


async def test_a_time_is_kept_exactly(anyio_backend: str, store: FileTokenStore) -> None:
    """Aware and in UTC, to the microsecond."""
    moment = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    await store.save(token(ISSUER, expires_at=moment))
    (kept,) = await store.tokens()
    assert (kept.expires_at, kept.expires_at and kept.expires_at.utcoffset()) == (moment, UTC.utcoffset(None))
