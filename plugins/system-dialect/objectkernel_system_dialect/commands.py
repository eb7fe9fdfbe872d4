"""``objectkernel schema``, ``backup`` and ``restore``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import attrs
import click
from objectkernel.errors import KernelError
from objectkernel_contracts import OFFLINE_AUDIT, CommandContext
from objectkernel_contracts.terminal import as_json, plain_lines, print_json

from objectkernel_system_dialect import backup as backups
from objectkernel_system_dialect import schema_changes
from objectkernel_system_dialect.command_places import Place, places, runtime_tables
from objectkernel_system_dialect.dump_commands import dump_command, load_command
from objectkernel_system_dialect.location import MEMORY, sqlite_path
from objectkernel_system_dialect.migration_runs import astray, check_migrations, due, told
from objectkernel_system_dialect.schema_changes import State
from objectkernel_system_dialect.schema_status import MigrationStatus, SchemaStatus, status

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table


only_system = click.option("--system", is_flag=True, help="Only the database of the system's data.")
destructively = click.option("--destructive", is_flag=True, help="Also the steps that lose data.")


@click.group()
def schema() -> None:
    """Compare the databases with the schemas of all plugins, and bring them up."""


@schema.command("plan")
@only_system
@destructively
@click.option("--python", is_flag=True, help="Print the steps as code of an alembic migration.")
@as_json
@click.pass_context
def plan_(context: click.Context, system: bool, destructive: bool, python: bool) -> None:
    """Tell what `apply` would do; nothing is changed.

    Steps that lose data are told as well; `apply` makes them only when asked. The exit code is 1 if there is
    something to do.
    """
    obj: CommandContext = context.obj
    looked = {place.name: anyio.run(_plan, place, destructive) for place in _for_schemas(obj, system, destructive)}
    if obj.json:
        print_json({name: attrs.asdict(plan) for name, plan in looked.items()})
    else:
        for name, plan in looked.items():
            click.echo(plan.python if python else "\n".join(_lines(name, plan)), nl=not python)
    context.exit(1 if any(plan.has_work(destructive) for plan in looked.values()) else 0)


@schema.command("apply")
@only_system
@destructively
@as_json
@click.pass_obj
def apply_(obj: CommandContext, system: bool, destructive: bool) -> None:
    """Run what migrations wait and bring every table to its schema. Nothing is asked.

    On PostgreSQL and SQLite it happens wholly or not at all.
    """
    done: dict[str, tuple[str, ...]] = {}
    try:
        for place in _for_schemas(obj, system, destructive):
            done[place.name] = anyio.run(_apply, place, destructive)
    finally:  # the trail's table may be made only by the last one; of one that fails, those before it are made
        for name, steps in done.items():
            _record(obj, "schema.apply", name, {"destructive": destructive, "made": len(steps), "steps": steps})
    if obj.json:
        print_json(done)
        return
    for name, steps in done.items():
        click.echo(plain_lines(f"{name}: {len(steps)} step{'s' if len(steps) != 1 else ''} made"))
        for step in steps:
            click.echo(plain_lines(f"  {step}"))


@schema.command("status")
@only_system
@as_json
@click.pass_context
def status_(context: click.Context, system: bool) -> None:
    """Tell of each table and migration how it stands. The exit code is 1 if something waits to be done."""
    obj: CommandContext = context.obj
    found = {place.name: anyio.run(_status, place) for place in _for_schemas(obj, system)}
    if obj.json:
        print_json({name: attrs.asdict(one) for name, one in found.items()})
    else:
        for name, one in found.items():
            for table in one.tables:
                click.echo(plain_lines(f"{name}  {table.collection}  {table.state}"))
            for each in one.migrations:
                click.echo(plain_lines(f"{name}  {each.plugin} {each.number}  {_when(each)}  {each.summary}"))
    context.exit(0 if all(one.settled for one in found.values()) else 1)


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace files of these names.")
@as_json
@click.pass_context
def backup(context: click.Context, file: Path, force: bool) -> None:
    """Copy the SQLite databases to FILE while they are in use.

    Each copy is as the database is at one moment, and verified. Where the system's data has a database of its own, its
    copy lies beside: FILE with ``.system`` before the ending. Of a server nothing is copied: the
    command of its own tool is printed, and the exit code is 1.
    """
    obj: CommandContext = context.obj
    made: dict[str, str] = {}
    commands: dict[str, str | None] = {}
    found = [(place, _sqlite_file(place), _file_of(place, file)) for place in _chosen(obj)]
    databases = [source for _, source, _ in found if source is not None]
    backups.check_targets([target for _, source, target in found if source is not None], databases, force=force)
    for place, source, target in found:
        if source is None:
            commands[place.name] = dump_command(place.opening.database.name, place.opening.uri.reveal(), target)
            continue
        copying = backups.back_up(source, target, force=force)
        for _ in obj.progress(copying, f"copying {place.name}", backups.portions(source)):
            pass
        made[place.name] = str(target)
        _record(obj, "data.backup", place.name, {"file": str(target.absolute())})
        if not obj.json:
            click.echo(plain_lines(f"{place.name}: copied to {target}"))
    _tell(context, made, commands)


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@as_json
@click.pass_context
def restore(context: click.Context, file: Path) -> None:
    """Put back the copies that `backup FILE` made.

    They take the place of the SQLite databases, which no host may be using. The copies are verified first; what was
    there is kept beside under another name. Of a server nothing is changed: the command of its own tool is printed,
    and the exit code is 1.
    """
    found = _chosen(context.obj)
    for place in found:
        if _sqlite_file(place) is not None:
            backups.verify(_file_of(place, file), place.collections)
    made: dict[str, backups.Restored] = {}
    commands: dict[str, str | None] = {}
    try:
        for place in found:
            copy, database = _file_of(place, file), _sqlite_file(place)
            if database is None:
                commands[place.name] = load_command(place.opening.database.name, place.opening.uri.reveal(), copy)
                continue
            made[place.name] = backups.restore(copy, database, place.collections)
    finally:  # the trail may be what is restored last; of one that fails, those before it are restored
        for name in made:
            _record(context.obj, "data.restore", name, {"file": str(file.absolute())})
    if not context.obj.json:
        for name, one in made.items():
            kept = "" if one.kept is None else f", the old one is {one.kept}"
            click.echo(plain_lines(f"{name}: restored to {one.database}{kept}"))
    _tell(context, {name: attrs.asdict(one) for name, one in made.items()}, commands)


# --- the work ---------------------------------------------------------------------------------------------


@attrs.frozen
class _Planned:
    """What `plan` prints of one database."""

    migrations: tuple[str, ...]
    steps: tuple[dict[str, Any], ...]
    astray: tuple[str, ...]
    python: str

    def has_work(self, destructive: bool) -> bool:
        return bool(self.migrations) or any(destructive or not step["destructive"] for step in self.steps)


async def _plan(place: Place, destructive: bool) -> _Planned:
    def work(connection: Connection, tables: Sequence[Table]) -> _Planned:
        check_migrations(place.migrations)
        state = State.read(connection)
        names = [table.name for table in tables]
        waiting = due(place.migrations, state.ran, names)
        lost = astray(place.migrations, state.ran, [*place.others, *names])
        plan = schema_changes.plan(connection, tables, others=place.others)
        steps = [
            {"collection": one.collection, "text": one.text, "destructive": one.destructive, "obstacle": one.obstacle}
            for one in plan.steps
        ]
        return _Planned(
            tuple(told(one) for one in waiting if set(one.collections) & state.names),
            tuple(steps),
            tuple(
                f"migration {one.number} of {one.plugin} does not run: no entity has {', '.join(one.collections)}"
                for one in lost
            ),
            plan.python(connection, destructive=destructive),
        )

    return await place.schema_work(work)


async def _apply(place: Place, destructive: bool) -> tuple[str, ...]:
    work = partial(schema_changes.apply, migrations=place.migrations, destructive=destructive, others=place.others)
    return await place.schema_work(work)


async def _status(place: Place) -> SchemaStatus:
    return await place.schema_work(partial(status, migrations=place.migrations, others=place.others))


def _chosen(obj: CommandContext, system: bool = False) -> list[Place]:
    found = places(obj)
    chosen = [place for place in found if place.name == "system" or not system]
    if not chosen:
        raise click.UsageError(
            "the system's data has no database of its own: leave --system out"
            if found
            else "there is no database here: the data is on a server (MOSTA_DATA=net); run the command there"
        )
    return chosen


def _for_schemas(obj: CommandContext, system: bool, destructive: bool = False) -> list[Place]:
    """The databases, with the tables that only a running host asks for.

    Raises:
        KernelError: nobody can tell those tables, and the command would drop them.
    """
    chosen = _chosen(obj, system)
    try:
        tables = anyio.run(runtime_tables, obj)
    except KernelError as error:
        if destructive:
            raise
        told = f"note: tables that a running host made are told as nobody's, for [{error.code}] {error.what}"
        click.echo(plain_lines(told), err=True)
        return chosen
    return [attrs.evolve(place, others=place.others | tables) for place in chosen]


def _record(obj: CommandContext, action: str, subject: str, details: Mapping[str, Any]) -> None:
    for record in obj.kernel().contributions(OFFLINE_AUDIT):
        record(obj, action, subject, details)


def _sqlite_file(place: Place) -> Path | None:
    """The file of a database, None for one on a server."""
    if place.opening.database.name != "sqlite":
        return None
    path = sqlite_path(place.opening.uri.reveal())
    if path == MEMORY:
        raise click.UsageError(f"the {place.name} database is in memory: it has no file")
    return Path(path)


def _file_of(place: Place, file: Path) -> Path:
    return file if place.name == "business" else file.with_name(f"{file.stem}.{place.name}{file.suffix}")


# --- what is printed ----------------------------------------------------------------------------------------


def _lines(name: str, plan: _Planned) -> list[str]:
    notes = [plain_lines(f"  note: {text}") for text in plan.astray]
    if not plan.migrations and not plan.steps:
        return [f"{name}: nothing to do", *notes]
    lines = [f"{name}:", *(f"  {text}" for text in plan.migrations)]
    if plan.migrations and plan.steps:
        lines.append("  and, as the tables are before that:")
    for step in plan.steps:
        lines.append(f"  {'(destructive) ' if step['destructive'] else ''}{step['text']}")
        if step["obstacle"] is not None:
            lines.append(f"    not possible: {step['obstacle']}")
    return [*(plain_lines(line) for line in lines), *notes]


def _when(migration: MigrationStatus) -> str:
    if migration.state == "astray":
        return "does not run: no entity has a table of its collections"
    if migration.applied_at is None:
        return "waiting"
    left = ", its plugin has none in this host" if migration.state == "left" else ""
    return f"run {migration.applied_at:%Y-%m-%d %H:%M} UTC{left}"


def _tell(context: click.Context, done: Mapping[str, Any], commands: Mapping[str, str | None]) -> None:
    """Print what was done as JSON, or what is left to do by hand."""
    if context.obj.json:
        print_json({"done": done, "commands": commands})
    else:
        for name, command in commands.items():
            if command is None:
                click.echo(f"{name}: use the tools of its database", err=True)
            else:
                click.echo(f"{name} is on a server, run:", err=True)
                click.echo(plain_lines(command))
    context.exit(1 if commands else 0)
