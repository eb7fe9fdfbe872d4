"""All projects come back when a host starts."""

from __future__ import annotations

import logging
import socket
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import pytest
from anyio.abc import SocketStream
from objectkernel_project_life.contracts import ProjectConfig
from objectkernel_project_life.schema import PROJECT_SCHEMA

from tests.plugins.project_life.hosts import KEY, NEW_KEY, Host, expect_consistent, host, spoil
from tests.plugins.project_life.managers import OwnManager
from tests.plugins.project_life.project_databases import postgres_databases

pytestmark = pytest.mark.anyio


async def several(at: Host, count: int) -> list[str]:
    """The ids of so many new projects; the last is paused."""
    made = [await at.made(f"p{number}", uri=f"sqlite:///p{number}.db") for number in range(count)]
    await at.projects.pause_project("acme", made[-1].id)
    return [project.id for project in made]


@pytest.mark.parametrize("opening", ["lazy", "eager"])
async def test_they_are_back(tmp_path: Path, opening: str) -> None:
    """Active ones are served, opened now or when somebody needs them; paused ones are not."""
    async with host(tmp_path) as at:
        ids = await several(at, 4)
    async with host(tmp_path, opening=opening) as at:
        await expect_consistent(at)
        assert {state.project_id for state in at.manager.list()} == set(ids[:-1])
    async with host(tmp_path, opening=opening) as at:
        assert [state.open for state in at.manager.list()] == [opening == "eager"] * 3
        report = await at.projects.boot_all_projects()
        assert sorted(report.loaded) == sorted(ids[:-1])
        assert (dict(report.failed), dict(report.healed)) == ({}, {})
        assert report.seconds >= 0


async def test_one_broken_project_harms_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """defects.md, project-life 5: it is in error with its reason, the report has it, and the others are up."""
    async with host(tmp_path) as at:
        ids = await several(at, 4)
    sound = at.file("p1.db").read_bytes()
    spoil(at.file("p1.db"))
    with caplog.at_level(logging.INFO, logger="objectkernel.plugin.project-life"):
        async with host(tmp_path, opening="eager") as at:
            assert "3 of 3 projects are opened" in caplog.text  # how far it is, also where nobody looks at a bar
            assert "2 projects are loaded, 1 failed" in caplog.text
            await expect_consistent(at)
            states = {state.project_id: state.open for state in at.manager.list()}
            assert states == {ids[0]: True, ids[1]: False, ids[2]: True}
            row = await at.row(ids[1])
            assert row["status"] == "error"
            assert "[L104]" in row["error"]
            seen: list[tuple[int, int]] = []
            report = await at.projects.boot_all_projects(lambda done, total: seen.append((done, total)))
            assert sorted(report.loaded) == sorted([ids[0], ids[2]])
            assert list(report.failed) == [ids[1]]
            assert [done for done, _ in seen] == [1, 2, 3]
            assert seen[-1] == (3, 3)
            at.file("p1.db").write_bytes(sound)
            report = await at.projects.boot_all_projects()
            assert sorted(report.loaded) == sorted(ids[:3])
            assert (await at.row(ids[1]))["status"] == "active"


async def test_in_error_and_lazy(tmp_path: Path) -> None:
    """A lazy boot tries what is in error, and nothing else: what was mended is active after it."""
    async with host(tmp_path) as at:
        ids = await several(at, 3)
        sound = at.file("p0.db").read_bytes()
        await at.projects.pause_project("acme", ids[0])
        spoil(at.file("p0.db"))
        await at.projects.resume_project("acme", ids[0])
        await at.dialect.update(PROJECT_SCHEMA, ids[0], {"error": "an old reason"})
    async with host(tmp_path) as at:
        report = await at.projects.boot_all_projects()
        assert (list(report.failed), list(report.loaded)) == ([ids[0]], [ids[1]])
        assert "[L104]" in str(report.failed[ids[0]])
        assert "[L104]" in (await at.row(ids[0]))["error"]
        at.file("p0.db").write_bytes(sound)
        report = await at.projects.boot_all_projects()
        assert (dict(report.failed), sorted(report.loaded)) == ({}, sorted(ids[:2]))
        row = await at.row(ids[0])
        assert (row["status"], row["error"]) == ("active", None)
        assert {state.project_id: state.open for state in at.manager.list()} == {ids[0]: True, ids[1]: False}
        await expect_consistent(at)


