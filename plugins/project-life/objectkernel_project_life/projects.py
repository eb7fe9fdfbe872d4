"""`HostProjects`: the register of projects, with everything that is done to them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from objectkernel.errors import KernelError
from objectkernel.secret import Secret
from objectkernel_contracts import Audit
from objectkernel_system_dialect.contracts import DATA_PLANE_SCHEMAS, DataError, DataPlug, Dialect, EntitySchema

from objectkernel_project_life.booting import Booting
from objectkernel_project_life.changing import Changing
from objectkernel_project_life.config import ProjectLifeConfig
from objectkernel_project_life.contracts import (
    BootProgress,
    BootReport,
    OperationResult,
    ProjectConfig,
    ProjectDTO,
    ProjectManager,
    ProjectPage,
    Projects,
    ProjectStatus,
    ProvisionResult,
    RotationProgress,
)
from objectkernel_project_life.encryption import UriCipher
from objectkernel_project_life.encryption_keys import UriKey, parse_keys
from objectkernel_project_life.ending import Ending
from objectkernel_project_life.errors import EncryptionKeyMissing, InvalidProject, UriUnreadable
from objectkernel_project_life.ground import Ground
from objectkernel_project_life.handing_over import HandingOver
from objectkernel_project_life.healing import Healing
from objectkernel_project_life.moving import Moving
from objectkernel_project_life.pausing import Pausing
from objectkernel_project_life.place import HIDDEN, masked
from objectkernel_project_life.planning import Planner
from objectkernel_project_life.provisioning import Provisioning
from objectkernel_project_life.reconciling import Reconciling
from objectkernel_project_life.rekeying import Rekeying
from objectkernel_project_life.retrying import Retrying
from objectkernel_project_life.steps import AtStep, no_step
from objectkernel_project_life.storage import Record, Register
from objectkernel_project_life.uri_policy import UriPolicy
from objectkernel_project_life.validation import SchemaReader

LARGEST_PAGE = 200


class HostProjects:
    """The projects of a host; see `Projects`."""

    def __init__(
        self,
        dialect: Dialect,
        manager: ProjectManager,
        plug: DataPlug,
        *,
        keys: Sequence[UriKey],
        policy: UriPolicy,
        config: ProjectLifeConfig,
        audit: Audit | None = None,
        at_step: AtStep = no_step,
    ) -> None:
        """Args:
        dialect: the system's database, where the register is.
        plug: opens a database to look at it, and reads schemas.
        keys: what URIs are encrypted with, the active one first.
        at_step: is called at each of `STEPS`; for tests.
        """
        self.dialect = dialect
        self.manager = manager
        self._keys = tuple(keys)
        self._plaintext = config.allow_plaintext_uris
        ground = Ground(
            register=Register(dialect),
            manager=manager,
            cipher=UriCipher(keys, allow_plaintext=self._plaintext),
            policy=policy,
            schemas=SchemaReader(plug.read_schema, lambda schemas: _check(plug, schemas)),
            config=config,
            audit=audit,
            at_step=at_step,
        )
        self._ground = ground
        self._provisioning = Provisioning(ground)
        self._pausing = Pausing(ground)
        self._ending = Ending(ground)
        self._moving = Moving(ground)
        self._changing = Changing(ground, Planner(plug, ground).plan)
        self._healing = Healing(ground, self._moving)
        self._booting = Booting(ground, self._healing)
        self._reconciling = Reconciling(ground, self._healing)
        ground.catch_up = self._reconciling.reconcile
        self._retrying = Retrying(ground)
        self._rekeying = Rekeying(ground)
        self._handing_over = HandingOver(ground, self._ending)

    # --- reading ------------------------------------------------------------------------------------------

    async def get(self, account_id: str | None, project_id: str) -> ProjectDTO:
        return self._shown(await self._ground.owned(account_id, project_id))

    async def list(
        self,
        account_id: str | None,
        *,
        status: ProjectStatus | None = None,
        limit: int = 50,
        after: str | None = None,
    ) -> ProjectPage:
        """See `Projects.list`.

        Raises:
            InvalidProject: `limit` is out of its bounds.
            CursorInvalid: `after` is damaged.
        """
        if not 1 <= limit <= LARGEST_PAGE:
            raise InvalidProject(
                "the list cannot be given so", why=f"limit is from 1 to {LARGEST_PAGE}", fix="give another limit"
            )
        wanted = {"account": account_id, "status": status}
        filter = {name: value for name, value in wanted.items() if value is not None}
        page = await self._ground.register.page(filter or None, limit, after)
        return ProjectPage(projects=tuple(self._shown(record) for record in page.records), next=page.next)

    def _shown(self, record: Record) -> ProjectDTO:
        try:
            uri = masked(self._ground.cipher.decrypt(record.uri, record.id), record.dialect)
        except UriUnreadable:
            uri = HIDDEN
        return ProjectDTO(
            id=record.id,
            account=record.account,
            name=record.name,
            slug=record.slug,
            dialect=record.dialect,
            uri=uri,
            schemas=tuple(record.schemas),
            transports=tuple(record.transports),
            pool_size=record.pool_size,
            pool_min=record.pool_min,
            status=record.status,
            error=record.error,
            mproject_name=record.mproject_name,
            transition=record.transition,
            version=record.version,
            created_at=record.created_at,
            updated_at=record.updated_at,
        )

    # --- life ---------------------------------------------------------------------------------------------

    async def provision_project(self, account_id: str, config: ProjectConfig) -> ProvisionResult:
        try:
            record = await self._provisioning.provision(account_id, config)
        except KernelError as error:
            return ProvisionResult(ok=False, error=_told(error))
        return ProvisionResult(ok=True, mproject_name=record.mproject_name, project=self._shown(record))

    async def deprovision_project(self, account_id: str | None, project_id: str) -> OperationResult:
        try:
            record = await self._ending.deprovision(account_id, project_id)
        except KernelError as error:
            return OperationResult(ok=False, error=_told(error))
        return OperationResult(ok=True, mproject_name=record.mproject_name)

    async def pause_project(self, account_id: str | None, project_id: str) -> OperationResult:
        return await self._result(self._pausing.pause(account_id, project_id))

    async def resume_project(self, account_id: str | None, project_id: str) -> OperationResult:
        return await self._result(self._pausing.resume(account_id, project_id))

    async def update_project(
        self, account_id: str | None, project_id: str, changes: Mapping[str, Any], *, version: int | None = None
    ) -> OperationResult:
        return await self._result(self._changing.update(account_id, project_id, changes, version))

    async def rotate_uri(self, account_id: str | None, project_id: str, uri: Secret[str] | str) -> OperationResult:
        secret = uri if isinstance(uri, Secret) else Secret(uri)
        return await self._result(self._moving.rotate_uri(account_id, project_id, secret))

    async def plan_schemas(self, account_id: str | None, project_id: str, schemas: Sequence[Any]) -> tuple[str, ...]:
        return await self._changing.plan_schemas(account_id, project_id, schemas)

    async def update_schemas(self, account_id: str | None, project_id: str, schemas: Sequence[Any]) -> OperationResult:
        return await self._result(self._moving.update_schemas(account_id, project_id, schemas))

    async def _result(self, operation: Awaitable[Record]) -> OperationResult:
        try:
            record = await operation
        except KernelError as error:
            return OperationResult(ok=False, error=_told(error))
        return OperationResult(ok=True, mproject_name=record.mproject_name, project=self._shown(record))

    # --- all of them --------------------------------------------------------------------------------------

    async def boot_all_projects(self, progress: BootProgress | None = None) -> BootReport:
        return await self._booting.boot(progress)

    async def start(self, progress: BootProgress | None = None) -> BootReport:
        """`boot_all_projects` for a host that starts, and waits for no more than its settings say.

        What is in error, of projects that are opened when somebody needs them, is tried in the background instead.
        """
        return await self._booting.boot(progress, tries_errors=False)

    def rotate_key(self, *, batch: int = 100) -> AsyncIterator[RotationProgress]:
        return self._rekeying.rotate_key(batch)

    # --- for the host -------------------------------------------------------------------------------------

    async def reconcile(self) -> None:
        """Follow what other hosts have changed in the register, and end what a host that is gone has left half done.

        Raises:
            DataError: of the system's database.
        """
        await self._reconciling.reconcile()

    async def retry_failed(self, *, now: bool = False) -> None:
        """Try projects in ``error`` again whose pause is over; with `now`, all of them.

        Raises:
            DataError: of the system's database.
        """
        await self._retrying.retry(now=now)

    async def hear(self, name: str, error: KernelError | None) -> None:
        """What the manager tells of a project that was opened because somebody needed it; None: it is open."""
        await self._ground.hear(name, error)

    @property
    def cipher(self) -> UriCipher:
        """What encrypts and decrypts URIs."""
        return self._ground.cipher

    def accept_key(self, key: str | Secret[str]) -> None:
        """Read what was encrypted with this key too, from now on; where there is none it is what new URIs get.

        Raises:
            EncryptionKeyMissing: it is none.
        """
        known = {one.id for one in self._keys}
        self._keys = (*self._keys, *(one for one in parse_keys(key) if one.id not in known))
        self._ground.cipher = UriCipher(self._keys, allow_plaintext=self._plaintext)

    async def leave(self, account_id: str, successor_id: str | None) -> None:
        """Give the projects of an account to its successor; without one end them.

        Raises:
            ProjectError: one of them cannot be; called again it goes on.
        """
        await self._handing_over.leave(account_id, successor_id)


async def _check(plug: DataPlug, schemas: Sequence[EntitySchema]) -> None:
    """Look whether schemas go together, and with those of the data plane, in a database in memory.

    Raises:
        SchemaInvalid: they contradict themselves or each other.
    """
    together = (*schemas, *DATA_PLANE_SCHEMAS)
    await (await plug.open_isolated_dialect("sqlite", ":memory:", "none", schemas=together)).aclose()


def _told(error: KernelError) -> KernelError:
    """An error that a caller is given with the result; what is wrong with the host is raised."""
    if isinstance(error, DataError | EncryptionKeyMissing):
        raise error
    return error


if TYPE_CHECKING:
    _are_projects: type[Projects] = HostProjects
