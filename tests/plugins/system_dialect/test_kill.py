"""What a killed process leaves behind."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from tests.plugins.system_dialect.killed_writer import ROWS

KILLS = 30
SCRIPT = Path(__file__).with_name("killed_writer.py")


@pytest.mark.slow
def test_every_acknowledged_write_survives_a_kill(tmp_path: Path) -> None:
    """A writing process is killed 30 times at random: what was acknowledged is there, whole, and the file is sound."""
    path = tmp_path / "killed.db"
    acknowledged: set[str] = set()
    for run in range(KILLS):
        acknowledged |= write_until_killed(path, str(run))
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            found = Counter(write for (write,) in connection.execute("SELECT write FROM written"))
        assert acknowledged <= found.keys()
        assert set(found.values()) == {ROWS}
    assert len({write.partition(".")[0] for write in acknowledged}) == KILLS


def write_until_killed(path: Path, run: str) -> set[str]:
    """Let a process write for a moment of any length, kill it, and return what it acknowledged."""
    process = subprocess.Popen([sys.executable, str(SCRIPT), str(path), run], stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(random.uniform(0, 0.1))
        process.kill()
        lines = [first, *process.stdout]
    return {line.decode().strip() for line in lines if line.endswith(b"\n")}
