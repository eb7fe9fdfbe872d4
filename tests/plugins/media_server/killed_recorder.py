"""A process that stores and deletes recordings in a folder until it is killed; it says what it was promised."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
from objectkernel_media_server.filesystem import FilesystemDriver

from tests.plugins.media_server.databases import furnish, opened, webm

SECRET = "0" * 32
AT_ONCE = 3


async def main(folder: Path) -> None:
    dialect = await opened("sqlite", str(folder / "system.db"))
    house = furnish(dialect, FilesystemDriver(folder / "media", SECRET, "https://media.example"))

    async def body(size: int) -> AsyncIterator[bytes]:
        for first in range(0, size, 5000):
            yield (webm(5000) if first == 0 else bytes(5000))[: size - first]

    async def work(number: int) -> None:
        turn = 0
        while True:
            turn += 1
            row = (await house.media.create_recording("acc", body(5000 * (1 + (turn + number) % 7)))).row
            print("stored", row.id, row.checksum, flush=True)
            if turn % 3 == 0:
                print("deleting", row.id, flush=True)
                await house.media.delete_media("acc", row.id)
                print("deleted", row.id, flush=True)

    async with anyio.create_task_group() as tasks:
        for number in range(AT_ONCE):
            tasks.start_soon(work, number)


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]))
