"""``objectkernel why``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import attrs
import click
from objectkernel.errors import KernelError

from objectkernel_cli.common import as_dicts, as_json, pass_program
from objectkernel_cli.exits import NO_HOST, OK
from objectkernel_cli.output import print_json, print_problem, printable
from objectkernel_cli.program import Program

if TYPE_CHECKING:
    from objectkernel_cli.reasons import ExtensionReason, PluginReason, Reasons, ServiceReason, Use


@click.command("why")
@click.argument("name")
@as_json
@click.pass_context
@pass_program
def command(program: Program, context: click.Context, name: str) -> None:
    """Tell why the plugin, service or extension NAME is there or not: who provides it, and who needs it."""
    from objectkernel_cli.reasons import reasons

    subject = program.subject()
    try:
        _tell(subject.host, reasons(subject.kernel, name), program)
    except KernelError:
        if subject.problem is None:
            raise  # else the name may well be one of the host's
    if subject.problem is not None:
        print_problem(subject.problem, as_json=program.json)
    context.exit(NO_HOST if subject.problem else OK)


def _tell(host: str, found: Reasons, program: Program) -> None:
    if program.json:
        print_json({"host": host, **attrs.asdict(found, recurse=True, value_serializer=_serialized)})
    else:
        click.echo(printable("\n".join(_lines(found))))


def _serialized(_instance: Any, _attribute: Any, value: Any) -> Any:
    if isinstance(value, tuple) and value and isinstance(value[0], KernelError):
        return as_dicts(value)
    return value


def _lines(found: Reasons) -> Iterator[str]:
    if found.plugin is not None:
        yield from _plugin(found.plugin)
    if found.service is not None:
        yield from _service(found.service)
    if found.extension is not None:
        yield from _extension(found.extension)


def _plugin(plugin: PluginReason) -> Iterator[str]:
    yield f"plugin {plugin.name}"
    yield _row("state", f"{plugin.state}: {plugin.reason}" if plugin.reason else plugin.state)
    for name in plugin.because:
        yield _row("because of", name)
    came = (
        f"entry point of {plugin.distribution}" if plugin.source == "entry point" else f"given by the {plugin.source}"
    )
    yield _row("comes from", " ".join(part for part in (came, plugin.version) if part))
    yield _row("declared", plugin.where)
    yield _row("provides", ", ".join(plugin.provides) or "no service")
    yield from _uses("needs", plugin.needs, ours=True)
    yield from _uses("used by", plugin.used_by, ours=False)
    if plugin.lost:
        yield _row("without it", f"{', '.join(plugin.lost)} would not start")
    if not plugin.critical:
        yield _row("optional", "the boot goes on if it fails")
    yield from _problems(plugin.problems)


def _service(service: ServiceReason) -> Iterator[str]:
    yield f"service {service.name}"
    if service.provider:
        by = "the host" if service.state == "given" else f"{service.provider} ({service.state})"
        yield _row("provided", f"by {by}, {service.lifetime}")
        yield _row("declared", service.where)
    else:
        yield _row("missing", "nobody who takes part provides it")
    for text in service.off:
        yield _row("off", text)
    for plugin in service.passed_over:
        yield _row("passed over", f"{plugin} provides it too; the host's choice put it aside")
    yield from _uses("needs", service.needs, ours=True)
    yield from _uses("used by", service.used_by, ours=False)
    if not service.used_by:
        yield _row("used by", "no plugin")
    yield from _problems(service.problems)


def _extension(extension: ExtensionReason) -> Iterator[str]:
    yield f"extension {extension.name}"
    for plugin in extension.contributed_by:
        yield _row("from", plugin)
    yield from _uses("used by", extension.used_by, ours=False)


def _uses(label: str, uses: Iterable[Use], *, ours: bool) -> Iterator[str]:
    for use in uses:
        who = use.name if ours else " -> ".join(use.chain)
        yield _row(label, f"{who}  ({use.kind}, self.{use.attribute}, {use.where})")


def _problems(problems: Iterable[KernelError]) -> Iterator[str]:
    for problem in problems:
        first, *rest = problem.text().splitlines()
        yield _row("problem", first)
        yield from (f"               {line}" for line in rest)


def _row(label: str, text: str) -> str:
    return f"  {label:<12} {text}"
