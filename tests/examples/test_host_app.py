"""The example host: boots from entry points, publishes its packages, reads them back."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

MAIN = Path(__file__).parents[2] / "examples" / "host_app" / "main.py"
PACKAGES = sorted(file.stem for file in (MAIN.parent / "packages").glob("*.json"))


def run(folder):
    environment = {**os.environ, "OBJECTKERNEL_DATA_DIR": str(folder / "data")}
    done = subprocess.run(
        [sys.executable, "-W", "error", MAIN],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def table(output):
    """Package, version and hash of each row, and what is said of the run before."""
    rows = re.findall(r"^acme\.(\w+) +(\S+) +\d+ +([0-9a-f]{16}) +(.+)$", output, re.MULTILINE)
    return {name: (version, hash) for name, version, hash, _ in rows}, {said for *_, said in rows}


def test_a_second_run_finds_everything_published_with_the_same_hash(tmp_path):
    """Run twice: the same versions and hashes, nothing there twice, everything in the data folder."""
    first, second = run(tmp_path), run(tmp_path)
    assert sorted(table(first)[0]) == PACKAGES
    assert table(first)[0] == table(second)[0]
    assert table(first)[1] == {"new"}
    assert table(second)[1] == {"already published, same hash"}
    for output in (first, second):
        assert "package-service" in output
        assert f"{len(PACKAGES)} packages in the registry" in output
    assert [entry.name for entry in tmp_path.iterdir()] == ["data"]
