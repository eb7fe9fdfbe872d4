"""``objectkernel packages``, run as click runs it."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing

import anyio
import attrs
import pytest
from click.testing import CliRunner
from objectkernel_package_service.canonical import canonical
from objectkernel_package_service.commands import packages
from objectkernel_package_service.commands_reading import written
from objectkernel_package_service.contracts import (
    PACKAGES,
    FileFailed,
    PackageDamaged,
    PackageMissing,
    PackageStoreUnavailable,
)
from objectkernel_package_service.http_models import Description, Entry, Summary
from objectkernel_package_service.registry import PackageRegistry

from tests.plugins.package_service.command_line import Context, package


def test_publish_takes_a_folder_and_files(run, folder):
    """Every .json file of a folder and every file named is published, with its hash."""
    done = run("publish", folder, folder / "crm.json")
    assert done.exit_code == 0, done.output
    assert [line.split()[0] for line in done.output.splitlines()] == ["ID", "crm", "hr", "shop", "crm"]


def test_publish_tells_what_changed(run, folder):
    """A version is new, or there with the same content, or there with another one, whose hash is shown."""

    def told():
        return [line.split()[3:-1] for line in run("publish", folder / "crm.json").output.splitlines()[1:]]

    assert told() == [["new"]]
    assert told() == [["unchanged"]]
    hash = json.loads(run("show", "crm", "--json").output)["hash"]
    (folder / "crm.json").write_text(json.dumps(package(name="Other")))
    assert told() == [["replaced", hash[:12]]]
    assert json.loads(run("list", "--json").output)["items"][0]["previous_hash"] == hash


def test_a_file_that_cannot_be_read_keeps_no_other_from_being_published(run, folder):
    """A folder of that name, a broken link, a file beyond all bounds: told with the others, and the exit code is 1."""
    (folder / "a.json").mkdir()
    (folder / "b.json").symlink_to(folder / "nowhere")
    (folder / "c.json").write_bytes(b" " * 200_000)
    done = run("publish", "--json", folder)
    told = json.loads(done.stdout)
    assert done.exit_code == 1
    assert [one["id"] for one in told["published"]] == ["crm", "hr", "shop"]
    assert [one["error"] for one in told["refused"]] == ["FileFailed", "FileFailed", "PackageInvalid"]


def test_no_more_of_a_file_is_read_than_can_be_published(run, tmp_path, monkeypatch):
    """A file of any size costs no more memory than the largest package."""
    read, publish = [], PackageRegistry.publish

    async def watched(self, package, **said):
        read.append(len(package))
        return await publish(self, package, **said)

    monkeypatch.setattr(PackageRegistry, "publish", watched)
    with (tmp_path / "huge.json").open("wb") as file:
        file.truncate(1_000_000_000)
    assert run("publish", tmp_path / "huge.json").exit_code == 1
    assert read == [6 * 20_000 + 1]


def test_what_a_package_says_cannot_steer_the_terminal(run, tmp_path):
    """Control characters of ids, names of files and messages come out as signs."""
    file = tmp_path / "evil\x1b[2J.json"
    file.write_text(json.dumps(package("\x1b[31m")))
    done = run("publish", file)
    assert done.exit_code == 1
    assert "\x1b" not in done.stdout + done.stderr
    file.write_text(json.dumps(package()))
    assert "\x1b" not in run("publish", file).stdout


def test_json_is_ascii(run, folder):
    """What is printed is JSON in every encoding that a terminal may have, with any name of a file."""
    (folder / "é.json").write_text(json.dumps(package("accent")))
    done = run("publish", "--json", folder)
    assert done.stdout.isascii()
    assert len(json.loads(done.stdout)["published"]) == 4


def test_a_refused_file_keeps_no_other_from_being_published(run, folder):
    """The sound ones are stored, every problem of the bad one is told, and the exit code is 1."""
    (folder / "hr.json").write_text(json.dumps(package("H R", "latest")))
    done = run("publish", "--json", folder)
    told = json.loads(done.stdout)
    assert done.exit_code == 1
    assert [one["id"] for one in told["published"]] == ["crm", "shop"]
    (refused,) = told["refused"]
    assert refused["file"].endswith("hr.json")
    assert [line.split(": ")[0] for line in refused["why"]] == [
        "hr.json:1 $.manifest.id",
        "hr.json:1 $.manifest.version",
    ]
    told_in_words = run("publish", folder / "hr.json")
    assert told_in_words.exit_code == 1
    assert "$.manifest.version" in told_in_words.stderr


def test_an_empty_folder_is_a_mistake(run, tmp_path):
    """Publishing nothing is not a success."""
    assert run("publish", tmp_path).exit_code == 2


def test_list_pages(run, folder):
    """A page names the command for the next one; as JSON it carries the cursor."""
    run("publish", folder)
    first = run("list", "--limit", 2)
    assert [line.split()[0] for line in first.output.splitlines()] == ["ID", "shop", "hr", "more:"]
    cursor = first.output.split()[-1]
    rest = json.loads(run("list", "--limit", 2, "--after", cursor, "--json").output)
    assert [item["id"] for item in rest["items"]] == ["crm"]
    assert rest["after"] is None


def test_list_of_an_empty_registry(run):
    """Nothing published is an empty table and an empty list."""
    assert run("list").output.split() == ["ID", "VERSION", "HASH", "PUBLISHED", "NOTES"]
    assert json.loads(run("list", "--json").output) == {"items": [], "damaged": [], "after": None}


def test_a_row_has_the_names_that_it_has_over_http(run, folder):
    """Who reads one in a script reads the other."""
    run("publish", folder)
    (one, *_) = json.loads(run("list", "--json").stdout)["items"]
    assert list(one) == list(Summary.model_fields)
    assert list(json.loads(run("show", "crm", "--json").stdout)) == list(Description.model_fields)
    (entry,) = json.loads(run("history", "crm", "--json").stdout)["items"]
    assert list(entry) == list(Entry.model_fields)


def test_show_tells_what_the_package_says_of_itself(run, folder):
    """The manifest, the counts and the hash, free of what could steer a terminal."""
    (folder / "crm.json").write_text(json.dumps(package(name="CRM \x1b[2J", keywords=["a"])))
    run("publish", folder)
    shown = run("show", "crm").output
    assert "crm@1.0.0" in shown
    assert "CRM \ufffd[2J" in shown
    assert "1 objects" in shown
    told = json.loads(run("show", "crm@1.0.0", "--json").output)
    assert told["manifest"]["keywords"] == ["a"]
    assert told["counts"]["objects"] == 1


def test_get_writes_the_published_bytes(run, folder, tmp_path):
    """Standard output, or the file of -o, holds exactly the canonical bytes, ready to be published again."""
    run("publish", folder)
    wanted = canonical(package(name="crm é"))
    assert run("get", "crm").stdout_bytes == wanted
    target = tmp_path / "delivered.json"
    told = json.loads(run("get", "crm@1.0.0", "-o", target, "--json").output)
    assert target.read_bytes() == wanted
    assert run("get", "crm", "-o", target).output.split() == ["crm@1.0.0", told["hash"], str(target)]
    assert json.loads(run("publish", "--json", target).stdout)["published"][0]["hash"] == told["hash"]


def test_get_writes_a_file_wholly_or_not_at_all(run, folder, tmp_path, monkeypatch):
    """A write that fails is the command's error and leaves what was there; a device is written as it is."""
    run("publish", folder)
    target = tmp_path / "delivered.json"
    target.write_text("before")
    with monkeypatch.context() as patch:
        patch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        done = run("get", "crm", "-o", target)
    assert isinstance(done.exception, FileFailed)
    assert done.exception.file == str(target)
    assert target.read_text() == "before"
    assert [entry.name for entry in tmp_path.glob(".*.part")] == []
    assert isinstance(run("get", "crm", "-o", tmp_path / "no" / "where.json").exception, FileFailed)
    assert run("get", "crm", "-o", os.devnull).exit_code == 0
    assert not os.path.isfile(os.devnull)


