"""Packages in use: resolved, mapped, registered, handed to consumers and remembered; all of it, or nothing.

The order of a change: consumers are asked; those of packages that go are told; entities are exchanged, with their
tables; consumers of packages that come are told; then the change is committed in the system database, and is made. What
fails before that is undone in reverse. Whoever dies before it leaves at most tables without rows, which the next
installation takes up.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
import attrs
from objectkernel.errors import KernelError
from objectkernel_system_dialect.contracts import DataError, SchemaInvalid

from objectkernel_package_service.answering import answering
from objectkernel_package_service.consumers import ConsumerFailed, Consumers, Undo, undoing
from objectkernel_package_service.contracts import LATEST, Owner, PackageService, PackageStoreUnavailable, Problem
from objectkernel_package_service.install_contracts import (
    Data,
    InstallationNeeded,
    Installations,
    Installed,
    InstallRefused,
    PackageConsumer,
    PackageNotInstalled,
)
from objectkernel_package_service.install_problems import not_loaded, stays, told
from objectkernel_package_service.install_storage import InstallationStore, Stored
from objectkernel_package_service.installed_entities import Entities
from objectkernel_package_service.installed_tables import Holder, problems, reassigned, strange, wanted
from objectkernel_package_service.loading import Loaded, load
from objectkernel_package_service.naming import check_request
from objectkernel_package_service.resolution import Piece, Resolution, in_order, refused, unmet

log = logging.getLogger("objectkernel.plugin.package-service")

Commit = Callable[[], Awaitable[int]]


class Installer:
    """The service `installations`.

    Args:
        registry: where packages come from.
        entities: those of the business data.
        store: what is installed.
        consumers: who is told of packages.
        host: the version of this host.
    """

    def __init__(
        self,
        registry: PackageService,
        entities: Entities,
        store: InstallationStore,
        consumers: Sequence[PackageConsumer],
        host: str,
    ) -> None:
        self._registry = registry
        self._entities = entities
        self._schemas = entities.schemas
        self._store = store
        self._tables = store.tables
        self._consumers = Consumers(consumers)
        self._host = host
        self._live: dict[str, Loaded] = {}
        self._idle: dict[str, Installed | None] = {}  # stored and not in use; None: it cannot be read
        self._revision = 0
        self._looks_again = False
        self._failed: tuple[KernelError, ...] = ()
        self._changing = anyio.Lock()

    # --- what is there --------------------------------------------------------------------------------------

    def installed(self) -> tuple[Installed, ...]:
        return tuple(loaded.package for loaded in self._live.values())

    def get(self, id: str) -> Installed | None:
        loaded = self._live.get(id)
        return None if loaded is None else loaded.package

    def failed(self) -> tuple[KernelError, ...]:
        return tuple(one for one in self._failed if one.facts.get("id") not in self._live)

    async def start(self) -> None:
        """Take into use what is installed. A package that cannot be is reported, and the others are."""
        async with self._changing:
            await self._take_up(await self._stored())

    async def refresh(self) -> bool:
        async with self._changing:
            return await self._refresh()

    async def _refresh(self) -> bool:
        with answering("looking for installed packages"):
            revision = await self._store.revision()
        if revision == self._revision and not self._looks_again:
            return False
        await self._take_up(await self._stored())
        return True

    async def _stored(self) -> Stored:
        with answering("reading installed packages"):
            return await self._store.read()

    # --- changes --------------------------------------------------------------------------------------------

    async def preview(self, id: str, version: str = LATEST, *, owner: Owner | None = None) -> tuple[Installed, ...]:
        async with self._changing:
            await self._refresh()
            after, new = await self._planned(id, version, owner)
            return tuple(after[one].package for one in new)

    async def install(self, id: str, version: str = LATEST, *, owner: Owner | None = None) -> tuple[Installed, ...]:
        async with self._changing:
            await self._refresh()
            return await self._install(id, version, owner)

    async def upgrade(self, id: str, version: str = LATEST, *, owner: Owner | None = None) -> tuple[Installed, ...]:
        async with self._changing:
            await self._refresh()
            self._expect_installed(id)
            return await self._install(id, version, owner)

    async def uninstall(self, id: str, data: Data = "keep", *, owner: Owner | None = None) -> None:
        if data not in ("keep", "remove"):
            raise InstallRefused(
                id,
                f"what becomes of the data of {id} is not clear",
                [Problem("data", f"{data!r} is neither 'keep' nor 'remove'")],
                fix='write uninstall(id, "keep") or uninstall(id, "remove")',
            )
        async with self._changing:
            await self._refresh()
            self._expect_installed(id)
            self._expect_unneeded(id)
            if id in self._live:
                await self._uninstall(self._live[id], data, owner)
            else:
                await self._uninstall_idle(id, data, owner)

    def _expect_installed(self, id: str) -> None:
        check_request(id)
        if id not in self._live and id not in self._idle:
            raise PackageNotInstalled(
                f"{id} is not installed here",
                why=f"installed are: {', '.join((*self._live, *self._idle)) or 'none'}",
                fix="see `objectkernel packages installed`",
                id=id,
            )

    def _expect_unneeded(self, id: str) -> None:
        idle = [package for package in self._idle.values() if package is not None]
        manifests = {loaded.package.id: loaded.piece.manifest.dependencies for loaded in self._live.values()}
        manifests |= {package.id: package.manifest.get("dependencies", {}) for package in idle}
        needed_by = tuple(one for one, dependencies in manifests.items() if id in dependencies)
        if needed_by:
            raise InstallationNeeded(
                f"{id} is needed by other installed packages",
                why=[f"{one} depends on it" for one in needed_by],
                fix="uninstall those first",
                id=id,
                needed_by=needed_by,
            )

    async def _install(self, id: str, version: str, owner: Owner | None) -> tuple[Installed, ...]:
        after, new = await self._planned(id, version, owner)
        if not new:
            return ()
        packages = [after[one].package for one in new]
        actions = {one: "package.upgrade" if one in self._live else "package.install" for one in new}
        tables = _wanted({one: after[one] for one in new})

        async def commit() -> int:
            return await self._store.change(self._revision, put=packages, made=tables, actions=actions, owner=owner)

        try:
            await self._go(after, commit, tables)
        except (DataError, ConsumerFailed) as error:
            raise refused(id, after[id].package.version, told(id, error)) from error
        for one in new:
            self._idle.pop(one, None)
        self._looks_again = bool(self._idle)  # what was not in use for the lack of these may be now
        log.info("installed %s", ", ".join(f"{package.id}@{package.version}" for package in packages))
        return tuple(packages)

    async def _planned(self, id: str, version: str, owner: Owner | None) -> tuple[dict[str, Loaded], list[str]]:
        """Everything that will be in use, and which of it is new; refused if anybody is known to be against it."""
        here = {one: loaded.piece for one, loaded in self._live.items()}
        chosen = await Resolution(self._registry, here, self._host, owner).with_package(id, version)
        try:
            after = self._mapped(chosen)
        except SchemaInvalid as error:
            raise refused(id, version, told(id, error)) from error
        new = [one for one in after if one not in here or here[one].package.hash != chosen[one].package.hash]
        found = [*self._clashes(after)] or await self._table_problems({one: after[one] for one in new})
        for one in new:
            found += await self._consumers.problems(after[one])
        if found:
            raise refused(id, version, found)
        return after, new

    async def _table_problems(self, packages: Mapping[str, Loaded]) -> list[Problem]:
        """Tables that packages want, and that are not their own, or whose rows would come to be other accounts'."""
        with answering("reading whose tables are there"):
            holders = await self._tables.holders()
        tables = _wanted(packages)
        doubtful = strange(tables, holders) | reassigned(tables, holders)
        return [*problems(doubtful, await self._entities.present(doubtful), holders)] if doubtful else []

    async def _uninstall(self, loaded: Loaded, data: Data, owner: Owner | None) -> None:
        package = loaded.package
        after = {one: other for one, other in self._live.items() if one != package.id}
        actions = {package.id: "package.uninstall"}

        async def keep() -> int:
            return await self._store.change(self._revision, gone=[package], actions=actions, owner=owner)

        try:
            if data == "remove":
                await self._remove(loaded, after, actions, owner)
            else:
                await self._go(after, keep)
        except (DataError, ConsumerFailed) as error:
            raise stays(f"{package.id}@{package.version}", told(package.id, error)) from error
        log.info("uninstalled %s@%s, its data %s", package.id, package.version, "kept" if data == "keep" else "removed")

    async def _uninstall_idle(self, id: str, data: Data, owner: Owner | None) -> None:
        """Forget a package that is not in use; its consumers know nothing of it."""
        package = self._idle[id]
        actions = {id: "package.uninstall"}
        if data == "keep":
            self._revision = await self._committed(
                lambda: self._store.change(self._revision, gone=[package or id], actions=actions, owner=owner)
            )
        elif package is None:
            problem = Problem(id, "what is stored of it cannot be read, nor which tables are its own")
            raise stays(id, [problem], "uninstall it with its data kept, or install it again and then uninstall it")
        else:
            try:
                await self._remove(self._with_own_tables(package), self._live, actions, owner)
            except DataError as error:
                raise stays(id, told(id, error)) from error
        del self._idle[id]
        self._failed = tuple(one for one in self._failed if one.facts.get("id") != id)
        log.info("uninstalled %s, which was not in use, its data %s", id, "kept" if data == "keep" else "removed")

    def _with_own_tables(self, package: Installed) -> Loaded:
        """A package that is not in use, with those of its entities whose names nobody has taken meanwhile."""
        pieces = {id: loaded.piece for id, loaded in self._live.items()}
        loaded = self._mapped({**pieces, package.id: Piece.of(package)})[package.id]
        others = self._schemas.get_all_schemas()
        taken = {name for schema in others for name in (schema.name, schema.collection)}
        own = tuple(one for one in loaded.schemas if taken.isdisjoint((one.name, one.collection)))
        return attrs.evolve(loaded, schemas=own)

    async def _remove(
        self, loaded: Loaded, after: dict[str, Loaded], actions: Mapping[str, str], owner: Owner | None
    ) -> None:
        """Take a package out of use with its tables. The intention is committed first, so that a start ends it."""
        package = loaded.package
        async with undoing() as undo:
            if package.id in self._live:
                await self._consumers.gone(loaded, undo)
            revision = await self._committed(
                lambda: self._store.change(self._revision, removing=[package], actions=actions, owner=owner)
            )

            async def take_back() -> None:
                self._revision = await self._store.change(revision, put=[package], actions={}, owner=owner)

            undo.append(take_back)
            dropped = await self._drop(loaded)
        self._live, self._revision = after, revision
        await self._forget(package, dropped)

    async def _drop(self, loaded: Loaded) -> Sequence[str]:
        """Drop the tables that a package has made; their names."""
        with answering("reading whose tables are there"):
            holders = await self._tables.holders()
        own = [name for name, one in holders.items() if one.package == loaded.package.id]
        await self._entities.drop(loaded.schemas, own)
        return own

    async def _forget(self, package: Installed, tables: Sequence[str]) -> None:
        """Say that the tables of a package are dropped; a start does it where this fails."""
        try:
            self._revision = await self._committed(
                lambda: self._store.change(self._revision, gone=[package], dropped=tables, actions={}, owner=None)
            )
        except KernelError as error:
            log.warning("the tables of %s are dropped, which is not recorded yet: %s", package.id, error.what)

    # --- the one way from what is in use to something else ------------------------------------------------------

    async def _go(self, after: dict[str, Loaded], commit: Commit, tables: Mapping[str, Holder] | None = None) -> None:
        """Bring into use what `after` has and out of use what it has not, and commit; undo it if anything fails.

        Args:
            tables: those that what is new has; noted first, so that whoever dies leaves none unknown.
        """
        before = self._live
        async with undoing() as undo:
            await self._note(tables or {}, undo)
            for id in reversed(before):
                if id not in after:
                    await self._consumers.gone(before[id], undo)
            await self._exchange(before, after, undo)
            for id, loaded in after.items():
                old = before.get(id)
                if old is None or old.package.hash != loaded.package.hash:
                    await self._consumers.come(old, loaded, undo)
            revision = await self._committed(commit)
        self._live, self._revision = after, revision

    async def _exchange(self, before: Mapping[str, Loaded], after: Mapping[str, Loaded], undo: Undo) -> None:
        old = [schema for loaded in before.values() for schema in loaded.schemas]
        new = [schema for loaded in after.values() for schema in loaded.schemas]
        remove = [schema for schema in old if schema not in new]
        add = [schema for schema in new if schema not in old]
        if remove or add:
            await self._entities.exchange(remove, add, self._tables, undo)

    async def _note(self, tables: Mapping[str, Holder], undo: Undo) -> None:
        """Note for which packages tables are about to be made, where that is not known already."""
        if not tables:
            return
        with answering("noting the tables of packages"):
            noted = strange(tables, await self._tables.holders())

            async def forget() -> None:
                holders = await self._tables.holders()
                await self._tables.forget(name for name in noted if name in holders and not holders[name].made)

            undo.append(forget)
            await self._tables.note(noted, made=False)

    async def _committed(self, commit: Commit) -> int:
        """The new revision. No cancellation comes between a commit and what is known of it here."""
        revision = self._revision
        with answering("recording what is installed"):
            with anyio.CancelScope(shield=True):
                revision = await commit()
        return revision

    # --- what is installed, as entities ---------------------------------------------------------------------------

    def _mapped(self, pieces: Mapping[str, Piece]) -> dict[str, Loaded]:
        """See `load`."""
        return load(pieces, self._schemas.read_schema, self._live)

    def _clashes(self, after: Mapping[str, Loaded]) -> Iterator[Problem]:
        """Names that an entity of a package would share with another package's, or with one of the host's own."""
        own = {schema.name for loaded in self._live.values() for schema in loaded.schemas}
        taken: dict[str, str] = {}
        for schema in self._schemas.get_all_schemas():
            if schema.name not in own:
                taken[schema.name] = taken[schema.collection] = "this host"
        live = {id: loaded.package.hash for id, loaded in self._live.items()}
        in_use_first = sorted(after.items(), key=lambda one: live.get(one[0]) != one[1].package.hash)
        for id, loaded in in_use_first:  # what comes new is told of, and not whose name it takes
            for schema in loaded.schemas:
                holders = {taken[name] for name in (schema.name, schema.collection) if name in taken}
                yield from (Problem(f"{id}: {schema.name}", f"{one} has an entity of that name") for one in holders)
            for schema in loaded.schemas:
                taken[schema.name] = taken[schema.collection] = f"the package {id}"

    # --- at the start, and after other hosts' changes ---------------------------------------------------------------

    async def _take_up(self, stored: Stored) -> None:
        """Bring into use what is stored: all together, and where that fails one after another."""
        failed: list[KernelError] = list(stored.damaged)
        pieces = {id: self._piece(package) for id, package in stored.packages.items()}
        while lacking := unmet(pieces):
            for id, problem in lacking.items():
                failed.append(not_loaded(pieces.pop(id).package, problem.what))
        ordered, _ = in_order(pieces)

        async def known() -> int:
            return stored.revision

        try:
            await self._use(ordered, known)
        except (KernelError, ConsumerFailed) as error:
            if isinstance(error, PackageStoreUnavailable):
                raise
            failed += await self._one_by_one(ordered, known)
        self._revision = stored.revision
        await self._know_tables(stored)
        for package in stored.removing:
            failed += await self._end_removal(package)
        self._failed = tuple(failed)
        self._looks_again = False
        unread = {str(error.facts["id"]): None for error in stored.damaged if error.facts["id"]}
        self._idle = unread | {id: package for id, package in stored.packages.items() if id not in self._live}
        for one in failed:
            log.error("%s", one)

    async def _know_tables(self, stored: Stored) -> None:
        """Note the tables of packages that an older version installed; forget those that nobody made after all."""
        with answering("reading whose tables are there"):
            holders = await self._tables.holders()
        tables = _wanted(self._live)
        idle = {package.id: package for package in (*stored.packages.values(), *stored.removing)}
        for id in idle.keys() - self._live.keys() - {one.package for one in holders.values()}:
            with suppress(KernelError):  # which is told as the reason why it is not in use
                tables |= dict.fromkeys(wanted({id: self._with_own_tables(idle[id]).schemas}), Holder(id))
        died = [name for name, one in holders.items() if not one.made and one.package not in idle]
        there = await self._entities.present(died) if died else frozenset()
        with answering("noting the tables of packages"):
            await self._tables.note({name: one for name, one in tables.items() if name not in holders}, made=True)
            await self._tables.forget(name for name in died if name not in there)

    def _piece(self, package: Installed) -> Piece:
        """The package as a piece; the one in use where it is the same."""
        known = self._live.get(package.id)
        if known is not None and known.package.hash == package.hash:
            return known.piece
        return Piece.of(package)

    async def _use(self, pieces: Mapping[str, Piece], commit: Commit) -> None:
        after = self._mapped(pieces)
        if clashes := list(self._clashes(after)):
            raise InstallRefused("", "entities have one name", clashes, fix="give one of them another")
        await self._go(after, commit)

    async def _one_by_one(self, ordered: Mapping[str, Piece], commit: Commit) -> list[KernelError]:
        """Bring into use what can be; an error for each package that cannot. One in an older version stays in that."""
        failed: list[KernelError] = []
        good = {id: loaded.piece for id, loaded in self._live.items() if id in ordered}
        await self._use(in_order(good)[0], commit)
        for id, piece in ordered.items():
            if good.get(id) is piece:
                continue
            wanted = in_order(good | {id: piece})[0]
            lacking = unmet(wanted).get(id)
            if lacking is not None:
                failed.append(not_loaded(piece.package, lacking.what))
                continue
            try:
                await self._use(wanted, commit)
            except PackageStoreUnavailable:
                raise
            except (KernelError, ConsumerFailed) as error:
                failed.append(not_loaded(piece.package, *map(str, told(id, error))))
            else:
                good[id] = self._live[id].piece
        return failed

    async def _end_removal(self, package: Installed) -> list[KernelError]:
        """Drop the tables of a package that a host began to remove."""
        try:
            dropped = await self._drop(self._with_own_tables(package))
        except KernelError as error:
            return [not_loaded(package, "its tables are still to be dropped", *map(str, told(package.id, error)))]
        await self._forget(package, dropped)
        return []


def _wanted(packages: Mapping[str, Loaded]) -> dict[str, Holder]:
    """The tables of packages."""
    return wanted({id: loaded.schemas for id, loaded in packages.items()})


if TYPE_CHECKING:
    _are_installations: type[Installations] = Installer
