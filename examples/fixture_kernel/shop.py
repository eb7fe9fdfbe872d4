"""A small shop: prices, a till that needs them, and a receipt printer that it would like to have."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

import attrs
from objectkernel import Plugin, Service, configured_by, needs, provides, wants


class Prices(Protocol):
    """Tells what an article costs, in cents."""

    async def of(self, article: str) -> int: ...


class Printer(Protocol):
    """Prints a line on paper."""

    def print(self, line: str) -> None: ...


class Till:
    """Adds up what is bought."""

    def __init__(self, prices: Prices, printer: Printer | None, currency: str) -> None:
        self.prices = prices
        self.printer = printer
        self.currency = currency
        self.total = 0

    async def scan(self, article: str) -> None:
        price = await self.prices.of(article)
        self.total += price
        if self.printer is not None:
            self.printer.print(f"{article} {price / 100:.2f} {self.currency}")


PRICES = Service[Prices]("shop.prices")
PRINTER = Service[Printer]("shop.printer")
TILL = Service[Till]("shop.till")


class ListedPrices:
    """Prices from a list."""

    def __init__(self, listed: dict[str, int]) -> None:
        self.listed = listed

    async def of(self, article: str) -> int:
        return self.listed[article]


class PriceList(Plugin):
    name = "shop-price-list"

    @provides(PRICES)
    def prices(self) -> Prices:
        return ListedPrices({"bread": 250, "milk": 120})


@attrs.frozen
class TillConfig:
    currency: str = "EUR"


class Checkout(Plugin):
    name = "shop-checkout"
    config = configured_by(TillConfig)
    prices = needs(PRICES)
    printer = wants(PRINTER)

    @provides(TILL)
    async def till(self) -> AsyncIterator[Till]:
        till = Till(self.prices, self.printer, self.config.currency)
        yield till
        till.total = 0
