"""Hosts that a type checker accepts, and what it infers of a kernel's answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, assert_type

from accepted_plugins import Billing, Yields, functions
from contracts import (
    CACHE,
    DATABASE,
    LEDGER,
    RULES,
    SESSION,
    TENANT,
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
from objectkernel import KernelError, ObjectKernel, Scope


def compose() -> ObjectKernel:
    """Classes, instances and functional plugins, and services of the host."""
    kernel = ObjectKernel(plugins=[Billing, Yields(), functions], config=Path("objectkernel.toml"), discover=False)
    assert_type(kernel.use(Billing()), ObjectKernel)
    assert_type(kernel.provide(LEDGER, MemoryLedger()), ObjectKernel)
    assert_type(kernel.provide(CACHE, MemoryCache()), ObjectKernel)
    assert_type(kernel.check(), tuple[KernelError, ...])
    return kernel


async def ask() -> None:
    """Every way to a service gives the type of its key."""
    async with compose() as kernel:
        assert_type(kernel, ObjectKernel)
        assert_type(kernel.get(LEDGER), Ledger)
        assert_type(kernel.get(CACHE), Cache)
        assert_type(kernel.get(DATABASE), Database)
        assert_type(kernel.get_service("example.ledger"), Any)
        assert_type(await kernel.aget(LEDGER), Ledger)
        assert_type(kernel.contributions(RULES), tuple[Rule, ...])
        async with kernel.lease(LEDGER) as ledger:
            assert_type(ledger, Ledger)
            assert_type(ledger.balance("cash"), int)
        async with kernel.scope("request", {TENANT: Tenant()}) as scope:
            assert_type(scope, Scope)
            assert_type(await scope.aget(SESSION), Session)
            assert_type(scope.get(TENANT), Tenant)
        async with kernel.override(LEDGER, MemoryLedger()):
            await kernel.replace(CACHE, MemoryCache())
            await kernel.restore(CACHE)


async def tell(kernel: ObjectKernel) -> None:
    """Events and their handlers."""

    async def record(event: OrderPaid) -> None: ...

    def count(event: object) -> None: ...

    kernel.on(OrderPaid, record).end()
    kernel.on(OrderPaid, count)
    await kernel.emit(OrderPaid(order="1"))
    assert_type(await kernel.notify(OrderPaid(order="1")), tuple[Exception, ...])
    kernel.emit_sync(OrderPaid(order="1"))


def block() -> None:
    """A host without an event loop."""
    with compose().portal() as kernel:
        assert_type(kernel.get(LEDGER), Ledger)
