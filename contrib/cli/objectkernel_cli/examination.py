"""The checks of ``objectkernel doctor``: each looks at one thing, and none lets another one fall."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Final

import attrs
from objectkernel.errors import KernelError

from objectkernel_cli.errors import DataFolderUnusable, DistributionDuplicate, ServiceDown
from objectkernel_cli.output import aside, counted

if TYPE_CHECKING:
    from objectkernel.kernel import ObjectKernel

    from objectkernel_cli.program import Program, Subject

DATA_FOLDER: Final = "data_dir"
"""What a plugin calls the setting that names the folder it writes to."""


@attrs.frozen(kw_only=True)
class Check:
    """One thing that was looked at.

    Attributes:
        detail: what was found, in a few words.
        findings: what is wrong with it; none if all is well.
        ok: False where a finding has to be mended; a finding that the host tolerates does not count.
    """

    name: str
    detail: str = ""
    findings: tuple[Exception, ...] = ()
    ok: bool = True


def examine(program: Program, *, boot: bool) -> Iterator[Check]:
    """Look at everything, the cheap things first.

    Args:
        boot: boot the host too, where its composition has no problem, and shut it down again.
    """
    yield _versions()
    subject = program.subject()
    found = (subject.problem,) if subject.problem is not None else ()
    yield Check(name="host", detail=subject.host, findings=found, ok=not found)
    yield from _composition(subject.kernel)
    yield _commands(subject.kernel)
    yield _distributions(subject.kernel)
    yield _data_folders(subject.kernel)
    if boot and subject.problem is None:
        yield from _boot(program, subject)


def _versions() -> Check:
    from objectkernel import __version__

    python = ".".join(map(str, sys.version_info[:3]))
    return Check(name="versions", detail=f"objectkernel {__version__}, Python {python}")


def _composition(kernel: ObjectKernel) -> Iterator[Check]:
    composition = kernel.compose()
    plugins = kernel.plugins()
    off = sum(p.state != "discovered" for p in plugins)
    detail = f"{counted(len(plugins), 'plugin')}, {off} off, {counted(len(composition.graph.services), 'service')}"
    yield _check("composition", detail, composition.problems)
    if composition.tolerated:
        count = len(composition.tolerated)
        yield Check(name="optional plugins", detail=f"{count} tolerated", findings=tuple(composition.tolerated))


def _commands(kernel: ObjectKernel) -> Check:
    from objectkernel_cli.plugin_commands import collect
    from objectkernel_cli.root import BUILT_IN

    found = collect(kernel, BUILT_IN)
    return _check("commands of plugins", ", ".join(sorted(found.names)) or "none", found.problems)


def _distributions(kernel: ObjectKernel) -> Check:
    """The distributions of the kernel and its plugins, each installed once."""
    from importlib.metadata import distributions

    ours = {_folded("objectkernel"), *(_folded(p.distribution) for p in kernel.plugins() if p.distribution)}
    places: dict[str, dict[str, str]] = {}
    for distribution in distributions():
        name = _folded(distribution.metadata["Name"] or "")
        if name in ours:
            place = os.path.realpath(str(distribution.locate_file("")))
            places.setdefault(name, {})[place] = distribution.version
    doubled = [
        DistributionDuplicate(
            f"the distribution {name} is installed {len(found)} times",
            why=[f"{version} in {place}" for place, version in found.items()],
            fix=f"uninstall all but one; the first one, {next(iter(found))}, is the one that is imported",
            name=name,
            places=tuple(found),
        )
        for name, found in places.items()
        if len(found) > 1
    ]
    return _check("distributions", f"{len(places)} looked at", doubled)


def _folded(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def _data_folders(kernel: ObjectKernel) -> Check:
    """Each folder that a plugin writes to is tried, or the nearest one above it that exists."""
    configuration = kernel.compose().configuration
    rows = [r for r in configuration.rows() if r.option == DATA_FOLDER] if configuration else []
    problems = []
    for row in rows:
        folder = Path(str(row.value)).absolute()
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        try:
            TemporaryFile(dir=folder).close()
        except OSError as error:
            problems.append(
                DataFolderUnusable(
                    f"{row.plugin} cannot write to its data folder {row.value}",
                    where=row.source,
                    why=f"{folder}: {error.strerror or error}",
                    fix="make it writable, or name another one",
                    plugin=row.plugin,
                    folder=str(row.value),
                )
            )
    return _check("data folders", ", ".join(dict.fromkeys(str(row.value) for row in rows)) or "none", problems)


def _boot(program: Program, subject: Subject) -> Iterator[Check]:
    if subject.kernel.compose().problems:
        yield Check(name="boot", detail="not tried: the composition has problems")
        return
    checks: list[Check] = []

    async def look(kernel: ObjectKernel) -> None:
        checks.append(Check(name="boot", detail=f"{kernel.state} in {kernel.timeline.total * 1000:.0f} ms"))
        checks.append(_check("health", *await _health(kernel)))
        checks.append(_told_by_plugins(kernel.findings))

    try:
        with aside():
            program.run(look)
    except Exception as error:
        name = "shutdown" if checks else "boot"
        checks.append(_check(name, str(getattr(error, "what", error)), getattr(error, "exceptions", [error])))
    yield from checks


def _told_by_plugins(ask: Callable[[], Iterable[KernelError]]) -> Check:
    try:
        findings: tuple[Exception, ...] = tuple(ask())
    except Exception as error:  # of a plugin's hook
        findings = (error,)
    return Check(
        name="what plugins find",
        detail=f"{len(findings)} findings" if findings else "nothing",
        findings=findings,
        ok=all(isinstance(finding, KernelError) and finding.tolerable for finding in findings),
    )


async def _health(kernel: ObjectKernel) -> tuple[str, list[Exception]]:
    health = await kernel.health()
    unwell: list[Exception] = [
        ServiceDown(
            f"the service {s.service!r} is {s.state}",
            why=s.detail,
            fix=f"see `objectkernel why {s.service}`, and the log of {s.plugin}",
            service=s.service,
            plugin=s.plugin,
        )
        for s in health.services
        if s.state != "up"
    ]
    return f"{len(health.services) - len(unwell)} of {len(health.services)} services well", unwell


def _check(name: str, detail: str, findings: Iterable[Exception]) -> Check:
    found = tuple(findings)
    return Check(name=name, detail=detail, findings=found, ok=not found)
