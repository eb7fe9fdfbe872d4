"""``objectkernel check``."""

from __future__ import annotations

import click

from objectkernel_cli.common import as_dicts, as_json, pass_program
from objectkernel_cli.exits import FAILED, NO_HOST, OK
from objectkernel_cli.output import counted, print_json, print_problem
from objectkernel_cli.program import Program


@click.command("check")
@as_json
@click.pass_context
@pass_program
def command(program: Program, context: click.Context) -> None:
    """Check the composition: services, versions, cycles, hooks, settings.

    Plugins are imported, and none of their code is run. The exit code is 1 if there is a problem that keeps
    the host from booting.
    """
    subject = program.subject()
    composition = subject.kernel.compose()
    problems = [*([subject.problem] if subject.problem else []), *composition.problems]
    if program.json:
        print_json(
            {
                "host": subject.host,
                "ok": not problems,
                "problems": as_dicts(problems),
                "tolerated": as_dicts(composition.tolerated),
            }
        )
    else:
        for problem in (*problems, *composition.tolerated):
            print_problem(problem)
        graph = composition.graph
        sizes = (len(graph.plugins), "plugin"), (len(graph.services), "service"), (len(problems), "problem")
        tolerated = f", {len(composition.tolerated)} tolerated" if composition.tolerated else ""
        click.echo(f"{subject.host}: {', '.join(counted(*size) for size in sizes)}{tolerated}")
    context.exit(NO_HOST if subject.problem else FAILED if problems else OK)
