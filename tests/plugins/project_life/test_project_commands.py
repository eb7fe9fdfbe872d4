"""``objectkernel projects``, run as click runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from objectkernel import ObjectKernel
from objectkernel_contracts import COMMANDS
from objectkernel_project_life.commands import projects
from objectkernel_project_life.contracts import (
    EncryptionKeyMissing,
    InvalidProject,
    ProjectConflict,
    ProjectMissing,
    UriRefused,
)
from objectkernel_project_life.encryption_keys import parse_keys
from objectkernel_project_life.plugin import ProjectLifePlugin
from objectkernel_project_life.schema import PROJECT_SCHEMA
from objectkernel_project_life.starting import projects_as_they_are
from objectkernel_system_dialect.contracts import SYSTEM_DIALECT

from tests.contrib.accounts.commanding import Commands
from tests.plugins.project_life.hosts import spoil
from tests.plugins.project_life.project_hosts import CUSTOMER, KEY, project_kernel

OTHER_KEY = "b3RoZXIta2V5LWZvci10ZXN0cy0wMTIzNDU2Nzg5MDE"


@pytest.fixture(autouse=True)
def no_uri(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROJECT_URI", raising=False)


@pytest.fixture
def run(tmp_path: Path) -> Commands:
    """Commands over a host whose data lies in a folder."""
    return Commands(lambda: project_kernel(tmp_path))


def create(run: Commands, slug: str = "crm", *options: str) -> dict[str, Any]:
    made: dict[str, Any] = run.as_json(projects, "create", slug, "--account", "ada", *options)
    return made


def test_the_plugin_contributes_the_command() -> None:
    """With everything that the description names, and what belongs to it."""
    kernel = ObjectKernel(plugins=[ProjectLifePlugin], discover=False)
    (made,) = kernel.contributions(COMMANDS)
    assert made() is projects
    assert set(projects.commands) == {
        "list", "show", "create", "pause", "resume", "delete", "boot", "rotate-key", "rotate-uri", "schemas",
        "generate-key",
    }  # fmt: skip


def test_the_life_of_a_project(run: Commands, tmp_path: Path) -> None:
    """From nothing to nothing, each time with what it is then; its file stays."""
    assert "there are no projects" in run(projects, "list").stderr
    assert run.as_json(projects, "list") == []
    made = create(run, "crm", "--name", "Customers", "--pool-size", "3", "--transport", "rest", "--transport", "mcp")
    assert (made["slug"], made["name"], made["account"], made["status"]) == ("crm", "Customers", "ada", "active")
    assert (made["pool_size"], made["transports"], made["not_served"]) == (3, ["rest", "mcp"], ["mcp"])
    assert run.as_json(projects, "show", made["id"])["id"] == made["id"]
    assert run.as_json(projects, "pause", made["id"])["status"] == "paused"
    assert [one["id"] for one in run.as_json(projects, "list", "--status", "paused")] == [made["id"]]
    assert run.as_json(projects, "list", "--status", "active") == []
    assert run.as_json(projects, "resume", made["id"])["status"] == "active"
    assert run.as_json(projects, "delete", made["id"], "--yes") == {"id": made["id"], "deleted": True}
    assert run.as_json(projects, "list") == []
    assert (tmp_path / "projects" / "ada" / f"{made['id']}.db").exists()
    with pytest.raises(ProjectMissing, match="`objectkernel projects list` shows the ids"):
        run(projects, "show", made["id"])


def test_what_people_read(run: Commands) -> None:
    """A table; of one project everything, also which transports this host does not serve."""
    made = create(run, "crm", "--transport", "rest", "--transport", "graphql", "--transport", "ws")
    table = run(projects, "list").stdout.splitlines()
    assert table[0].split() == ["ID", "ACCOUNT", "SLUG", "STATUS", "DATABASE", "NAME"]
    assert table[1].split() == [made["id"], "ada", "crm", "active", f"sqlite:///{made['id']}.db", "crm"]
    shown = run(projects, "show", made["id"]).stdout
    assert "not served  graphql, ws: this host serves rest" in shown
    assert "pool        0 to 5 connections" in shown
    assert "\nerror" not in shown
    assert "paused" in run(projects, "pause", made["id"]).stdout


def test_one_account(run: Commands) -> None:
    """With --account a project of another one is not there."""
    made = create(run)
    assert run.as_json(projects, "list", "--account", "eve") == []
    assert len(run.as_json(projects, "list", "--account", "ada")) == 1
    for command in ("show", "pause", "resume", "delete --yes"):
        name, *options = command.split()
        with pytest.raises(ProjectMissing, match="list the account's projects"):
            run(projects, name, made["id"], "--account", "eve", *options)
    assert run.as_json(projects, "pause", made["id"], "--account", "ada")["status"] == "paused"


def test_more_than_a_page(run: Commands) -> None:
    """A list is all of them."""
    from objectkernel_project_life import commands

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commands, "PAGE", 2)
        made = [create(run, f"crm-{number}")["id"] for number in range(3)]
        assert [one["id"] for one in run.as_json(projects, "list")] == made


def test_a_uri_comes_from_where_nobody_reads_it_again(run: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard input, or the environment; on the command line it is refused, and not shown again."""
    done = CliRunner().invoke(
        projects,
        ["create", "crm", "--account", "ada", "--uri", "-", "--json"],
        obj=run,
        input="sqlite:///own.db\nmore\n",
    )
    assert done.exit_code == 0, done.output
    made = json.loads(done.stdout)
    assert made["uri"] == "sqlite:///own.db"
    for text in ("", "\n"):
        done = CliRunner().invoke(projects, ["rotate-uri", made["id"], "--uri", "-"], obj=run, input=text)
        assert (done.exit_code, "standard input has no URI" in done.stderr) == (2, True)
    refused = run(projects, "create", "crm2", "--account", "ada", "--uri", "postgresql://u:s3cret@h/d")
    assert refused.exit_code == 2
    assert "history" in refused.stderr
    assert "s3cret" not in refused.stderr
    monkeypatch.setenv("PROJECT_URI", "sqlite:///moved.db")
    assert run.as_json(projects, "rotate-uri", made["id"])["uri"] == "sqlite:///moved.db"
    assert "is not copied" in " ".join(run(projects, "rotate-uri", "--help").stdout.split())
    monkeypatch.setenv("PROJECT_URI", "postgresql://u:s3cret@db.example/crm")
    with pytest.raises(UriRefused) as caught:
        create(run, "crm3")
    assert "s3cret" not in str(caught.value)
    monkeypatch.delenv("PROJECT_URI")
    assert run(projects, "rotate-uri", made["id"]).exit_code == 2


