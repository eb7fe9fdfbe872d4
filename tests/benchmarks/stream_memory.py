"""How much memory a stream of all rows of a SQLite file takes: prints rows, MB above idle, and seconds. For Linux.

python tests/benchmarks/stream_memory.py FILE
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from time import perf_counter

from objectkernel_system_dialect.contracts import Repository
from objectkernel_system_dialect.sqlite_dialect import open_sqlite
from people import PERSON


def memory(name: str) -> int:
    """A figure of this process in bytes, as Linux gives it: ``VmRSS``, what it has now, or ``VmHWM``, the most."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


async def main(path: str) -> None:
    """Stream all rows and print what it took."""
    dialect = await open_sqlite(path)
    await dialect.register(PERSON)
    people = Repository(dialect, PERSON)
    await people.find_all(limit=1)
    idle, rows, start = memory("VmRSS"), 0, perf_counter()
    async for _row in people.stream():
        rows += 1
    print(rows, (memory("VmHWM") - idle) / 1e6, perf_counter() - start)
    await dialect.aclose()


asyncio.run(main(sys.argv[1]))