def test_delete_wants_a_version_or_all_of_them_by_name(run, folder):
    """A bare id deletes nothing; what is not there is an error and no success."""
    run("publish", folder)
    assert run("delete", "crm").exit_code == 2
    assert run("delete", "crm@1.0.0", "--all-versions").exit_code == 2
    assert run("delete", "crm@1.0.0").output == "deleted crm@1.0.0\n"
    assert json.loads(run("delete", "hr", "--all-versions", "--json").output) == {
        "deleted": "hr",
        "all_versions": True,
    }
    assert isinstance(run("delete", "crm@1.0.0").exception, PackageMissing)
    assert [item["id"] for item in json.loads(run("list", "--json").output)["items"]] == ["shop"]


def test_two_that_write_one_file_do_not_mix(tmp_path):
    """The file is what one of them wrote; what was said of who may read it stays."""
    target = tmp_path / "all.zip"
    target.write_text("before")
    target.chmod(0o600)
    with written(target) as first, written(target) as second:
        first.write(b"first" * 1000)
        second.write(b"second")
    assert target.read_bytes() == b"first" * 1000
    assert target.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["all.zip"]


@pytest.mark.parametrize(
    "command",
    [
        *(("show",), ("get",), ("verify",), ("delete",), ("tag", "stable"), ("deprecate", "old"), ("yank",)),
        *(("install",), ("upgrade",), ("export",)),
    ],
    ids=lambda command: command[0],
)
def test_no_version_behind_the_at_sign_is_a_mistake(run, folder, tmp_path, command):
    """A script whose variable is not set means neither all versions nor the latest: nothing is done."""
    run("publish", folder)
    name, *rest = command
    done = run(name, *([tmp_path / "a.zip"] if name == "export" else []), "crm@", *rest)
    assert done.exit_code == 2
    assert "'crm@' names no version" in done.stderr
    assert json.loads(run("show", "crm", "--json").stdout)["deprecated"] is None