def test_a_project_is_not_ended_by_accident(run: Commands) -> None:
    """It is asked for, unless --yes says so."""
    made = create(run)
    unasked = run(projects, "delete", made["id"])
    assert unasked.exit_code == 2 and "give --yes" in unasked.stderr
    for answer, left in (("n\n", 1), ("\n", 1), ("y\n", 0)):
        run.json = False
        done = CliRunner().invoke(projects, ["delete", made["id"]], obj=run, input=answer)
        assert done.exit_code == (1 if left else 0)
        assert len(run.as_json(projects, "list")) == left
    assert "its database is as it was" in done.stdout


def test_entities_of_files(run: Commands, tmp_path: Path) -> None:
    """One file has one entity, another a list; a plan changes nothing."""
    one, several, bad = tmp_path / "customer.json", tmp_path / "several.json", tmp_path / "bad.json"
    one.write_text(json.dumps(CUSTOMER))
    invoice = {"name": "Invoice", "collection": "invoices", "fields": {"total": {"type": "decimal"}}}
    several.write_text(json.dumps([CUSTOMER, invoice]))
    bad.write_text("{")
    made = create(run, "crm", "--schemas", str(one))
    assert [schema["name"] for schema in made["schemas"]] == ["Customer"]
    assert "entities    Customer" in run(projects, "show", made["id"]).stdout
    plan = run.as_json(projects, "schemas", made["id"], several, "--plan")
    assert any("invoices" in line for line in plan)
    assert "invoices" in run(projects, "schemas", made["id"], several, "--plan").stdout
    assert len(run.as_json(projects, "show", made["id"])["schemas"]) == 1
    done = run.as_json(projects, "schemas", made["id"], several)
    assert [schema["name"] for schema in done["schemas"]] == ["Customer", "Invoice"]
    assert "nothing would be done" in run(projects, "schemas", made["id"], several, "--plan").stdout
    for file in (bad, tmp_path):
        with pytest.raises(InvalidProject, match=file.name):
            run(projects, "schemas", made["id"], file)
    assert run(projects, "schemas", made["id"]).exit_code == 2


def test_what_is_refused(run: Commands) -> None:
    """As the register's own errors, which the program prints."""
    create(run)
    with pytest.raises(ProjectConflict):
        create(run)
    with pytest.raises(InvalidProject):
        create(run, "No Slug")
    assert run(projects, "create", "x", "--account", "ada", "--transport", "ftp").exit_code == 2


