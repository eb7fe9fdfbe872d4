"""What commands of plugins say at a terminal, run as click runs them."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import attrs
import click
import pytest
from click.testing import CliRunner, Result
from objectkernel_contracts.terminal import (
    Bar,
    as_json,
    confirm,
    json_option,
    plain,
    plain_lines,
    print_json,
    print_result,
    print_table,
)

STEERING = "a\x1b[2Jb"
SHOWN = "a\N{REPLACEMENT CHARACTER}[2Jb"


@attrs.define
class Context:
    """The part of a `CommandContext` that printing needs; `seen` is what its bars have done."""

    json: bool = False
    seen: list[str] = attrs.field(factory=list)

    def progress(self, items: Any, label: str, total: int | None = None) -> Any:
        self.seen.append(f"{label} of {total}")
        for _ in items:
            self.seen.append("step")
            yield
        self.seen.append("end")


@pytest.fixture
def context() -> Any:
    return Context()


@click.command()
@click.argument("name")
@click.option("--yes", is_flag=True)
@as_json
@click.pass_obj
def forget(obj: Any, name: str, yes: bool) -> None:
    """Forget somebody."""
    if not yes:
        confirm(f"Forget {name}?")
    print_result(obj, {"forgotten": name, "on": date(2026, 3, 1)}, f"{name} is forgotten")


def run(*arguments: str, input: str | None = None) -> Result:
    return CliRunner().invoke(forget, list(arguments), obj=Context(), input=input)


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


# --- options and questions ------------------------------------------------------------------------------------


def test_words_or_json() -> None:
    """As the user asks; JSON is in ASCII, and what it has no form for is text."""
    assert run("Zoé", "--yes").stdout == "Zoé is forgotten\n"
    done = run("Zoé", "--yes", "--json")
    assert json.loads(done.stdout) == {"forgotten": "Zoé", "on": "2026-03-01"}
    assert done.stdout.isascii()
    assert run(f"{STEERING}\nc", "--yes").stdout == f"{SHOWN}\nc is forgotten\n"


def test_what_the_option_says_of_itself() -> None:
    """A command may print other than one document."""
    assert "Print JSON on standard output." in run("--help").stdout
    tail = click.command()(json_option("Print an object a line.")(lambda: None))
    assert "Print an object a line." in CliRunner().invoke(tail, ["--help"]).stdout


def test_a_question() -> None:
    """It stands on standard error, and no ends the command."""
    agreed = run("ada", input="y\n")
    assert (agreed.exit_code, agreed.stdout) == (0, "ada is forgotten\n")
    refused = run("ada", input="n\n")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "Forget ada?" in refused.stderr and "--yes" not in refused.stderr


def test_a_question_to_nobody() -> None:
    """Whoever runs a command without a terminal is told how it goes on, as of any mistake in the command line."""
    done = run("ada")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "nobody answers, as standard input is no terminal: give --yes" in done.stderr


# --- output ---------------------------------------------------------------------------------------------------


def test_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """Columns as wide as they must be, no blanks at the ends; a cell is one line and steers nothing."""
    print_table(("ID", "NAME"), [("1", "Ada"), ("longer", "two\nlines"), (STEERING, "")])
    assert printed(capsys) == ["ID      NAME", "1       Ada", "longer  two lines", SHOWN]


def test_a_table_without_a_head(capsys: pytest.CaptureFixture[str]) -> None:
    """It is what a command shows of one thing."""
    print_table((), [("id", "1"), ("name", "Ada")])
    assert printed(capsys) == ["id    1", "name  Ada"]


def test_a_document(capsys: pytest.CaptureFixture[str]) -> None:
    """It is indented, for people who look at it."""
    print_json([{"name": "é"}])
    assert printed(capsys) == ["[", "  {", '    "name": "\\u00e9"', "  }", "]"]


def test_lines() -> None:
    """Of a text of one line a line break is not part; of others it is, and of none a tabulator or a bell."""
    assert plain("a\nb\tc\x07") == "a\ufffdb\ufffdc\ufffd"
    assert plain_lines("a\nb\tc\x07\n") == "a\nb\ufffdc\ufffd\n"


# --- bars -----------------------------------------------------------------------------------------------------


def test_a_bar_keeps_step(context: Any) -> None:
    """It advances by as much as is done, whatever jumps are told, and is taken away."""
    bar = Bar(context, "opening")
    bar.show(1, 3)
    assert context.seen == ["opening of 3", "step", "step"], "the one that is done, and the one that is being done"
    bar.show(3, 3)
    bar.show(2, 3)
    bar.end()
    assert context.seen == ["opening of 3", *["step"] * 4, "end"]


def test_a_bar_whose_end_is_known(context: Any) -> None:
    """It is there before anything is done."""
    bar = Bar(context, "reading", 2)
    assert context.seen == ["reading of 2", "step"]
    bar.show(2)
    bar.end()
    assert context.seen == ["reading of 2", *["step"] * 3, "end"]


def test_a_bar_that_never_learns_its_end(context: Any) -> None:
    """It is never there."""
    bar = Bar(context, "nothing")
    bar.show(1)
    bar.end()
    assert context.seen == []
