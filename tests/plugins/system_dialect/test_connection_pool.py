"""A pool of connections, on a server that is make-believe: who gets one, who waits, and what is closed when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import attrs
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given, settings
from hypothesis import strategies as st
from objectkernel_system_dialect import connection_pool
from objectkernel_system_dialect.connection_limit import ConnectionLimit
from objectkernel_system_dialect.connection_pool import ConnectionPool, Driver, Held
from objectkernel_system_dialect.errors import DatabaseBusy

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The only event loop that the drivers know."""
    return "asyncio"


@attrs.define(eq=False)
class Line:
    """A connection."""

    number: int
    is_open: bool = True
    ended: Callable[[], None] | None = None


class Server:
    """A server, and the driver to it. Whatever it does takes some turns of the event loop.

    Attributes:
        lines: those that are open on the server, also where this end knows no more of them.
        peak: the most that were.
        refuses: new connections fail.
        recovers: what was broken off can be used again.
        hold: while it is set, leaving waits for it.
    """

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.made = 0
        self.peak = 0
        self.refuses = False
        self.recovers = True
        self.hold: asyncio.Event | None = None

    async def connect(self) -> Line:
        await checkpoint()
        if self.refuses:
            raise ConnectionError("refused")
        self.made += 1
        line = Line(self.made)
        self.lines.append(line)
        self.peak = max(self.peak, len(self.lines))
        try:
            await checkpoint()
        except BaseException:
            self.drop(line)
            raise
        return line

    def watch(self, line: Line, ended: Callable[[], None]) -> None:
        line.ended = ended

    def is_open(self, line: Line) -> bool:
        return line.is_open

    async def recover(self, line: Line) -> bool:
        await checkpoint()
        return self.recovers and line.is_open

    async def leave(self, line: Line) -> None:
        line.is_open = False
        if self.hold is not None:
            await self.hold.wait()
        await checkpoint()
        self.drop(line)

    def drop(self, line: Line) -> None:
        line.is_open = False
        if line in self.lines:
            self.lines.remove(line)

    def kill(self, line: Line) -> None:
        """End a connection, of which the other end hears."""
        self.drop(line)
        assert line.ended is not None
        line.ended()


_is_a_driver: type[Driver[Line]] = Server


def pool_of(server: Server, size: int = 2, **options: Any) -> ConnectionPool[Line]:
    return ConnectionPool(server, **{"size": size, "timeout": 30.0, "place": "the database", **options})


@asynccontextmanager
async def lent(pool: ConnectionPool[Line]) -> AsyncIterator[Held[Line]]:
    held = await pool.lend()
    try:
        yield held
    finally:
        pool.take_back(held)


async def use(pool: ConnectionPool[Line], turns: int = 1) -> int:
    """Use a connection for some turns of the event loop; which one it was."""
    async with lent(pool) as held:
        for _ in range(turns):
            await checkpoint()
        return held.connection.number


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(30):
        while not condition():
            await anyio.sleep(0.001)


# --- one pool ---------------------------------------------------------------------------------------------


async def test_connections_are_made_when_needed() -> None:
    """Nothing is connected before somebody asks; one after another use the same; together, as many as there may be."""
    server = Server()
    pool = pool_of(server, 3)
    assert server.made == 0
    assert [await use(pool) for _ in range(3)] == [1, 1, 1]
    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(use, pool)
    assert (server.made, server.peak) == (3, 3)
    await pool.aclose()
    assert server.lines == []


async def test_whoever_waits_longest_is_next() -> None:
    """Those who wait get a connection in the order in which they came."""
    pool, order = pool_of(Server(), 1), list[int]()

    async def come(number: int) -> None:
        async with lent(pool):
            order.append(number)
            await checkpoint()

    async with anyio.create_task_group() as tasks, lent(pool):
        for number in range(5):
            tasks.start_soon(come, number)
            await anyio.wait_all_tasks_blocked()
        assert pool.usage().waiting == {"connection": 5}
    assert order == [0, 1, 2, 3, 4]
    await pool.aclose()


