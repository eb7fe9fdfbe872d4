"""A dialect before others is one method of its own, and a dialect like any other for it."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any, cast

import anyio
import attrs
import pytest
from objectkernel_system_dialect.contracts import (
    DatabaseUnavailable,
    Dialect,
    EntitySchema,
    Field,
    ForwardingDialect,
    TenantRequired,
)
from objectkernel_system_dialect.sqlite_dialect import open_sqlite
from objectkernel_system_dialect.testing import Dialects, DialectSuite

pytestmark = pytest.mark.anyio

NOTE = EntitySchema(
    name="Note", collection="notes", fields={"text": Field("string"), "owner": Field("string")}, tenant="owner"
)


@attrs.frozen
class Site:
    """One of several databases."""

    dialect: Dialect


class Live(ForwardingDialect[Site]):
    """The first of some databases.

    Attributes:
        blocks: what is under way, each with its site.
    """

    def __init__(self, sites: deque[Site]) -> None:
        super().__init__()
        self.sites = sites
        self.blocks: list[Site] = []

    @asynccontextmanager
    async def held(self) -> AsyncIterator[Site]:
        if not self.sites:
            raise DatabaseUnavailable("no site", database="sites", reason="test")
        site = self.pinned() or self.sites[0]
        self.blocks.append(site)
        try:
            yield site
        finally:
            self.blocks.remove(site)

    def present(self) -> Dialect:
        return self.sites[0].dialect

    async def aclose(self) -> None:
        for site in self.sites:
            await site.dialect.aclose()


@pytest.fixture(scope="module")
async def dialects(anyio_backend: str) -> AsyncIterator[Dialects]:
    """Such dialects, before one in memory."""

    async def opened() -> Dialect:
        return Live(deque([Site(await open_sqlite(":memory:"))]))

    async with Dialects(opened) as found:
        yield found


@pytest.mark.slow  # `make test` has the suite on the dialect behind it
class TestForwardingDialect(DialectSuite):
    """Every operation by way of `held` alone."""


@pytest.fixture
async def live(anyio_backend: str) -> AsyncIterator[Live]:
    """Before two databases with notes."""
    sites = deque([Site(await open_sqlite(":memory:")) for _ in range(2)])
    for site in sites:
        await site.dialect.register(NOTE)
    async with aclosing(Live(sites)) as live:
        yield live


class Noting:
    """A dialect that answers each operation with its name and what it was given."""

    def __getattr__(self, name: str) -> Any:
        async def noted(*args: Any, **kwargs: Any) -> Any:
            return name, args, kwargs

        return noted


async def test_it_has_every_operation_of_a_dialect() -> None:
    """Each goes to the operation of its name with its arguments, brings the answer, and is a coroutine function."""
    live = Live(deque([Site(cast("Dialect", Noting()))]))
    operations = [name for name, operation in vars(Dialect).items() if inspect.iscoroutinefunction(operation)]
    assert len(operations) > 20
    for name in set(operations) - {"register", "aclose"}:
        assert await getattr(live, name)(NOTE, "argument", option=1) == (name, (NOTE, "argument"), {"option": 1})
        assert inspect.iscoroutinefunction(getattr(live, name))
    assert not live.blocks


async def test_each_call_asks_anew(live: Live) -> None:
    """Also what is answered at once; what is behind a stream or a call that is under way stays."""
    await live.create_many(NOTE, [{"text": "first"}, {"text": "second"}])
    async with aclosing(cast("Any", live.stream(NOTE, sort={"text": 1}, batch=1))) as rows:
        assert (await anext(rows))["text"] == "first"
        live.sites.rotate()
        assert (await anext(rows))["text"] == "second"
        assert live.blocks == [live.sites[1]]
        assert await live.count(NOTE) == 0
    assert not live.blocks
    more = EntitySchema(name="More", collection="more", fields={"text": Field("string")})
    await live.register(more)
    assert live.schemas() == (NOTE, more)
    assert live.table(more).name == "more"
    live.sites.rotate()
    assert live.schemas() == (NOTE,)


async def test_a_transaction_stays_where_it_began(live: Live) -> None:
    """In its task and those it starts, within another dialect's too; a task that outlives it is free."""
    first, second = live.sites
    over = anyio.Event()

    async def within() -> None:
        await live.create(NOTE, {"text": "within"})
        await over.wait()
        await live.create(NOTE, {"text": "behind"})

    async with anyio.create_task_group() as group:
        other = Live(deque([second]))
        async with live.transaction(), other.transaction():
            live.sites.rotate()
            group.start_soon(within)
            await anyio.wait_all_tasks_blocked()
            await live.as_tenant("ada").create(NOTE, {"text": "of a tenant"})
            await other.create(NOTE, {"text": "of the other"})
        over.set()
    assert sorted(await first.dialect.distinct(NOTE, "text")) == ["of a tenant", "within"]
    assert sorted(await second.dialect.distinct(NOTE, "text")) == ["behind", "of the other"]


async def test_a_transaction_that_fails_is_undone(live: Live) -> None:
    """The error comes out of the block, and nothing is under way any more."""
    with pytest.raises(ZeroDivisionError):
        async with live.transaction():
            await live.create(NOTE, {"text": "x"})
            raise ZeroDivisionError
    assert await live.count(NOTE) == 0
    assert not live.blocks


async def test_a_tenants_view(live: Live) -> None:
    """It sees its rows on each database in turn, and is the view of nobody else."""
    ada, bob = live.as_tenant("ada"), live.as_tenant("bob")
    for _ in range(2):
        for view in (ada, bob, ada):
            await view.create(NOTE, {"text": "x"})
        assert (await ada.count(NOTE), await bob.count(NOTE), await live.count(NOTE)) == (2, 1, 3)
        live.sites.rotate()
    same = ada.as_tenant("ada")
    live.sites.rotate()
    assert await same.count(NOTE) == 2
    for refused in ("bob", None):
        with pytest.raises(TenantRequired):
            ada.as_tenant(refused)


async def test_a_view_is_refused_by_its_first_operation(live: Live) -> None:
    """Where there is nothing yet to ask: another tenant's view is never had from a tenant's."""
    for refused in (live.as_tenant("ada").view("bob"), live.view(None)):
        with pytest.raises(TenantRequired):
            await refused.count(NOTE)
        with pytest.raises(TenantRequired):
            async with refused.transaction():
                pass
        assert not live.blocks


async def test_nothing_to_forward_to(live: Live) -> None:
    """What `held` raises is what the operation raises."""
    live.sites, sites = deque(), live.sites
    with pytest.raises(DatabaseUnavailable):
        await live.count(NOTE)
    live.sites = sites