def test_a_boot_tells_what_failed(run: Commands, tmp_path: Path) -> None:
    """And ends with 1 where something did; one project never fails the others."""
    good, bad = create(run, "good"), create(run, "bad")
    told = run.as_json(projects, "boot")
    assert (set(told["loaded"]), told["failed"]) == ({good["id"], bad["id"]}, {})
    assert "2 loaded, 0 failed" in run(projects, "boot").stdout
    run.make = lambda: project_kernel(tmp_path, opening="eager")
    (tmp_path / "projects" / "ada" / f"{bad['id']}.db").write_bytes(b"this is no database" * 1000)
    done = run(projects, "boot")
    assert done.exit_code == 1
    assert f"{bad['id']}  failed: " in done.stdout
    assert "1 loaded, 1 failed" in done.stdout
    told = json.loads(run(projects, "boot", "--json").stdout)
    assert (told["loaded"], list(told["failed"])) == ([good["id"]], [bad["id"]])
    shown = run(projects, "show", bad["id"]).stdout
    assert "status      error" in shown
    assert "\nerror " in shown


def test_a_boot_shows_how_far_it_is(run: Commands, tmp_path: Path) -> None:
    """The command itself opens and heals, no start before it: its bar has all of it, and what was healed is told."""
    made = [create(run, f"crm-{number}")["id"] for number in range(3)]
    run.make = lambda: project_kernel(tmp_path, opening="eager")

    class Watching(Commands):
        def progress(self, items: Any, label: str, total: int | None = None) -> Any:
            told.append((label, total))
            return iter(items)

    told: list[tuple[str, int | None]] = []
    watching = Watching(run.make)
    for as_read in (False, True):
        leave(run, made[0], transition="pausing")
        done = watching(projects, "boot", *(["--json"] if as_read else []))
        if as_read:
            assert json.loads(done.stdout)["healed"] == {made[0]: "pausing"}
        else:
            assert f"{made[0]}  healed: it was pausing" in done.stdout
            assert "2 loaded, 0 failed" in done.stdout
        leave(run, made[0], status="active")
    assert told == [("opening projects", 3)] * 2


def test_looking_changes_nothing(run: Commands, tmp_path: Path) -> None:
    """Whoever lists or shows projects opens none, and heals none: the host that serves them may be at work."""
    half, broken = create(run, "half")["id"], create(run, "broken")["id"]
    leave(run, half, transition="pausing")
    spoil(tmp_path / "projects" / "ada" / f"{broken}.db")
    run.make = lambda: project_kernel(tmp_path, opening="eager")
    states = {one["id"]: (one["status"], one["transition"]) for one in run.as_json(projects, "list")}
    assert states == {half: ("active", "pausing"), broken: ("active", None)}
    assert "active, pausing now" in run(projects, "show", half).stdout
    assert "active (pausing)" in run(projects, "list").stdout


def leave(run: Commands, id: str, **changes: object) -> None:
    """Let a row be as a host that is gone would have left it."""
    with projects_as_they_are():
        run.run(lambda kernel: kernel.get(SYSTEM_DIALECT).update(PROJECT_SCHEMA, id, changes))


def test_keys_are_changed(run: Commands, tmp_path: Path) -> None:
    """A new key before the old one, rotate-key, and the old one may go."""
    made = [create(run, f"crm-{number}")["id"] for number in range(3)]
    run.make = lambda: project_kernel(tmp_path, encryption_key=f"{OTHER_KEY},{KEY}")
    assert run.as_json(projects, "rotate-key", "--batch", "2") == {"done": 3, "total": 3, "unreadable": []}
    assert "3 of 3" in run(projects, "rotate-key").stdout
    run.make = lambda: project_kernel(tmp_path, encryption_key=OTHER_KEY)
    assert [one["uri"] for one in run.as_json(projects, "list")] == [f"sqlite:///{id}.db" for id in made]
    run.make = lambda: project_kernel(tmp_path, encryption_key=KEY)
    lost = run(projects, "rotate-key")
    assert lost.exit_code == 1
    assert all(f"{id}  its key is gone" in lost.stdout for id in made)
    assert [one["uri"] for one in run.as_json(projects, "list")] == ["***"] * 3
    run.make = lambda: project_kernel(tmp_path, encryption_key=None)
    with pytest.raises(EncryptionKeyMissing):
        run(projects, "rotate-key")


def test_a_new_key(run: Commands) -> None:
    """Alone on standard output, so that it can be piped."""
    done = run(projects, "generate-key")
    assert len(parse_keys(done.stdout.strip())) == 1
    assert done.stdout.count("\n") == 1
    assert "whoever has it" in done.stderr
    assert len(parse_keys(run.as_json(projects, "generate-key")["key"])) == 1
