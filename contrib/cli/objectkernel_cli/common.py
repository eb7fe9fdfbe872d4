"""What the commands of the program are declared with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from objectkernel_cli.program import Program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from objectkernel.errors import KernelError


def option(attribute: str, *names: str, **settings: Any) -> Callable[[Any], Any]:
    """An option that sets `attribute` of the `Program`, before anything else is looked at."""

    def keep(context: click.Context, _parameter: click.Parameter, value: Any) -> None:
        if value:
            setattr(context.ensure_object(Program), attribute, value)

    return click.option(*names, expose_value=False, is_eager=True, callback=keep, **settings)


as_json = option("json", "--json", is_flag=True, help="Print JSON on standard output.")

pass_program = click.make_pass_decorator(Program)


def as_dicts(problems: Iterable[KernelError]) -> list[dict[str, Any]]:
    """Problems for JSON."""
    return [problem.as_dict() for problem in problems]
