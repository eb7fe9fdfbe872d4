"""What all operations on projects stand on: the register, the manager, and how the two are brought together."""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar
from uuid import UUID

import anyio
import anyio.lowlevel
import attrs
from objectkernel.errors import KernelError
from objectkernel.secret import Secret
from objectkernel_contracts import Audit
from objectkernel_system_dialect.contracts import DataError

from objectkernel_project_life.acting import ACTING
from objectkernel_project_life.config import ProjectLifeConfig
from objectkernel_project_life.contracts import ProjectManager
from objectkernel_project_life.encrypting import encrypted_anew
from objectkernel_project_life.encryption import UriCipher
from objectkernel_project_life.errors import ProjectMissing, UriRefused, UriUnreadable
from objectkernel_project_life.served import Reading, Served
from objectkernel_project_life.steps import AtStep, no_step
from objectkernel_project_life.storage import Record, Register
from objectkernel_project_life.telling import line_of, safe
from objectkernel_project_life.turns import Turns, busy
from objectkernel_project_life.uri_policy import UriPolicy
from objectkernel_project_life.validation import SchemaReader

T = TypeVar("T")

log = logging.getLogger("objectkernel.plugin.project-life")

LAST_MOMENT: Final = 5.0
"""Seconds in which an operation that was cancelled or has failed brings the project to a state that is one."""
LONGEST_ID: Final = 36
NEXT: Final = "_next"
"""What follows a project's name where a connection is only tried."""


@attrs.frozen
class Done:
    """An entry of the audit trail: what was done, and what is told of it."""

    action: str
    details: Mapping[str, Any] = attrs.field(factory=dict)


def name_of(id: str) -> str:
    """What the manager knows a project by."""
    return f"project_{UUID(id).hex}"


