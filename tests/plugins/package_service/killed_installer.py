"""A process that publishes, installs, upgrades and uninstalls until it is killed, and tells each step."""

from __future__ import annotations

import json
import os
import random

from objectkernel import ObjectKernel
from objectkernel_package_service.contracts import PACKAGES
from objectkernel_package_service.install_contracts import INSTALLATIONS
from objectkernel_package_service.plugin import PackageServicePlugin
from objectkernel_system_dialect.contracts import DIALECT, SCHEMAS
from objectkernel_system_dialect.plugin import SystemDialectPlugin

from tests.plugins.package_service.killing import serve

NAME = {"name": {"type": "text", "maxLength": 40}}
LOOKUP = {"account": {"type": "lookup", "reference": "account"}}
BASE = {
    "1.0.0": [{"name": "account", "fields": NAME}],
    "1.1.0": [{"name": "account", "fields": {**NAME, "age": {"type": "number"}}}, {"name": "extra", "fields": NAME}],
}
SALES = [{"name": f"deal_{n}", "fields": {**NAME, **LOOKUP}} for n in range(5)]


def say(word, **told):
    os.write(1, (json.dumps([word, told], sort_keys=True) + "\n").encode())


def published(id, version, objects, needs):
    return {
        "manifest": {"id": id, "version": version, "dependencies": needs},
        "metadata": {"objects": objects, "views": [{"text": "x" * 20_000}]},
    }


def kernel_on(path):
    return ObjectKernel(plugins=[SystemDialectPlugin, PackageServicePlugin], discover=False, environ={"SGBD_URI": path})


async def warm_up():
    async with kernel_on(":memory:") as kernel:
        for version, objects in BASE.items():
            await kernel.get(PACKAGES).publish(published("base", version, objects, {}))
            await kernel.get(INSTALLATIONS).install("base")


async def main(path):
    async with kernel_on(path) as kernel:
        packages, installations, schemas = kernel.get(PACKAGES), kernel.get(INSTALLATIONS), kernel.get(SCHEMAS)

        async def state():
            return {
                "installed": {one.id: one.version for one in installations.installed()},
                "published": [one.version for one in (await packages.versions("noise", 500)).items],
            }

        usable = [name for one in installations.installed() for name in one.entities]
        for name in usable:
            await kernel.get(DIALECT).as_tenant("acme").create(schemas.get_schema(name), {"name": "row"})
        for summary in (await packages.versions("noise", 500)).items:
            await packages.get("noise", summary.version)  # verified
        failed = [str(error) for error in installations.failed()]
        say("found", **await state(), failed=failed)
        for version, objects in BASE.items():
            await packages.publish(published("base", version, objects, {}))
        await packages.publish(published("sales", "1.0.0", SALES, {"base": "^1.0.0"}))
        number = 0
        while True:
            number += 1
            here = await state()
            after = json.loads(json.dumps(here))
            data = random.choice(["keep", "remove"])
            if number % 3 == 0:
                version = f"{os.getpid()}.0.{number}"
                after["published"].insert(0, version)
                say("doing", **after)
                await packages.publish(published("noise", version, [], {}))
            elif "sales" in here["installed"]:
                del after["installed"]["sales"]
                say("doing", **after)
                await installations.uninstall("sales", data)
            elif here["installed"].get("base") == "1.1.0":
                del after["installed"]["base"]
                say("doing", **after)
                await installations.uninstall("base", "keep")
            elif "base" in here["installed"]:
                after["installed"]["base"] = "1.1.0"
                say("doing", **after)
                await installations.upgrade("base", "1.1.0")
            else:
                await packages.publish(published("base", "1.0.0", BASE["1.0.0"], {}))
                after["installed"] = {"base": "1.1.0", "sales": "1.0.0"}
                say("doing", **after)
                await installations.install("sales")
            say("done", **await state())


if __name__ == "__main__":
    serve(main, warm_up)
