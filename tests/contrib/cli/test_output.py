"""What standard output holds, whatever plugins print and wherever it leads."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

TALKATIVE = """
print("imported")

class Talkative(Plugin):
    name = "acme-talkative"

    @provides(LEDGER)
    async def ledger(self) -> AsyncIterator[list]:
        print("up")
        yield Ledger()
        print("down")

    @contributes(COMMANDS, uses=())
    def commands(self) -> CommandMaker:
        print("collected")
        return lambda: click.Command("odd")

class Ledger(list):
    async def ping(self):
        print("well")

def make():
    print("made")
    return ObjectKernel(plugins=[Talkative], discover=False)
"""

COMMANDS = ["check", "plugins", "plugins --boot", "graph", "why acme.ledger", "config", "doctor"]


@pytest.mark.parametrize("command", COMMANDS)
def test_what_hosts_and_plugins_print_goes_to_standard_error(run, write_app, command):
    """Standard output is one document, though everything prints that can."""
    done = run("--app", write_app(TALKATIVE, "make"), *command.split(), "--json")
    assert isinstance(done.json, dict)
    assert "imported" in done.err
    assert "made" in done.err


def test_a_picture_is_not_disturbed_either(run, write_app):
    """Without --json too standard output is what was asked for."""
    assert run("--app", write_app(TALKATIVE, "make"), "graph").out.startswith("flowchart")


def test_json_has_no_number_that_json_lacks(run, install, folder):
    """An infinite setting is text."""
    install(
        "acme-odd",
        """
        class Plug(Plugin):
            name = "acme-odd"
            config = configured_by(attrs.make_class("S", {"wait": attrs.field(type=float, default=1.0)}))
        """,
    )
    (folder / "objectkernel.toml").write_text('[kernel]\nonly = ["acme-odd"]\n[plugins.acme-odd]\nwait = inf\n')
    told = run("config", "--json").out
    assert json.loads(told, parse_constant=pytest.fail)["values"][0]["value"] == "inf"


def program(folder, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "objectkernel_cli", *arguments],
        cwd=folder,
        env={**os.environ, "OBJECTKERNEL_NO_CACHE": "1", **environment},
        capture_output=True,
        timeout=60,
    )


def test_json_is_ascii(write_app, folder):
    """What is no UTF-8 on the command line does not make the output none."""
    done = program(folder, "--app", write_app(), "graph", "--json", "-o", b"\xff\xc3\xa4.svg")
    assert done.returncode == 0
    assert json.loads(done.stdout.decode("ascii"))["file"] == "\udcffä.svg"


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_a_terminal_of_another_encoding_shows_what_it_can(write_app, folder, encoding):
    """What it has no letter for is a question mark, and no traceback."""
    odd = "class Odd(Plugin):\n    name = 'acme-odd'\n    version = '1\\u2713'\n"
    source = odd + "kernel = ObjectKernel(plugins=[Odd], discover=False)"
    done = program(folder, "--app", write_app(source), "plugins", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    assert re.search(rb"acme-odd +discovered +1\?", done.stdout)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no full device")
def test_a_full_disk_is_told_in_one_error(write_app, folder):
    """Standard output that takes nothing ends in exit code 1 and no traceback."""
    line = [sys.executable, "-m", "objectkernel_cli", "--app", write_app(), "plugins", "--json"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(line, cwd=folder, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode, json.loads(done.stderr)["error"]["error"]) == (1, "FileTrouble")


def test_a_file_error_of_a_command_is_told_in_one_error(run, write_app):
    """A plugin's command that lets an OSError pass ends in no traceback; -v shows it."""
    app = write_app(
        TALKATIVE.replace(
            'lambda: click.Command("odd")', "lambda: click.Command('odd', callback=lambda: open('none/x'))"
        ),
        "make",
    )
    done = run("--app", app, "odd")
    assert done.code == 1
    assert "FileTrouble" in done.err
    assert "none/x" in done.err
    assert "Traceback" not in done.err
    assert "Traceback" in run("-v", "--app", app, "odd").err
