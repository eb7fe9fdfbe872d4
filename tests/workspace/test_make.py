"""The two commands set up what they need, once, and repair what an interruption left."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

TARGETS = ["run", "test", "check", "bench", "lock", "dist", "format", "clean"]


@pytest.fixture
def workspace(root, tmp_path):
    """A copy of the Makefile and the lock, with a python that only writes down what it is asked."""
    for name in ("Makefile", "requirements.lock", "kernel/pyproject.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(root / name, tmp_path / name)
    fake = tmp_path / "fake-python"
    fake.write_text(
        "#!/bin/sh\n"
        'echo "$*" >> calls\n'
        'case "$*" in *"--require-hashes"*) [ ! -e fail ] || exit 1;; esac\n'
        'if [ "$1 $2" = "-m venv" ]; then\n'
        '  rm -rf "$4"; mkdir -p "$4/bin"; cp "$0" "$4/bin/python"\n'
        "fi\n"
    )
    fake.chmod(0o755)
    return tmp_path


def make(folder, *arguments):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", f"PYTHON={folder / 'fake-python'}", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)


def calls(folder):
    """What the python was asked since the last look: venv, locked, sources."""
    log = folder / "calls"
    text = log.read_text() if log.exists() else ""
    log.unlink(missing_ok=True)
    return re.findall(r"-m venv|--require-hashes|--no-build-isolation", text)


WHOLE = ["-m venv", "--require-hashes", "--no-build-isolation"]


def test_set_up_is_made_once(workspace):
    """The first call makes the environment, hashes checked; the second finds its stamp and does nothing."""
    assert make(workspace, ".venv/.stamp").returncode == 0
    assert calls(workspace) == WHOLE
    assert make(workspace, ".venv/.stamp").returncode == 0
    assert make(workspace, "-q", ".venv/.stamp").returncode == 0
    assert calls(workspace) == []


def test_an_interrupted_set_up_is_made_anew(workspace):
    """An environment without a stamp is half made: the next call clears it and starts over."""
    (workspace / "fail").touch()
    assert make(workspace, ".venv/.stamp").returncode != 0
    assert calls(workspace) == ["-m venv", "--require-hashes"]
    (workspace / "fail").unlink()
    (workspace / ".venv" / "half-installed").touch()
    assert make(workspace, ".venv/.stamp").returncode == 0
    assert calls(workspace) == WHOLE
    assert not (workspace / ".venv" / "half-installed").exists()


def later(path: Path, than: Path) -> None:
    moment = than.stat().st_mtime + 10
    os.utime(path, (moment, moment))


def test_a_changed_lock_makes_the_environment_anew(workspace):
    """Nothing of the old lock stays behind."""
    make(workspace, ".venv/.stamp")
    calls(workspace)
    later(workspace / "requirements.lock", than=workspace / ".venv" / ".stamp")
    assert make(workspace, ".venv/.stamp").returncode == 0
    assert calls(workspace) == WHOLE


def test_a_changed_project_file_installs_the_sources_again(workspace):
    """Entry points and scripts are read at installation; third-party packages stay."""
    make(workspace, ".venv/.stamp")
    calls(workspace)
    later(workspace / "kernel" / "pyproject.toml", than=workspace / ".venv" / ".stamp")
    assert make(workspace, ".venv/.stamp").returncode == 0
    assert calls(workspace) == ["--no-build-isolation"]


@pytest.mark.parametrize("target", TARGETS)
def test_help_shows_every_target(target, workspace):
    """`make` alone tells what can be made."""
    shown = make(workspace)
    assert shown.returncode == 0
    assert re.search(rf"^make {target} +\w", shown.stdout, re.MULTILINE)