async def test_whoever_waits_too_long_is_told() -> None:
    """The error says which bound it was, and the one who waited is gone from the queue."""
    pool = pool_of(Server(), 1, timeout=0.01)
    async with lent(pool):
        with pytest.raises(DatabaseBusy) as caught:
            await pool.lend()
        assert caught.value.facts["reason"] == "pool"
        assert caught.value.why == ("all 1 connections of the pool are in use",)
    assert await use(pool) == 1
    await pool.aclose()


async def test_a_connection_that_cannot_be_made_blocks_nobody() -> None:
    """Each of those who wait tries for itself, and gets its own error; when the server is back all is well."""
    server, errors = Server(), list[Exception]()
    pool = pool_of(server, 2)
    server.refuses = True

    async def come() -> None:
        try:
            await pool.lend()
        except ConnectionError as error:
            errors.append(error)

    async with anyio.create_task_group() as tasks:
        for _ in range(7):
            tasks.start_soon(come)
    assert len(errors) == 7
    server.refuses = False
    assert await use(pool) == 1
    await pool.aclose()


async def test_a_dead_connection_is_replaced() -> None:
    """One that has ended while it rested is not lent, whether the driver told of it or only knows."""
    server = Server()
    pool = pool_of(server, 1)
    await use(pool)
    server.kill(server.lines[0])
    assert (pool.usage().idle, await use(pool)) == (0, 2)
    server.lines[0].is_open = False
    assert await use(pool) == 3
    held = await pool.lend()
    server.kill(held.connection)
    pool.take_back(held)
    assert await use(pool) == 4
    await pool.aclose()


@pytest.mark.parametrize("recovers", [True, False])
async def test_what_was_broken_off_is_seen_to(recovers: bool) -> None:
    """A doubtful connection is used again only where the driver could recover it; those who wait do so meanwhile."""
    server = Server()
    server.recovers = recovers
    pool = pool_of(server, 1)
    held = await pool.lend()
    pool.take_back(held, "doubtful")
    assert pool.usage().idle == 0
    assert await use(pool) == (1 if recovers else 2)
    assert len(server.lines) == 1
    pool.take_back(await pool.lend(), "bad")
    assert server.lines == []
    await pool.aclose()


async def test_the_end_waits_for_those_in_use() -> None:
    """Whoever has a connection, or waits for one already, finishes; then all are closed, also those being closed."""
    server, done = Server(), list[int]()
    pool = pool_of(server, 1)

    async def come() -> None:
        done.append(await use(pool, 5))

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(come)
        await checkpoint()
        await pool.aclose()
        assert (done, server.lines) == ([1, 1, 1], [])


