"""What hosts and other plugins import: the key, the Protocol and its value."""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol, runtime_checkable

import attrs
from objectkernel import Service


@attrs.frozen(kw_only=True)
class Taxed:
    """An amount with its tax, each rounded to two places."""

    net: Decimal
    tax: Decimal

    @property
    def gross(self) -> Decimal:
        return self.net + self.tax


@runtime_checkable
class TaxCalculator(Protocol):
    """Knows what the tax on an amount is."""

    def add_tax(self, net: Decimal, country: str | None = None) -> Taxed:
        """The tax on `net` in `country` (ISO 3166, two letters), by default the configured one.

        Raises:
            LookupError: the country's rate is not known.
        """
        ...


TAX = Service[TaxCalculator]("acme.tax")
