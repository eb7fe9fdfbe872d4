"""``objectkernel packages`` tag, untag, deprecate, yank, configure, and what the lists say of it."""

from __future__ import annotations

import json

import pytest
from objectkernel_package_service.contracts import PackageMissing, PackageNeeded

from tests.plugins.package_service.command_line import package


@pytest.fixture
def crm(run, tmp_path):
    """Three versions of a package, published."""
    for version in ("1.0.0", "1.1.0", "2.0.0"):
        file = tmp_path / f"{version}.json"
        file.write_text(json.dumps(package("crm", version)))
        assert run("publish", file).exit_code == 0


def shown(run, name):
    return json.loads(run("show", name, "--json").output)


def test_tags_name_versions(run, crm):
    """A tag leads to its version until it names another, or none."""
    assert run("tag", "crm@1.0.0", "stable").output == "crm: stable is 1.0.0\n"
    assert shown(run, "crm@stable")["version"] == "1.0.0"
    run("tag", "crm@1.1.0", "stable")
    assert json.loads(run("tags", "crm", "--json").output) == {"id": "crm", "tags": {"stable": "1.1.0"}}
    assert run("tags", "crm").output.split() == ["TAG", "VERSION", "stable", "1.1.0"]
    assert run("untag", "crm", "stable").exit_code == 0
    assert isinstance(run("untag", "crm", "stable").exception, PackageMissing)
    assert isinstance(run("show", "crm@stable").exception, PackageMissing)
    assert run("tag", "crm", "stable").exit_code == 2


def test_ranges_lead_to_the_highest_version(run, crm):
    """As npm reads them."""
    assert shown(run, "crm@^1.0.0")["version"] == "1.1.0"
    assert shown(run, "crm@>=1 <3")["version"] == "2.0.0"


def test_a_yanked_version_is_found_by_its_name_alone(run, crm):
    """Until it is taken back."""
    assert run("yank", "crm@2.0.0").output == "crm@2.0.0 is yanked\n"
    assert shown(run, "crm")["version"] == "1.1.0"
    assert shown(run, "crm@2.0.0")["yanked"] is True
    assert "yanked" in run("versions", "crm").output
    assert json.loads(run("yank", "crm@2.0.0", "--undo", "--json").output)["yanked"] is False
    assert shown(run, "crm")["version"] == "2.0.0"


def test_a_deprecation_is_seen_in_every_list(run, crm):
    """With its reason, for one version or for all; free of what could steer a terminal."""
    run("deprecate", "crm@1.0.0", "use 2 \x1b[2J")
    assert "deprecated: use 2 \ufffd[2J" in run("versions", "crm").output
    run("deprecate", "crm", "moved")
    assert {one["deprecated"] for one in json.loads(run("versions", "crm", "--json").output)["items"]} == {"moved"}
    run("deprecate", "crm", "--undo")
    assert {one["deprecated"] for one in json.loads(run("versions", "crm", "--json").output)["items"]} == {None}
    assert run("deprecate", "crm").exit_code == 2
    assert run("deprecate", "crm", "why", "--undo").exit_code == 2


def test_configure_changes_the_package_as_a_whole(run, crm):
    """Its visibility and its policy."""
    assert run("configure", "crm", "--policy", "immutable", "--visibility", "private").exit_code == 0
    assert (shown(run, "crm@1.0.0")["policy"], shown(run, "crm@1.0.0")["visibility"]) == ("immutable", "private")
    assert run("configure", "crm").exit_code == 2


def test_delete_is_refused_while_others_need_it(run, crm, tmp_path):
    """They are named, unless it is forced."""
    (tmp_path / "billing.json").write_text(json.dumps(package("billing", dependencies={"crm": "^1.1.0"})))
    run("publish", tmp_path / "billing.json")
    refused = run("delete", "crm@1.1.0").exception
    assert isinstance(refused, PackageNeeded)
    assert "billing@1.0.0" in str(refused)
    assert run("delete", "crm@1.1.0", "--force").exit_code == 0


def test_history_stays(run, crm):
    """Each publish and delete, newest first, also when the package is gone."""
    run("delete", "crm", "--all-versions")
    told = json.loads(run("history", "crm", "--json").output)["items"]
    assert [one["action"] for one in told].count("publish") == 3
    assert told[0]["action"] == "delete"
    assert "publish" in run("history", "crm").output
    assert isinstance(run("history", "nobody").exception, PackageMissing)
    assert isinstance(run("versions", "nobody").exception, PackageMissing)


def test_history_tells_what_was_said(run, crm):
    """Which tag, which message, what was set: as it stands in the details."""
    run("tag", "crm@1.0.0", "stable")
    run("deprecate", "crm@1.1.0", "use \x1b[2J 2.0.0")
    run("configure", "crm", "--visibility", "private")
    lines = run("history", "crm").output.splitlines()
    assert lines[0].split() == ["AT", "ACTION", "VERSION", "HASH", "BY", "DETAILS"]
    assert lines[1].endswith("visibility private")
    assert lines[2].endswith("message use \ufffd[2J 2.0.0")
    assert lines[3].endswith("tag stable")
    assert lines[4].split()[-2:] == [json.loads(run("show", "crm", "--json").output)["hash"][:12], "-"]


def test_private_packages_are_marked_in_lists(run, crm):
    """An operator sees all of them, and so which ones nobody else does."""
    assert "private" not in run("list").output
    run("configure", "crm", "--visibility", "private")
    assert run("list").output.splitlines()[1].endswith("private")


def test_search_looks_for_every_word(run, folder):
    """In id and name."""
    run("publish", folder)
    assert [one["id"] for one in json.loads(run("search", "SH", "op", "--json").output)["items"]] == ["shop"]
    assert json.loads(run("search", "nothing", "--json").output)["items"] == []
