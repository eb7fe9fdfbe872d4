"""The commands that plugins contribute: made one by one, so that a broken one spoils no other."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import attrs
import click
from objectkernel.errors import KernelError
from objectkernel_contracts import COMMANDS

from objectkernel_cli.errors import CommandBroken, CommandConflict
from objectkernel_cli.output import aside

if TYPE_CHECKING:
    from objectkernel.graph import Node
    from objectkernel.kernel import ObjectKernel


@attrs.frozen(kw_only=True)
class PluginCommands:
    """The commands of a host's plugins.

    Attributes:
        commands: name → plugin → command; more than one plugin is a conflict.
        problems: commands that could not be made, and names that are taken twice.
    """

    commands: Mapping[str, Mapping[str, click.Command]]
    problems: tuple[KernelError, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.commands)

    @property
    def broken(self) -> tuple[CommandBroken, ...]:
        return tuple(p for p in self.problems if isinstance(p, CommandBroken))

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """Name, plugin and one line of help of each command."""
        for name, offers in sorted(self.commands.items()):
            for plugin, command in offers.items():
                yield name, plugin, command.get_short_help_str(80)

    def get(self, name: str) -> click.Command | None:
        """The command of this name, None where there is none.

        Raises:
            CommandConflict: several plugins contribute one.
        """
        offers = self.commands.get(name, {})
        if len(offers) > 1:
            raise _between_plugins(name, tuple(offers))
        return next(iter(offers.values()), None)


def collect(kernel: ObjectKernel, built_in: Collection[str]) -> PluginCommands:
    """Make every command that the plugins of `kernel` contribute; no plugin is started."""
    commands: dict[str, dict[str, click.Command]] = {}
    nodes = kernel.graph.contributions.get(str(COMMANDS), [])
    problems: list[KernelError] = [_waiting(node) for node in nodes if _edges(node)]
    free = [node for node in nodes if not _edges(node)]
    for node, (plugin, contribute) in zip(free, kernel.contributors(COMMANDS), strict=True):
        try:
            command = _made(node, contribute)
        except CommandBroken as problem:
            problems.append(problem)
            continue
        name = command.name or ""
        if name in built_in:
            problems.append(_with_built_in(name, node))
        else:
            commands.setdefault(name, {})[plugin] = command
    problems += [_between_plugins(name, tuple(o)) for name, o in commands.items() if len(o) > 1]
    return PluginCommands(commands=commands, problems=tuple(problems))


def _edges(node: Node) -> tuple[Any, ...]:
    return node.step.edges if node.step is not None else ()


def _waiting(node: Node) -> CommandBroken:
    return CommandBroken(
        f"the command {node.id} needs services",
        where=node.where,
        why="commands are collected before anything is started; it waits for "
        + ", ".join(repr(str(edge.key)) for edge in _edges(node)),
        fix="write @contributes(COMMANDS, uses=()), and take services inside obj.run(...)",
        plugin=node.plugin,
    )


def _made(node: Node, contribute: Callable[[], Callable[[], Any]]) -> click.Command:
    try:
        with aside():
            command: Any = contribute()()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise CommandBroken(
            f"the command {node.id} cannot be made",
            where=node.where,
            why=[
                "".join(traceback.format_exception_only(error)).rstrip(),
                f"raised at {last.filename}:{last.lineno}",
            ],
            fix="correct it, or install what it needs: a plugin's extra [cli] often has it",
            plugin=node.plugin,
        ) from error
    if isinstance(command, click.Command) and command.name:
        return command
    raise CommandBroken(
        f"the command {node.id} is none",
        where=node.where,
        why=f"the contributed function returned {command!r}",
        fix="contribute a function that returns a click.Command with a name",
        plugin=node.plugin,
    )


def _with_built_in(name: str, node: Node) -> CommandConflict:
    return CommandConflict(
        f"the command {name!r} of {node.plugin} has the name of a command of the program",
        where=node.where,
        why=f"`objectkernel {name}` is the program's own; the plugin's cannot be reached",
        fix="give it another name",
        command=name,
        plugins=(node.plugin,),
    )


def _between_plugins(name: str, plugins: tuple[str, ...]) -> CommandConflict:
    return CommandConflict(
        f"the command {name!r} comes from {' and from '.join(plugins)}",
        why="one command line cannot mean both",
        fix=f'leave one plugin out: [kernel] without = ["{plugins[-1]}"]',
        command=name,
        plugins=plugins,
    )
