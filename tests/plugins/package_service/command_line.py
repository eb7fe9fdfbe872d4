"""``objectkernel packages`` as click runs it, without the program."""

from __future__ import annotations

import json

import anyio
import attrs
import pytest
from click.testing import CliRunner
from objectkernel import ObjectKernel
from objectkernel_package_service.commands import packages
from objectkernel_package_service.contracts import PACKAGES
from objectkernel_package_service.package import Limits
from objectkernel_package_service.plugin import PackageServicePlugin
from objectkernel_package_service.registry import PackageRegistry
from objectkernel_package_service.storage import PackageStore
from objectkernel_system_dialect.plugin import SystemDialectPlugin


@attrs.define
class Context:
    """What the `objectkernel` program gives to commands."""

    open_dialect: object
    json: bool = False

    def run(self, job):
        async def with_service():
            async with self.open_dialect() as dialect:
                limits = Limits(manifest=10_000, metadata=10_000)
                return await job({PACKAGES: PackageRegistry(PackageStore(dialect), limits)})

        return anyio.run(with_service)

    def kernel(self):
        """A kernel that is not started: settings can be had of it, and nothing else."""
        environ = {"OBJECTKERNEL_PLUGINS__PACKAGE_SERVICE__MAX_METADATA_BYTES": "10000"}
        return ObjectKernel(plugins=[SystemDialectPlugin, PackageServicePlugin], discover=False, environ=environ)

    def progress(self, items, label, total=None):
        return iter(items)


@attrs.define
class HostContext(Context):
    """The same with a whole kernel, on the database of this URI."""

    def run(self, job):
        async def with_kernel():
            environ = {"SGBD_URI": str(self.open_dialect)}
            async with ObjectKernel(
                plugins=[SystemDialectPlugin, PackageServicePlugin], discover=False, environ=environ
            ) as kernel:
                return await job(kernel)

        return anyio.run(with_kernel)


def runner(context):
    """Runs ``objectkernel packages`` with the arguments that it is called with."""

    def call(*arguments):
        return CliRunner().invoke(packages, [str(argument) for argument in arguments], obj=context())

    return call


@pytest.fixture
def run(open_dialect):
    """Runs ``objectkernel packages`` on the file."""
    return runner(lambda: Context(open_dialect))


@pytest.fixture
def folder(tmp_path):
    """Three packages in files of a folder, beside something that is none."""
    place = tmp_path / "packages"
    place.mkdir()
    for id in ("crm", "hr", "shop"):
        (place / f"{id}.json").write_text(json.dumps(package(id, name=f"{id} é"), indent=1))
    (place / "notes.txt").write_text("not a package")
    return place


def package(id="crm", version="1.0.0", **manifest):
    return {"manifest": {"id": id, "version": version, **manifest}, "metadata": {"objects": [{"name": "a"}]}}
