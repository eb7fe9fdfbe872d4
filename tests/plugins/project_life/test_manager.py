"""`HostManager`: who is there, what is open, and what becomes of openings that fail, wait or are overtaken."""

from __future__ import annotations

import gc
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import anyio
import attrs
import pytest
from anyio.lowlevel import checkpoint
from objectkernel import KernelError, Secret
from objectkernel_project_life import opener
from objectkernel_project_life.config import ProjectLifeConfig
from objectkernel_project_life.contracts import (
    ManagedProject,
    ProjectConflict,
    ProjectNotServed,
    ProjectUnavailable,
    UriRefused,
)
from objectkernel_project_life.manager import HostManager, host_manager
from objectkernel_system_dialect.contracts import DatabaseUnavailable, DataPlug, Dialect, EntityUnknown
from objectkernel_system_dialect.sql_dialect import SqlDialect
from objectkernel_system_dialect.sqlite_dialect import open_sqlite

from tests.plugins.project_life.project_databases import (  # noqa: F401 - fixtures
    NOTE,
    TASK,
    AnyPlace,
    closed_port,
    in_files,
    managing,
    plugged,
    project,
    silent_port,
)
from tests.plugins.system_dialect.databases import (  # noqa: F401 - fixtures
    Cuttable,
    cuttable,
    postgres_database,
    postgres_url,
)

pytestmark = pytest.mark.anyio


class Watched:
    """A real data plug, that counts what is being opened, and holds openings up while `hold` is set."""

    def __init__(self, plug: DataPlug) -> None:
        self._plug = plug
        self.now = self.peak = self.asked = 0
        self.working = self.most_working = 0
        self.hold: anyio.Event | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plug, name)

    async def open_isolated_dialect(self, *args: Any, **kwargs: Any) -> Dialect:
        self.asked += 1
        self.now += 1
        self.peak = max(self.peak, self.now)
        try:
            if self.hold is not None:
                await self.hold.wait()
            await checkpoint()
            return await self._plug.open_isolated_dialect(*args, **kwargs)
        finally:
            self.now -= 1

    async def database_identity(self, dialect: Dialect) -> str:
        self.working += 1
        self.most_working = max(self.most_working, self.working)
        try:
            await checkpoint()
            return await self._plug.database_identity(dialect)
        finally:
            self.working -= 1


@attrs.frozen
class Host:
    """A manager, and the plug that it opens databases with."""

    manager: HostManager
    plug: Watched
    config: ProjectLifeConfig


@pytest.fixture
async def host(anyio_backend: str, tmp_path: Path) -> AsyncIterator[Host]:
    """A host with a manager that opens two projects at a time."""
    config = ProjectLifeConfig(data_dir=tmp_path, boot_concurrency=2, pause_deadline=5.0, open_timeout=30.0)
    async with plugged(in_files(tmp_path)) as plug:
        watched = Watched(plug)
        async with host_manager(cast("DataPlug", watched), AnyPlace(), config) as manager:
            yield Host(manager, watched, config)


@pytest.fixture
def one(tmp_path: Path) -> ManagedProject:
    """A project with notes."""
    return project(tmp_path / "one.db", NOTE)


# --- which there are --------------------------------------------------------------------------------------


async def test_added_project_is_open_and_has_its_tables(host: Host, one: ManagedProject) -> None:
    """Everything is there when `add_project` returns, and told by `list`."""
    await host.manager.add_project(one)
    assert host.manager.has_project(one.name)
    (state,) = host.manager.list()
    assert (state.name, state.project_id, state.open, state.running, state.connections, state.error) == (
        one.name, one.project_id, True, 0, 0, None,
    )  # fmt: skip
    notes = host.manager.get(one.name).repository("Note")
    await notes.create({"text": "first"})
    assert await notes.count() == 1
    assert host.manager.entity_service(one.name) is host.manager.get(one.name)
    await host.manager.try_project(one.name)


async def test_lazy_project_is_opened_by_whoever_needs_it(host: Host, one: ManagedProject) -> None:
    """Adding it costs no connection; the first operation makes one, and the tables."""
    await host.manager.add_project(one, open=False)
    service = host.manager.get(one.name)
    assert service.entities() == (NOTE,)
    assert host.plug.asked == 0 and not host.manager.list()[0].open
    assert await service.repository("Note").count() == 0
    assert host.plug.asked == 1 and host.manager.list()[0].open


