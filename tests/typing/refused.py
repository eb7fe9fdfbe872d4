"""What a type checker must refuse.

Each line that it must refuse says so, to mypy and to basedpyright; both run with unnecessary comments as errors, so
an accepted mistake fails the check.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from contracts import (
    CACHE,
    DATABASE,
    LEDGER,
    RULES,
    SESSION,
    Cache,
    Database,
    Ledger,
    OrderPaid,
    OrderSent,
    Rule,
)
from objectkernel import (
    ObjectKernel,
    Plugin,
    PluginDef,
    background,
    collects,
    configured_by,
    contributes,
    lifespan,
    needs,
    on,
    provides,
    wants,
)


class NotALedger:
    """It lacks what the Protocol asks for."""


def takes_ledger(ledger: Ledger) -> None: ...


def takes_cache(cache: Cache) -> None: ...


def takes_database(database: Database) -> None: ...


def takes_rules(rules: list[Rule]) -> None: ...


class Keys(Plugin):
    """The wrong kind of key."""

    name = "refused-keys"
    need = needs(RULES)  # type: ignore[arg-type, var-annotated]  # pyright: ignore[reportArgumentType]
    want = wants(RULES)  # type: ignore[arg-type, var-annotated]  # pyright: ignore[reportArgumentType]
    rules = collects(DATABASE)  # type: ignore[arg-type, var-annotated]  # pyright: ignore[reportArgumentType]
    text = needs("example.database")  # type: ignore[arg-type, var-annotated]  # pyright: ignore[reportArgumentType]
    settings = configured_by(OrderPaid(order="1"))  # type: ignore[arg-type, var-annotated]  # pyright: ignore[reportArgumentType]


class Reads(Plugin):
    """Attributes that are used as what they are not."""

    name = "refused-reads"
    db = needs(DATABASE)
    cache = wants(CACHE)
    rules = collects(RULES)

    def use(self) -> None:
        takes_ledger(self.db)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        takes_cache(self.cache)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        self.cache.read("a")  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
        takes_rules(self.rules)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


class Forms(Plugin):
    """Providers of something else, in each form."""

    name = "refused-forms"

    @provides(LEDGER)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    def value(self) -> NotALedger:
        return NotALedger()

    @provides(LEDGER)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    async def coroutine(self) -> NotALedger:
        return NotALedger()

    @provides(LEDGER)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    def iterator(self) -> Iterator[NotALedger]:
        yield NotALedger()

    @provides(LEDGER)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    async def async_iterator(self) -> AsyncIterator[NotALedger]:
        yield NotALedger()

    @provides(CACHE)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    def abstract(self) -> Ledger:
        raise NotImplementedError  # this file is read by type checkers, and never run

    @provides(DATABASE)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    def optional(self) -> Database | None:
        return None

    @provides(RULES)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    def extension(self) -> Rule:
        return Rule()

    @provides(DATABASE, lifetime="forever")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    def lifetime(self) -> Database:
        return Database()

    @contributes(RULES)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    def contribution(self) -> Database:
        return Database()

    @contributes(RULES)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    async def awaited(self) -> Rule:
        return Rule()

    @contributes(DATABASE)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    def service(self) -> Database:
        return Database()

    @background(on_crash="ignore")  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore[reportArgumentType]
    async def policy(self) -> None: ...

    @background  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]
    def blocking(self) -> None: ...

    @lifespan  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]
    async def no_yield(self) -> None: ...

    @lifespan(uses=("db",))  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]
    def yields_something(self) -> Iterator[Database]:
        yield Database()

    @on(OrderPaid)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    async def handler(self, event: OrderSent) -> None: ...

    @on(OrderPaid)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    def no_event(self) -> None: ...

    @on(OrderPaid(order="1"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    def instance(self, event: OrderPaid) -> None: ...


functions = PluginDef("refused-functions")


@functions.provides(LEDGER)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
async def ledger() -> AsyncIterator[NotALedger]:
    yield NotALedger()


@functions.provides(RULES)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
def extension() -> Rule:
    return Rule()


@functions.contributes(RULES)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
def contribution() -> Database:
    return Database()


@functions.background()  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]
def blocking() -> None: ...


@functions.on(OrderPaid)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
def handler(event: OrderSent) -> None: ...


async def host(kernel: ObjectKernel) -> None:
    """A kernel asked for the wrong thing, or given one."""
    kernel.get(RULES)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    kernel.get("example.ledger")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await kernel.aget(RULES)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    kernel.contributions(LEDGER)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    takes_cache(kernel.get(LEDGER))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    kernel.provide(LEDGER, NotALedger())  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
    kernel.use(NotALedger())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await kernel.replace(CACHE, NotALedger())  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
    kernel.override(CACHE, Database())  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
    kernel.on(OrderPaid, sent)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    async with kernel.lease(RULES):  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        pass
    async with kernel.scope("request", {"example.tenant": 1}) as scope:  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
        takes_database(await scope.aget(SESSION))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def sent(event: OrderSent) -> None: ...
