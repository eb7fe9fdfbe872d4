"""Provisioning: a row, a connection and tables, or nothing of them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import attrs
from objectkernel.secret import Secret
from objectkernel_system_dialect.contracts import DuplicateKey, database_place

from objectkernel_project_life.contracts import ProjectConfig
from objectkernel_project_life.errors import InvalidProject, ProjectConflict, UriRefused
from objectkernel_project_life.ground import Done, Ground, name_of, unbroken
from objectkernel_project_life.place import normal_place
from objectkernel_project_life.storage import Record
from objectkernel_project_life.validation import config_problems, refuse


@attrs.frozen
class Located:
    """Where a project's database is to be.

    Attributes:
        stored: the URI as the row has it.
        places: what the place may be stored as; the first is to be.
    """

    dialect: str
    stored: str = attrs.field(repr=False)
    key: str | None
    places: tuple[str, ...]


class Provisioning:
    """Makes projects."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    async def provision(self, account: str, config: ProjectConfig) -> Record:
        """Register a project, open its database, bring that to the schemas.

        Raises:
            InvalidProject, UriRefused, ProjectConflict: nothing was made.
            EncryptionKeyMissing: this host cannot store a URI.
            KernelError: its database cannot be opened; neither a row nor a connection is left.
        """
        ground = self._ground
        await ground.step("provision.begin")
        problems = config_problems(account, config)
        documents = await ground.schemas.documents(config.schemas, problems)
        if config.uri is None and config.dialect not in (None, "sqlite"):
            problems.append("uri: it is needed, but for a SQLite file of the project's own")
        if problems:  # without others it is an error of its own
            problems += _place_problems(ground, account, config)
        refuse("a project cannot be made from this", problems)
        id = str(uuid4())
        async with ground.turns.operation(id):
            uri = ground.policy.files.default_uri(account, id) if config.uri is None else config.uri
            located = locate(ground, account, id, config.dialect, uri)
            await self._expect_room(account, 0)
            record = await unbroken(self._register(account, id, config, documents, located))

            async def back(present: Record) -> None:
                await ground.step("provision.failed")
                await ground.close(present, 0.0)
                await ground.step("provision.closed")
                removed = await ground.register.remove(present)
                ground.note(id, None)
                if removed and config.uri is None:
                    _discard(ground.policy.files.account_folder(account) / f"{id}.db")

            async with ground.underway(record, back):
                await ground.step("provision.registered")
                await self._expect_room(account, 1)
                await expect_free(ground, record.id, located)
                await ground.open(record)
                await ground.step("provision.opened")
                done = Done("provision", {"dialect": record.dialect})
                record = await ground.confirm(record, done=done, status="active", transition=None)
            ground.note(id, record)
            await ground.step("provision.confirmed")
        return record

    async def _expect_room(self, account: str, own: int) -> None:
        """Refuse one more than an account may have; `own`: whether it is there already."""
        most = self._ground.config.projects_per_account
        if await self._ground.register.count({"account": account}) >= most + own:
            raise ProjectConflict(
                "the account has as many projects as it may have",
                why=f"`projects_per_account` is {most}",
                fix="end one that is not needed, or raise the setting",
            )

    async def _register(
        self, account: str, id: str, config: ProjectConfig, documents: list[dict[str, object]], located: Located
    ) -> Record:
        try:
            return await self._ground.register.insert(
                {
                    "id": id,
                    "account": account,
                    "name": config.name,
                    "slug": config.slug,
                    "dialect": located.dialect,
                    "uri": located.stored,
                    "uri_key": located.key,
                    "place": located.places[0],
                    "schemas": documents,
                    "transports": list(config.transports),
                    "pool_size": config.pool_size,
                    "pool_min": config.pool_min,
                    "status": "provisioning",
                    "transition": "provisioning",
                    "mproject_name": name_of(id),
                }
            )
        except DuplicateKey as error:
            fields = getattr(error, "fields", ())
        if "slug" in fields:
            raise ProjectConflict(
                f"the account has a project {config.slug!r} already",
                why="a slug is used once in an account",
                fix="take another slug",
                slug=config.slug,
            )
        raise place_taken()


def _place_problems(ground: Ground, account: object, config: ProjectConfig) -> list[str]:
    """What is wrong with the place that somebody names, to be told with what else is wrong."""
    dialect: object = config.dialect
    uri: object = None if config.uri is None else config.uri.reveal()
    if not isinstance(account, str) or not isinstance(dialect, str | None) or not isinstance(uri, str) or not uri:
        return []
    try:
        ground.policy.check(account, dialect, ground.policy.settled(account, dialect, uri))
    except UriRefused as error:
        return [f"uri: {reason}" for reason in error.why]
    return []


def locate(ground: Ground, account: str, id: str, dialect: str | None, uri: Secret[str]) -> Located:
    """Where a URI leads, if a project of this account may have its database there.

    Raises:
        InvalidProject, UriRefused: it may not, or the URI cannot be read.
        EncryptionKeyMissing: this host cannot store a URI.
    """
    given: object = uri.reveal()
    if not isinstance(given, str) or not given:
        raise InvalidProject("this is no URI", why="it is empty, or no text", fix="give the URI as a driver takes it")
    settled = ground.policy.settled(account, dialect, uri)
    ground.policy.check(account, dialect, settled)
    stored, key = ground.cipher.encrypt(settled, id)
    kind = database_place(dialect, settled.reveal()).dialect
    if kind == "sqlite":
        _make_folder(ground, account)
    return Located(kind, stored, key, ground.cipher.place_indexes(normal_place(dialect, settled)))


def _discard(file: Path) -> None:
    """Remove the file that was made for a project which has never been: nobody has written to it."""
    for suffix in ("", "-wal", "-shm"):
        with suppress(OSError):
            file.with_name(file.name + suffix).unlink()


def _make_folder(ground: Ground, account: str) -> None:
    try:
        ground.policy.files.make_folder(account)
    except OSError as error:
        reason = type(error).__name__
    else:
        return
    raise UriRefused(
        "the folder of the account's projects cannot be made",
        why=f"the system reports {reason}",
        fix="let the host's user write to `data_dir`",
    )


async def expect_free(ground: Ground, id: str, located: Located) -> None:
    """Refuse a place that another project has, or is on its way to. Asked after this one has written that it wants it.

    Raises:
        ProjectConflict: one has.
    """
    if await ground.register.is_taken(located.places, id):
        raise place_taken()


def place_taken() -> ProjectConflict:
    """The error for a database that another project has; whose, it does not say."""
    return ProjectConflict(
        "the database is another project's", why="no two projects share one", fix="give the project one of its own"
    )
