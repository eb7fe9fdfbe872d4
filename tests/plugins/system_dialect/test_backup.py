"""Backups of SQLite: of one moment while others write, verified, whole or not there; and the way back."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from objectkernel_system_dialect import backup
from objectkernel_system_dialect.backup import back_up, check_targets, portions, restore, verify
from objectkernel_system_dialect.contracts import BackupFailed


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What each test has a copy of."""
    path = tmp_path_factory.mktemp("template") / "data.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
        connection.execute("CREATE TABLE one (value BLOB)")
        connection.execute("CREATE TABLE two (value BLOB)")
        connection.execute("BEGIN")
        for table in ("one", "two"):
            connection.executemany(f"INSERT INTO {table} VALUES (?)", [(b"x" * 1000,)] * 20_000)
        connection.execute("COMMIT")
    return path


@pytest.fixture
def database(template: Path, tmp_path: Path) -> Path:
    """A database with two tables that always hold the same number of rows, with its log beside it."""
    return shutil.copy(template, tmp_path / "data.db")


@pytest.fixture
def writer(database: Path) -> Iterator[threading.Event]:
    """Somebody who writes a row into both tables, again and again, until the test is over."""
    wrote, stop = threading.Event(), threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(database, isolation_level=None, timeout=30)) as connection:
            while not stop.is_set():
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("INSERT INTO one VALUES ('y')")
                connection.execute("INSERT INTO two VALUES ('y')")
                connection.execute("COMMIT")
                wrote.set()

    thread = threading.Thread(target=write)
    thread.start()
    wrote.wait()
    yield wrote
    stop.set()
    thread.join()


