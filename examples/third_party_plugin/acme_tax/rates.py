"""Standard rates of value added tax, and the sum that is made with them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from acme_tax.contracts import Taxed

STANDARD_RATES: Final[Mapping[str, Decimal]] = {
    "AT": Decimal(20),
    "DE": Decimal(19),
    "FR": Decimal(20),
    "NL": Decimal(21),
}
"""Percent by country, as of 2024."""

_CENT: Final = Decimal("0.01")


class StandardRates:
    """Adds each country's standard rate."""

    def __init__(self, country: str) -> None:
        self._country = country

    def add_tax(self, net: Decimal, country: str | None = None) -> Taxed:
        rate = STANDARD_RATES.get(country or self._country)
        if rate is None:
            raise LookupError(f"no rate is known for {country!r}; known are {', '.join(STANDARD_RATES)}")
        tax = (net * rate / 100).quantize(_CENT, ROUND_HALF_UP)
        return Taxed(net=net.quantize(_CENT, ROUND_HALF_UP), tax=tax)
