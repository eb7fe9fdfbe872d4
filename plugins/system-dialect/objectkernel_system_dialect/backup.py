"""Copies of an SQLite database while it is in use, and the way back: verified, and made wholly or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Final

import attrs

from objectkernel_system_dialect.errors import BackupFailed

PORTION: Final = 2048
"""Pages that are copied before the progress is told."""


@attrs.frozen
class Restored:
    """What a restore has done: `kept` is where the database before it lies now, None where there was none."""

    database: Path
    kept: Path | None


def portions(source: Path) -> int:
    """How many times `back_up` yields, about."""
    return source.stat().st_size // (PORTION * 4096) + 1 if source.is_file() else 1


def back_up(source: Path, target: Path, *, force: bool = False) -> Iterator[None]:
    """Copy a database as it is at one moment, whoever writes to it meanwhile; yields as the work goes on.

    The copy appears under its name only when it has been verified and lies on the disk.

    Args:
        force: replace a file of that name.

    Raises:
        BackupFailed: there is no such database, the target exists, or one of them cannot be read or written.
    """
    if not source.is_file():
        raise _failed(f"there is no database {source.name} to back up", "it is made when a host starts", source)
    if target.exists() and not force:
        raise _exists(target)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield from _in_thread(source, part)
        verify(part)
        _onto_disk(part)
        _publish(part, target, force=force)
    except OSError as error:
        raise _failed(f"{target} cannot be written", error.strerror or type(error).__name__, target) from error
    finally:
        part.unlink(missing_ok=True)


def verify(file: Path) -> None:
    """Read a whole database file and hold it against its own structure.

    Raises:
        BackupFailed: it is no database, or a damaged one.
    """
    problem = "it is missing" if not file.is_file() else ""
    if not problem:
        try:
            with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as connection:
                (told,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
                (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
                problem = "its pages do not fit together" if told != "ok" else "" if tables else "it is empty"
        except sqlite3.Error as error:
            problem = f"SQLite reports {error.sqlite_errorname}"
    if problem:
        raise _failed(f"{file.name} is no sound database", problem, file)


def restore(file: Path, database: Path) -> Restored:
    """Put a copy of a backup in a database's place; the file that was there is kept beside it under another name.

    Raises:
        BackupFailed: the backup is damaged, the database is in use, or a file cannot be written. Nothing was changed.
    """
    verify(file)
    part = database.with_name(f".{database.name}.{os.getpid()}.part")
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        for _ in _in_thread(file, part):
            pass
        verify(part)
        if database.exists():
            shutil.copymode(database, part)
        _onto_disk(part)
        kept = _set_aside(database) if database.exists() else None
        os.replace(part, database)
        _folder_onto_disk(database.parent)
    except OSError as error:
        raise _failed(
            f"{database.name} cannot be restored", error.strerror or type(error).__name__, database
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return Restored(database, kept)


def _in_thread(source: Path, target: Path) -> Iterator[None]:
    """Copy in a thread of its own, and yield after each portion."""
    told: SimpleQueue[BaseException | bool] = SimpleQueue()

    def work() -> None:
        try:
            _copy(source, target, told)
        except BaseException as error:
            told.put(error)
        else:
            told.put(False)

    thread = Thread(target=work, name="objectkernel-backup")
    thread.start()
    try:
        while (news := told.get()) is True:
            yield
    finally:
        thread.join()
    if isinstance(news, sqlite3.Error):
        raise _failed(f"{source.name} cannot be copied", f"SQLite reports {news.sqlite_errorname}", source) from news
    if isinstance(news, BaseException):
        raise news


def _copy(source: Path, target: Path, told: SimpleQueue[BaseException | bool]) -> None:
    descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    os.close(descriptor)
    with (
        closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)) as origin,
        closing(sqlite3.connect(target, isolation_level=None)) as copy,
    ):
        origin.execute("BEGIN")
        origin.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # from here on it is one moment's
        origin.backup(copy, pages=PORTION, progress=lambda *_: told.put(True))
        copy.execute("PRAGMA journal_mode = DELETE").fetchone()  # a file by itself


def _set_aside(database: Path) -> Path:
    """Give the database another name, after making sure that nobody has it open."""
    try:
        with closing(sqlite3.connect(database, timeout=0, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE").fetchone()  # refused while somebody else is connected
            connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        raise _failed(
            f"{database.name} is in use", f"SQLite reports {error.sqlite_errorname}", database, "stop its host first"
        ) from error
    except sqlite3.DatabaseError:
        pass  # what is damaged nobody uses; it is kept all the same
    kept = database.with_name(f"{database.name}.before-restore-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
    os.rename(database, kept)
    for suffix in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.rename(f"{database}{suffix}", f"{kept}{suffix}")
    return kept


def _publish(part: Path, target: Path, *, force: bool) -> None:
    if force:
        os.replace(part, target)
    else:
        try:
            os.link(part, target)  # which replaces nothing, whoever came first
        except FileExistsError:
            raise _exists(target) from None
    _folder_onto_disk(target.parent)


def _onto_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _folder_onto_disk(folder: Path) -> None:
    with contextlib.suppress(PermissionError):  # a system that opens no folders keeps their entries itself
        _onto_disk(folder)


def _exists(target: Path) -> BackupFailed:
    return _failed(
        f"{target} exists", "a backup replaces no file unasked", target, "name another file, or give --force"
    )


def _failed(
    what: str, why: str, file: Path, fix: str = "check the path, its permissions and the room on the disk"
) -> BackupFailed:
    return BackupFailed(what, why=why, fix=fix, file=str(file))
