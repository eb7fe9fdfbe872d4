"""What type checkers infer of the public API, and what they refuse."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "tests" / "typing"
SCRIPTS = Path(sysconfig.get_path("scripts"))


def check(*command):
    """Run a type checker with the settings of the workspace; returns its exit code and what it said."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_mypy_accepts_the_examples_and_refuses_the_mistakes():
    """mypy --strict infers what the examples assert, and finds an error where a mistake says that there is one."""
    code, said = check(sys.executable, "-m", "mypy", "tests/typing")
    assert code == 0, said


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_basedpyright_accepts_the_examples_and_refuses_the_mistakes():
    """basedpyright infers the same, and finds an error in the same lines."""
    code, said = check(str(SCRIPTS / "basedpyright"), "--pythonpath", sys.executable, "tests/typing")
    assert code == 0, said


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_accepted_mistake_fails_both_checkers(tmp_path):
    """A line that says it must be refused, and is not, is an error: no mistake becomes accepted unnoticed."""
    text = "words = str(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]\n"
    (tmp_path / "accepted.py").write_text(text)
    settings = (ROOT / "pyproject.toml").read_text()
    (tmp_path / "pyproject.toml").write_text(re.sub(r"(?m)^include = .*$", 'include = ["."]', settings))
    mypy = check(sys.executable, "-m", "mypy", str(tmp_path / "accepted.py"))
    basedpyright = check(str(SCRIPTS / "basedpyright"), "--pythonpath", sys.executable, "--project", str(tmp_path))
    assert (mypy[0], basedpyright[0]) == (1, 1)
    assert "unused-ignore" in mypy[1]
    assert "reportUnnecessaryTypeIgnoreComment" in basedpyright[1]


def test_every_mistake_is_one_for_both_checkers():
    """A line is refused by mypy and by basedpyright alike, and no accepted example hides an error."""
    for path in sorted(EXAMPLES.glob("*.py")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            marks = ("# type: ignore[" in line, "# pyright: ignore[" in line)
            allowed = {(False, False), (True, True)} if path.stem == "refused" else {(False, False)}
            assert marks in allowed, f"{path.name}:{number}: {line}"
