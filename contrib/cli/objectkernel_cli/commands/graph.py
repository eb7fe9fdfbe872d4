"""``objectkernel graph``."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

from objectkernel_cli.common import as_json, pass_program
from objectkernel_cli.exits import NO_HOST, OK
from objectkernel_cli.output import print_json, print_problem, to_json
from objectkernel_cli.program import Program

if TYPE_CHECKING:
    from objectkernel_cli.pictures.view import GraphView


@click.command("graph")
@click.option(
    "--format",
    "form",
    type=click.Choice(["mermaid", "dot", "json", "svg"]),
    help="By default what -o ends with, else mermaid.",
)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file.")
@as_json
@click.pass_context
@pass_program
def command(program: Program, context: click.Context, form: str | None, output: Path | None) -> None:
    """Draw the composition: who provides what, and who needs it.

    Solid arrows are hard (`needs`), dashed and dotted ones soft (`wants`, `collects`). Providers that a
    choice of the host passed over, plugins that are off and services that are missing are drawn too, in
    the colour of their state.
    """
    from objectkernel_cli.pictures.view import view

    if output is None and program.json and form not in (None, "json"):
        raise click.UsageError(f"--json and --format {form} exclude each other, unless -o takes the picture")
    subject = program.subject()
    form = form or _form_of(output, program.json)
    text = _drawn(view(subject.kernel, subject.host), form)
    if output is None:
        click.echo(text, nl=False)
    else:
        _write(output, text)
        if program.json:
            print_json({"host": subject.host, "format": form, "file": str(output)})
    if subject.problem is not None:
        print_problem(subject.problem, as_json=program.json)
    context.exit(NO_HOST if subject.problem else OK)


def _form_of(output: Path | None, as_json: bool) -> str:
    if output is None:
        return "json" if as_json else "mermaid"
    endings = {".svg": "svg", ".dot": "dot", ".gv": "dot", ".json": "json"}
    return endings.get(output.suffix.lower(), "mermaid")


def _write(output: Path, text: str) -> None:
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.FileError(str(output), error.strerror or str(error)) from error


def _drawn(view: GraphView, form: str) -> str:
    if form == "json":
        return to_json(view.as_dict()) + "\n"
    draw = getattr(import_module(f"objectkernel_cli.pictures.{form}"), form)
    text: str = draw(view)
    return text
