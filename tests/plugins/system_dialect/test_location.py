"""Where a database is, as settings say it."""

from __future__ import annotations

from pathlib import Path

import pytest
from objectkernel_system_dialect.contracts import DatabaseUnavailable, DialectUnsupported
from objectkernel_system_dialect.location import place_of, sqlite_path, within_data_dir, without_folder


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        (":memory:", ":memory:"),
        ("sqlite://", ":memory:"),
        ("sqlite:///:memory:", ":memory:"),
        ("sqlite:///data/app.db", "data/app.db"),
        ("sqlite:////srv/app.db", "/srv/app.db"),
        ("sqlite+pysqlite:///app.db", "app.db"),
        ("./data/app.db", "data/app.db"),
        ("~/app.db", str(Path("~/app.db").expanduser())),
    ],
)
def test_a_uri_is_a_url_a_path_or_memory(uri: str, path: str) -> None:
    """Every form of the setting leads to the file that is opened."""
    assert sqlite_path(uri) == path


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "  ",
        "postgresql://user:hunter2@host/db",
        "sqlite://user:hunter2@host/app.db",
        "sqlite:///app.db?key=hunter2",
        "://hunter2",
        "file:hunter2.db?mode=ro",
        "sqlite:hunter2.db",
        "hunter2\0.db",
        "sqlite://host:port:hunter2/x",
    ],
)
def test_another_databases_uri_is_refused_unseen(uri: str) -> None:
    """What is not SQLite's is an error, and neither it nor its causes show the URI."""
    with pytest.raises(DialectUnsupported) as caught:
        sqlite_path(uri)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_messages_name_the_file_alone() -> None:
    """The folders before a file are nobody's business."""
    assert place_of("/srv/secret/app.db") == "the database file 'app.db'"
    assert place_of(":memory:") == "the database in memory"


def test_a_missing_folder_is_told_and_not_shown(tmp_path: Path) -> None:
    """Where the folder is there, or the data in memory, something else is wrong."""
    error = without_folder(str(tmp_path / "secret" / "app.db"))
    assert error is not None
    assert error.why == ("the folder that it is to be in does not exist",)
    assert "secret" not in str(error)
    assert without_folder(str(tmp_path / "app.db")) is None
    assert without_folder(":memory:") is None


def test_the_data_folder_is_made(tmp_path: Path) -> None:
    """A missing one is made with its parents, for its owner alone; where it cannot be, the error names the setting."""
    folder = tmp_path / "a" / "b"
    assert within_data_dir("{data_dir}/app.db", folder) == str(folder / "app.db")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(DatabaseUnavailable, match="OBJECTKERNEL_DATA_DIR"):
        within_data_dir("{data_dir}/app.db", tmp_path / "file" / "data")
    for other in ("app.db", ":memory:", "sqlite:///app.db"):
        assert within_data_dir(other, tmp_path / "none") == other
    assert not (tmp_path / "none").exists()
