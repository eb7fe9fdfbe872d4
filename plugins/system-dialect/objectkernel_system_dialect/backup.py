"""Copies of an SQLite database while it is in use, and the way back: verified, and made wholly or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from typing import Final

import attrs

from objectkernel_system_dialect.errors import BackupFailed

PORTION: Final = 2048
"""Pages that are copied before the progress is told."""
BESIDE: Final = ("", "-wal", "-shm", "-journal")
"""What is behind the names of a database and of the files that SQLite keeps beside it."""


@attrs.frozen
class Restored:
    """What a restore has done: `kept` is where the database before it lies now, None where there was none."""

    database: Path
    kept: Path | None


def portions(source: Path) -> int:
    """How many times `back_up` yields, about."""
    return source.stat().st_size // (PORTION * 4096) + 1 if source.is_file() else 1


def check_targets(targets: Sequence[Path], databases: Sequence[Path], *, force: bool = False) -> None:
    """Refuse copies that would replace something, before any is made.

    Raises:
        BackupFailed: a target is one of the databases or lies where SQLite has files of theirs, whatever `force` says;
            or it exists.
    """
    living = {f"{database.resolve()}{end}" for database in databases for end in BESIDE}
    for target in targets:
        if str(target.resolve()) in living:
            raise _failed(f"{target} is a database in use", "a copy would replace it", target, "name another file")
        if target.exists() and not force:
            raise _exists(target)


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
    check_targets([target], [source], force=force)
    try:
        with _part_of(target) as part:
            yield from _in_thread(source, part)
            verify(part, called=f"the copy of {source.name}")
            _onto_disk(part)
            _publish(part, target, force=force)
    except OSError as error:
        raise _failed(f"{target} cannot be written", error.strerror or type(error).__name__, target) from error


def verify(file: Path, expected: Collection[str] = (), *, called: str = "") -> None:
    """Read a whole database file and hold it against its own structure.

    Args:
        expected: names of tables, of which it has to have one, if there are any; where there are none it may be a
            database without tables, but no file without a byte.
        called: how messages call it; by default by its name.

    Raises:
        BackupFailed: it is no database, a damaged one, or one of something else.
    """
    problem = "it is missing" if not file.is_file() else "it is empty" if not file.stat().st_size else ""
    if not problem:
        try:
            with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as connection:
                connection.execute("PRAGMA trusted_schema = OFF")
                (told,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
                tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
                if told != "ok":
                    problem = "its pages do not fit together"
                elif expected and tables.isdisjoint(expected):
                    problem = "it has none of the tables that belong there" if tables else "it is empty"
        except sqlite3.Error as error:
            problem = f"SQLite reports {error.sqlite_errorname}"
    if problem:
        raise _failed(f"{called or file.name} is no sound database", problem, file, "name another copy")


def restore(file: Path, database: Path, expected: Collection[str] = ()) -> Restored:
    """Put a copy of a backup in a database's place; the file that was there is kept beside it under another name.

    There is a database at every moment: the old one or the copy, whole.

    Args:
        expected: as for `verify`.

    Raises:
        BackupFailed: the backup is damaged, the database is in use, or a file cannot be written. Nothing was changed.
    """
    verify(file, expected)
    database = database.resolve()  # where a link leads to another disk, it belongs there
    if file.resolve() == database:
        raise _failed(f"{file.name} is the database itself", "there is no copy in it", file, "name a copy of it")
    kept = None
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        with _part_of(database) as part:
            for _ in _in_thread(file, part):
                pass
            verify(part, called=f"the copy of {file.name}")
            if database.exists():
                _make_alike(part, database)
            _onto_disk(part)
            if database.exists():
                kept = _keep(database)
            os.replace(part, database)
            _folder_onto_disk(database.parent)
    except OSError as error:
        raise _failed(
            f"{database.name} cannot be restored", error.strerror or type(error).__name__, database
        ) from error
    return Restored(database, kept)


@contextmanager
def _part_of(target: Path) -> Iterator[Path]:
    """An empty file beside `target` that only its owner may read; what is left of it at the end is removed."""
    descriptor, name = tempfile.mkstemp(".part", f".{target.name[:100]}.", target.parent)
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        for end in BESIDE:
            Path(f"{name}{end}").unlink(missing_ok=True)


def _make_alike(part: Path, database: Path) -> None:
    """Let the same people read and write it; who may not give files away keeps it."""
    shutil.copymode(database, part)
    owner = database.stat()
    with contextlib.suppress(PermissionError):
        os.chown(part, owner.st_uid, owner.st_gid)


def _in_thread(source: Path, target: Path) -> Iterator[None]:
    """Copy in a thread of its own, and yield after each portion."""
    told: SimpleQueue[BaseException | bool] = SimpleQueue()
    given_up = Event()

    def tell(*_: int) -> None:
        if given_up.is_set():
            raise InterruptedError
        told.put(True)

    def work() -> None:
        try:
            _copy(source, target, tell)
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
        given_up.set()
        thread.join()
    if isinstance(news, sqlite3.Error):
        raise _failed(f"{source.name} cannot be copied", f"SQLite reports {news.sqlite_errorname}", source) from news
    if isinstance(news, BaseException):
        raise news


def _copy(source: Path, target: Path, tell: Callable[[int, int, int], None]) -> None:
    with (
        closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)) as origin,
        closing(sqlite3.connect(target, isolation_level=None)) as copy,
    ):
        origin.execute("BEGIN")
        origin.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # from here on it is one moment's
        origin.backup(copy, pages=PORTION, progress=tell)
        copy.execute("PRAGMA journal_mode = DELETE").fetchone()  # a file by itself


def _keep(database: Path) -> Path:
    """Give the database another name beside its own, after making sure that nobody has it open."""
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
    try:
        os.link(database, kept)
    except OSError:  # a disk that knows no links
        shutil.copy2(database, kept)
        _onto_disk(kept)
    for suffix in BESIDE[1:]:  # of a damaged one: its log would be taken for the copy's
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
        except OSError:  # a disk that knows no links
            target.touch(0o600, exist_ok=False)
            os.replace(part, target)
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
