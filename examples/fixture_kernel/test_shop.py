"""How to test with kernels: `kernel_factory` and `kernel` come with objectkernel."""

from __future__ import annotations

from typing import Any

import pytest
from shop import PRICES, PRINTER, TILL, Checkout, ListedPrices, PriceList


class Paper:
    """A printer that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def print(self, line: str) -> None:
        self.lines.append(line)


@pytest.mark.anyio
async def test_the_real_plugins_together(kernel_factory: Any) -> None:
    """In an asynchronous test the factory is awaited; the kernel runs in the test's own event loop."""
    kernel = await kernel_factory([Checkout, PriceList])
    till = kernel.get(TILL)
    await till.scan("bread")
    await till.scan("milk")
    assert till.total == 370


@pytest.mark.anyio
@pytest.mark.objectkernel(plugins=[Checkout, PriceList], overrides={PRINTER: Paper()})
async def test_a_kernel_by_marker(kernel: Any) -> None:
    """`kernel` is composed by the marker; an override gives a service, in the place of its provider if it has one."""
    async with kernel.override(PRICES, ListedPrices({"bread": 1})):
        await kernel.get(TILL).scan("bread")
    assert kernel.get(PRINTER).lines[-1] == "bread 0.01 EUR"


def test_from_blocking_code(kernel_factory: Any) -> None:
    """In a synchronous test the factory is called plainly, and gives a portal to the kernel."""
    paper = Paper()
    kernel = kernel_factory(
        [Checkout, PriceList], overrides={PRINTER: paper}, config={"shop-checkout": {"currency": "CHF"}}
    )
    kernel.call(kernel.get(TILL).scan, "milk")
    assert paper.lines == ["milk 1.20 CHF"]


def test_one_plugin_without_a_kernel() -> None:
    """A fake has what it is given; an unset want is None, and the configuration its defaults."""
    checkout = Checkout.fake(prices=ListedPrices({}))
    assert checkout.printer is None
    assert checkout.config.currency == "EUR"
