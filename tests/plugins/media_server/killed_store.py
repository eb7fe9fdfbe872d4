"""A process that writes into a folder store until it is killed: ``python killed_store.py ROOT``.

It prints a line for each offset that it has acknowledged, and ``put`` when it begins to put an object whole.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import anyio
from objectkernel_media_server.filesystem import FilesystemDriver

PIECE = bytes(range(256)) * 256


async def endless(pieces: int) -> AsyncIterator[bytes]:
    for _ in range(pieces):
        yield PIECE


async def main(root: str) -> None:
    store = FilesystemDriver(root, "s" * 32, "")
    token, offset = await store.begin("bucket", "killed/upload"), 0
    print(token, flush=True)

    async def put() -> None:
        await store.put_stream("bucket", "killed/put", endless(10**9))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(put)
        while True:
            token, offset = await store.append("bucket", "killed/upload", token, offset, endless(7))
            print(offset, flush=True)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
