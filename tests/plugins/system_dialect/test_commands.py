"""``objectkernel schema``, ``backup`` and ``restore``, as the program runs them on a host's settings."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import click
import pytest
from click.testing import CliRunner, Result
from objectkernel import ObjectKernel, Plugin, contributes
from objectkernel_system_dialect.commands import backup, restore, schema
from objectkernel_system_dialect.contracts import (
    BUSINESS_SCHEMAS,
    MIGRATIONS,
    SYSTEM_SCHEMAS,
    BackupFailed,
    EntitySchema,
    Field,
    Migration,
    SchemaInvalid,
    SchemaOutdated,
)
from objectkernel_system_dialect.dump_commands import dump_command, load_command
from objectkernel_system_dialect.plugin import SystemDialectPlugin

NOTE = EntitySchema(name="Note", collection="notes", fields={"body": Field("text")})
KEY = EntitySchema(name="Key", collection="sys_keys", fields={"secret": Field("string")})
SECRET = "tell-nobody"


class NotesPlugin(Plugin):
    """A plugin with a business entity and a system entity."""

    name = "notes"
    note = NOTE

    @contributes(BUSINESS_SCHEMAS, uses=())
    def schema(self) -> EntitySchema:
        return self.note

    @contributes(SYSTEM_SCHEMAS, uses=())
    def keys(self) -> EntitySchema:
        return KEY


class MigratingPlugin(NotesPlugin):
    """The same plugin later, with a migration of the tables named."""

    works_on = ""

    @contributes(MIGRATIONS, uses=())
    def migration(self) -> Migration:
        return Migration("notes", 1, "shout", _shout, collections=self.works_on)


class TwiceMigratingPlugin(MigratingPlugin):
    """One with a number that was given twice."""

    @contributes(MIGRATIONS, uses=())
    def again(self) -> Migration:
        return Migration("notes", 1, "shout again", _shout, collections=self.works_on)


class BusinessPlugin(Plugin):
    """A plugin that has no entity of the system's."""

    name = "notes"

    @contributes(BUSINESS_SCHEMAS, uses=())
    def schema(self) -> EntitySchema:
        return NOTE


def _shout(step: Any) -> None:
    notes = step.table("notes")
    step.connection.execute(notes.update().values(body="HELLO"))


@attrs.define
class Context:
    """What the `objectkernel` program gives to commands, without the program."""

    make: Callable[[], ObjectKernel]
    json: bool = False

    def kernel(self) -> ObjectKernel:
        return self.make()

    def progress(self, items: Any, label: str, total: int | None = None) -> Any:
        return iter(items)


@attrs.define
class Host:
    """A host in a folder, whose settings and schema may change."""

    folder: Path
    settings: dict[str, Any]
    note: EntitySchema = NOTE
    works_on: str = ""
    plugin: type[Plugin] | None = None

    def kernel(self) -> ObjectKernel:
        plugin = (self.plugin or (MigratingPlugin if self.works_on else NotesPlugin))()
        if isinstance(plugin, NotesPlugin):
            plugin.note = self.note
        if isinstance(plugin, MigratingPlugin):
            plugin.works_on = self.works_on
        return ObjectKernel(
            plugins=[SystemDialectPlugin, plugin],
            discover=False,
            config={"plugins": {"system-dialect": {"data_dir": str(self.folder), **self.settings}}},
            environ={},
        )

    def run(self, command: click.Command, *arguments: object) -> Result:
        """Run a command line; an error of ours is raised."""
        done = CliRunner().invoke(command, [str(a) for a in arguments], obj=Context(self.kernel))
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    def json(self, command: click.Command, *arguments: object) -> Any:
        return json.loads(self.run(command, *arguments, "--json").stdout)

    def sql(self, statement: str, file: str = "objectkernel.db") -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.folder / file)) as connection, connection:
            return connection.execute(statement).fetchall()


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host with one database for everything, in which nothing was made."""
    return Host(tmp_path, {})


@pytest.fixture
def split(tmp_path: Path) -> Host:
    """A host whose system data has a database of its own."""
    return Host(tmp_path, {"system_dialect": "sqlite", "system_uri": str(tmp_path / "system.db")})


# --- schema -----------------------------------------------------------------------------------------------


def test_plan_tells_and_changes_nothing(host: Host) -> None:
    """Before a database is made every table is a step, and afterwards none; the exit code says so."""
    for _ in range(2):
        done = host.run(schema, "plan")
        assert done.exit_code == 1
        assert done.stdout == "business:\n  create the table notes\n  create the table sys_keys\n"
    host.run(schema, "apply")
    done = host.run(schema, "plan")
    assert (done.exit_code, done.stdout) == (0, "business: nothing to do\n")


def test_apply_makes_each_database_what_its_schemas_say(split: Host) -> None:
    """The system's tables are made in its own database alone."""
    assert split.json(schema, "apply", "--system") == {"system": ["create the table sys_keys"]}
    assert split.json(schema, "apply") == {"business": ["create the table notes"], "system": []}
    assert split.sql("SELECT count(*) FROM sqlite_schema WHERE name = 'sys_keys'") == [(0,)]
    assert split.sql("SELECT count(*) FROM sys_keys", "system.db") == [(0,)]


