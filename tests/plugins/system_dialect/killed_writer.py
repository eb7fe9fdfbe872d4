"""A process that writes to a SQLite database until it is killed, and says of each write when it is acknowledged."""

from __future__ import annotations

import os
import sys

import anyio
from objectkernel import ObjectKernel, Plugin, contributes
from objectkernel_system_dialect.contracts import DIALECT, SYSTEM_SCHEMAS, EntitySchema, Field
from objectkernel_system_dialect.plugin import SystemDialectPlugin

TASKS = 8
ROWS = 5
ROW = EntitySchema(
    name="Row",
    collection="written",
    fields={
        "write": Field("string", required=True),
        "number": Field("integer", required=True),
        "filler": Field("text"),
    },
)


class Writer(Plugin):
    """Has the rows."""

    name = "writer"

    @contributes(SYSTEM_SCHEMAS, uses=())
    def row(self) -> EntitySchema:
        return ROW


async def main(path: str, run: str) -> None:
    """Write for ever: several rows at once, and several in a transaction."""
    plugins = [Writer, SystemDialectPlugin]
    async with ObjectKernel(plugins=plugins, discover=False, environ={"SGBD_URI": path}) as kernel:
        dialect = kernel.get(DIALECT)

        async def write(task: int) -> None:
            number = 0
            while True:
                number += 1
                write = f"{run}.{task}.{number}"
                rows = [{"write": write, "number": n, "filler": "x" * 500} for n in range(ROWS)]
                if number % 2:
                    await dialect.create_many(ROW, rows)
                else:
                    async with dialect.transaction():
                        for row in rows:
                            await dialect.create(ROW, row)
                os.write(1, f"{write}\n".encode())

        async with anyio.create_task_group() as tasks:
            for task in range(TASKS):
                tasks.start_soon(write, task)


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
