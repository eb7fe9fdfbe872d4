"""``objectkernel doctor``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from objectkernel.errors import KernelError

from objectkernel_cli.common import as_json, pass_program
from objectkernel_cli.exits import FAILED, OK
from objectkernel_cli.output import print_json, printable
from objectkernel_cli.program import Program

if TYPE_CHECKING:
    from objectkernel_cli.examination import Check


@click.command("doctor")
@click.option(
    "--boot/--no-boot", default=True, show_default=True, help="Boot the host as `run` does, and shut it down."
)
@as_json
@click.pass_context
@pass_program
def command(program: Program, context: click.Context, boot: bool) -> None:
    """Look for everything that may be wrong with the host, and say how to mend it.

    It boots the host as `run` does, and so does what a start does: a database is brought up to its schemas. --no-boot
    starts nothing.

    The exit code is 1 if something has to be mended.
    """
    from objectkernel_cli.examination import examine

    checks = []
    for check in examine(program, boot=boot):
        checks.append(check)
        if not program.json:
            _tell(check, program)
    ok = all(check.ok for check in checks)
    if program.json:
        print_json({"ok": ok, "checks": [_as_dict(check) for check in checks]})
    else:
        click.echo("all is well" if ok else f"{sum(not c.ok for c in checks)} of {len(checks)} checks failed")
    context.exit(OK if ok else FAILED)


def _tell(check: Check, program: Program) -> None:
    mark, colour = ("ok", "green") if not check.findings else ("note", "yellow") if check.ok else ("FAILED", "red")
    color = False if program.no_color else None
    click.secho(f"{mark:<6} {check.name}: {printable(check.detail)}", fg=colour, color=color)
    for finding in check.findings:
        text = str(finding) if isinstance(finding, KernelError) else f"{type(finding).__name__}: {finding}"
        click.echo("\n".join(f"    {line}" for line in printable(text).splitlines()))


def _as_dict(check: Check) -> dict[str, Any]:
    return {
        "check": check.name,
        "ok": check.ok,
        "detail": check.detail,
        "findings": [
            f.as_dict()
            if isinstance(f, KernelError)
            else {"code": None, "error": type(f).__name__, "what": str(f), "where": "", "why": [], "fix": ""}
            for f in check.findings
        ],
    }
