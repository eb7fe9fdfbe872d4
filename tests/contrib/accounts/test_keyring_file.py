"""The key file: made whole, readable by its user alone, the same for all processes, and never made anew by itself."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from objectkernel_accounts import keyring_file
from objectkernel_accounts.keyring_errors import KeyFileDamaged, KeyFileUnsafe, KeyFileUnusable
from objectkernel_accounts.keyring_file import KeyFile, key_file
from objectkernel_contracts import NamedKey

MAKER = """
import sys
from pathlib import Path
from objectkernel_accounts.keyring_file import key_file
file = key_file(Path(sys.argv[1]))
sys.stdin.readline()
for name in sys.argv[2:]:
    print(name, file.ensure(name)[name][0].secret.hex(), flush=True)
"""
NAMES = [f"name{number}" for number in range(20)]


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    return key_file(tmp_path / "data")


def test_made(file: KeyFile) -> None:
    """The file is made with the first key, for its user alone, and another reader finds the same in it."""
    assert file.read() == {}
    assert not file.path.exists()
    made = file.ensure("sessions", "csrf")
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert file.path.with_name("keys.json.lock").stat().st_mode & 0o777 == 0o600
    assert KeyFile(file.path).read() == made
    assert sorted(made) == ["csrf", "sessions"]
    assert KeyFile(file.path).ensure("sessions") == made


def test_umask_does_not_matter(file: KeyFile) -> None:
    """Also a process that lets everybody read its files makes this one for itself."""
    before = os.umask(0)
    try:
        file.ensure("sessions")
    finally:
        os.umask(before)
    assert file.path.stat().st_mode & 0o777 == 0o600


def test_changed(file: KeyFile) -> None:
    """Whoever has read the file is told when it is another one."""
    reader = KeyFile(file.path)
    assert not reader.changed()
    file.ensure("sessions")
    assert reader.changed()
    reader.read()
    assert not reader.changed()
    file.ensure("sessions")
    assert not reader.changed()
    file.ensure("csrf")
    assert reader.changed()
    assert not file.changed()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666, 0o601])
def test_others_may_use_it(file: KeyFile, mode: int) -> None:
    """A file that others may read or write is refused, and told how to be mended."""
    file.ensure("sessions")
    file.path.chmod(mode)
    for use in (file.read, lambda: file.ensure("csrf")):
        with pytest.raises(KeyFileUnsafe) as caught:
            use()
        assert (caught.value.path, "chmod 600" in caught.value.fix) == (str(file.path), True)


def test_of_another_user(file: KeyFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that belongs to another user is refused."""
    file.ensure("sessions")
    monkeypatch.setattr(keyring_file.os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(KeyFileUnsafe, match="another user"):
        file.read()


def test_no_plain_file(file: KeyFile, tmp_path: Path) -> None:
    """Neither a link nor a pipe nor a folder is read."""
    (tmp_path / "data").mkdir()
    real = tmp_path / "real"
    real.write_text("{}")
    file.path.symlink_to(real)
    with pytest.raises(KeyFileUnusable):
        file.read()
    file.path.unlink()
    os.mkfifo(file.path, 0o600)
    with pytest.raises(KeyFileUnsafe):
        file.read()
    file.path.unlink()
    file.path.mkdir()
    with pytest.raises((KeyFileUnsafe, KeyFileUnusable)):
        file.read()


SECRET = "c2VjcmV0" * 6


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '"x"',
        "{}",
        '{"format": 2, "keys": {}}',
        '{"format": 1, "keys": []}',
        '{"format": 1, "keys": {"sessions": []}}',
        '{"format": 1, "keys": {"sessions": [{"id": "a"}]}}',
        '{"format": 1, "keys": {"sessions": [{"id": 5, "secret": "' + SECRET + '"}]}}',
        '{"format": 1, "keys": {"sessions": [{"id": "a", "secret": 5}]}}',
        '{"format": 1, "keys": {"sessions": [{"id": "a", "secret": "c2VjcmV0"}]}}',
        '{"format": 1, "keys": {"../x": [{"id": "a", "secret": "' + SECRET + '"}]}}',
        "[" * 100_000,
        " " * (2**20 + 1),
    ],
    ids=range(15),
)
def test_damaged(file: KeyFile, content: str) -> None:
    """What cannot be understood is an error that says what to do; it is left as it is, and shows no secret."""
    file.path.parent.mkdir()
    file.path.write_text(content)
    file.path.chmod(0o600)
    for use in (file.read, lambda: file.ensure("sessions")):
        with pytest.raises(KeyFileDamaged) as caught:
            use()
        assert "backup" in caught.value.fix
        assert "c2VjcmV0" not in str(caught.value)
    assert file.path.read_text() == content


