"""``objectkernel run``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from objectkernel_cli.common import as_json, pass_program
from objectkernel_cli.output import aside, counted, printable, to_json
from objectkernel_cli.program import Program

if TYPE_CHECKING:
    from objectkernel.kernel import ObjectKernel


@click.command("run")
@as_json
@pass_program
def command(program: Program) -> None:
    """Boot the host, print the start-up timeline, and run until SIGINT or SIGTERM.

    The first signal stops everything in order, a second one cancels what still stops. With --json each
    event is one line on standard output, booted and stopped; what plugins print goes to standard error.
    """
    from objectkernel_cli.life import serve

    kernel = program.take_kernel()
    if not program.json:
        serve(kernel, lambda: _tell(kernel))
        click.echo("stopped")
        return
    lines = sys.stdout
    try:
        with aside():
            serve(kernel, lambda: click.echo(to_json(_booted(kernel), indent=None), lines))
    finally:
        click.echo(to_json({"event": "stopped", "state": kernel.state}, indent=None))


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
    click.echo(f"{kernel.state} with {counted(len(kernel.services()), 'service')}; Ctrl-C stops it")
