"""``objectkernel packages export`` and ``import``."""

from __future__ import annotations

import json
import sqlite3
import weakref
from contextlib import asynccontextmanager, closing

import pytest
from objectkernel_package_service import tagging
from objectkernel_package_service.contracts import ArchiveInvalid, FileFailed, PackageConflict, PackageMissing
from objectkernel_package_service.registry import PackageRegistry
from objectkernel_package_service.table import SCHEMAS
from objectkernel_system_dialect.sqlite_dialect import open_sqlite

from tests.plugins.package_service.command_line import Context, package, runner


@pytest.fixture
def elsewhere(tmp_path):
    """Runs ``objectkernel packages`` on another registry."""

    @asynccontextmanager
    async def opened():
        dialect = await open_sqlite(str(tmp_path / "elsewhere.db"))
        try:
            await dialect.register(*SCHEMAS)
            yield dialect
        finally:
            await dialect.aclose()

    return runner(lambda: Context(opened))


@pytest.fixture
def registry(run, folder, tmp_path):
    """Four versions of three packages, and what is said of them."""
    (folder / "crm-2.json").write_text(json.dumps(package("crm", "2.0.0-rc.1+build.7")))
    run("publish", folder)
    run("tag", "crm@1.0.0", "stable")
    run("yank", "shop@1.0.0")
    run("deprecate", "hr@1.0.0", "use people")
    run("configure", "hr", "--policy", "immutable", "--visibility", "private")
    return tmp_path / "all.zip"


def listed(run):
    """Everything that is said of every version, but for when and in which database."""
    items = json.loads(run("list", "--all-versions", "--json").stdout)["items"]
    return [{name: one[name] for name in one if name not in ("created_at", "updated_at", "sequence")} for one in items]


def test_what_is_exported_is_imported_elsewhere_with_the_same_hashes(run, elsewhere, registry):
    """Bytes, order, tags, yanks, deprecations, visibility and policy; and exporting it again gives the same file."""
    assert run("export", registry).output == f"4 exported to {registry}, 0 damaged\n"
    assert elsewhere("import", registry).output == "4 imported, 0 refused\n"
    assert listed(elsewhere) == listed(run)
    assert elsewhere("get", "crm@1.0.0").stdout_bytes == run("get", "crm@1.0.0").stdout_bytes
    again = registry.with_name("again.zip")
    elsewhere("export", again)
    assert again.read_bytes() == registry.read_bytes()


def test_an_import_can_be_made_again(run, elsewhere, registry):
    """Nothing changes by it."""
    run("export", registry)
    elsewhere("import", registry)
    before = listed(elsewhere)
    assert elsewhere("import", registry).exit_code == 0
    assert [one["hash"] for one in listed(elsewhere)] == [one["hash"] for one in before]


def test_some_packages_may_be_named(run, elsewhere, registry):
    """A package with all its versions, or one of them."""
    run("export", registry, "crm@1.0.0", "hr")
    told = json.loads(elsewhere("import", registry, "--json", "--owner", "acme").stdout)
    assert [(one["id"], one["version"], one["owner"]) for one in told["imported"]] == [
        ("crm", "1.0.0", "acme"),
        ("hr", "1.0.0", "acme"),
    ]
    assert isinstance(run("export", registry, "nobody").exception, PackageMissing)


def test_a_conflict_keeps_no_other_from_being_imported(run, elsewhere, registry, tmp_path):
    """It is named, and the exit code is 1."""
    run("export", registry)
    (tmp_path / "other.json").write_text(json.dumps(package("hr", name="other")))
    elsewhere("publish", tmp_path / "other.json", "--policy", "immutable")
    done = elsewhere("import", registry, "--json")
    told = json.loads(done.stdout)
    assert (done.exit_code, [one["code"] for one in told["refused"]]) == (1, [PackageConflict.code])
    assert len(told["imported"]) == 3
    assert "hr@1.0.0" in elsewhere("import", registry).stderr


def test_what_is_damaged_is_left_out_and_named(run, registry, database):
    """The sound ones are exported, and the exit code is 1."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE sys_packages SET metadata = '{}' WHERE id = 'crm' AND version = '1.0.0'")
    done = run("export", registry, "--json")
    told = json.loads(done.stdout)
    assert (done.exit_code, len(told["exported"])) == (1, 3)
    assert [(one["id"], one["version"]) for one in told["damaged"]] == [("crm", "1.0.0")]


def test_what_is_damaged_of_a_named_package_is_named_too(run, registry, database):
    """Also where it is so damaged that the lists do not have it; its other versions are exported."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE sys_packages SET created_at = 'garbage' WHERE id = 'crm' AND version = '1.0.0'")
    done = run("export", registry, "crm", "--json")
    told = json.loads(done.stdout)
    assert done.exit_code == 1
    assert [one["version"] for one in told["exported"]] == ["2.0.0-rc.1+build.7"]
    assert [(one["id"], one["version"]) for one in told["damaged"]] == [("crm", "1.0.0")]
    assert run("export", registry, "crm@1.0.0").exit_code == 1
    assert run("export", registry, "crm@2.0.0-rc.1+build.7", "hr").exit_code == 0


def test_no_more_than_one_package_is_in_memory(run, elsewhere, registry, monkeypatch):
    """However many are exported, imported or published."""
    alive, most = weakref.WeakSet(), []
    get, publish = PackageRegistry.get, PackageRegistry.publish

    def watched(method):
        async def call(self, *given, **said):
            record = await method(self, *given, **said)
            alive.add(record)
            most.append(len(alive))
            return record

        return call

    monkeypatch.setattr(PackageRegistry, "get", watched(get))
    monkeypatch.setattr(PackageRegistry, "publish", watched(publish))
    assert run("export", registry).exit_code == elsewhere("import", registry).exit_code == 0
    assert len(most) == 8
    assert max(most) <= 2


def test_what_of_a_version_cannot_be_said_is_told(run, elsewhere, registry, tmp_path, monkeypatch):
    """Here a tag that would be one too many: it is named with its version, and the others are imported."""
    run("export", registry)
    monkeypatch.setattr(tagging, "MOST_TAGS", 1)
    (tmp_path / "crm.json").write_text(json.dumps(package("crm", "0.1.0")))
    elsewhere("publish", tmp_path / "crm.json", "--tag", "old")
    done = elsewhere("import", registry, "--json")
    told = json.loads(done.stdout)
    assert done.exit_code == 1
    assert [(one["id"], one["version"], one["code"]) for one in told["refused"]] == [("crm", "1.0.0", "P101")]
    assert len(told["imported"]) == 3


def test_nothing_of_a_damaged_archive_is_imported(run, elsewhere, registry):
    """Everything is looked at before anything is published."""
    run("export", registry)
    content = bytearray(registry.read_bytes())
    content[len(content) // 2] ^= 1
    registry.write_bytes(content)
    assert isinstance(elsewhere("import", registry).exception, ArchiveInvalid)
    assert listed(elsewhere) == []


def test_files_that_cannot_be_written(run, registry, tmp_path):
    """The command's own error; what was there before stays."""
    assert isinstance(run("export", tmp_path / "no" / "where.zip").exception, FileFailed)
    registry.write_text("before")
    assert isinstance(run("export", registry, "nobody").exception, PackageMissing)
    assert registry.read_text() == "before"
    assert list(tmp_path.glob(".*.part")) == []
