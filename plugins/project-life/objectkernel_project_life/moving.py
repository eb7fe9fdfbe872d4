"""Giving a project another address, or other entities: what is new is tried before what is old is left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from objectkernel.errors import KernelError
from objectkernel.secret import Secret
from objectkernel_system_dialect.contracts import DuplicateKey, SchemaOutdated

from objectkernel_project_life.ground import Done, Ground
from objectkernel_project_life.provisioning import Located, expect_free, locate, place_taken
from objectkernel_project_life.storage import DEPARTED, Record, arrival, moved
from objectkernel_project_life.telling import unfit
from objectkernel_project_life.turns import busy
from objectkernel_project_life.validation import refuse

MOVABLE: Final = ("active", "error", "paused")


class Moving:
    """Moves projects."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    async def rotate_uri(self, account: str | None, id: str, uri: Secret[str]) -> Record:
        """Move a project to another address of its database.

        Raises:
            ProjectMissing, ProjectConflict, InvalidProject, UriRefused: nothing was done.
            EncryptionKeyMissing: this host cannot store a URI.
            KernelError: it cannot be opened there, and is where it was.
        """
        async with self._ground.at(account, id) as record:
            located = locate(self._ground, record.account, id, None, uri)
            if located.dialect != record.dialect:
                refuse("a project stays with its kind of database", [f"uri: it is one of {located.dialect}"])
            return await self._move(record, {"next_uri": located.stored, "next_place": located.places[0]}, located)

    async def update_schemas(self, account: str | None, id: str, schemas: Sequence[Any]) -> Record:
        """Give a project other entities; tables are made and widened, none is dropped.

        Raises:
            ProjectMissing, ProjectConflict: nothing was done.
            InvalidProject: they are none, or its tables cannot be brought to them; it has those that it had.
            KernelError: its database cannot be opened, and it has those that it had.
        """
        problems: list[str] = []
        async with self._ground.at(account, id) as record:
            documents = await self._ground.schemas.documents(schemas, problems)
            refuse("a project cannot have these schemas", problems)
            if documents == record.schemas and record.transition is None:
                return record
            return await self._move(record, {"next_schemas": documents}, None)

    async def _move(self, record: Record, destination: dict[str, Any], located: Located | None) -> Record:
        ground, id = self._ground, record.id
        await ground.step("rotate.begin")
        if record.status not in MOVABLE:
            raise busy(id, f"its state is {record.status}")
        try:
            record = await ground.intend(record, transition="rotating", **destination)
        except DuplicateKey:
            raise place_taken() from None

        async with ground.underway(record, self._stay):
            await ground.step("rotate.intended")
            if located is not None:
                await expect_free(ground, id, located)
            await self._open_there(record)
            record = await self._arrive(record)
        await self._settle(record)
        await ground.step("rotate.confirmed")
        return record

    async def _open_there(self, record: Record) -> None:
        try:
            if record.status == "paused":
                await self._ground.try_out(moved(record))
            else:
                await self._ground.open(moved(record))
        except KernelError as error:
            await self._ground.step("rotate.failed")
            if record.next_schemas is not None and isinstance(error.__cause__, SchemaOutdated):
                raise unfit(error.__cause__) from None
            raise
        await self._ground.step("rotate.opened")

    async def _arrive(self, record: Record) -> Record:
        status = "paused" if record.status == "paused" else "active"
        try:
            return await self._ground.confirm(
                record, done=_done(record), status=status, transition=None, error=None, **arrival(record)
            )
        except DuplicateKey:
            raise place_taken() from None

    async def _stay(self, record: Record) -> Record:
        """Go on where it was."""
        record = await self._ground.confirm(record, status=record.status, transition=None, **DEPARTED)
        await self._ground.bring(record.id, record)
        return record

    async def go_on(self, record: Record) -> Record:
        """End a move that a crash has left: there if that can be opened, otherwise where it was.

        Raises:
            ProjectConflict, ProjectMissing: somebody else has ended it.
        """
        try:
            await self._open_there(record)
            record = await self._arrive(record)
        except KernelError:
            return await self._stay(record)
        await self._settle(record)
        return record

    async def _settle(self, record: Record) -> None:
        """This host is where the row is now; one that is paused, perhaps by another host, is not open here either."""
        if record.status == "paused":
            await self._ground.bring(record.id, record)
        else:
            self._ground.note(record.id, record)


def _done(record: Record) -> Done:
    """What the audit trail is told of a move; never a URI."""
    if record.next_schemas is None:
        return Done("rotate-uri")
    return Done("schemas", {"entities": [schema["name"] for schema in record.next_schemas]})