@pytest.mark.parametrize("command", ["show", "get", "verify"])
def test_a_package_that_is_not_there_is_an_error(run, command):
    """What a command names has to be published."""
    done = run(command, "crm@1.0.0")
    assert isinstance(done.exception, PackageMissing)
    assert (done.exception.id, done.exception.version) == ("crm", "1.0.0")


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (("show", "cmr"), "no package is called that; 'crm' was meant?"),
        (("get", "crm@2.x"), "no version 2.x is published; the newest are 1.0.0"),
        (("versions", "nothing-like-it"), "no package is called that"),
        (("history", "cmr"), "no package is called that; 'crm' was meant?"),
        (("tags", "cmr"), "no package is called that; 'crm' was meant?"),
        (("untag", "cmr", "stable"), "no package is called that; 'crm' was meant?"),
        (("untag", "crm", "stable"), "its tags: none"),
        (("tag", "crm@9.0.0", "stable"), "no version 9.0.0 is published; the newest are 1.0.0"),
        (("yank", "cmr@1.0.0"), "no package is called that; 'crm' was meant?"),
        (("deprecate", "cmr", "old"), "no package is called that; 'crm' was meant?"),
        (("configure", "cmr", "--policy", "immutable"), "no package is called that; 'crm' was meant?"),
        (("delete", "crm@2.0.0"), "no version 2.0.0 is published; the newest are 1.0.0"),
        (("delete", "cmr", "--all-versions"), "no package is called that; 'crm' was meant?"),
        (("export", "{file}", "cmr"), "no package is called that; 'crm' was meant?"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, tuple) else "",
)
def test_what_is_not_there_is_told_with_what_is(run, folder, tmp_path, command, why):
    """A package of nearly that name, or the versions that there are."""
    run("publish", folder)
    done = run(*(word.format(file=tmp_path / "all.zip") for word in command))
    assert isinstance(done.exception, PackageMissing)
    assert done.exception.why == (why,)


