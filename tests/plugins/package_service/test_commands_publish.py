"""``objectkernel packages publish``: folders, what is said of a package, and checking without publishing."""

from __future__ import annotations

import json

import attrs
import pytest
from objectkernel_package_service.contracts import PackageConflict

from tests.plugins.package_service.command_line import Context, package, runner


@pytest.fixture
def crm(tmp_path):
    """A package as a folder."""
    folder = tmp_path / "crm"
    (folder / "objects").mkdir(parents=True)
    (folder / "manifest.yaml").write_text("id: crm\nversion: 1.0.0\n")
    (folder / "objects" / "account.yaml").write_text("fields:\n  name: {type: text}\n")
    return folder


def test_a_folder_is_published_as_one_package(run, crm):
    """Its manifest and its objects, under one hash."""
    done = json.loads(run("publish", "--json", crm).stdout)
    assert [(one["id"], one["version"]) for one in done["published"]] == [("crm", "1.0.0")]
    assert json.loads(run("show", "crm", "--json").stdout)["counts"] == {"objects": 1}


def test_a_refused_folder_tells_file_and_line(run, crm):
    """So that an editor can jump to it; the exit code is 1."""
    (crm / "objects" / "account.yaml").write_text("fields:\n  name: {type: text}\n  name: {type: date}\n")
    done = run("publish", crm)
    assert done.exit_code == 1
    assert "objects/account.yaml:3: the name 'name' stands twice" in done.stderr


def test_check_publishes_nothing_and_starts_nothing(run, crm, folder, database):
    """It tells what publishing would refuse, by the limits that the host has, and each hash."""
    (folder / "hr.json").write_text(json.dumps(package("H R")))
    (folder / "shop.json").write_text(
        json.dumps(package("shop", metadata_of_its_own=1) | {"metadata": {"a": ["x" * 10_000]}})
    )
    done = run("publish", "--check", "--json", crm, folder)
    told = json.loads(done.stdout)
    assert done.exit_code == 1
    assert [one["id"] for one in told["checked"]] == ["crm", "crm"]
    assert [one["file"].rpartition("/")[2] for one in told["refused"]] == ["hr.json", "shop.json"]
    assert not database.exists()
    assert run("publish", "--check", crm).exit_code == 0
    assert told["checked"][0]["hash"] == json.loads(run("publish", "--json", crm).stdout)["published"][0]["hash"]


def test_check_warns_of_what_will_not_be_as_it_is_written(run, crm):
    """A misspelt type is told with its file, its line and what was meant; the package is sound all the same."""
    (crm / "objects" / "account.yaml").write_text(
        "fields:\n  name: {type: txt}\n  owner: {type: lookup, reference: no}\n"
    )
    told = json.loads(run("publish", "--check", "--json", crm).stdout)
    place = "objects/account.yaml:2 $.metadata.objects[0].fields.name.type"
    assert [one["path"] for one in told["checked"][0]["warnings"]] == [
        place,
        "objects/account.yaml:3 $.metadata.objects[0].fields.owner.reference",
    ]
    assert "'text' was meant" in told["checked"][0]["warnings"][0]["what"]
    done = run("publish", "--check", crm)
    assert (done.exit_code, f"{crm}: {place}: the type 'txt' is not known" in done.stderr) == (0, True)
    assert done.stdout.splitlines()[1].split()[3:6] == ["sound,", "2", "warnings"]
    with (crm / "manifest.yaml").open("a") as manifest:
        manifest.write("dependencies: {acme.base: ^1.0.0}\n")
    told = json.loads(run("publish", "--check", "--json", crm).stdout)
    assert [one["path"] for one in told["checked"][0]["warnings"]] == [place]  # another package may have that object


def test_entity_schemas_of_ours_are_not_warned_of(run, crm):
    """They need a host to be read by, and are led to by others' references all the same."""
    ours = "name: Firm\ncollection: firms\nfields: {}\n"
    (crm / "objects" / "firm.yaml").write_text(ours)
    (crm / "objects" / "account.yaml").write_text("fields:\n  firm: {type: lookup, reference: Firm}\n")
    (one,) = json.loads(run("publish", "--check", "--json", crm).stdout)["checked"]
    assert one["warnings"] == []