def test_gone(file: KeyFile) -> None:
    """A file that vanishes while its host runs is not silently made anew."""
    made = file.ensure("sessions")
    content = file.path.read_bytes()
    file.path.unlink()
    for _ in range(2):
        with pytest.raises(KeyFileUnusable, match="gone"):
            file.ensure("csrf")
        assert not file.path.exists()
    file.path.write_bytes(content)
    file.path.chmod(0o600)
    assert file.ensure("csrf")["sessions"] == made["sessions"]


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """A folder that cannot be made is told with the variable that names it."""
    (tmp_path / "data").write_text("")
    with pytest.raises(KeyFileUnusable, match="OBJECTKERNEL_DATA_DIR"):
        key_file(tmp_path / "data").ensure("sessions")


def test_lock_that_is_never_given_back(file: KeyFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that hangs with the lock is waited for only so long."""
    monkeypatch.setattr(keyring_file, "PATIENCE", 0.05)
    inside, done = threading.Event(), threading.Event()

    def hold(keys: object) -> dict[str, tuple[NamedKey, ...]]:
        inside.set()
        done.wait()
        return {}

    thread = threading.Thread(target=KeyFile(file.path).change, args=(hold,))
    thread.start()
    inside.wait()
    try:
        with pytest.raises(KeyFileUnusable, match="lock"):
            file.ensure("sessions")
    finally:
        done.set()
        thread.join()
    assert sorted(file.ensure("sessions")) == ["sessions"]


def test_that_can_only_be_read(file: KeyFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for keys that are there needs no lock, and so no folder that may be written."""
    made = file.ensure("sessions")
    monkeypatch.setattr(KeyFile, "_locked", lambda self: pytest.fail("it was locked"))
    assert KeyFile(file.path).ensure("sessions") == made


def test_full_disk(file: KeyFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no room for the new file, the old one stays, and the next writing succeeds."""

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    made = file.ensure("sessions")
    monkeypatch.setattr(keyring_file.os, "fsync", full)
    with pytest.raises(KeyFileUnusable, match="No space left"):
        file.ensure("csrf")
    assert file.read() == KeyFile(file.path).read() == made
    monkeypatch.undo()
    assert sorted(file.ensure("csrf")) == ["csrf", "sessions"]
    assert not list(file.path.parent.glob("*.new"))


def test_left_by_a_dead_writer(file: KeyFile) -> None:
    """What a writer that was killed has left beside the file is taken away by the next one."""
    file.path.parent.mkdir()
    left = file.path.with_name("keys.json.1.new")
    left.write_text("half")
    file.ensure("sessions")
    assert not left.exists()


def _maker(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", MAKER, str(folder), *NAMES]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_processes_at_once(file: KeyFile) -> None:
    """Processes that ask for the same names at once get the same keys, and lose none."""
    makers = [_maker(file.path.parent) for _ in range(4)]
    for maker in makers:
        assert maker.stdin is not None
        maker.stdin.write("go\n")
        maker.stdin.flush()
    told = {maker.communicate()[0] for maker in makers}
    assert {maker.returncode for maker in makers} == {0}
    assert len(told) == 1
    kept = file.read()
    assert dict(line.split() for line in told.pop().splitlines()) == {
        name: kept[name][0].secret.hex() for name in NAMES
    }


@pytest.mark.slow
def test_killed(tmp_path: Path) -> None:
    """Whenever a process is killed: each key that it has told is in the file, and the file is whole."""
    chance = random.Random(4)
    for round in range(20):
        file = key_file(tmp_path / str(round))
        with _maker(file.path.parent) as maker:
            assert maker.stdin is not None
            assert maker.stdout is not None
            maker.stdin.write("go\n")
            maker.stdin.flush()
            told = [maker.stdout.readline() for _ in range(chance.randrange(1, len(NAMES) // 2))]
            for _ in range(chance.randrange(20_000)):
                pass  # at another step of the next writing each time
            maker.send_signal(signal.SIGKILL)
            told += maker.stdout.readlines()
        kept = file.ensure("another") if file.path.exists() else {}
        for line in (line for line in told if line.endswith("\n")):  # the last may have been cut off
            name, secret = line.split()
            assert kept[name][0].secret.hex() == secret
        assert json.loads(file.path.read_text())["format"] == 1
        assert not list(file.path.parent.glob("*.new"))
