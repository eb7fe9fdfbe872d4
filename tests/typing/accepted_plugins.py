"""Plugins that a type checker accepts, and what it infers inside of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from typing import assert_type

from contracts import (
    CACHE,
    DATABASE,
    LEDGER,
    RULES,
    SESSION,
    TENANT,
    BillingConfig,
    Cache,
    Database,
    Ledger,
    MemoryCache,
    MemoryLedger,
    OrderPaid,
    Rule,
    Session,
    Tenant,
)
from objectkernel import (
    Plugin,
    PluginContext,
    PluginDef,
    background,
    collects,
    configured_by,
    contributes,
    hookimpl,
    lifespan,
    needs,
    on,
    provides,
    wants,
)


class Billing(Plugin):
    """Everything that a plugin may declare."""

    name = "example-billing"
    config = configured_by(BillingConfig)
    db = needs(DATABASE, version=">=1.2")
    cache = wants(CACHE)
    late = wants(CACHE, late=True)
    rules = collects(RULES)

    @provides(LEDGER)
    async def ledger(self) -> AsyncIterator[Ledger]:
        assert_type(self.db, Database)
        assert_type(self.cache, Cache | None)
        assert_type(self.late, Cache | None)
        assert_type(self.rules, tuple[Rule, ...])
        assert_type(self.config, BillingConfig)
        assert_type(self.config.currency, str)
        assert_type(self.context, PluginContext)
        assert_type(self.context.get(DATABASE), Database)
        assert_type(await self.context.aget(DATABASE), Database)
        yield MemoryLedger()

    @contributes(RULES)
    def rule(self) -> Rule:
        return Rule()

    @lifespan
    async def warm(self) -> AsyncIterator[None]:
        yield

    @lifespan(uses=("db",))
    def open(self) -> Iterator[None]:
        yield

    @background
    async def reconcile(self) -> None:
        self.log.info("reconciled")

    @background(on_crash="restart")
    async def forward(self) -> None:
        await self.context.emit(OrderPaid(order="1"))

    @on(OrderPaid)
    async def order_paid(self, event: OrderPaid) -> None:
        assert_type(event.order, str)

    @on(OrderPaid)
    def count(self, event: OrderPaid) -> None:
        assert_type(event.order, str)

    @on(OrderPaid)
    def archive(self, event: object) -> None:
        """A handler of more than it is sent."""

    @hookimpl
    async def kernel_ready(self, kernel: PluginContext) -> None:
        assert_type(kernel.get(LEDGER), Ledger)


class Returns(Plugin):
    """A provider as a plain function, of a Protocol and of what satisfies it."""

    name = "example-returns"

    @provides(LEDGER)
    def declared(self) -> Ledger:
        return MemoryLedger()

    @provides(LEDGER)
    def precise(self) -> MemoryLedger:
        return MemoryLedger()


class Awaits(Plugin):
    """A provider as a coroutine function, of an ABC and of what inherits from it."""

    name = "example-awaits"

    @provides(CACHE)
    async def declared(self) -> Cache:
        return MemoryCache()

    @provides(CACHE, lifetime="lazy")
    async def precise(self) -> MemoryCache:
        return MemoryCache()


class Yields(Plugin):
    """A provider as a generator of either kind, under either name of its type."""

    name = "example-yields"

    @provides(DATABASE)
    def iterator(self) -> Iterator[Database]:
        yield Database()

    @provides(DATABASE)
    def generator(self) -> Generator[Database, None, None]:
        yield Database()

    @provides(LEDGER)
    async def async_iterator(self) -> AsyncIterator[MemoryLedger]:
        yield MemoryLedger()

    @provides(LEDGER)
    async def async_generator(self) -> AsyncGenerator[Ledger, None]:
        yield MemoryLedger()


class Scoped(Plugin):
    """A service of a request, and what a request comes with."""

    name = "example-scoped"
    tenant = needs(TENANT)

    @provides(SESSION, lifetime="scoped")
    async def session(self) -> AsyncIterator[Session]:
        assert_type(self.tenant, Tenant)
        yield Session()


functions = PluginDef("example-functions", version="1.0")


@functions.provides(LEDGER, needs={"db": DATABASE, "rules": RULES, "cache": wants(CACHE)})
async def ledger(db: Database, rules: tuple[Rule, ...], cache: Cache | None) -> AsyncIterator[Ledger]:
    yield MemoryLedger()


@functions.provides(CACHE, lifetime="transient")
def cache() -> MemoryCache:
    return MemoryCache()


@functions.contributes(RULES)
def rule() -> Rule:
    return Rule()


@functions.lifespan(needs={"db": DATABASE})
async def warm(db: Database) -> AsyncIterator[None]:
    yield


@functions.background(on_crash="degrade")
async def reconcile() -> None: ...


@functions.on(OrderPaid, needs={"db": DATABASE})
async def paid(event: OrderPaid, db: Database) -> None: ...


async def unit_test() -> None:
    """A plugin without a kernel; the decorators leave the methods as they are."""
    billing = Billing.fake(db=Database(), config=BillingConfig(currency="CHF"))
    assert_type(billing, Billing)
    assert_type(billing.rule(), Rule)
    assert_type(Returns().precise(), Ledger)  # a provided object is what its key says
    await billing.order_paid(OrderPaid(order="1"))
    assert_type(await Awaits().declared(), Cache)
    async for made in billing.ledger():
        assert_type(made, Ledger)
    for database in Yields().iterator():
        assert_type(database, Database)