def counts(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as connection:
        return [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("one", "two")]


def test_a_copy_is_of_one_moment_while_others_write(database: Path, writer: threading.Event, tmp_path: Path) -> None:
    """Writing goes on during the copy, which holds every transaction wholly or not at all."""
    copy, wrote_meanwhile = tmp_path / "copy.db", 0
    for _ in back_up(database, copy):
        writer.clear()
        wrote_meanwhile += writer.wait(timeout=60)
    one, two = counts(copy)
    assert one == two > 20_000
    assert wrote_meanwhile > 1
    assert counts(database)[0] > one


def test_a_copy_is_one_private_file(database: Path, tmp_path: Path) -> None:
    """It needs no log beside it, nobody else may read it, and nothing unfinished is left."""
    copy = tmp_path / "copies" / "copy.db"
    copy.parent.mkdir()
    assert len(list(back_up(database, copy))) >= portions(database) // 2 > 1
    assert os.listdir(copy.parent) == ["copy.db"]
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert counts(copy) == [20_000, 20_000]


def test_a_file_is_replaced_only_when_asked(database: Path, tmp_path: Path) -> None:
    """A backup that exists is worth more than one that is to be made."""
    copy = tmp_path / "copy.db"
    copy.write_text("something else")
    with pytest.raises(BackupFailed, match="--force"):
        list(back_up(database, copy))
    assert copy.read_text() == "something else"
    list(back_up(database, copy, force=True))
    assert counts(copy) == [20_000, 20_000]


def test_a_file_that_appears_meanwhile_is_not_replaced(database: Path, tmp_path: Path) -> None:
    """Who comes first stays."""
    copy = tmp_path / "copy.db"
    copying = back_up(database, copy)
    next(copying)
    copy.write_text("somebody else's")
    with pytest.raises(BackupFailed):
        list(copying)
    assert copy.read_text() == "somebody else's"
    assert not list(tmp_path.glob(".copy.db*"))


def test_what_fails_leaves_nothing(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that is not sound never has the name that it was to have."""

    def unsound(*_: object, **__: object) -> None:
        raise BackupFailed("not sound", file="")

    monkeypatch.setattr(backup, "verify", unsound)
    with pytest.raises(BackupFailed, match="not sound"):
        list(back_up(database, tmp_path / "copy.db"))
    assert sorted(path.name for path in tmp_path.iterdir() if "copy" in path.name) == []


def test_what_is_no_database_is_not_copied(tmp_path: Path) -> None:
    """A missing file, and one of something else, are told."""
    with pytest.raises(BackupFailed, match="no database"):
        list(back_up(tmp_path / "missing.db", tmp_path / "copy.db"))
    (tmp_path / "text.db").write_text("no database, however long this goes on" * 100)
    with pytest.raises(BackupFailed, match="SQLITE_NOTADB"):
        list(back_up(tmp_path / "text.db", tmp_path / "copy.db"))
    with pytest.raises(BackupFailed):
        list(back_up(tmp_path / "text.db", tmp_path / "nowhere" / "copy.db"))


def test_damage_is_found(database: Path, tmp_path: Path) -> None:
    """A page that was overwritten, a file that was cut short, an empty one: none is a sound database."""
    copy = tmp_path / "copy.db"
    list(back_up(database, copy))
    verify(copy)
    whole = copy.read_bytes()
    for damaged in (whole[:8192] + b"\xff" * 4096 + whole[12288:], whole[: len(whole) // 2], b""):
        copy.write_bytes(damaged)
        with pytest.raises(BackupFailed):
            verify(copy)
    with pytest.raises(BackupFailed, match="missing"):
        verify(tmp_path / "missing.db")


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_a_database_without_tables_is_copied_and_brought_back(tmp_path: Path, mode: str) -> None:
    """One that was opened and never written is sound; it is no copy where tables are expected."""
    empty, copy = tmp_path / "empty.db", tmp_path / "copy.db"
    with closing(sqlite3.connect(empty)) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}").fetchone()
    empty.touch()
    list(back_up(empty, copy))
    assert restore(copy, empty).kept is not None
    with pytest.raises(BackupFailed, match="it is empty"):
        restore(copy, empty, {"one"})


def test_a_restore_brings_back_and_keeps_what_was_there(database: Path, tmp_path: Path) -> None:
    """The backup's rows are there again; the database before it lies beside, whole, with its last writes."""
    copy = tmp_path / "copy.db"
    list(back_up(database, copy))
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DELETE FROM one")
    database.chmod(0o640)
    restored = restore(copy, database)
    assert stat.S_IMODE(database.stat().st_mode) == 0o640
    assert counts(database) == [20_000, 20_000]
    assert restored.kept is not None
    assert counts(restored.kept) == [0, 20_000]
    assert counts(copy) == [20_000, 20_000]


def test_a_restore_where_nothing_was_makes_the_folder(database: Path, tmp_path: Path) -> None:
    """A new machine has neither the database nor its folder."""
    copy = tmp_path / "copy.db"
    list(back_up(database, copy))
    restored = restore(copy, tmp_path / "new" / "data.db")
    assert restored.kept is None
    assert counts(tmp_path / "new" / "data.db") == [20_000, 20_000]


@pytest.mark.parametrize("name", ["data.db", "data.db-wal", "data.db-journal", "linked.db"])
@pytest.mark.parametrize("force", [False, True])
def test_a_copy_never_replaces_a_database(database: Path, tmp_path: Path, name: str, force: bool) -> None:
    """Nor what SQLite has beside it: whoever has it open would go on in a file that nobody finds any more."""
    (tmp_path / "linked.db").symlink_to(database)
    with pytest.raises(BackupFailed, match="a database in use"):
        check_targets([tmp_path / name], [tmp_path / "linked.db"], force=force)
    with pytest.raises(BackupFailed, match="a database in use"):
        list(back_up(database, database, force=force))
    assert counts(database) == [20_000, 20_000]


def test_a_copy_that_is_given_up_leaves_nothing(database: Path, tmp_path: Path) -> None:
    """Whoever interrupts it does not wait for its end."""
    copying = back_up(database, tmp_path / "copy.db")
    next(copying)
    copying.close()
    assert [path.name for path in tmp_path.iterdir() if "copy" in path.name] == []


def test_a_disk_without_links_does(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as that of a memory stick: copies, and databases that are kept, lie there all the same."""

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    copy = tmp_path / "copy.db"
    list(back_up(database, copy))
    with pytest.raises(BackupFailed, match="exists"):
        list(back_up(database, copy))
    kept = restore(copy, database).kept
    assert kept is not None
    assert [counts(path) for path in (copy, database, kept)] == [[20_000, 20_000]] * 3


def test_a_database_behind_a_link_stays_there(database: Path, tmp_path: Path) -> None:
    """It lies on the disk that was chosen for it."""
    copy, link = tmp_path / "copy.db", tmp_path / "link" / "data.db"
    list(back_up(database, copy))
    link.parent.mkdir()
    link.symlink_to(database)
    assert restore(copy, link).database == database
    assert link.is_symlink()
    assert counts(link) == [20_000, 20_000]


def test_there_is_a_database_at_every_moment(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A restore that is killed leaves the old one in its place: without any, the next start would make an empty one."""
    copy = tmp_path / "copy.db"
    list(back_up(database, copy))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        restore(copy, database)
    assert counts(database) == [20_000, 20_000]


def test_only_a_copy_of_the_database_is_restored(database: Path, tmp_path: Path) -> None:
    """The file of another program, or the database itself, is none."""
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE bookmarks (a)")
    with pytest.raises(BackupFailed, match="none of the tables"):
        restore(other, database, {"one", "three"})
    with pytest.raises(BackupFailed, match="the database itself"):
        restore(database, database, {"one", "three"})
    assert counts(database) == [20_000, 20_000]


def test_a_database_in_use_is_not_replaced(database: Path, tmp_path: Path) -> None:
    """Somebody who has it open, even idly, would go on writing into a file that nobody finds any more."""
    copy = tmp_path / "copy.db"
    list(back_up(database, copy))
    with closing(sqlite3.connect(database)) as other:
        other.execute("SELECT count(*) FROM one").fetchone()
        with pytest.raises(BackupFailed, match="in use"):
            restore(copy, database)
        with other:
            other.execute("DELETE FROM one")
    assert counts(database) == [0, 20_000]
    assert not list(tmp_path.glob(".data.db*"))


def test_a_damaged_backup_replaces_nothing(database: Path, tmp_path: Path) -> None:
    """It is verified before anything is touched."""
    (tmp_path / "copy.db").write_bytes(database.read_bytes()[:100_000])
    with pytest.raises(BackupFailed, match="no sound database"):
        restore(tmp_path / "copy.db", database)
    assert counts(database) == [20_000, 20_000]


def test_a_damaged_database_is_replaced(database: Path, tmp_path: Path) -> None:
    """That is what backups are for; what is left of it is kept all the same."""
    copy = tmp_path / "copy.db"
    list(back_up(database, copy))
    database.write_bytes(b"ruined" * 1000)
    restored = restore(copy, database)
    assert counts(database) == [20_000, 20_000]
    assert restored.kept is not None
    assert restored.kept.read_bytes() == b"ruined" * 1000
