"""Pieces of bodies, and the memory that they are in."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from objectkernel_media_server.incoming import IncomingBody
from objectkernel_media_server.pieces import SMALL, Gathering

BODIES = """
import resource
from objectkernel_media_server.pieces import MIB, keep_freed
if {keeps}:
    keep_freed()
for _ in range(40):
    pieces = [b"x" * MIB for _ in range(8)]
    del pieces
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt * resource.getpagesize() // MIB)
"""


def megabytes(*, keeps: bool) -> int:
    """What the system has to find and to clear for 40 bodies of 8 MiB."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    script = BODIES.format(keeps=keeps)
    return int(subprocess.check_output([sys.executable, "-c", script], env=environment))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries give memory back by other rules")
def test_memory_is_kept() -> None:
    """Pieces are where those before them were; otherwise the system gives new pages to each."""
    assert megabytes(keeps=True) < 100 < 300 < megabytes(keeps=False)


CONTENT = os.urandom(100_000)


@pytest.mark.anyio
async def test_tiny_pieces_are_put_together() -> None:
    """Two bytes would take forty; a piece that is not tiny is what it was."""
    large = bytes(SMALL)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(CONTENT), 2):
            yield CONTENT[start : start + 2]
        yield large

    (*tiny, last), _ = await Gathering(pieces()).batch()
    assert (b"".join(tiny), len(tiny)) == (CONTENT, -(-len(CONTENT) // SMALL))
    assert last is large


@pytest.mark.anyio
async def test_tiny_pieces_that_wait_are_put_together() -> None:
    """As they come in, while those before them are written."""
    starts = iter(range(0, len(CONTENT), 2))

    async def receive() -> dict[str, Any]:
        start = next(starts)
        piece = CONTENT[start : start + 2]
        return {"type": "http.request", "body": piece, "more_body": start + 2 < len(CONTENT)}

    body = IncomingBody(receive)
    await body.run()
    found = [piece async for piece in body.slice(len(CONTENT), 60)]
    assert (b"".join(found), len(found)) == (CONTENT, -(-len(CONTENT) // SMALL))