class Ground:
    """The register, the manager, and what this host knows of both.

    Attributes:
        served: what the manager was given, by the project's id.
        seen: the version of each row as this host has acted on it.
        dirty: ids of projects to look at again, whatever version they have.
        catch_up: brings the manager to what other hosts have changed.
    """

    def __init__(
        self,
        *,
        register: Register,
        manager: ProjectManager,
        cipher: UriCipher,
        policy: UriPolicy,
        schemas: SchemaReader,
        config: ProjectLifeConfig,
        audit: Audit | None = None,
        at_step: AtStep = no_step,
    ) -> None:
        self.register = register
        self.manager = manager
        self.policy = policy
        self.schemas = schemas
        self.config = config
        self.turns = Turns()
        self.served: dict[str, Served] = {}
        self.seen: dict[str, int] = {}
        self.dirty: set[str] = set()
        self.catch_up: Callable[[], Awaitable[None]] = anyio.lowlevel.checkpoint
        self._reading = Reading(cipher, schemas.read)
        self._audit = audit
        self._at_step = at_step

    @property
    def cipher(self) -> UriCipher:
        """What encrypts and decrypts URIs."""
        return self._reading.cipher

    @cipher.setter
    def cipher(self, cipher: UriCipher) -> None:
        """Have another one, also for the projects that the manager has."""
        self._reading.cipher = cipher

    async def step(self, name: str) -> None:
        """Come to a step of an operation; its name is one of `STEPS`."""
        waiting = self._at_step(name)
        if inspect.isawaitable(waiting):
            await waiting

    async def tell(self, done: Done | None, record: Record) -> None:
        """Tell the audit trail what was done to a project."""
        if self._audit is not None and done is not None:
            details = {"slug": record.slug, **done.details}
            action = f"project.{done.action}"
            by = None if "healed" in done.details else ACTING.get()  # it was begun by somebody else
            await self._audit.record(action, record.id, principal=by, account_id=record.account, details=details)

    # --- rows ---------------------------------------------------------------------------------------------

    async def owned(self, account: str | None, id: str) -> Record:
        """The row of a project of this account, or of any where it is None.

        Raises:
            ProjectMissing: there is none.
        """
        record = await self.register.get(id) if len(id) <= LONGEST_ID else None
        if record is None or account not in (None, record.account):
            raise missing(id, by_host=account is None)
        return record

    @asynccontextmanager
    async def at(self, account: str | None, id: str) -> AsyncIterator[Record]:
        """The row of a project for an operation on it, the only one of this host.

        Raises:
            ProjectMissing: there is none.
            ProjectConflict: another operation is under way.
        """
        await self.owned(account, id)  # what is another's is missing, and not busy
        async with self.turns.operation(id):
            yield await self.owned(account, id)

    async def intend(self, record: Record, *, done: Done | None = None, **changes: Any) -> Record:
        """Write what will be done to a project; what needs no more than that is `done`.

        Raises:
            ProjectConflict: something is being done to it, or somebody was quicker.
        """
        if record.transition is not None:
            raise busy(record.id, f"its state is {record.status}, and it is {record.transition}")
        changed = await unbroken(self._change(record, done, changes))
        if changed is None:
            raise busy(record.id, "somebody else has changed it at the same moment")
        return changed

    async def _change(self, record: Record, done: Done | None, changes: Mapping[str, Any]) -> Record | None:
        """`Register.change`, with its entry in the audit trail or not at all; a plain URI is encrypted on this way."""
        async with self.register.transaction():
            changed = await self.register.change(record, **{**await self._sealed(record), **changes})
            if changed is not None:
                await self.tell(done, changed)
        return changed

    async def _sealed(self, record: Record) -> Mapping[str, Any]:
        """What else is written of a row whose URI a host without a key has stored as it is, now that there is one."""
        if record.uri_key is not None or not self.cipher.can_encrypt:
            return {}
        try:
            anew = encrypted_anew(self.cipher, record)
        except UriUnreadable:  # opening it will say so
            return {}
        return {} if await self.register.is_taken((anew["place"],), record.id) else anew

    async def remove(self, record: Record, done: Done | None = None) -> None:
        """Delete the row of a project, unless it is gone.

        Raises:
            ProjectConflict: somebody else has done something else to the project meanwhile.
        """
        async with self.register.transaction():
            removed = await self.register.remove(record)
            if removed:
                await self.tell(done, record)
        if not removed and (present := await self.register.get(record.id)) is not None:
            await self.bring(record.id, present)
            raise busy(record.id, "another host has changed it meanwhile")
        self.note(record.id, None)

    async def confirm(self, intended: Record, *, done: Done | None = None, **changes: Any) -> Record:
        """Write that what was intended is done, whoever writes it.

        Raises:
            ProjectConflict: somebody else has done something else to the project meanwhile.
            ProjectMissing: it is not there any more.
        """
        present: Record | None = intended
        while present is not None and _is_same_intent(present, intended):
            changed = await self._change(present, done, changes)
            if changed is not None:
                return changed
            present = await self.register.get(intended.id)
        if present is None:
            raise missing(intended.id)
        reached = present.transition is None and present.status == changes["status"]
        if reached and all(getattr(present, name) == changes[name] for name in ("uri", "schemas") if name in changes):
            return present
        raise busy(intended.id, "another host has changed it meanwhile")

    @asynccontextmanager
    async def underway(self, intended: Record, back: Callable[[Record], Awaitable[object]]) -> AsyncIterator[None]:
        """What stands between an intent and its confirmation: if it fails or is cancelled, `back` ends what is left.

        `back` is given the row, if that still has the intent; otherwise the manager is brought to what the row says.
        """
        try:
            yield
        except BaseException:
            with anyio.move_on_after(LAST_MOMENT, shield=True) as scope:
                try:
                    present = await self.register.get(intended.id)
                    if present is not None and _is_same_intent(present, intended):
                        await back(present)
                    else:
                        await self.bring(intended.id, present)
                except KernelError as error:
                    self.dirty.add(intended.id)
                    log.warning("%s is left as it is until it is looked at again: %s", intended.id, error.what)
            if scope.cancelled_caught:
                self.dirty.add(intended.id)
            raise

    # --- the manager --------------------------------------------------------------------------------------

    async def open(self, record: Record, *, name: str | None = None) -> None:
        """Connect a project as its row says, and bring its database to its schemas.

        Args:
            name: another name than its own, for a trial.

        Raises:
            KernelError: it cannot be opened; what was open under this name stays. It shows nothing of the URI.
        """
        served = Served.of(record, self._reading)
        raised: Exception
        try:
            try:
                await self.manager.add_project(served.managed(name or record.mproject_name), open=True)
            except UriRefused:  # perhaps of a project that has left this place, on another host
                await self.catch_up()
                await self.manager.add_project(served.managed(name or record.mproject_name), open=True)
        except Exception as error:
            raised = error
        else:
            if name is None:
                self.served[record.id] = served
            return
        raise safe(raised, record.mproject_name, _revealed(served))

    async def try_out(self, record: Record) -> None:
        """Connect a project that is paused, as its row says, and leave it again.

        Raises:
            KernelError: it cannot be opened. It shows nothing of the URI.
        """
        name = record.mproject_name + NEXT
        try:
            await self.open(record, name=name)
        finally:
            with anyio.CancelScope(shield=True):
                await self.manager.remove_project(name, deadline=0.0)

    async def close(self, record: Record, deadline: float | None = None) -> None:
        """Let a project's operations end, and close its connections."""
        patience = self.config.pause_deadline if deadline is None else deadline
        self.served.pop(record.id, None)
        await self.manager.remove_project(record.mproject_name, deadline=patience)

    async def bring(self, id: str, record: Record | None) -> None:
        """Bring the manager to what the row of a project says. No connection is made, and one too many is closed."""
        name = name_of(id) if record is None else record.mproject_name
        if record is None or not record.is_served:
            self.served.pop(id, None)
            if self.manager.has_project(name):
                await self.manager.remove_project(name, deadline=self.config.pause_deadline)
        else:
            known = self.served.get(id)
            if known is None or not self.manager.has_project(name) or not known.follow(record):
                record = await self._take_on(record)
        self.note(id, record)

    def note(self, id: str, record: Record | None) -> None:
        """This host has acted on the row as it is."""
        self.dirty.discard(id)
        if record is None:
            self.seen.pop(id, None)
            return
        self.seen[id] = record.version
        served = self.served.get(id)
        if served is not None:
            served.version, served.status = record.version, record.status

    async def _take_on(self, record: Record) -> Record:
        served = self.served[record.id] = Served.of(record, self._reading)
        try:
            await self.manager.add_project(served.managed(record.mproject_name), open=False)
        except Exception as error:
            return await self.failed(record, safe(error, record.mproject_name, _revealed(served)))
        return record

    def uri_of(self, record: Record) -> Secret[str] | None:
        """A project's URI in clear; None where it cannot be read."""
        return _revealed(Served.of(record, self._reading))

    # --- what becomes of a project's database -----------------------------------------------------------------

    async def failed(self, record: Record, error: KernelError) -> Record:
        """The row once it says that an active project cannot be opened, unless somebody changes it meanwhile."""
        if record.transition is not None or not record.is_served:
            return record
        told = line_of(error)
        if record.status == "error" and record.error == told:
            return record
        changed = await self.register.change(record, status="error", error=told)
        if changed is None:
            self.dirty.add(record.id)
            return record
        log.warning("%s is in error: %s", record.mproject_name, error.what)
        self.note(record.id, changed)
        return changed

    async def recovered(self, record: Record) -> Record:
        """The row once it says that a project could be opened again, unless somebody changes it meanwhile."""
        if record.transition is not None or record.status != "error":
            return record
        changed = await self.register.change(record, status="active", error=None)
        if changed is None:
            self.dirty.add(record.id)
            return record
        log.info("%s is active again", record.mproject_name)
        self.note(record.id, changed)
        return changed

    async def hear(self, name: str, error: KernelError | None) -> None:
        """What the manager tells of a project that was opened when somebody needed it; None: it is open."""
        served = self.served.get(_id_of(name))
        if served is None or served.status == ("active" if error is None else "error"):
            return
        try:
            record = await self.register.get(served.id)
            if record is None or record.version != served.version:
                self.dirty.add(served.id)
            elif error is None:
                await self.recovered(record)
            else:
                await self.failed(record, safe(error, name, _revealed(served)))
        except DataError as unknown:
            self.dirty.add(served.id)
            log.warning("that %s has changed is not written: %s", name, unknown.what)


async def unbroken(writing: Coroutine[Any, Any, T]) -> T:
    """What a write gives; a caller who is cancelled meanwhile is so behind it, when it is known what was written."""
    written: list[T] = []
    with anyio.CancelScope(shield=True):
        written.append(await writing)
    return written[0]


def missing(id: object, *, by_host: bool = False) -> ProjectMissing:
    """The error for a project that is not there, or of another account.

    Args:
        by_host: whoever runs the host has asked, for all accounts.
    """
    if by_host:
        return ProjectMissing(
            f"there is no project {id!r}",
            why="no account has one of this id",
            fix="`objectkernel projects list` shows the ids",
        )
    return ProjectMissing(
        f"there is no project {id!r}", why="this account has none of this id", fix="list the account's projects"
    )


def _revealed(served: Served) -> Secret[str] | None:
    try:
        return served.reveal()
    except UriUnreadable:
        return None


def _is_same_intent(present: Record, intended: Record) -> bool:
    return (present.transition, present.next_uri, present.next_schemas) == (
        intended.transition,
        intended.next_uri,
        intended.next_schemas,
    )


def _id_of(name: str) -> str:
    try:
        return str(UUID(hex=name.removeprefix("project_")))
    except ValueError:
        return ""