def test_a_package_that_is_wholly_yanked_says_so(run, folder):
    """It is there, and nothing but an exact version leads to it."""
    run("publish", folder)
    run("yank", "crm@1.0.0")
    assert run("show", "crm").exception.why == ("every version of it is yanked; an exact version leads to one",)


def test_verify_reads_every_version_back(run, folder, database):
    """Sound ones are counted, a damaged one is named, and then the exit code is 1."""
    run("publish", folder)
    (folder / "crm.json").write_text(json.dumps(package(version="2.0.0")))
    run("publish", folder)
    assert run("verify").output == "4 sound, 0 damaged\n"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE sys_packages SET manifest = '{}' WHERE id = 'crm' AND version = '1.0.0'")
    done = run("verify", "--json")
    told = json.loads(done.stdout)
    assert done.exit_code == 1
    assert (len(told["sound"]), [error["error"] for error in told["damaged"]]) == (3, ["PackageDamaged"])
    assert "crm@1.0.0 is damaged" in run("verify", "crm@1.0.0").stderr
    assert run("verify", "crm", "hr").exit_code == 0
    assert isinstance(run("get", "crm@1.0.0").exception, PackageDamaged)


def test_verify_finds_what_the_lists_cannot_read(run, folder, database):
    """A row whose hash, time or key is no such thing counts as damaged; the sound versions beside it are read."""
    run("publish", folder)
    for id in ("crm", "hr", "shop"):
        (folder / f"{id}.json").write_text(json.dumps(package(id, "2.0.0")))
    run("publish", folder)
    damages = {"crm": "created_at = 'garbage'", "hr": "hash = CAST(x'ff' AS TEXT)", "shop": "id = CAST(x'ff' AS TEXT)"}
    with closing(sqlite3.connect(database)) as connection, connection:
        for id, damage in damages.items():
            connection.execute(f"UPDATE sys_packages SET {damage} WHERE id = ? AND version = '2.0.0'", (id,))
    done = run("verify", "--json")
    told = json.loads(done.stdout)
    assert done.exit_code == 1
    assert sorted(told["sound"]) == ["crm@1.0.0", "hr@1.0.0", "shop@1.0.0"]
    assert {(error["id"], error["version"]) for error in told["damaged"]} == {
        ("crm", "2.0.0"),
        ("hr", "2.0.0"),
        (None, "2.0.0"),
    }
    listed = run("list")
    assert listed.exit_code == 0
    assert [line.split()[:2] for line in listed.stdout.splitlines()[1:]] == [["shop", "1.0.0"]]
    assert "crm@2.0.0 is damaged" in listed.stderr
    everything = json.loads(run("list", "--json", "--all-versions").stdout)
    assert (len(everything["items"]), len(everything["damaged"])) == (3, 3)


class Failing:
    """A registry whose database gives no answer."""

    async def fail(self, *_arguments, **_options):
        raise PackageStoreUnavailable("reading: unknown", operation="reading")

    publish = get = list = versions = delete = fail


@pytest.mark.parametrize("command", [("list",), ("show", "a"), ("get", "a"), ("delete", "a@1.0.0"), ("verify",)])
def test_a_database_that_fails_ends_the_command_with_its_error(command):
    """A fault of the store is raised for the program to print: no empty table, no "not published"."""

    @attrs.define
    class OnFailing(Context):
        def run(self, job):
            return anyio.run(job, {PACKAGES: Failing()})

    done = CliRunner().invoke(packages, command, obj=OnFailing(None))
    assert isinstance(done.exception, PackageStoreUnavailable)


def test_the_group_has_every_command():
    """Each with a help text and --json."""
    assert set(packages.commands) == {
        *("publish", "list", "search", "show", "get", "versions", "tags", "history", "verify"),
        *("delete", "tag", "untag", "deprecate", "yank", "configure", "export", "import"),
        *("install", "upgrade", "uninstall", "installed"),
    }
    for command in packages.commands.values():
        assert command.help
        assert "--json" in {option for parameter in command.params for option in parameter.opts}
