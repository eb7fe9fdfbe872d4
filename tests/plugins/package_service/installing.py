"""Kernels into which packages are installed, packages to install, and a consumer that remembers what it is told."""

from __future__ import annotations

from contextlib import asynccontextmanager

from objectkernel import ObjectKernel, Plugin, contributes
from objectkernel_package_service.contracts import PACKAGES
from objectkernel_package_service.install_contracts import INSTALLATIONS, PACKAGE_CONSUMERS
from objectkernel_package_service.plugin import PackageServicePlugin
from objectkernel_system_dialect.plugin import SystemDialectPlugin


class Recorder:
    """A consumer of views and translations."""

    kinds = ("views", "translations")

    def __init__(self):
        self.there = {}
        self.told = []
        self.against = {}
        self.failing = set()

    async def check(self, package, kind, items):
        return self.against.get((package.id, kind), ())

    async def apply(self, package, kind, items):
        self.told.append(("apply", f"{package.id}@{package.version}", kind))
        self.there[package.id, kind] = [item["name"] for item in items]
        if ("apply", package.id, kind) in self.failing:
            raise RuntimeError("no room for it")

    async def remove(self, package, kind):
        self.told.append(("remove", f"{package.id}@{package.version}", kind))
        if ("remove", package.id, kind) in self.failing:
            raise RuntimeError("it is needed here")
        del self.there[package.id, kind]


@asynccontextmanager
async def booted(uri, *consumers, more=(), **environ):
    """A kernel on a database, with its registry and what is installed in it."""

    class Consuming(Plugin):
        name = "consuming"

        @contributes(PACKAGE_CONSUMERS, uses=())
        def first(self):
            return consumers[0]

    plugins = [SystemDialectPlugin, PackageServicePlugin, *([Consuming] if consumers else []), *more]
    settings = {"SGBD_URI": str(uri), "OBJECTKERNEL_PLUGINS__PACKAGE_SERVICE__REFRESH_SECONDS": "0", **environ}
    async with ObjectKernel(plugins=plugins, discover=False, environ=settings) as kernel:
        yield kernel, kernel.get(PACKAGES), kernel.get(INSTALLATIONS)


def package(id, version="1.0.0", *, objects=(), needs=None, **metadata):
    """A package with objects of these names, each with a name of its own."""
    return {
        "manifest": {"id": id, "version": version, "dependencies": needs or {}},
        "metadata": {
            "objects": [
                one if isinstance(one, dict) else {"name": one, "fields": {"name": {"type": "text", "maxLength": 40}}}
                for one in objects
            ],
            **{kind: [{"name": name} for name in names] for kind, names in metadata.items()},
        },
    }
