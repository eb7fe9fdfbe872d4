"""The example for test writers passes as it stands, with nothing of this project's test settings."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.children import lean_pytest

SOURCE = Path(__file__).parents[2] / "examples" / "fixture_kernel"


def test_the_example_passes_elsewhere(tmp_path: Path) -> None:
    """Copied to an empty folder, its six tests pass on asyncio and trio."""
    folder = shutil.copytree(SOURCE, tmp_path / "fixture_kernel", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_shop.py"]
    options = {"cwd": folder, "env": lean_pytest(), "capture_output": True, "text": True}
    done = subprocess.run(command, timeout=120, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 passed" in done.stdout
