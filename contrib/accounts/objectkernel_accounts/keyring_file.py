"""The key file: secrets that a host has made for itself, readable by its user alone.

It is replaced as a whole, by a file that was written and synchronised beside it, under a lock that all processes of
the host share: whoever dies half-way leaves the file as it was.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from objectkernel_contracts import NamedKey

from objectkernel_accounts.keyring_errors import KeyFileDamaged, KeyFileUnsafe, KeyFileUnusable
from objectkernel_accounts.keyring_text import Keys, decoded, encoded, is_name, new_key, problems_of

NAME: Final = "keys.json"
FORMAT: Final = 1
LONGEST: Final = 2**20
"""Bytes of a file that is read."""
PATIENCE: Final = 10.0
"""Seconds to wait for another process, which holds the lock for some milliseconds."""
OTHERS: Final = 0o077
PRIVATE: Final = 0o600


class KeyFile:
    """The secrets in one file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, ...] | None = None
        self._known = False

    def read(self) -> Keys:
        """Every key in the file; none where there is no file yet.

        Raises:
            KeyFileUnsafe, KeyFileDamaged, KeyFileUnusable
        """
        content = self._content()
        return {} if content is None else self._parsed(content)

    def changed(self) -> bool:
        """Whether the file is another one than was read last."""
        try:
            return _identity(os.stat(self.path, follow_symlinks=False)) != self._seen
        except OSError:
            return False

    def ensure(self, *names: str) -> Keys:
        """Every key in the file, after those names that had none were given one.

        Raises:
            KeyFileUnsafe, KeyFileDamaged, KeyFileUnusable
        """
        keys = self.read()
        if all(name in keys for name in names):
            return keys  # also of a file that can only be read
        return self.change(lambda keys: {name: (new_key(),) for name in names if name not in keys})

    def change(self, change: Callable[[Keys], Keys]) -> Keys:
        """Every key in the file, after the names that `change` gives were given those keys; nothing: no writing.

        Raises:
            KeyFileUnsafe, KeyFileDamaged, KeyFileUnusable, whatever `change` raises
        """
        with self._telling(), self._locked():
            known = self._known
            keys = self.read()
            if known and self._seen is None:
                raise self._unusable("it was there when the host started, and is gone", "put it back, from a backup")
            if new := change(keys):
                keys = {**keys, **new}
                self._write(keys)
            return keys

    def _content(self) -> bytes | None:
        """What is in the file, once it is known to be nobody else's; None: there is none."""
        with self._telling():
            try:
                descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
            except FileNotFoundError:
                self._seen = None
                return None
            with os.fdopen(descriptor, "rb") as file:
                status = os.fstat(descriptor)
                self._expect_private(status)
                content = file.read(LONGEST + 1)
            self._seen, self._known = _identity(status), True
        return content

    def _expect_private(self, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            why, fix = "it is no plain file", "remove what is in its place"
        elif status.st_uid != os.geteuid():
            why, fix = "it belongs to another user than the host runs as", "give it to that user, with chown"
        elif status.st_mode & OTHERS:
            why = f"its permissions are {stat.filemode(status.st_mode)}: others may use it"
            fix = f"chmod 600 {self.path}; if others may have read it, change the keys: objectkernel secrets rotate"
        else:
            return
        raise KeyFileUnsafe("the key file is not safe", where=str(self.path), why=why, fix=fix, path=str(self.path))

    def _parsed(self, content: bytes) -> Keys:
        try:
            if len(content) > LONGEST:
                raise ValueError("it is too long")
            return _keys(json.loads(content))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            why = str(error) if type(error) is ValueError else "it is not the JSON that was written to it"
        raise KeyFileDamaged(
            "the key file cannot be understood",
            where=str(self.path),
            why=why,
            fix="bring it back from a backup; only if there is none, move it away: new keys are made then, and what "
            "was signed or encrypted with the old ones is lost (links, device cookies, stored connection strings)",
            path=str(self.path),
        )

    def _write(self, keys: Keys) -> None:
        kept = {name: [{"id": one.id, "secret": encoded(one.secret)} for one in keys[name]] for name in sorted(keys)}
        folder = self.path.parent
        for left in folder.glob(f"{self.path.name}.*.new"):  # of whoever died; nobody else writes under the lock
            left.unlink()
        beside = folder / f"{self.path.name}.{os.getpid()}.new"
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE)
        with os.fdopen(descriptor, "w") as file:
            json.dump({"format": FORMAT, "keys": kept}, file, indent=2)
            file.flush()
            os.fsync(descriptor)
            self._seen, self._known = _identity(os.fstat(descriptor)), True
        os.replace(beside, self.path)
        _synchronise(folder)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone among the processes of this host."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self.path.with_name(f"{self.path.name}.lock"), flags, PRIVATE)
        try:
            until = time.monotonic() + PATIENCE
            while not _taken(descriptor):
                if time.monotonic() > until:
                    raise self._unusable("another process has held its lock for too long", "end that process")
                time.sleep(0.005)
            yield
        finally:
            os.close(descriptor)  # and with it the lock

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Turn what the system reports into an error of ours."""
        try:
            yield
        except OSError as error:
            why = f"the system reports {type(error).__name__}: {error.strerror}"
            fix = "let the host's user read and write the folder, or set OBJECTKERNEL_DATA_DIR to one where it may"
            raise self._unusable(why, fix) from error

    def _unusable(self, why: str, fix: str) -> KeyFileUnusable:
        where = str(self.path)
        return KeyFileUnusable("the key file cannot be used", where=where, why=why, fix=fix, path=where)


def _keys(document: Any) -> Keys:
    """The keys of a file's JSON.

    Raises:
        ValueError: with what is wrong; that, or another error, for what is no such JSON.
    """
    if document["format"] != FORMAT:
        raise ValueError(f"it has the format {document['format']!r}, and {FORMAT} is known")
    found: dict[str, tuple[NamedKey, ...]] = {}
    for name, listed in document["keys"].items():
        keys = tuple(NamedKey(id=one["id"], secret=decoded(one["secret"]) or b"") for one in listed)
        problems = list(problems_of(name, keys))
        if not keys or not is_name(name):
            problems.append(f"{name!r} has no key, or is no name")
        if problems:
            raise ValueError("; ".join(problems))
        found[name] = keys
    return found


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _taken(descriptor: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _synchronise(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def key_file(folder: Path) -> KeyFile:
    """The key file of a data folder."""
    return KeyFile(folder / NAME)
