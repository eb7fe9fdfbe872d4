"""``objectkernel plugins``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from objectkernel.errors import KernelError

from objectkernel_cli.common import as_dicts, as_json, pass_program
from objectkernel_cli.exits import OK, exit_code
from objectkernel_cli.output import STATE_STYLES, print_json, print_problem, print_table
from objectkernel_cli.program import Program

if TYPE_CHECKING:
    from objectkernel.kernel import ObjectKernel
    from objectkernel.records import PluginInfo


@click.command("plugins")
@click.option("--boot", is_flag=True, help="Boot the host first: the states are those of the running kernel.")
@as_json
@click.pass_context
@pass_program
def command(program: Program, context: click.Context, boot: bool) -> None:
    """List the plugins that are installed or composed, with the reason where one is off.

    Nothing is started: a plugin that would start is `discovered`. With --boot the host is booted, and
    shut down again.
    """
    subject = program.subject()
    problem = subject.problem
    infos = subject.kernel.plugins()
    if boot and problem is None:
        infos, problem = _booted(program, infos)
    if program.json:
        print_json(
            {
                "host": subject.host,
                "plugins": [as_dict(info) for info in infos],
                "problems": as_dicts([problem] if problem else []),
            }
        )
    else:
        rows = [(i.name, i.state, i.version or "-", i.distribution or "-", reason(i)) for i in infos]
        print_table(
            ("PLUGIN", "STATE", "VERSION", "DISTRIBUTION", "WHY"),
            rows,
            styles=[STATE_STYLES.get(i.state, "") for i in infos],
            no_color=program.no_color,
        )
        if problem is not None:
            print_problem(problem)
    context.exit(exit_code(problem) if problem is not None else OK)


def _booted(program: Program, before: tuple[PluginInfo, ...]) -> tuple[tuple[PluginInfo, ...], KernelError | None]:
    """The plugins of the booted kernel, or of the one that failed to boot, and why it did."""
    kernel = program.kernel()
    infos = before

    async def look(running: ObjectKernel) -> None:
        nonlocal infos
        infos = running.plugins()

    try:
        program.run(look)
    except KernelError as error:
        return infos if infos is not before else kernel.plugins(), error
    return infos, None


def reason(info: PluginInfo) -> str:
    """Why a plugin is in its state, or where it comes from if that is plain."""
    if info.error is not None:
        return info.reason or getattr(info.error, "what", str(info.error))
    return info.reason or ("" if info.source == "entry point" else f"given by the {info.source}")


def as_dict(info: PluginInfo) -> dict[str, Any]:
    """A plugin for JSON."""
    error = info.error
    return {
        "name": info.name,
        "state": info.state,
        "version": info.version,
        "distribution": info.distribution,
        "source": info.source,
        "where": info.where,
        "critical": info.critical,
        "provides": list(info.provides),
        "reason": info.reason,
        "because": info.because,
        "error": error.as_dict() if isinstance(error, KernelError) else str(error) if error is not None else None,
    }
