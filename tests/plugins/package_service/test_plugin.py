"""The plugin in a kernel: its service, its table, its command."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click import Group
from objectkernel import ObjectKernel
from objectkernel.errors import BootError, ServiceMissing
from objectkernel_contracts import COMMANDS
from objectkernel_package_service import PACKAGES, PackageInvalid, PackageService, PackageServicePlugin
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
    (missing,) = caught.value.exceptions
    assert isinstance(missing, ServiceMissing)
    assert missing.name == SYSTEM_DIALECT


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