async def test_a_place_that_is_not_allowed_any_more(tmp_path: Path) -> None:
    """A lazy boot says so at once, though it connects to nothing, and has it back when the place is allowed again."""
    servers: dict[str, Any] = {"allowed_hosts": ["127.0.0.1"]}
    async with host(tmp_path, manager=OwnManager(), **servers) as at:
        moved = await at.made("moved", uri="postgresql://clerk:s3cret@127.0.0.1:5432/crm")
        sound = await at.made("sound")
    async with host(tmp_path) as at:
        report = await at.projects.boot_all_projects()
        assert (list(report.failed), list(report.loaded)) == ([moved.id], [sound.id])
        assert "allowed_hosts" in str(report.failed[moved.id])
        row = await at.row(moved.id)
        assert (row["status"], row["error"][:6]) == ("error", "[L106]")
        assert "s3cret" not in row["error"]
        assert not any(state.open for state in at.manager.list())
        await at.projects.retry_failed(now=True)
        assert (await at.row(moved.id))["version"] == row["version"], "the same reason is not written again"
    async with host(tmp_path, manager=OwnManager(), **servers) as at:
        assert (await at.row(moved.id))["status"] == "error", "a host that starts waits for none of them"
        await at.projects.boot_all_projects()
        assert (await at.row(moved.id))["status"] == "active"


@pytest.mark.slow
@pytest.mark.asyncio_only
async def test_silent_servers_delay_nobody(tmp_path: Path, silent_port: int) -> None:
    """defects.md, project-life 5: the others are up while servers that accept and never answer are still waited for."""
    servers = {"allowed_hosts": ["127.0.0.1"], "allowed_ports": [silent_port]}
    async with host(tmp_path, manager=OwnManager(), **servers) as at:
        for number in range(8):
            await at.made(f"silent-{number}", uri=f"postgresql://a:secret@127.0.0.1:{silent_port}/db{number}")
    async with host(tmp_path, **servers) as watching, anyio.create_task_group() as tasks:
        sound = [await watching.made(f"sound-{number}") for number in range(4)]
        for project in sound:
            await watching.dialect.update(PROJECT_SCHEMA, project.id, {"status": "error", "error": "as if"})

        async def boot() -> None:
            async with host(tmp_path, opening="eager", open_timeout=60.0, boot_concurrency=2, **servers):
                pass

        tasks.start_soon(boot)
        with anyio.fail_after(50):
            while len((await watching.projects.list(None, status="active")).projects) < 12:
                await anyio.sleep(0.05)
        tasks.cancel_scope.cancel()


@pytest.mark.slow
@pytest.mark.asyncio_only
async def test_silent_servers_are_given_up(tmp_path: Path, silent_port: int) -> None:
    """Each is in error when its time is over, with a reason that shows no password."""
    servers = {"allowed_hosts": ["127.0.0.1"], "allowed_ports": [silent_port]}
    async with host(tmp_path, manager=OwnManager(), **servers) as at:
        await at.made("silent", uri=f"postgresql://a:secret@127.0.0.1:{silent_port}/db")
    async with host(tmp_path, opening="eager", open_timeout=0.5, **servers) as at:
        (row,) = (await at.rows()).values()
        assert row["status"] == "error"
        assert "secret" not in repr(row)


