"""The project's files, as a clone would have them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def files(root):
    """Every file that is, or would be, committed: paths relative to the root."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listing = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    return sorted(Path(name) for name in listing.split("\0") if name and (root / name).exists())


@pytest.fixture(scope="session")
def members(root):
    """The folder of each distribution of the workspace."""
    found = [root / "kernel", *(root / "contrib").iterdir(), *(root / "plugins").iterdir()]
    return sorted(folder for folder in found if (folder / "pyproject.toml").exists())