def test_steps_that_lose_data_are_made_when_asked(host: Host) -> None:
    """They are told as such, do not make the exit code, and need the flag."""
    host.run(schema, "apply")
    host.sql("INSERT INTO notes (id, body) VALUES ('a', 'hello')")
    host.note = attrs.evolve(NOTE, fields={})
    done = host.run(schema, "plan")
    assert (done.exit_code, done.stdout.count("(destructive)")) == (0, 1)
    host.run(schema, "apply")
    assert host.sql("SELECT body FROM notes") == [("hello",)]
    assert host.run(schema, "plan", "--destructive").exit_code == 1
    host.run(schema, "apply", "--destructive")
    assert host.sql("SELECT * FROM notes") == [("a",)]


def test_two_databases_may_be_one(split: Host) -> None:
    """Where both settings lead to the same file, the tables of the other half are not left over: they are wanted."""
    split.settings["system_uri"] = str(split.folder / "objectkernel.db")
    split.run(schema, "apply")
    assert split.run(schema, "plan", "--destructive").exit_code == 0
    assert split.json(schema, "apply", "--destructive") == {"business": [], "system": []}
    assert {one["state"] for place in split.json(schema, "status").values() for one in place["tables"]} == {"as wanted"}


def test_what_is_in_the_way_is_told(host: Host) -> None:
    """A plan shows the step and why it is not possible; applying it is refused."""
    host.run(schema, "apply")
    host.sql("INSERT INTO notes (id) VALUES ('a')")
    host.note = attrs.evolve(NOTE, fields={"body": Field("text"), "title": Field("string", required=True)})
    assert "not possible: the table has rows" in host.run(schema, "plan").stdout
    code = host.run(schema, "plan", "--python").stdout
    compile(code, "migration", "exec")
    assert "# not possible: add the column notes.title" in code
    with pytest.raises(SchemaOutdated):
        host.run(schema, "apply")


def test_plan_prints_code(host: Host) -> None:
    """As an alembic migration would have it."""
    code = host.run(schema, "plan", "--python").stdout
    compile(code, "migration", "exec")
    assert "op.create_table('notes'," in code


def test_migrations_are_told_and_run(host: Host) -> None:
    """They wait in the plan and the status, and are run by apply, once."""
    host.run(schema, "apply")
    host.sql("INSERT INTO notes (id, body) VALUES ('a', 'hello')")
    host.works_on = "notes"
    assert host.json(schema, "plan")["business"]["migrations"] == ["run migration 1 of notes: shout"]
    assert "notes 1  waiting  shout" in host.run(schema, "status").stdout
    assert host.json(schema, "apply") == {"business": ["run migration 1 of notes: shout"]}
    assert host.json(schema, "apply") == {"business": []}
    assert host.sql("SELECT body FROM notes") == [("HELLO",)]
    assert host.json(schema, "status")["business"]["migrations"][0]["applied_at"] is not None


def test_a_migration_that_no_entity_has_a_table_for_is_told(host: Host) -> None:
    """Its name may be mistyped, or its entity registered later: plan and status say so, and nothing waits."""
    host.run(schema, "apply")
    host.works_on = "nots"
    done = host.run(schema, "plan")
    note = "  note: migration 1 of notes does not run: no entity has nots\n"
    assert (done.exit_code, done.stdout) == (0, "business: nothing to do\n" + note)
    done = host.run(schema, "status")
    assert done.exit_code == 0
    assert "notes 1  does not run: no entity has a table of its collections  shout" in done.stdout


def test_a_migration_of_the_other_database_is_none_that_strayed(split: Host) -> None:
    """Each migration works on one of the databases; that of the business data's is nothing to the system's."""
    split.works_on = "notes"
    assert [one["astray"] for one in split.json(schema, "plan").values()] == [[], []]


