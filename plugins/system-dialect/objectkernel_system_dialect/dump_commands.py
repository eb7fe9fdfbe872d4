"""The commands that back up and restore a server's database with the server's own tools, without the password."""

from __future__ import annotations

import shlex
from pathlib import Path

from sqlalchemy import URL, make_url

PORTS = {"postgres": 5432, "mariadb": 3306, "mysql": 3306}


def dump_command(kind: str, uri: str, file: Path) -> str | None:
    """The command that writes a database to `file`; None for a kind of database that is not known here.

    The tool asks for the password where one is needed.
    """
    url = make_url(uri)
    database = url.database or url.username or ""  # as PostgreSQL takes it
    match kind:
        case "postgres":
            return shlex.join(["pg_dump", "--format=custom", f"--file={file}", *_server(kind, url), database])
        case "mariadb" | "mysql":
            tool = "mariadb-dump" if kind == "mariadb" else "mysqldump"
            options = ["--single-transaction", "--hex-blob", "--routines", "--triggers", f"--result-file={file}"]
            return shlex.join([tool, *_server(kind, url), *options, database])
        case _:
            return None


def load_command(kind: str, uri: str, file: Path) -> str | None:
    """The command that brings back what `dump_command` wrote; None for a kind that is not known here."""
    url = make_url(uri)
    database = url.database or url.username or ""  # as PostgreSQL takes it
    match kind:
        case "postgres":
            options = ["--clean", "--if-exists", "--single-transaction", f"--dbname={database}"]
            return shlex.join(["pg_restore", *options, *_server(kind, url), str(file)])
        case "mariadb" | "mysql":
            tool = "mariadb" if kind == "mariadb" else "mysql"
            return f"{shlex.join([tool, *_server(kind, url), database])} < {shlex.quote(str(file))}"
        case _:
            return None


def _server(kind: str, url: URL) -> list[str]:
    user, host, port = url.username or "", url.host or _text(url, "host") or "localhost", url.port or PORTS[kind]
    if kind == "postgres":
        return [f"--host={host}", f"--port={port}", *([f"--username={user}"] if user else [])]
    asking = ["--password"] if url.password else []  # without it these tools try none
    return [f"--host={host}", f"--port={port}", *([f"--user={user}"] if user else []), *asking]


def _text(url: URL, name: str) -> str:
    """A part of the query; PostgreSQL takes the folder of a socket there."""
    value = url.query.get(name, "")
    return value if isinstance(value, str) else value[0]