async def test_what_is_not_there_is_said(host: Host, one: ManagedProject) -> None:
    """A project by its name, an entity with the nearest that there is."""
    with pytest.raises(ProjectNotServed) as unknown:
        host.manager.get("project_x")
    assert unknown.value.facts["project"] == "project_x"
    with pytest.raises(ProjectNotServed):
        await host.manager.try_project("project_x")
    assert not await host.manager.remove_project("project_x")
    await host.manager.add_project(one, open=False)
    with pytest.raises(EntityUnknown) as near:
        host.manager.get(one.name).repository("Notes")
    assert near.value.facts["known"] == ("Note",)


async def test_repositories_outlive_a_pause(host: Host, one: ManagedProject) -> None:
    """While the project is not there they are refused; when it is back they go on, on the same dialect."""
    await host.manager.add_project(one)
    dialect = host.manager.get(one.name).dialect
    notes = host.manager.get(one.name).repository("Note")
    mine = notes.as_tenant("ada")
    await notes.create({"text": "kept"})
    assert await host.manager.remove_project(one.name)
    gc.collect()
    for refused in (notes.count(), mine.count(), dialect.ping()):
        with pytest.raises(ProjectNotServed):
            await refused
    with pytest.raises(ProjectNotServed):
        dialect.schemas()
    again = attrs.evolve(one, schemas=lambda: (attrs.evolve(NOTE),))
    await host.manager.add_project(again)
    assert host.manager.get(one.name).dialect is dialect
    assert (await notes.count(), await mine.count()) == (1, 1)


async def test_a_manager_ends_with_all_of_its_projects(tmp_path: Path, anyio_backend: str) -> None:
    """No connection is left, and nothing is served."""
    async with managing(tmp_path) as manager:
        for name in ("one", "two"):
            await manager.add_project(project(tmp_path / f"{name}.db", NOTE))
        services = [manager.get(state.name) for state in manager.list()]
    assert manager.list() == ()
    for service in services:
        with pytest.raises(ProjectNotServed):
            await service.dialect.ping()


# --- opening -----------------------------------------------------------------------------------------------


async def test_many_who_need_it_open_it_once(host: Host, one: ManagedProject) -> None:
    """One attempt serves all of them, also where some do not want to wait for it any more."""
    await host.manager.add_project(one, open=False)
    notes = host.manager.get(one.name).repository("Note")
    host.plug.hold = anyio.Event()
    counts: list[int] = []

    async def count() -> None:
        counts.append(await notes.count())

    async with anyio.create_task_group() as tasks:
        impatient = anyio.CancelScope()

        async def give_up() -> None:
            with impatient:
                await notes.count()

        tasks.start_soon(give_up)  # the first, whose attempt it is
        for _ in range(20):
            tasks.start_soon(count)
        while not host.plug.now:
            await checkpoint()
        impatient.cancel()
        await checkpoint()
        host.plug.hold.set()
    assert counts == [0] * 20
    assert host.plug.asked == 1


async def test_no_more_are_opened_at_once_than_allowed(host: Host, tmp_path: Path) -> None:
    """Whoever asks: `add_project` of many, and first operations."""
    lazy = [project(tmp_path / f"lazy{number}.db", NOTE) for number in range(6)]
    async with anyio.create_task_group() as tasks:
        for number in range(6):
            tasks.start_soon(host.manager.add_project, project(tmp_path / f"{number}.db", NOTE))
        for one in lazy:
            await host.manager.add_project(one, open=False)
            tasks.start_soon(host.manager.get(one.name).dialect.ping)
    assert host.plug.asked == 12
    assert host.plug.peak == host.config.boot_concurrency == 2


async def test_who_keeps_silent_does_not_hold_up_the_others(host: Host, tmp_path: Path) -> None:
    """An opening that waits for a server gives its turn to the next, and has its own time all the same."""
    host.plug.hold = held = anyio.Event()
    slow = [project(tmp_path / f"slow{number}.db", NOTE) for number in range(host.config.boot_concurrency)]
    async with anyio.create_task_group() as tasks:
        for one in slow:
            tasks.start_soon(host.manager.add_project, one)
        while host.plug.now < len(slow):
            await checkpoint()
        host.plug.hold = None
        quick = project(tmp_path / "quick.db", NOTE)
        await host.manager.add_project(quick)
        assert [state.name for state in host.manager.list()] == [quick.name]
        held.set()
    assert len(host.manager.list()) == 3