def test_no_table_without_rows_stands_above_the_errors(run, crm):
    """Where nothing was published there is nothing to line up."""
    (crm / "manifest.yaml").write_text("id: crm\nversion: latest\n")
    for done in (run("publish", "--check", crm), run("publish", crm)):
        assert (done.exit_code, done.stdout) == (1, "")
        assert "manifest.yaml:2 $.manifest.version" in done.stderr


def test_what_is_said_of_a_package(run, crm):
    """Tag, visibility, policy and owner come with the publish."""
    done = run(
        "publish",
        "--json",
        crm,
        "--tag",
        "stable",
        "--visibility",
        "private",
        "--policy",
        "immutable",
        "--owner",
        "acme",
    )
    (record,) = json.loads(done.stdout)["published"]
    assert (record["tags"], record["visibility"], record["policy"], record["owner"]) == (
        ["stable"],
        "private",
        "immutable",
        "acme",
    )


def test_a_conflict_keeps_no_other_from_being_published(run, crm, folder):
    """Other content of an immutable version is told with its code; what comes after it is published."""
    run("publish", crm, "--policy", "immutable")
    done = run("publish", "--json", folder)
    told = json.loads(done.stdout)
    assert done.exit_code == 1
    assert [one["code"] for one in told["refused"]] == [PackageConflict.code]
    assert [one["id"] for one in told["published"]] == ["hr", "shop"]


def test_no_link_in_a_folder_of_packages_leads_out_of_it(run, crm, folder, tmp_path):
    """Neither to a file nor to a package; one that is named is followed, as one within it is."""
    outside = tmp_path / "outside.json"
    outside.write_text(json.dumps(package("outside")))
    (folder / "link.json").symlink_to(outside)
    (folder / "linked").symlink_to(crm)
    (folder / "again.json").symlink_to(folder / "crm.json")
    done = run("publish", "--json", folder)
    told = json.loads(done.stdout)
    assert [one["why"] for one in told["refused"]] == [
        [f"{name}: is a link that leads out of the folder; copy what is meant into it"]
        for name in ("link.json", "linked")
    ]
    assert [one["id"] for one in told["published"]] == ["crm", "crm", "hr", "shop"]
    assert run("publish", "--check", folder).exit_code == 1
    assert run("publish", folder / "link.json", folder / "linked").exit_code == 0


def test_each_package_moves_the_progress_bar(open_dialect, folder, tmp_path):
    """Publishing, checking, exporting and importing go through what they do one by one, under a word for it."""
    seen = []

    @attrs.define
    class Watched(Context):
        def progress(self, items, label, total=None):
            seen.append((label, len(items) if total is None else total, 0))
            for done, item in enumerate(items, start=1):
                yield item
                seen.append((label, total, done))

    run = runner(lambda: Watched(open_dialect))
    for arguments in (["publish", folder, "--check"], ["publish", folder], ["export", tmp_path / "all.zip"]):
        assert run(*arguments).exit_code == 0
    assert run("import", tmp_path / "all.zip").exit_code == 0
    words = dict.fromkeys(label for label, *_ in seen)
    assert list(words) == ["checking", "publishing", "exporting", "importing"]
    for word in words:
        ends = [done for label, _, done in seen if label == word]
        assert ends[:4] == [0, 1, 2, 3]


def test_yaml_files_of_a_folder_are_packages_too(run, tmp_path):
    """A file with manifest and metadata may be either."""
    (tmp_path / "a.yaml").write_text("manifest: {id: a, version: 1.0.0}\nmetadata: {objects: [{name: x}]}\n")
    (tmp_path / "b.json").write_text(json.dumps(package("b")))
    told = json.loads(run("publish", "--json", tmp_path).stdout)
    assert [one["id"] for one in told["published"]] == ["a", "b"]
