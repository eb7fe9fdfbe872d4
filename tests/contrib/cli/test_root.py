"""The program itself: options, help, exit codes, how errors are printed."""

from __future__ import annotations

import subprocess
import sys

import pytest
from objectkernel_cli import exits


def test_version_imports_neither_kernel_nor_rich(run):
    """`objectkernel --version` is quick: it loads nothing that it does not print."""
    code = (
        "import sys; from objectkernel_cli.main import main\n"
        "try: main()\nexcept SystemExit as end: assert not end.code\n"
        "heavy = {'rich', 'anyio', 'objectkernel.kernel', 'pluggy', 'typed_settings'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code, "--version"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("objectkernel ")


def test_version_is_json_with_json(run):
    """Wherever --json stands."""
    for arguments in (["--version", "--json"], ["--json", "--version"]):
        assert set(run(*arguments).json) == {"objectkernel", "python"}


def test_json_behind_two_dashes_is_an_argument(run, write_app):
    """What stands behind -- is a command's own."""
    done = run("--app", write_app(), "why", "--", "--json")
    assert (done.code, done.err.startswith("[C301]")) == (1, True)


def test_python_m_is_the_program():
    """`python -m objectkernel_cli` works where the script is not on the path."""
    done = subprocess.run(
        [sys.executable, "-m", "objectkernel_cli", "--version"], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.startswith("objectkernel ")


@pytest.mark.parametrize("command", ["check", "plugins", "graph", "config", "doctor --no-boot", "why acme-shop"])
def test_json_may_stand_before_or_after_the_command(run, write_app, command):
    """--json is one switch, wherever it is written, and its output is one document."""
    app = write_app()
    before, after = run("--app", app, "--json", *command.split()), run("--app", app, *command.split(), "--json")
    assert before.json == after.json
    assert (before.code, after.code) == (0, 0)


def test_help_lists_commands_and_exit_codes(run):
    """Every exit code stands in the help, and every command of the program."""
    told = run("--help").out
    for code, meaning in exits.TABLE:
        assert f"{code:>3}  {meaning}" in told
    for name in ("run", "new", "plugins", "graph", "why", "doctor", "config", "check"):
        assert f"\n  {name} " in told


def test_every_command_has_help_and_json(run):
    """Each takes --json and says what it does."""
    for name in ("run", "new plugin", "plugins", "graph", "why", "doctor", "config", "check"):
        assert "--json" in run(*name.split(), "--help").out


def test_an_unknown_command_is_a_mistake_of_usage(run):
    """Exit code 2, and the command that was meant."""
    done = run("plugin")
    assert (done.code, "'plugins'" in done.err) == (2, True)


def test_a_mistake_of_usage_is_json_with_json(run):
    """Standard error has the shape of every other error; standard output stays empty."""
    done = run("plugins", "--bogus", "--json")
    assert (done.code, done.out, done.error["code"]) == (2, "", "usage")
    assert "--bogus" in done.error["what"]


def test_a_kernel_error_is_printed_in_its_own_words(run, write_app):
    """Code, what, why and fix on standard error; nothing on standard output."""
    done = run("--app", write_app(), "why", "acme-shp")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("[C301] NameUnknown: nothing is called 'acme-shp'")
    assert "did you mean 'acme-shop'?" in done.err


def test_verbose_adds_the_traceback(run, write_app):
    """-v shows where the error comes from."""
    app = write_app("1 / 0")
    assert "Traceback" not in run("--app", app, "config").err
    assert "ZeroDivisionError: division by zero" in run("-v", "--app", app, "config").err


def test_a_reader_that_goes_away_ends_the_program_quietly(write_app, folder):
    """`objectkernel graph | head -1` leaves no traceback."""
    app = write_app()
    line = f"{sys.executable} -m objectkernel_cli --app {app} graph --json | head -c 1"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60, cwd=folder)
    assert (done.stdout, done.stderr) == ("{", "")