@pytest.mark.slow
@pytest.mark.asyncio_only
@pytest.mark.postgres
async def test_servers_that_come_back(tmp_path: Path) -> None:
    """A port that was closed, and one that never answered: their projects are active again without anybody's doing."""
    with postgres_databases(2) as uris, socket.create_server(("127.0.0.1", 0)) as silent, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        ports = [silent.getsockname()[1], closed.getsockname()[1]]
        settings = {"allowed_hosts": ["127.0.0.1"], "allowed_ports": ports}
        async with host(tmp_path, manager=OwnManager(), **settings) as at:
            for uri, port in zip(uris, ports, strict=True):
                there = urlsplit(uri)
                netloc = f"{there.netloc.rpartition(':')[0]}:{port}"
                await at.made(f"on-{port}", uri=there._replace(netloc=netloc).geturl())
        again = {"retry_first": 0.2, "retry_longest": 0.5, "open_timeout": 2.0, "opening": "eager"}
        async with host(tmp_path, **settings, **again) as at:
            assert [row["status"] for row in (await at.rows()).values()] == ["error"] * 2
            silent.close()
            closed.close()
            async with anyio.create_task_group() as tasks:
                for uri, port in zip(uris, ports, strict=True):
                    tasks.start_soon(serve_as, port, urlsplit(uri).port or 5432)
                with anyio.fail_after(60):
                    while any(row["status"] != "active" for row in (await at.rows()).values()):
                        await anyio.sleep(0.05)
                for row in (await at.rows()).values():
                    assert row["error"] is None
                    assert await at.manager.get(row["mproject_name"]).repository("Note").count() == 0
                    await at.projects.pause_project(None, row["id"])
                tasks.cancel_scope.cancel()


async def serve_as(port: int, there: int) -> None:
    """Be the server at another port."""
    async with await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port) as listener:
        await listener.serve(partial(relay, there))


async def relay(port: int, client: SocketStream) -> None:
    """Pass on what a client and the server at a port say to each other."""
    async with client, await anyio.connect_tcp("127.0.0.1", port) as server, anyio.create_task_group() as tasks:

        async def pass_on(here: SocketStream, there: SocketStream) -> None:
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                async for part in here:
                    await there.send(part)
            tasks.cancel_scope.cancel()

        tasks.start_soon(pass_on, client, server)
        tasks.start_soon(pass_on, server, client)


@pytest.mark.slow
@pytest.mark.asyncio_only
async def test_a_boot_longer_than_a_start_may_take(tmp_path: Path) -> None:
    """Eager projects are waited for, however short the time that a plugin has to start."""

    class Slow(OwnManager):
        async def try_project(self, name: str) -> None:
            await anyio.sleep(9.0)
            await super().try_project(name)

    async with host(tmp_path, manager=OwnManager()) as at:
        await at.made()
    slow = Slow()
    async with host(tmp_path, manager=slow, opening="eager", options={"start_timeout": 8.0}) as at:
        assert [state.open for state in at.manager.list()] == [True]


@pytest.mark.parametrize("opening", ["lazy", "eager"])
async def test_without_its_key(tmp_path: Path, opening: str) -> None:
    """A host that lacks the key of one URI serves the others; that one is in error, and says which key."""
    async with host(tmp_path) as at:
        old = await at.made("old")
    async with host(tmp_path, keys=NEW_KEY, opening=opening) as at:
        row = await at.row(old.id)
        assert row["status"] == "error"
        assert row["uri_key"] in row["error"]
        new = await at.made("new")
        assert await at.titles(new) == []
        progress = [one async for one in at.projects.rotate_key()]
        assert progress[-1].unreadable == (old.id,)
        assert (progress[-1].done, progress[-1].total) == (1, 2)
    async with host(tmp_path, keys=f"{NEW_KEY},{KEY}", opening=opening) as at:
        await at.projects.boot_all_projects()
        assert (await at.row(old.id))["status"] == "active"
        await expect_consistent(at)


async def test_a_key_for_many(tmp_path: Path) -> None:
    """Progress is told after each batch; what is done already is not done again."""
    async with host(tmp_path) as at:
        for number in range(5):
            result = await at.projects.provision_project("acme", ProjectConfig(name="x", slug=f"s{number}"))
            assert result.ok
    async with host(tmp_path, keys=f"{NEW_KEY},{KEY}") as at:
        progress = [one async for one in at.projects.rotate_key(batch=2)]
        assert [(one.done, one.total) for one in progress] == [(2, 5), (4, 5), (5, 5)]
        versions = {id: row["version"] for id, row in (await at.rows()).items()}
        assert [one.done async for one in at.projects.rotate_key()] == [5]
        assert {id: row["version"] for id, row in (await at.rows()).items()} == versions