@pytest.mark.parametrize("command", ["plan", "status", "apply"])
def test_a_number_that_is_given_twice_is_refused(host: Host, command: str) -> None:
    """By the commands that look as by the one that changes."""
    host.plugin, host.works_on = TwiceMigratingPlugin, "notes"
    with pytest.raises(SchemaInvalid, match="two migrations of the number 1"):
        host.run(schema, command)


def test_a_migration_of_a_plugin_that_left_is_told(host: Host) -> None:
    """It stops nothing, and the status says whose it is not any more."""
    host.works_on = "notes"
    host.run(schema, "apply")
    host.works_on = ""
    assert host.run(schema, "plan").exit_code == 0
    done = host.run(schema, "status")
    assert done.exit_code == 0
    assert "UTC, its plugin has none in this host  shout" in done.stdout


def test_status_tells_of_every_table(host: Host) -> None:
    """As wanted, missing, different, or left by a schema that is no more."""

    def states() -> dict[str, str]:
        return {one["collection"]: one["state"] for one in host.json(schema, "status")["business"]["tables"]}

    assert states() == {"notes": "missing", "sys_keys": "missing"}
    assert host.run(schema, "status").exit_code == 1
    host.run(schema, "apply")
    assert states() == {"notes": "as wanted", "sys_keys": "as wanted"}
    assert host.run(schema, "status").exit_code == 0
    host.note = attrs.evolve(NOTE, fields={"body": Field("text"), "more": Field("json")})
    assert states() == {"notes": "differs", "sys_keys": "as wanted"}
    host.note = attrs.evolve(NOTE, collection="letters")
    assert states() == {"letters": "missing", "sys_keys": "as wanted", "notes": "no schema"}


def test_there_may_be_no_system_database(host: Host) -> None:
    """Asking for it alone is a mistake in the command line."""
    done = host.run(schema, "plan", "--system")
    assert done.exit_code == 2
    assert "no database of its own" in done.stderr


# --- backup and restore -----------------------------------------------------------------------------------


def test_both_databases_are_copied_and_brought_back(split: Host, tmp_path: Path) -> None:
    """One command for all that a host has; what was there stays beside."""
    split.run(schema, "apply")
    split.sql("INSERT INTO notes (id, body) VALUES ('a', 'hello')")
    split.sql("INSERT INTO sys_keys (id, secret) VALUES ('k', 'old')", "system.db")
    copy = tmp_path / "copies" / "all.db"
    copy.parent.mkdir()
    told = split.json(backup, copy)
    assert told == {
        "done": {"business": str(copy), "system": str(copy.with_name("all.system.db"))},
        "commands": {},
    }
    split.sql("DELETE FROM notes")
    split.sql("UPDATE sys_keys SET secret = 'new'", "system.db")
    done = split.run(restore, copy)
    assert done.exit_code == 0
    assert split.sql("SELECT body FROM notes") == [("hello",)]
    assert split.sql("SELECT secret FROM sys_keys", "system.db") == [("old",)]
    (kept,) = tmp_path.glob("system.db.before-restore-*")
    assert split.sql("SELECT secret FROM sys_keys", kept.name) == [("new",)]
    assert kept.name in done.stdout


def test_a_system_database_without_entities_is_copied_and_brought_back(split: Host, tmp_path: Path) -> None:
    """There is nothing in it, and it is in nobody's way."""
    split.plugin = BusinessPlugin
    split.run(schema, "apply")
    for command in (backup, restore):
        assert split.json(command, tmp_path / "copy.db")["done"].keys() == {"business", "system"}


def test_nothing_is_restored_when_one_copy_is_missing(split: Host, tmp_path: Path) -> None:
    """Both are verified before either database is touched."""
    split.run(schema, "apply")
    copy = tmp_path / "all.db"
    split.run(backup, copy)
    copy.with_name("all.system.db").unlink()
    split.sql("INSERT INTO notes (id) VALUES ('a')")
    with pytest.raises(BackupFailed):
        split.run(restore, copy)
    assert split.sql("SELECT id FROM notes") == [("a",)]


def test_no_copy_replaces_a_database_of_the_host(split: Host, tmp_path: Path) -> None:
    """Also where the name for the system's copy is that of a database; nothing is copied then."""
    split.run(schema, "apply")
    for name in ("objectkernel.db", "system.db", "system.db-wal"):
        with pytest.raises(BackupFailed, match="a database in use"):
            split.run(backup, tmp_path / name, "--force")
    split.settings["system_uri"] = str(tmp_path / "copy.system.db")
    split.run(schema, "apply")
    with pytest.raises(BackupFailed, match="a database in use"):
        split.run(backup, tmp_path / "copy.db", "--force")
    assert not (tmp_path / "copy.db").exists()


