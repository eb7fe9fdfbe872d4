"""``objectkernel projects``."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, get_args

import click
from objectkernel.secret import Secret
from objectkernel_contracts import CommandContext, Services
from objectkernel_contracts.terminal import as_json, confirm, print_json, print_result, print_table

from objectkernel_project_life.commands_output import HEAD, document, print_project, row
from objectkernel_project_life.commands_whole import boot, generate_key, rotate_key
from objectkernel_project_life.contracts import (
    PROJECTS,
    TRANSPORTS,
    OperationResult,
    ProjectConfig,
    ProjectDTO,
    Projects,
    ProjectStatus,
)
from objectkernel_project_life.errors import InvalidProject
from objectkernel_project_life.starting import projects_as_they_are

PAGE: Final = 200
VARIABLE: Final = "PROJECT_URI"
"""Where a URI may come from: on a command line it would stay in the shell's history."""

account = click.option(
    "--account", "account_id", help="The id of its account: a project of another one is as one that is not there."
)
uri_option = click.option(
    "--uri",
    metavar="-",
    help=f"- reads the URI of its database from standard input; without it, {VARIABLE} of the environment counts.",
)


@click.group()
def projects() -> None:
    """Projects and their databases: make, list, pause, resume, move and end them.

    Whoever runs this runs the host, and may do so for all accounts.
    """


@projects.command("list")
@click.option("--account", "account_id", help="Only those of the account of this id.")
@click.option("--status", type=click.Choice(get_args(ProjectStatus)), help="Only those in this state.")
@as_json
@click.pass_obj
def list_(obj: CommandContext, account_id: str | None, status: ProjectStatus | None) -> None:
    """List the projects, the oldest first."""

    async def job(kernel: Services) -> list[ProjectDTO]:
        register, after = kernel.get(PROJECTS), None
        found: list[ProjectDTO] = []
        while True:
            page = await register.list(account_id, status=status, limit=PAGE, after=after)
            found += page.projects
            after = page.next
            if after is None:
                return found

    with projects_as_they_are():
        found = obj.run(job)
    if obj.json:
        print_json([document(project) for project in found])
    elif found:
        print_table(HEAD, [row(project) for project in found])
    else:
        click.echo("there are no projects", err=True)


@projects.command()
@click.argument("id")
@account
@as_json
@click.pass_obj
def show(obj: CommandContext, id: str, account_id: str | None) -> None:
    """Show a project: where its database is, without user and password, and which transports are not served."""
    with projects_as_they_are():
        project = obj.run(lambda kernel: kernel.get(PROJECTS).get(account_id, id))
    print_project(obj, project)


@projects.command()
@click.argument("slug")
@click.option("--account", "account_id", required=True, help="The id of the account that it is for.")
@click.option("--name", help="What people call it; by default its slug.")
@click.option("--dialect", help="sqlite, postgres, …; by default what the URI says.")
@uri_option
@click.option("--schemas", "schema_files", multiple=True, type=click.Path(exists=True, path_type=Path), metavar="FILE")
@click.option("--transport", "transports", multiple=True, type=click.Choice(TRANSPORTS), help="By default rest.")
@click.option("--pool-size", type=int, default=5, show_default=True, help="The most connections to its database.")
@click.option("--pool-min", type=int, default=0, show_default=True, help="Connections that stay open.")
@as_json
@click.pass_obj
def create(
    obj: CommandContext,
    slug: str,
    account_id: str,
    name: str | None,
    dialect: str | None,
    uri: str | None,
    schema_files: tuple[Path, ...],
    transports: tuple[str, ...],
    pool_size: int,
    pool_min: int,
) -> None:
    """Make a project and bring its database to its schemas.

    Without a URI it gets a SQLite file of its own. FILE has one entity, or a list of them, as JSON.
    """
    config = ProjectConfig(
        name=name or slug,
        slug=slug,
        dialect=dialect,
        uri=_uri(uri),
        schemas=_schemas(schema_files),
        transports=transports or ("rest",),
        pool_size=pool_size,
        pool_min=pool_min,
    )
    _operate(obj, lambda register: register.provision_project(account_id, config))


