"""``objectkernel config``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import attrs
import click
from objectkernel.errors import nearest

from objectkernel_cli.common import as_dicts, as_json, pass_program
from objectkernel_cli.errors import NameUnknown
from objectkernel_cli.exits import FAILED, OK
from objectkernel_cli.output import print_json, print_problem, print_table
from objectkernel_cli.program import Program

if TYPE_CHECKING:
    from objectkernel.kernel import ObjectKernel

DEFAULT: Final = "default"


@click.command("config")
@click.option("--plugin", metavar="NAME", help="Only the settings of this plugin.")
@as_json
@click.pass_context
@pass_program
def command(program: Program, context: click.Context, plugin: str | None) -> None:
    """Show every host option and setting: its value, and the file, variable or argument it comes from.

    A secret is shown as ***. The exit code is 1 if a value is refused; it has no value then.
    """
    kernel = program.kernel()
    if plugin is not None:
        _expect_plugin(kernel, plugin)
    configuration = kernel.compose().configuration
    rows = [r for r in configuration.rows() if plugin in (None, r.plugin)] if configuration else []
    problems = list(kernel.compose().options.problems) if plugin is None else []
    problems += [
        p
        for p in (configuration.problems if configuration else ())
        if plugin is None or getattr(p, "plugin", plugin) == plugin
    ]
    options = _host_options(kernel) if plugin is None else []
    if program.json:
        values = [{"plugin": r.plugin, "option": r.option, "value": r.value, "source": r.source} for r in rows]
        kernel_values = [{"option": option, "value": value, "source": source} for option, value, source in options]
        print_json(
            {
                "host": program.host.name,
                "kernel": kernel_values,
                "values": values,
                "problems": as_dicts(problems),
            }
        )
    else:
        table = [("[kernel]", *option) for option in options]
        table += [(r.plugin, r.option, r.value, r.source) for r in rows]
        print_table(
            ("PLUGIN", "OPTION", "VALUE", "SOURCE"),
            [(name, option, _shown(value), source) for name, option, value, source in table],
            styles=["dim" if source == DEFAULT else "" for *_, source in table],
            no_color=program.no_color,
        )
        for problem in problems:
            print_problem(problem)
    context.exit(FAILED if problems else OK)


def _host_options(kernel: ObjectKernel) -> list[tuple[str, Any, str]]:
    """Option, value and source of what stands under ``[kernel]``."""
    options = kernel.compose().options
    values = attrs.asdict(options, filter=lambda field, _: field.name not in ("problems", "sources"))
    return [(name, value, options.sources.get(name, DEFAULT)) for name, value in values.items()]


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
