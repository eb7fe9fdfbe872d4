"""How much memory a stream of all rows of a SQLite file takes: prints rows, MB above idle, and seconds.

python tests/benchmarks/stream_memory.py FILE
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from pathlib import Path
from time import perf_counter

from objectkernel_system_dialect.contracts import Repository
from objectkernel_system_dialect.sqlite_dialect import open_sqlite
from people import PERSON

PEAK_UNIT = 1 if sys.platform == "darwin" else 1024


def resident() -> int:
    """Bytes of memory that the process has now; where the system does not tell, the most that it had."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else most_resident()


def most_resident() -> int:
    """The most bytes of memory that the process had at any time."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * PEAK_UNIT


async def main(path: str) -> None:
    """Stream all rows and print what it took."""
    dialect = await open_sqlite(path)
    await dialect.register(PERSON)
    people = Repository(dialect, PERSON)
    await people.find_all(limit=1)
    idle, rows, start = resident(), 0, perf_counter()
    async for _row in people.stream():
        rows += 1
    print(rows, (most_resident() - idle) / 1e6, perf_counter() - start)
    await dialect.aclose()


asyncio.run(main(sys.argv[1]))