@projects.command()
@click.argument("id")
@account
@as_json
@click.pass_obj
def pause(obj: CommandContext, id: str, account_id: str | None) -> None:
    """Pause a project: running operations end, new ones are refused, its connections are closed."""
    _operate(obj, lambda register: register.pause_project(account_id, id))


@projects.command()
@click.argument("id")
@account
@as_json
@click.pass_obj
def resume(obj: CommandContext, id: str, account_id: str | None) -> None:
    """Resume a project that is paused, or whose database could not be opened."""
    _operate(obj, lambda register: register.resume_project(account_id, id))


@projects.command()
@click.argument("id")
@account
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
@click.pass_obj
def delete(obj: CommandContext, id: str, account_id: str | None, yes: bool) -> None:
    """End a project. Its database is neither dropped nor emptied."""
    if not yes:
        confirm(f"End the project {id}? Its database stays as it is.")

    async def job(kernel: Services) -> None:
        (await kernel.get(PROJECTS).deprovision_project(account_id, id)).expect_ok()

    obj.run(job)
    print_result(obj, {"id": id, "deleted": True}, f"the project {id} has ended; its database is as it was")


@projects.command("rotate-uri")
@click.argument("id")
@account
@uri_option
@as_json
@click.pass_obj
def rotate_uri(obj: CommandContext, id: str, account_id: str | None, uri: str | None) -> None:
    """Move a project to another address of its database, such as with a new password.

    The new one is tried before the old one is left. No data is moved: where the database there lacks the project's
    tables they are made, empty; what is in the old one stays there, and is not copied.
    """
    given = _uri(uri)
    if given is None:
        raise click.UsageError(f"give the URI: --uri - and standard input, or {VARIABLE}")
    _operate(obj, lambda register: register.rotate_uri(account_id, id, given))


@projects.command()
@click.argument("id")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="FILE…")
@account
@click.option("--plan", is_flag=True, help="Only say what would be done.")
@as_json
@click.pass_obj
def schemas(obj: CommandContext, id: str, files: tuple[Path, ...], account_id: str | None, plan: bool) -> None:
    """Give a project the entities of these files, and no others; no table is dropped, and no row is lost."""
    given = _schemas(files)
    if not plan:
        _operate(obj, lambda register: register.update_schemas(account_id, id, given))
        return
    lines = obj.run(lambda kernel: kernel.get(PROJECTS).plan_schemas(account_id, id, given))
    if obj.json:
        print_json(list(lines))
    else:
        click.echo("\n".join(lines) or "nothing would be done")


projects.add_command(boot)
projects.add_command(rotate_key)
projects.add_command(generate_key)


# --- what commands share ----------------------------------------------------------------------------------------


def _operate(obj: CommandContext, operation: Callable[[Projects], Awaitable[OperationResult]]) -> None:
    """Run an operation on a project, and print what it is then."""

    async def job(kernel: Services) -> ProjectDTO | None:
        return (await operation(kernel.get(PROJECTS))).expect_ok()

    project = obj.run(job)
    if project is not None:
        print_project(obj, project)


def _uri(given: str | None) -> Secret[str] | None:
    """The URI that somebody gives, by a way that leaves it in no history; None: none."""
    if given is None:
        text = os.environ.get(VARIABLE, "")
        return Secret(text) if text else None
    if given != "-":
        raise click.UsageError(
            f"a URI on the command line stays in the shell's history: give --uri - and standard input, or {VARIABLE}"
        )
    text = sys.stdin.readline().rstrip("\r\n")
    if not text:
        raise click.UsageError("standard input has no URI")
    return Secret(text)


def _schemas(files: tuple[Path, ...]) -> list[Any]:
    """The entities of JSON files, each with one or a list of them."""
    found: list[Any] = []
    for file in files:
        try:
            value = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise InvalidProject(
                f"{file} is no file of entities",
                why=f"reading it raised {type(error).__name__}: {error}",
                fix="correct it",
            ) from error
        found += value if isinstance(value, list) else [value]
    return found
