"""``objectkernel packages`` install, upgrade, uninstall and installed, each in a kernel of its own."""

from __future__ import annotations

import json

import pytest
from objectkernel_package_service.install_contracts import InstallationNeeded, InstallRefused, PackageNotInstalled

from tests.plugins.package_service.command_line import HostContext, package, runner


@pytest.fixture
def host(tmp_path):
    """Runs ``objectkernel packages`` on a host with two versions of a package, and one that depends on it."""
    call = runner(lambda: HostContext(tmp_path / "host.db"))
    for id, version, needs in (("crm", "1.0.0", {}), ("crm", "1.1.0", {}), ("billing", "1.0.0", {"crm": "^1.0.0"})):
        file = tmp_path / f"{id}-{version}.json"
        fields = {"name": {"type": "text"}, "owner": {"type": "lookup", "reference": "nobody"}}
        content = {"objects": [{"name": f"{id}_account", "fields": fields}]}
        file.write_text(json.dumps({**package(id, version, dependencies=needs), "metadata": content}))
        assert call("publish", file).exit_code == 0
    return call


def listed(host):
    return [(one["id"], one["version"]) for one in json.loads(host("installed", "--json").stdout)["installed"]]


def test_a_package_is_installed_with_what_it_needs(host):
    """And is there at the next start; what is not exactly mapped is told on standard error."""
    done = host("install", "billing", "--json")
    assert [one["id"] for one in json.loads(done.stdout)["installed"]] == ["crm", "billing"]
    assert listed(host) == [("crm", "1.1.0"), ("billing", "1.0.0")]
    words = host("installed")
    assert [line.split()[0] for line in words.stdout.splitlines()] == ["ID", "crm", "billing"]
    assert host("install", "billing").stdout == "nothing to do: it is installed already\n"


def test_a_preview_installs_nothing(host):
    """It tells what would be, with the warnings."""
    done = host("install", "crm@1.0.0", "--preview")
    assert done.stdout.splitlines()[-1] == "1 would be installed"
    assert "crm@1.0.0 $.metadata.objects[0].fields.owner" in done.stderr
    assert listed(host) == []


def test_upgrade_wants_what_is_installed(host):
    """Another version in its place."""
    assert isinstance(host("upgrade", "crm").exception, PackageNotInstalled)
    host("install", "crm@1.0.0")
    assert host("upgrade", "crm").exit_code == 0
    assert listed(host) == [("crm", "1.1.0")]


def test_uninstall_is_refused_while_others_need_it(host):
    """They are named; afterwards the data is kept or removed, as asked."""
    host("install", "billing")
    assert isinstance(host("uninstall", "crm").exception, InstallationNeeded)
    assert host("uninstall", "billing").output == "uninstalled billing, its data kept\n"
    told = json.loads(host("uninstall", "crm", "--data", "remove", "--json").output)
    assert told == {"uninstalled": "crm", "data": "remove"}
    assert listed(host) == []


def test_what_is_in_the_way_is_told(host):
    """A package that is not published."""
    assert isinstance(host("install", "nobody").exception, InstallRefused)
