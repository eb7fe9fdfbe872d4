"""The program itself: its options, its commands, and those that plugins add."""

from __future__ import annotations

import sys
from collections.abc import Mapping, MutableMapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import click
from objectkernel.errors import KernelError, nearest

from objectkernel_cli import exits
from objectkernel_cli.common import as_json, option
from objectkernel_cli.program import Program

if TYPE_CHECKING:
    from objectkernel_cli.plugin_commands import PluginCommands

BUILT_IN: Final[Mapping[str, str]] = {
    "run": "Boot the host, and run it until it is told to stop.",
    "check": "Check the composition, without running plugin code.",
    "plugins": "List the plugins: state, version, distribution, why one is off.",
    "graph": "Draw who provides what, and who needs it.",
    "why": "Tell why a plugin or service is there, or is not.",
    "config": "Show every setting, with the place its value comes from.",
    "doctor": "Look for everything that may be wrong, and say how to mend it.",
    "new": "Write a new plugin that installs, loads and passes its tests.",
}

EPILOG: Final = "\b\nExit codes:\n" + "\n".join(f"  {code:>3}  {meaning}" for code, meaning in exits.TABLE)


class Root(click.Group):
    """Imports a command's module when it is used; asks plugins only for names that are not its own."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(BUILT_IN)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in BUILT_IN:
            command: click.Command = import_module(f"objectkernel_cli.commands.{cmd_name}").command
            return command
        return _plugin_commands(ctx).get(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not ctx.resilient_parsing and not name.startswith("-") and self.get_command(ctx, name) is None:
            found = _plugin_commands(ctx)
            close = nearest(name, [*BUILT_IN, *found.names])
            lines = [f"No such command {name!r}."]
            lines += [f"Did you mean {close[0]!r}?"] if close else []
            lines += [f"Not all commands of plugins could be made: {p.what}." for p in found.broken]
            ctx.fail(" ".join(lines))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(BUILT_IN.items()))
        try:
            found = _plugin_commands(ctx)
        except KernelError as error:
            with formatter.section("Commands of plugins"):
                formatter.write_text(f"not known: {error.what} (objectkernel doctor tells more)")
            return
        rows = [(name, f"{text}  [{plugin}]".lstrip()) for name, plugin, text in found.rows()]
        rows += [("!", problem.what) for problem in found.problems]
        if rows:
            with formatter.section("Commands of plugins"):
                formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> None:
        super().invoke(ctx)  # what a command returns is no exit code

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command line; in standalone mode every error ends in its own exit code, see `exits`."""
        arguments = list(sys.argv[1:] if args is None else args)
        program: Program = extra.setdefault("obj", Program())
        own = arguments[: arguments.index("--")] if "--" in arguments else arguments
        program.json = "--json" in own  # known from the start, for the errors of reading the rest

        def run() -> Any:
            return super(Root, self).main(arguments, prog_name, complete_var, False, **extra)

        if not standalone_mode:
            return run()
        from objectkernel_cli.ending import ending

        sys.exit(ending(run, program))


def _plugin_commands(ctx: click.Context) -> PluginCommands:
    """The commands of the host's plugins, collected once for a command line."""
    kept: MutableMapping[str, Any] = ctx.find_root().meta
    if "plugin commands" not in kept:
        from objectkernel_cli.plugin_commands import collect

        kept["plugin commands"] = collect(ctx.ensure_object(Program).kernel(), BUILT_IN)
    found: PluginCommands = kept["plugin commands"]
    return found


def _print_version(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if not wanted or context.resilient_parsing:
        return
    from objectkernel import __version__

    from objectkernel_cli.output import print_json

    python = ".".join(map(str, sys.version_info[:3]))
    if context.ensure_object(Program).json:
        print_json({"objectkernel": __version__, "python": python})
    else:
        click.echo(f"objectkernel {__version__} (Python {python})")
    context.exit()


@click.group(cls=Root, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@option("app", "--app", metavar="MODULE:ATTRIBUTE", help="The host: a kernel, or a function that returns one.")
@option("config", "--config", metavar="FILE", help="The host: a configuration file of installed plugins.")
@option("safe_mode", "--safe-mode", is_flag=True, help="Take no installed plugin but those named in `only`.")
@as_json
@option("no_color", "--no-color", is_flag=True, help="No colours, as with NO_COLOR set.")
@option("verbose", "-v", "--verbose", count=True, help="Say more; twice: everything the kernel logs.")
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_print_version, help="Show it.")
@click.pass_context
def root(context: click.Context) -> None:
    """See, check and run an objectkernel host.

    The host is --app, else --config, else `[tool.objectkernel] app` in the pyproject.toml of this folder
    or of one above it, else objectkernel.toml in this folder, else whatever plugins are installed.
    """
    program: Program = context.obj
    if program.app is not None and program.config is not None:
        raise click.UsageError("--app and --config exclude each other: the app configures its kernel itself")
    from objectkernel_cli.logs import log_to_stderr

    log_to_stderr(program.verbose, lambda: program.json)
