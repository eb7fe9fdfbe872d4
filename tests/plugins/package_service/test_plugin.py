"""The plugin in a kernel: its service, its table, its command."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from click import Group
from objectkernel import ObjectKernel, Plugin, provides
from objectkernel.errors import BootError, ServiceMissing
from objectkernel_contracts import AUDIT, COMMANDS, METRICS, AccountDeleting, Audit
from objectkernel_package_service import (
    PACKAGES,
    PackageDamaged,
    PackageInvalid,
    PackageService,
    PackageServicePlugin,
)
from objectkernel_system_dialect.contracts import SYSTEM_DIALECT
from objectkernel_system_dialect.plugin import SystemDialectPlugin

pytestmark = pytest.mark.anyio

CRM = {
    "manifest": {"id": "crm", "version": "1.2.0", "name": "CRM Package"},
    "metadata": {"objects": [], "views": [], "apps": []},
}


def kernel_on(file=None, **settings):
    """A kernel of the two plugins, on a file or in memory."""
    dialect = SystemDialectPlugin.in_memory() if file is None else SystemDialectPlugin()
    plugins = {"package-service": settings} | ({"system-dialect": {"sgbd_uri": str(file)}} if file else {})
    return ObjectKernel(plugins=[dialect, PackageServicePlugin()], discover=False, config={"plugins": plugins})


async def test_the_quick_start_works_as_it_is_written():
    """Publish, get, list and delete through the service that is found by name."""
    async with kernel_on() as kernel:
        packages = kernel.get_service("package")
        assert packages is kernel.get(PACKAGES)
        assert isinstance(packages, PackageService)
        await packages.publish(CRM)
        latest = await packages.get("crm")
        assert (latest.version, latest.manifest["name"]) == ("1.2.0", "CRM Package")
        assert [item.id for item in (await packages.list()).items] == ["crm"]
        assert await packages.delete("crm", "1.0.0") is False


async def test_packages_outlive_the_kernel(tmp_path):
    """What one kernel published on a file, the next one on that file delivers."""
    async with kernel_on(tmp_path / "system.db") as kernel:
        published = await kernel.get(PACKAGES).publish(CRM)
    async with kernel_on(tmp_path / "system.db") as kernel:
        assert await kernel.get(PACKAGES).get("crm") == published


class Trail(Plugin):
    """An audit trail that is a list."""

    name = "trail"

    @provides(AUDIT)
    def trail(self) -> Audit:
        self.entries = []
        return self

    async def record(self, action, subject, *, principal=None, account_id=None, details=None):
        self.entries.append((action, subject, account_id))


async def test_changes_are_told_to_the_audit_trail_of_the_host():
    """Where a host has one; the plugin works without."""
    trail = Trail()
    plugins = [SystemDialectPlugin.in_memory(), PackageServicePlugin(), trail]
    async with ObjectKernel(plugins=plugins, discover=False) as kernel:
        await kernel.get(PACKAGES).publish(CRM, owner="ada")
    assert trail.entries == [("package.publish", "crm@1.2.0", "ada")]


@pytest.mark.parametrize("successor", ["eve", None])
async def test_the_packages_of_a_deleted_account_go_with_it_or_to_its_successor(successor):
    """The event of the account's deletion is answered before it is over."""
    async with kernel_on() as kernel:
        packages = kernel.get(PACKAGES)
        await packages.publish(CRM, owner="ada")
        await kernel.emit(AccountDeleting(account_id="ada", successor_id=successor))
        found = await packages.get("crm")
        assert (found and found.owner) == successor


async def test_integrity_failures_are_counted_for_the_host(tmp_path):
    """A figure tells how many damaged rows were met since the start."""
    file = tmp_path / "system.db"
    async with kernel_on(file) as kernel:

        def failures():
            sources = kernel.contributions(METRICS)
            return [
                (figure.kind, figure.value)
                for figures in sources
                for figure in figures()
                if figure.name == "package_integrity_failures"
            ]

        await kernel.get(PACKAGES).publish(CRM)
        assert failures() == [("counter", 0)]
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("UPDATE sys_packages SET metadata = '{}'")
        for _ in range(2):
            with pytest.raises(PackageDamaged):
                await kernel.get(PACKAGES).get("crm")
        assert failures() == [("counter", 2)]


async def test_the_size_limits_are_settings():
    """A manifest larger than the configured limit is refused by name."""
    async with kernel_on(max_manifest_bytes=20) as kernel:
        with pytest.raises(PackageInvalid) as caught:
            await kernel.get(PACKAGES).publish(CRM)
    assert [problem.path for problem in caught.value.problems] == ["$.manifest"]


async def test_a_limit_that_cannot_be_meant_stops_the_boot():
    """Settings are checked before anything starts."""
    with pytest.raises(BootError) as caught:
        await kernel_on(max_manifest_bytes=0).bootstrap()
    assert caught.value.codes == ("K305",)
    assert "max_manifest_bytes" in str(caught.value)


async def test_without_a_system_dialect_the_boot_names_what_is_missing():
    """The plugin needs a database and says which service that is."""
    with pytest.raises(BootError) as caught:
        await ObjectKernel(plugins=[PackageServicePlugin()], discover=False).bootstrap()
    missing = {error.name for error in caught.value.exceptions if isinstance(error, ServiceMissing)}
    assert SYSTEM_DIALECT in missing


def test_the_command_is_made_when_it_is_asked_for():
    """The contribution is a callable that imports click and returns the group `packages`."""
    plugin = PackageServicePlugin.fake()
    command = plugin.commands()()
    assert isinstance(command, Group)
    assert command.name == "packages"
    assert COMMANDS == "commands"


def test_the_contracts_are_cheap_to_import():
    """Whoever imports the contracts loads neither SQLAlchemy nor click nor the plugin."""
    heavy = ["sqlalchemy", "click", "objectkernel_package_service.plugin", "rfc8785"]
    check = f"import sys, objectkernel_package_service.contracts; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