def test_the_copy_of_one_database_is_none_of_the_other(split: Host, tmp_path: Path) -> None:
    """Files that were mixed up are not restored, neither of them."""
    split.run(schema, "apply")
    split.run(backup, tmp_path / "copy.db")
    (tmp_path / "copy.db").rename(tmp_path / "mixed.system.db")
    (tmp_path / "copy.system.db").rename(tmp_path / "mixed.db")
    with pytest.raises(BackupFailed, match="none of the tables"):
        split.run(restore, tmp_path / "mixed.db")
    assert list(tmp_path.glob("*before-restore*")) == []


def test_what_a_restore_has_done_is_told_as_json(host: Host, tmp_path: Path) -> None:
    """Where the database is, and where the one before it."""
    host.run(schema, "apply")
    host.run(backup, tmp_path / "copy.db")
    done = host.json(restore, tmp_path / "copy.db")["done"]["business"]
    assert done["database"] == str(tmp_path / "objectkernel.db")
    assert Path(done["kept"]).is_file()


@pytest.mark.parametrize("command", [backup, restore])
def test_without_a_database_nothing_is_said_to_be_done(command: click.Command, tmp_path: Path) -> None:
    """Where all data is on a server of NET mode, its operator makes the copies."""
    done = Host(tmp_path, {"data": "net", "net_url": "http://127.0.0.1:9"}).run(command, tmp_path / "copy.db")
    assert done.exit_code == 2
    assert "the data is on a server (MOSTA_DATA=net); run the command there" in " ".join(done.stderr.split())


def test_of_a_server_the_command_is_printed(tmp_path: Path) -> None:
    """On standard output, to be run; since nothing was copied the exit code is 1. No password is shown."""
    host = Host(tmp_path, {"sgbd_uri": f"postgresql://app:{SECRET}@db.example:6432/shop"})
    for command, tool in ((backup, "pg_dump"), (restore, "pg_restore")):
        done = host.run(command, tmp_path / "copy of shop")
        assert done.exit_code == 1
        assert done.stdout.startswith(f"{tool} ")
        assert SECRET not in done.output
        assert list(tmp_path.iterdir()) == []


def test_a_database_in_memory_has_no_file(tmp_path: Path) -> None:
    """Nothing could be copied while its host runs elsewhere."""
    done = Host(tmp_path, {"sgbd_uri": ":memory:"}).run(backup, tmp_path / "copy.db")
    assert done.exit_code == 2
    assert "in memory" in done.stderr


@pytest.mark.parametrize(
    ("kind", "uri", "dump", "load"),
    [
        (
            "postgres",
            f"postgres://app:{SECRET}@db:6432/shop",
            "pg_dump --format=custom '--file=a b' --host=db --port=6432 --username=app shop",
            "pg_restore --clean --if-exists --single-transaction --dbname=shop --host=db --port=6432 --username=app "
            "'a b'",
        ),
        (
            "mariadb",
            f"mariadb://app:{SECRET}@db/shop",
            "mariadb-dump --host=db --port=3306 --user=app --password --single-transaction --hex-blob --routines "
            "--triggers '--result-file=a b' shop",
            "mariadb --host=db --port=3306 --user=app --password shop < 'a b'",
        ),
        (
            "postgres",
            "postgres://app@?host=/run/postgresql",
            "pg_dump --format=custom '--file=a b' --host=/run/postgresql --port=5432 --username=app app",
            "pg_restore --clean --if-exists --single-transaction --dbname=app --host=/run/postgresql --port=5432 "
            "--username=app 'a b'",
        ),
        (
            "mysql",
            "mysql://app@db/shop",
            "mysqldump --host=db --port=3306 --user=app --single-transaction --hex-blob --routines --triggers "
            "'--result-file=a b' shop",
            "mysql --host=db --port=3306 --user=app shop < 'a b'",
        ),
        ("oracle", f"oracle://app:{SECRET}@db/shop", None, None),
    ],
)
def test_the_commands_of_servers(kind: str, uri: str, dump: str | None, load: str | None) -> None:
    """Everything but the password: the tools of PostgreSQL ask when they need one, the others where they are told."""
    assert dump_command(kind, uri, Path("a b")) == dump
    assert load_command(kind, uri, Path("a b")) == load
