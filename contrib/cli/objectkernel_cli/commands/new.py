"""``objectkernel new``."""

from __future__ import annotations

from pathlib import Path

import click

from objectkernel_cli.common import as_json, pass_program
from objectkernel_cli.output import print_json
from objectkernel_cli.program import Program


@click.group("new")
def command() -> None:
    """Write something new."""


@command.command("plugin")
@click.argument("name")
@click.option(
    "--into",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    help="The folder to make the plugin's folder in; by default this one.",
)
@as_json
@pass_program
def plugin(program: Program, name: str, into: Path) -> None:
    """Write the plugin NAME, such as acme-billing: a distribution that installs, loads and passes its tests.

    Nothing that exists is overwritten.
    """
    from objectkernel_cli.scaffold import write_plugin

    folder, files = write_plugin(name, into)
    if program.json:
        print_json({"plugin": name, "folder": str(folder), "files": [str(f) for f in files]})
        return
    for file in files:
        click.echo(f"wrote {folder / file}")
    click.echo(f"\ninstall it:  pip install --editable {folder}\ntest it:     pytest {folder}")
