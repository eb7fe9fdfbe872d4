"""``objectkernel config``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click
from objectkernel.errors import nearest

from objectkernel_cli.common import as_dicts, as_json, pass_program
from objectkernel_cli.errors import NameUnknown
from objectkernel_cli.exits import FAILED, OK
from objectkernel_cli.output import print_json, print_problem, print_table
from objectkernel_cli.program import Program

if TYPE_CHECKING:
    from objectkernel.kernel import ObjectKernel


@click.command("config")
@click.option("--plugin", metavar="NAME", help="Only the settings of this plugin.")
@as_json
@click.pass_context
@pass_program
def command(program: Program, context: click.Context, plugin: str | None) -> None:
    """Show every setting of every plugin: its value, and the file, variable or argument it comes from.

    A secret is shown as ***. The exit code is 1 if a value is refused; it has no value then.
    """
    kernel = program.kernel()
    if plugin is not None:
        _expect_plugin(kernel, plugin)
    configuration = kernel.compose().configuration
    rows = [r for r in configuration.rows() if plugin in (None, r.plugin)] if configuration else []
    problems = [
        p
        for p in (configuration.problems if configuration else ())
        if plugin is None or getattr(p, "plugin", plugin) == plugin
    ]
    if program.json:
        values = [
            {"plugin": r.plugin, "option": r.option, "value": r.value, "source": r.source} for r in rows
        ]
        print_json({"host": program.host.name, "values": values, "problems": as_dicts(problems)})
    else:
        print_table(
            ("PLUGIN", "OPTION", "VALUE", "SOURCE"),
            [(r.plugin, r.option, _shown(r.value), r.source) for r in rows],
            styles=["dim" if r.source == "default" else "" for r in rows],
            no_color=program.no_color,
        )
        for problem in problems:
            print_problem(problem)
    context.exit(FAILED if problems else OK)


def _expect_plugin(kernel: ObjectKernel, name: str) -> None:
    known = [info.name for info in kernel.plugins()]
    if name not in known:
        close = nearest(name, known)
        raise NameUnknown(
            f"no plugin {name!r}",
            why=f"there are {', '.join(known) or 'no plugins'}",
            fix=f"did you mean {close[0]!r}?" if close else "see `objectkernel plugins`",
            name=name,
            known=close,
        )


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
