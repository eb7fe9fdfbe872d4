"""Where a database is: from a URL, a bare file path or ``:memory:`` to the file that SQLite opens."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from objectkernel_system_dialect.errors import DatabaseUnavailable, DialectUnsupported
from objectkernel_system_dialect.sqlalchemy_url import parsed_url

MEMORY: Final = ":memory:"
DEFAULT_NAME: Final = "objectkernel.db"
DATA_DIR: Final = "{data_dir}"
"""Begins a bare file path, for the data folder."""


def sqlite_path(uri: str) -> str:
    """The file path, or ``:memory:``, that a URI means.

    ``sqlite:///relative.db``, ``sqlite:////absolute.db``, ``sqlite://`` (in memory), a bare path, in which
    ``~`` is the home folder, or ``:memory:``.

    Raises:
        DialectUnsupported: the URI belongs to another database, or has parts that SQLite does not know. It is
            not shown.
    """
    if not uri.strip():
        raise _refused("the URI is empty")
    if "\0" in uri:
        raise _refused("it has a character that no file name can have")
    if "://" not in uri:
        if uri.lower().startswith(("file:", "sqlite:")):
            raise _refused("a scheme is followed by two slashes, and SQLite's own file: names are not understood")
        return uri if uri == MEMORY else str(Path(uri).expanduser())
    url = parsed_url(uri)
    if url is None:
        raise _refused("it is no URL that can be read")
    if url.get_backend_name() != "sqlite":
        raise _refused("its scheme is that of another database")
    if url.host or url.username or url.password or url.port or url.query:
        raise _refused("it has a host, a user or a query, which a file has not: three slashes, then the path")
    return url.database or MEMORY


def within_data_dir(uri: str, data_dir: Path) -> str:
    """The URI with the data folder in the place of `DATA_DIR`; the folder is made when it is meant and missing.

    Raises:
        DatabaseUnavailable: the folder cannot be made.
    """
    if not uri.startswith(DATA_DIR):
        return uri
    path = f"{data_dir}{uri.removeprefix(DATA_DIR)}"
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)  # what lies in it is nobody else's to read
    except OSError as error:
        raise DatabaseUnavailable(
            f"the data folder for {place_of(path)} cannot be made",
            why=f"the system reports {type(error).__name__}",
            fix="set OBJECTKERNEL_DATA_DIR to a folder that may be written",
            database=place_of(path),
            reason=type(error).__name__,
        ) from error
    return path


def without_folder(path: str) -> DatabaseUnavailable | None:
    """The error for a file whose folder, which is not shown, is missing; None if it is there."""
    if path == MEMORY or Path(path).absolute().parent.is_dir():
        return None
    return DatabaseUnavailable(
        f"{place_of(path)} cannot be opened",
        why="the folder that it is to be in does not exist",
        fix="make the folder, or correct the path",
        database=place_of(path),
        reason="SQLITE_CANTOPEN",
    )


def place_of(path: str) -> str:
    """How messages call the database: the name of its file, without the folders before it."""
    return "the database in memory" if path == MEMORY else f"the database file {os.path.basename(path)!r}"


def _refused(why: str) -> DialectUnsupported:
    return DialectUnsupported(
        "the database URI cannot be used with sqlite",
        why=why,
        fix="give sqlite:///relative.db, sqlite:////absolute.db, a bare file path or :memory:",
    )