async def test_idle_connections_go_but_for_the_least(monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody has used for a while is closed, as long as more are open than the least."""
    monkeypatch.setattr(connection_pool, "IDLE_LIFETIME", 0.02)
    server = Server()
    pool = pool_of(server, 5, least=2)
    async with lent(pool), lent(pool), lent(pool), lent(pool):
        pass
    assert len(server.lines) == 4
    await until(lambda: len(server.lines) == 2)
    await anyio.sleep(0.1)
    assert (len(server.lines), server.made) == (2, 4)
    await pool.aclose()


async def test_a_loop_that_has_ended() -> None:
    """From another event loop the idle connections are dropped without a word, and their places are free."""
    limit, server = ConnectionLimit(2), Server()

    async def elsewhere() -> ConnectionPool[Line]:
        pool = pool_of(server, limit=limit)
        await use(pool)
        return pool

    pool = await asyncio.to_thread(asyncio.run, elsewhere())
    assert (limit.open, len(server.lines)) == (1, 1)
    pool.drop_idle()
    assert (limit.open, len(server.lines)) == (0, 0)


# --- many pools, one limit -----------------------------------------------------------------------------------


def test_a_limit_lets_somebody_in() -> None:
    """A limit of nothing is refused."""
    with pytest.raises(ValueError, match="nobody"):
        ConnectionLimit(0)


async def test_idle_connections_make_room() -> None:
    """Of all pools the idle connection goes that was used longest ago, also below the least of its pool."""
    server, limit = Server(), ConnectionLimit(3)
    pools = [pool_of(server, limit=limit, least=2) for _ in range(4)]
    for pool in (pools[1], pools[0], pools[2], pools[1]):
        await use(pool)
    await use(pools[3])
    assert [pool.usage().idle for pool in pools] == [0, 1, 1, 1]
    assert (limit.open, limit.peak, server.peak) == (3, 3, 3)
    for pool in pools:
        await pool.aclose()
    assert limit.open == 0


async def test_a_place_is_free_when_the_server_has_let_go() -> None:
    """Nobody connects in the place of a connection whose end the server has not confirmed."""
    server, limit = Server(), ConnectionLimit(1)
    one, other = pool_of(server, limit=limit), pool_of(server, limit=limit)
    await use(one)
    server.hold = asyncio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(use, other)
        await anyio.wait_all_tasks_blocked()
        assert (limit.waiting, limit.leaving, server.made) == (1, 1, 1)
        server.hold.set()
    assert (server.made, server.peak) == (2, 1)
    await one.aclose()
    await other.aclose()


async def test_the_limit_is_named() -> None:
    """Whoever gets no place in time is told of the limit and its setting, not of the pool."""
    limit = ConnectionLimit(1, setting="max_connections_total")
    one, other = (pool_of(Server(), limit=limit, timeout=0.01) for _ in range(2))
    async with lent(one):
        for attempt in (other.lend(), other.beside().__aenter__()):
            with pytest.raises(DatabaseBusy) as caught:
                await attempt
            assert caught.value.facts["reason"] == "limit"
            assert "max_connections_total" in caught.value.why[0] and "max_connections_total" in caught.value.fix
    assert limit.waiting == 0
    await one.aclose()
    await other.aclose()


async def test_a_busy_pool_uses_its_own_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who wait in a pool get its connections, not new ones in their place, as long as no other pool waits."""
    monkeypatch.setattr(connection_pool, "TURN", 0.0)
    server, limit = Server(), ConnectionLimit(3)
    pool = pool_of(server, 10, limit=limit)
    async with anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(use, pool, 3)
    assert (server.made, limit.waiting, limit.open) == (3, 0, 3)
    await pool.aclose()


async def test_a_busy_pool_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool in which somebody always waits gives a connection up when its turn is over and another pool waits."""
    monkeypatch.setattr(connection_pool, "TURN", 0.0)
    server, limit, ended = Server(), ConnectionLimit(1), False
    busy, other = pool_of(server, limit=limit), pool_of(server, limit=limit)

    async def work() -> None:
        while not ended:
            await use(busy)

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(work)
        with anyio.fail_after(30):
            for _ in range(10):
                await use(other)
        ended = True
    assert server.peak == 1
    await busy.aclose()
    await other.aclose()


async def test_a_turn_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before its turn is over a connection stays with the pool in which somebody waits; idle, it goes at once."""
    monkeypatch.setattr(connection_pool, "TURN", 3600.0)
    server, limit, order = Server(), ConnectionLimit(1), list[str]()
    busy, other = pool_of(server, limit=limit), pool_of(server, limit=limit)

    async def come(name: str, pool: ConnectionPool[Line]) -> None:
        await use(pool)
        order.append(name)

    async with anyio.create_task_group() as tasks, lent(busy):
        tasks.start_soon(come, "other", other)
        await anyio.wait_all_tasks_blocked()
        for _ in range(3):
            tasks.start_soon(come, "busy", busy)
        await anyio.wait_all_tasks_blocked()
    assert order == ["busy", "busy", "busy", "other"]
    await busy.aclose()
    await other.aclose()


async def test_a_spare_connection_waits_for_nobody() -> None:
    """What ends another connection takes an idle one, or a place that is free, or else goes beyond the limit alone."""
    server, limit = Server(), ConnectionLimit(2)
    one, other = pool_of(server, limit=limit), pool_of(server, limit=limit)
    await use(one)
    async with one.spare() as line:
        assert (line.number, one.usage().idle) == (1, 0)
    assert one.usage().idle == 1
    async with other.spare() as line:
        assert (line.number, limit.open) == (2, 2)
    async with lent(one), lent(other):
        together: list[int] = []

        async def speak() -> None:
            async with other.spare():
                together.append(len(server.lines))
                await checkpoint()

        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(speak)
        assert (together, limit.peak, server.peak) == ([3] * 4, 2, 3)
    with pytest.raises(ZeroDivisionError):
        async with one.spare():
            raise ZeroDivisionError
    assert (one.usage().idle, limit.open) == (0, 1)
    await one.aclose()
    await other.aclose()
    assert limit.open == 0


async def test_what_was_begun_for_somebody_who_left() -> None:
    """A connection that is being made when its caller is cancelled is for the next one, and counted all the while."""
    server, limit = Server(), ConnectionLimit(1)
    pool = pool_of(server, 1, limit=limit)
    with anyio.CancelScope() as scope:
        asyncio.get_running_loop().call_soon(scope.cancel)
        await use(pool)
    assert limit.open == 1
    assert (await use(pool), server.made, server.peak) == (1, 1, 1)
    with anyio.CancelScope() as scope:
        pool.take_back(await pool.lend(), "bad")
        asyncio.get_running_loop().call_soon(scope.cancel)
        await use(pool)
    await pool.aclose()  # which waits for no connection that nobody wants
    assert (limit.open, server.lines) == (0, [])


@settings(max_examples=60, deadline=None)
@given(
    most=st.integers(1, 4),
    users=st.lists(
        st.tuples(
            st.integers(0, 3),  # the pool
            st.integers(0, 6),  # when it comes, in turns of the event loop
            st.integers(0, 4),  # how long it works
            st.sampled_from(["good", "doubtful", "bad", "cancelled", "killed", "beside", "refused"]),
        ),
        max_size=40,
    ),
    recovers=st.booleans(),
)
def test_places_are_neither_lost_nor_invented(
    most: int, users: list[tuple[int, int, int, str]], recovers: bool
) -> None:
    """Whoever comes, is cancelled or loses a connection: there are never more than may be, all who stay are served,
    and at the end every place is free."""

    async def run() -> None:
        server, limit, served = Server(), ConnectionLimit(most), 0
        server.recovers = recovers
        pools = [pool_of(server, 2, limit=limit) for _ in range(4)]

        async def come(pool: ConnectionPool[Line], after: int, turns: int, kind: Any) -> None:
            nonlocal served
            for _ in range(after):
                await checkpoint()
            if kind == "beside":
                with suppress(ConnectionError):
                    async with pool.beside():
                        await server.leave(await server.connect())
                served += 1
                return
            with anyio.CancelScope() as scope:
                if kind == "cancelled":
                    asyncio.get_running_loop().call_soon(scope.cancel)
                if kind == "refused":
                    server.refuses = True
                try:
                    held = await pool.lend()
                except ConnectionError:
                    server.refuses = False
                    served += 1
                    return
                server.refuses = False
                try:
                    for _ in range(turns):
                        await checkpoint()
                    if kind == "killed" and held.connection.is_open:
                        server.kill(held.connection)
                finally:
                    broken = scope.cancel_called or kind == "doubtful"
                    pool.take_back(held, "doubtful" if broken else "bad" if kind == "bad" else "good")
                served += 1
            if scope.cancelled_caught:
                served += 1

        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                for pool, after, turns, kind in users:
                    tasks.start_soon(come, pools[pool], after, turns, kind)
            assert served == len(users)
            assert limit.waiting == 0
            for pool in pools:
                await pool.aclose()
        assert (limit.open, limit.leaving, server.lines) == (0, 0, [])
        assert server.peak <= limit.peak <= most

    asyncio.run(run())
