"""Those of `objectkernel projects` that are about all of them: boot, rotate-key, generate-key."""

from __future__ import annotations

import click
from objectkernel_contracts import CommandContext, Services
from objectkernel_contracts.terminal import Bar, as_json, print_json

from objectkernel_project_life.contracts import PROJECTS, BootReport, RotationProgress
from objectkernel_project_life.encryption import generate_encryption_key
from objectkernel_project_life.starting import projects_as_they_are


@click.command()
@as_json
@click.pass_context
def boot(context: click.Context) -> None:
    """Heal what a crash has left, open what is active as the settings say, try what is in error, tell what failed."""
    obj: CommandContext = context.obj

    async def job(kernel: Services) -> BootReport:
        bar = Bar(obj, "opening projects")
        try:
            return await kernel.get(PROJECTS).boot_all_projects(bar.show)
        finally:
            bar.end()

    with projects_as_they_are():
        report = obj.run(job)
    if obj.json:
        print_json(
            {
                "loaded": list(report.loaded),
                "failed": {id: error.as_dict() for id, error in report.failed.items()},
                "healed": dict(report.healed),
                "seconds": round(report.seconds, 3),
            }
        )
    else:
        for id, left in report.healed.items():
            click.echo(f"{id}  healed: it was {left}")
        for id, error in report.failed.items():
            click.echo(f"{id}  failed: {'; '.join((error.what, *error.why))}")
        click.echo(f"{len(report.loaded)} loaded, {len(report.failed)} failed, {report.seconds:.2f} s")
    if report.failed:
        context.exit(1)


@click.command("rotate-key")
@click.option("--batch", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Projects at a time.")
@as_json
@click.pass_context
def rotate_key(context: click.Context, batch: int) -> None:
    """Encrypt every URI with the active key, while the host serves; after a kill, run it again: it goes on."""
    obj: CommandContext = context.obj

    async def job(kernel: Services) -> RotationProgress:
        bar, last = Bar(obj, "encrypting"), RotationProgress(done=0, total=0)
        try:
            async for last in kernel.get(PROJECTS).rotate_key(batch=batch):
                bar.show(last.done, last.total)
        finally:
            bar.end()
        return last

    last = obj.run(job)
    if obj.json:
        print_json({"done": last.done, "total": last.total, "unreadable": list(last.unreadable)})
    else:
        click.echo(f"{last.done} of {last.total} URIs are encrypted with the active key")
        for id in last.unreadable:
            click.echo(f"{id}  its key is gone: give the host that key again, or the project its URI")
    if last.unreadable:
        context.exit(1)


@click.command("generate-key")
@as_json
@click.pass_obj
def generate_key(obj: CommandContext) -> None:
    """Print a new key for PROJECT_ENCRYPTION_KEY; to change keys, put it before the old one, with a comma between."""
    key = generate_encryption_key()
    if obj.json:
        print_json({"key": key})
        return
    click.echo("a key for PROJECT_ENCRYPTION_KEY; whoever has it can read every URI:", err=True)
    click.echo(key)