async def test_those_that_were_slow_do_not_work_all_at_once(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has given its turn away waits for another, when its server answers at last."""
    monkeypatch.setattr(opener, "QUICK", 0.01)
    host.plug.hold = anyio.Event()
    async with anyio.create_task_group() as tasks:
        for number in range(8):
            tasks.start_soon(host.manager.add_project, project(tmp_path / f"{number}.db", NOTE))
        while host.plug.now < 8:
            await anyio.sleep(0.01)
        host.plug.hold.set()
    assert host.plug.peak == 8
    # The host's own two databases are asked for by one of those at work.
    assert 0 < host.plug.most_working <= host.config.boot_concurrency
    assert host.manager.tally().open == 8


async def test_opening_has_its_time(tmp_path: Path, anyio_backend: str) -> None:
    """Behind `open_timeout` it is given up, and told as what it is."""
    config = ProjectLifeConfig(data_dir=tmp_path, open_timeout=0.05)
    async with plugged(in_files(tmp_path)) as plug:
        watched = Watched(plug)
        watched.hold = anyio.Event()
        async with host_manager(cast("DataPlug", watched), AnyPlace(), config) as manager:
            with pytest.raises(ProjectUnavailable, match=r"takes longer than 0\.05 seconds"):
                await manager.add_project(project(tmp_path / "one.db", NOTE))
            assert watched.now == 0 and manager.list() == ()
            assert manager.opener.failed == 1


@pytest.mark.postgres
@pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
async def test_server_that_never_answers_and_one_that_is_not_there(
    anyio_backend: str,
    tmp_path: Path,
    silent_port: int,  # noqa: F811
    closed_port: int,  # noqa: F811
) -> None:
    """Both end as unavailable, the first behind its time; no connection is left, and nothing of the URI is shown."""
    async with managing(tmp_path, open_timeout=0.3) as manager:
        for port in (silent_port, closed_port):
            hidden = project(f"postgresql://secretuser:secretword@127.0.0.1:{port}/crm?application_name=hidden", NOTE)
            with pytest.raises(ProjectUnavailable) as caught:
                await manager.add_project(hidden)
            shows_nothing(caught.value, "secretuser", "secretword", "hidden")
            assert not manager.has_project(hidden.name)


def shows_nothing(error: BaseException, *secrets: str) -> None:
    """Neither an error nor what is behind it shows any of these."""
    present: BaseException | None = error
    while present is not None:
        told = " ".join((str(present), repr(present), repr(vars(present))))
        assert not [secret for secret in secrets if secret in told]
        present = present.__cause__ or present.__context__


async def test_what_the_caller_gives_cannot_show_a_uri_either(
    host: Host, one: ManagedProject, caplog: pytest.LogCaptureFixture
) -> None:
    """An error of an unknown kind is told by its kind alone, to the caller and in the log."""

    def reveal() -> Secret[str]:
        raise ValueError("postgresql://bob:secretword@host/crm")

    caplog.set_level(logging.DEBUG)
    with pytest.raises(ProjectUnavailable, match="raised ValueError") as caught:
        await host.manager.add_project(attrs.evolve(one, reveal=reveal))
    assert caught.value.__cause__ is None and caught.value.facts["reason"] == "ValueError"
    assert "secretword" not in str(caught.value) + caplog.text


async def test_failure_is_told_and_not_repeated_at_once(tmp_path: Path, anyio_backend: str) -> None:
    """Who needs the project soon after gets the same error; `ping` tries at once; both ends are heard."""
    folder = tmp_path / "later"
    one = project(folder / "one.db", NOTE)
    heard: list[tuple[str, KernelError | None]] = []
    news = anyio.Event()

    async def hear(name: str, error: KernelError | None) -> None:
        heard.append((name, error))
        news.set()
        raise RuntimeError("it is the listener's own affair")

    async with managing(tmp_path, retry_first=3600.0) as manager:
        manager.listen(hear)
        await manager.add_project(one, open=False)
        notes = manager.get(one.name).repository("Note")
        with pytest.raises(ProjectUnavailable) as first:
            await notes.count()
        with pytest.raises(ProjectUnavailable) as second:
            await notes.count()
        assert manager.opener.failed == 1
        assert manager.list()[0].error == str(first.value) == str(second.value)
        with pytest.raises(ProjectUnavailable):
            await manager.try_project(one.name)
        assert manager.opener.failed == 2
        folder.mkdir()
        with pytest.raises(ProjectUnavailable):
            await notes.count()
        await news.wait()
        news = anyio.Event()
        await manager.try_project(one.name)
        assert await notes.count() == 0
        assert manager.list()[0].error is None
        await news.wait()
    assert [(name, type(error)) for name, error in heard] == [
        (one.name, ProjectUnavailable), (one.name, ProjectUnavailable), (one.name, type(None)),
    ]  # fmt: skip


async def test_pause_between_attempts_ends(tmp_path: Path, anyio_backend: str) -> None:
    """Without anybody's doing the project is opened by the first who needs it behind the pause."""
    folder = tmp_path / "later"
    async with managing(tmp_path, retry_first=0.02, retry_longest=0.04) as manager:
        one = project(folder / "one.db", NOTE)
        await manager.add_project(one, open=False)
        notes = manager.get(one.name).repository("Note")
        with pytest.raises(ProjectUnavailable):
            await notes.count()
        folder.mkdir()
        await anyio.sleep(0.05)
        assert await notes.count() == 0


async def test_ping_tells_of_a_database_that_was_lost(
    host: Host, one: ManagedProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As unavailable, whatever the database says."""
    await host.manager.add_project(one)
    gate = host.manager._present[one.name]
    assert gate.current is not None

    async def lost() -> None:
        raise DatabaseUnavailable("no answer", database="one", reason="test")

    monkeypatch.setattr(gate.current.dialect, "ping", lost)
    with pytest.raises(ProjectUnavailable, match="does not answer"):
        await host.manager.try_project(one.name)


async def test_opening_a_project_is_a_sign_of_life(
    host: Host, one: ManagedProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not asked for another one; a project that was open already is, each time."""
    asked: list[str] = []
    ping = SqlDialect.ping

    async def watched(self: SqlDialect) -> None:
        asked.append(self.name)
        await ping(self)

    monkeypatch.setattr(SqlDialect, "ping", watched)
    await host.manager.add_project(one, open=False)
    for times in (0, 1, 2):
        await host.manager.try_project(one.name)
        assert len(asked) == times and host.plug.asked == 1


@pytest.mark.postgres
@pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
async def test_lost_server_is_found_again(anyio_backend: str, tmp_path: Path, cuttable: Cuttable) -> None:  # noqa: F811
    """While it is away operations say so, and it cannot be opened; when it is back both go on by themselves."""
    async with managing(tmp_path, retry_first=0.02, retry_longest=0.02) as manager:
        one = project(cuttable.url, NOTE)
        await manager.add_project(one)
        notes = manager.get(one.name).repository("Note")
        await notes.create({"text": "kept"})
        cuttable.cut()
        with pytest.raises(DatabaseUnavailable):
            await notes.count()
        with pytest.raises(ProjectUnavailable):
            await manager.try_project(one.name)
        cuttable.mend()
        assert await notes.count() == 1
        cuttable.cut()
        await manager.add_project(one, open=False)
        with pytest.raises(ProjectUnavailable):
            await notes.count()
        cuttable.mend()
        await anyio.sleep(0.03)
        assert await notes.count() == 1


# --- one after another, and at the same time ---------------------------------------------------------------


async def test_failed_replacement_leaves_what_was_there(host: Host, one: ManagedProject, tmp_path: Path) -> None:
    """The project goes on with the connection it had."""
    await host.manager.add_project(one)
    notes = host.manager.get(one.name).repository("Note")
    await notes.create({"text": "kept"})
    with pytest.raises(ProjectUnavailable):
        await host.manager.add_project(project(tmp_path / "nowhere" / "x.db", NOTE, id=one.project_id))
    assert await notes.count() == 1
    assert host.manager.list()[0].open


async def test_replacement_leaves_running_operations_alone(host: Host, one: ManagedProject, tmp_path: Path) -> None:
    """A transaction ends on the old connection, whole; what begins later is on the new one."""
    await host.manager.add_project(one)
    notes = host.manager.get(one.name).repository("Note")
    moved = project(tmp_path / "moved.db", NOTE, TASK, id=one.project_id)
    async with notes.transaction():
        await notes.create({"text": "old"})
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(host.manager.add_project, moved)  # in the transaction's own context
        assert await notes.count() == 1
        assert host.manager.list()[0].running == 1
    assert await notes.count() == 0
    assert [schema.name for schema in host.manager.get(one.name).entities()] == ["Note", "Task"]
    old = await open_sqlite(one.reveal().reveal())
    await old.register(NOTE)
    assert await old.count(NOTE) == 1
    await old.aclose()


async def test_whoever_was_overtaken_is_told(host: Host, one: ManagedProject, tmp_path: Path) -> None:
    """A project that is removed, or added again, while it is opened: the first one's connection is closed again."""
    for overtake in (
        lambda: host.manager.remove_project(one.name),
        lambda: host.manager.add_project(attrs.evolve(one, pool_size=9), open=False),
    ):
        host.plug.hold = anyio.Event()
        caught: list[KernelError] = []

        async def add(caught: list[KernelError] = caught) -> None:
            with pytest.raises(ProjectConflict) as raised:
                await host.manager.add_project(one)
            caught.append(raised.value)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(add)
            while not host.plug.now:
                await checkpoint()
            await overtake()
            host.plug.hold.set()
        assert len(caught) == 1
        assert not [state for state in host.manager.list() if state.open]
    assert [state.pool_size for state in host.manager.list()] == [9]


async def test_removal_ends_an_opening_that_others_wait_for(host: Host, one: ManagedProject) -> None:
    """They are refused at once, and the attempt is given up."""
    await host.manager.add_project(one, open=False)
    notes = host.manager.get(one.name).repository("Note")
    host.plug.hold = anyio.Event()

    async def count() -> None:
        with pytest.raises(ProjectNotServed):
            await notes.count()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count)
        while not host.plug.now:
            await checkpoint()
        await host.manager.remove_project(one.name)
    assert host.plug.now == 0


async def test_changed_project_is_opened_as_it_is_now(host: Host, one: ManagedProject, tmp_path: Path) -> None:
    """Who waits for an opening that was overtaken gets the database that the project has now."""
    await host.manager.add_project(one, open=False)
    notes = host.manager.get(one.name).repository("Note")
    host.plug.hold = anyio.Event()
    moved = tmp_path / "moved.db"

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(notes.create, {"text": "here"})
        while not host.plug.now:
            await checkpoint()
        await host.manager.add_project(project(moved, NOTE, id=one.project_id), open=False)
        host.plug.hold.set()
    there = await open_sqlite(str(moved))
    await there.register(NOTE)
    assert await there.count(NOTE) == 1
    await there.aclose()


# --- whose database it is ---------------------------------------------------------------------------------


async def test_host_keeps_its_own_databases(tmp_path: Path, anyio_backend: str) -> None:
    """Neither the business data's nor the system's, by whichever name; no table was made there."""
    async with managing(tmp_path) as manager:
        (tmp_path / "link.db").symlink_to(tmp_path / "system.db")
        for name in ("business.db", "system.db", "link.db"):
            with pytest.raises(UriRefused, match="the host has its own data"):
                await manager.add_project(project(tmp_path / name, NOTE))
        assert manager.list() == ()
    for name in ("business.db", "system.db"):
        assert b"notes" not in (tmp_path / name).read_bytes()


async def test_no_two_projects_have_one_database(host: Host, one: ManagedProject, tmp_path: Path) -> None:
    """Also where its place is spelled in another way; once the first is gone the second may have it."""
    await host.manager.add_project(one)
    (tmp_path / "link.db").symlink_to(tmp_path / "one.db")
    second = project(tmp_path / "link.db", TASK)
    with pytest.raises(UriRefused, match="belongs to another project"):
        await host.manager.add_project(second)
    await host.manager.add_project(project(tmp_path / "link.db", NOTE, id=one.project_id))  # its own, by another name
    await host.manager.remove_project(one.name)
    await host.manager.add_project(second)


async def test_policy_is_asked_at_every_opening(tmp_path: Path, anyio_backend: str) -> None:
    """For the account, or the one in whose folder the file lies; what it refuses is refused as such."""

    class Closed(AnyPlace):
        def check(self, account: str, dialect: str, uri: Secret[str]) -> None:
            super().check(account, dialect, uri)
            if account == "eve":
                raise UriRefused("not there", why="no", fix="elsewhere")

    policy = Closed()
    async with managing(tmp_path, policy) as manager:
        await manager.add_project(project(tmp_path / "one.db", NOTE, account="ada"))
        await manager.add_project(project(tmp_path / "two.db", NOTE, account="bob", home="eva"), open=False)
        assert policy.asked == ["ada"]
        for state in manager.list():
            await manager.try_project(state.name)
        assert policy.asked == ["ada", "eva"]
        with pytest.raises(UriRefused):
            await manager.add_project(project(tmp_path / "three.db", NOTE, account="eve"))


# --- idle projects ------------------------------------------------------------------------------------------


async def test_idle_project_is_closed_until_it_is_needed(tmp_path: Path, anyio_backend: str) -> None:
    """A running operation keeps it open; afterwards it is closed, and the next one opens it again."""
    async with managing(tmp_path, idle_close_after=0.08) as manager:
        one = project(tmp_path / "one.db", NOTE)
        await manager.add_project(one)
        notes = manager.get(one.name).repository("Note")
        async with notes.transaction():
            await notes.create({"text": "kept"})
            await anyio.sleep(0.3)
            assert manager.list()[0].open
        with anyio.fail_after(30):
            while manager.list()[0].open:
                await anyio.sleep(0.01)
        assert await notes.count() == 1
        assert manager.opener.opened == 2
