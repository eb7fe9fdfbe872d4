"""A process that publishes to a SQLite file until it is killed, and says of each version when it is acknowledged."""

from __future__ import annotations

import os
from contextlib import aclosing

import anyio
from objectkernel_package_service.package import Limits
from objectkernel_package_service.registry import PackageRegistry
from objectkernel_package_service.storage import PackageStore
from objectkernel_package_service.table import SCHEMAS
from objectkernel_system_dialect.sqlite_dialect import open_sqlite

from tests.plugins.package_service.killing import serve

TASKS = 4
NEEDS = {"base": "^1.0.0", "other": "*"}


async def warm_up() -> None:
    """Import what is imported on use."""
    async with aclosing(await open_sqlite(":memory:")) as dialect:
        await dialect.register(*SCHEMAS)
        registry = PackageRegistry(PackageStore(dialect), Limits(manifest=10_000, metadata=100_000))
        await registry.publish({"manifest": {"id": "p", "version": "1.0.0"}, "metadata": {}}, tag="newest")


async def main(path: str, run: str) -> None:
    """Publish for ever: new versions, tagged and with dependencies, and each third one a second time."""
    async with aclosing(await open_sqlite(path)) as dialect:
        await dialect.register(*SCHEMAS)
        registry = PackageRegistry(PackageStore(dialect), Limits(manifest=10_000, metadata=100_000))

        async def publish(task: int) -> None:
            number = 0
            while True:
                number += 1
                id, version = f"p{task}", f"{run}.{number}.0"
                for content in range(2 if number % 3 == 0 else 1):
                    await registry.publish(
                        {
                            "manifest": {"id": id, "version": version, "dependencies": NEEDS},
                            "metadata": {"objects": [{"name": "o", "label": f"{content}" * 5000}]},
                        },
                        tag="newest",
                    )
                os.write(1, f"{id}@{version}\n".encode())

        async with anyio.create_task_group() as tasks:
            for task in range(TASKS):
                tasks.start_soon(publish, task)


if __name__ == "__main__":
    serve(main, warm_up)
