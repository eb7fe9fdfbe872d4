"""``objectkernel run``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from objectkernel_cli.common import as_json, pass_program
from objectkernel_cli.output import print_json_line, printable
from objectkernel_cli.program import Program

if TYPE_CHECKING:
    from objectkernel.kernel import ObjectKernel


@click.command("run")
@as_json
@pass_program
def command(program: Program) -> None:
    """Boot the host, print the start-up timeline, and run until SIGINT or SIGTERM.

    The first signal stops everything in order, a second one cancels what still stops. With --json each
    event is one line: booted, stopped.
    """
    from objectkernel_cli.life import serve

    kernel = program.take_kernel()

    def booted() -> None:
        if program.json:
            print_json_line(_booted(kernel))
        else:
            _tell(kernel)

    try:
        serve(kernel, booted)
    finally:
        if program.json:
            print_json_line({"event": "stopped", "state": kernel.state})
    if not program.json:
        click.echo("stopped")


def _booted(kernel: ObjectKernel) -> dict[str, Any]:
    return {
        "event": "booted",
        "state": kernel.state,
        "services": list(kernel.services()),
        "plugins": [{"name": p.name, "state": p.state, "reason": p.reason} for p in kernel.plugins()],
        "timeline": kernel.timeline.as_dict(),
    }


def _tell(kernel: ObjectKernel) -> None:
    click.echo(kernel.timeline.text())
    for plugin in kernel.plugins():
        if plugin.state not in ("running", "blocked"):
            click.echo(printable(f"{plugin.name} is {plugin.state}: {plugin.reason}"), err=True)
    click.echo(f"{kernel.state} with {len(kernel.services())} services; Ctrl-C stops it")
