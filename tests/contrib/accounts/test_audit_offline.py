"""Commands that need no running kernel: what they change is in the trail, wherever the system's data is."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from click.testing import CliRunner
from objectkernel import ObjectKernel, Plugin
from objectkernel_accounts.audit_plugin import AuditPlugin
from objectkernel_accounts.keyring_commands import secrets
from objectkernel_accounts.keyring_file import key_file
from objectkernel_accounts.keyring_plugin import KeyringPlugin
from objectkernel_contracts import KEYRING
from objectkernel_system_dialect import commands
from objectkernel_system_dialect.commands import backup, restore, schema
from objectkernel_system_dialect.contracts import SYSTEM_DIALECT, DataError
from objectkernel_system_dialect.plugin import SystemDialectPlugin

from tests.contrib.accounts.commanding import Commands
from tests.contrib.accounts.trails import audited, database, entries
from tests.plugins.system_dialect.databases import mariadb_database, mariadb_url, postgres_database, postgres_url
from tests.plugins.system_dialect.kernels import in_files

__all__ = ["database", "mariadb_database", "mariadb_url", "postgres_database", "postgres_url"]  # fixtures


def trail(environ: dict[str, str]) -> list[tuple[str, str, object]]:
    """What is in the trail of a host that does not run."""

    async def read() -> list[tuple[str, str, object]]:
        async with audited(environ) as kernel:
            found = await entries(kernel.get(SYSTEM_DIALECT))
            return [(entry["action"], entry["subject"], entry["details"]) for entry in found]

    return anyio.run(read)


def actions(environ: dict[str, str]) -> list[tuple[str, str]]:
    return [(action, subject) for action, subject, _ in trail(environ)]


def test_schema_apply(database: dict[str, str]) -> None:
    """`schema apply` is in the trail that it has made the table of, with its steps."""
    run = Commands(lambda: audited(database))
    done = run.as_json(schema, "apply")
    ((action, subject, details),) = trail(database)
    assert (action, subject) == ("schema.apply", "business")
    assert details == {"destructive": False, "made": len(done["business"]), "steps": done["business"]}
    assert done["business"]


def test_system_database_of_its_own(tmp_path: Path) -> None:
    """With a database for the system's data the trail is in that one, whatever is changed."""
    environ = in_files(tmp_path)
    Commands(lambda: audited(environ))(schema, "apply")
    assert actions(environ) == [("schema.apply", "business"), ("schema.apply", "system")]
    with closing(sqlite3.connect(tmp_path / "business.db")) as connection:
        assert connection.execute("SELECT name FROM sqlite_schema WHERE name LIKE 'sys_audit%'").fetchall() == []


def test_backup_and_restore(tmp_path: Path) -> None:
    """A backup is in the trail; a restore is in the trail that it has brought back."""
    environ = {"OBJECTKERNEL_DATA_DIR": str(tmp_path)}
    run = Commands(lambda: audited(environ))
    run(schema, "apply")
    copy = tmp_path / "copy.db"
    assert run(backup, copy).exit_code == 0
    assert actions(environ) == [("schema.apply", "business"), ("data.backup", "business")]
    assert trail(environ)[-1][2] == {"file": str(copy)}
    assert run(restore, copy).exit_code == 0
    assert actions(environ) == [("schema.apply", "business"), ("data.restore", "business")]


def test_done_in_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command has changed before it failed is in the trail, or told."""
    environ = in_files(tmp_path)
    run = Commands(lambda: audited(environ))
    run(schema, "apply")
    run(backup, tmp_path / "copy.db")
    made = commands.backups.restore

    def restored(copy: Path, database: Path, collections: frozenset[str]) -> object:
        if database.name == "system.db":
            raise ZeroDivisionError
        return made(copy, database, collections)

    monkeypatch.setattr(commands.backups, "restore", restored)
    with pytest.raises(ZeroDivisionError):
        run(restore, tmp_path / "copy.db")
    assert actions(environ)[-1] == ("data.restore", "business")
    monkeypatch.undo()
    (tmp_path / "system.db").write_text("no database" * 1000)
    done = CliRunner().invoke(schema, ["apply"], obj=run)
    assert isinstance(done.exception, DataError)
    assert "the audit trail has no entry of schema.apply business" in done.stderr


def test_trail_that_cannot_be_written(tmp_path: Path) -> None:
    """A change that is made is not failed by its trail: what is missing in it is told."""
    environ = {"OBJECTKERNEL_DATA_DIR": str(tmp_path)}
    run = Commands(lambda: audited(environ))
    run(schema, "apply")
    with closing(sqlite3.connect(tmp_path / "objectkernel.db")) as connection, connection:
        connection.execute("DROP TABLE sys_audit")
    done = run(backup, tmp_path / "copy.db")
    assert done.exit_code == 0
    assert "the audit trail has no entry of data.backup business: [D" in done.stderr
    assert (tmp_path / "copy.db").is_file()


@pytest.mark.parametrize(
    "plugins", [(AuditPlugin, SystemDialectPlugin), (AuditPlugin,), ()], ids=["all", "alone", "no"]
)
def test_without_a_database(tmp_path: Path, plugins: tuple[type[Plugin], ...]) -> None:
    """Where there is no database yet, no dialect or no trail, a command makes none for its entry."""
    key_file(tmp_path).ensure("sessions")

    def make() -> ObjectKernel:
        environ = {"OBJECTKERNEL_DATA_DIR": str(tmp_path)}
        return ObjectKernel(plugins=[KeyringPlugin, *plugins], discover=False, environ=environ)

    done = Commands(make)(secrets, "rotate", "sessions")
    assert (done.exit_code, done.stderr) == (0, "")
    assert not (tmp_path / "objectkernel.db").exists()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_secrets(database: dict[str, str]) -> None:
    """Changing the host's secrets, and showing them, is in the trail by name and id."""

    async def first() -> str:
        async with audited(database, KeyringPlugin) as kernel:
            return kernel.get(KEYRING).current("sessions").id

    old = anyio.run(first)
    run = Commands(lambda: audited(database, KeyringPlugin))
    new = run.as_json(secrets, "rotate", "sessions")["id"]
    run(secrets, "retire", "sessions", old)
    exported = run(secrets, "export-env")
    assert trail(database) == [
        ("secret.rotate", "sessions", {"key_id": new}),
        ("secret.retire", "sessions", {"key_id": old}),
        ("secret.export", "sessions", None),
    ]
    environ = {**database, "OBJECTKERNEL_KEYS": exported.stdout.strip().partition("=")[2].strip("'")}
    Commands(lambda: audited(environ, KeyringPlugin))(secrets, "export-env")
    assert trail(database)[-1] == ("secret.export", "sessions", None)
    assert len(trail(database)) == 4
    secret = exported.stdout.partition(f"{new}:")[2][:40]
    assert secret
    assert secret not in str(trail(database))
