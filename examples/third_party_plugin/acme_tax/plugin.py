"""The plugin: found through its entry point, configured by the host."""

from __future__ import annotations

from objectkernel import Plugin, configured_by, provides

from acme_tax.config import TaxConfig
from acme_tax.contracts import TAX, TaxCalculator
from acme_tax.rates import StandardRates


class AcmeTax(Plugin):
    """Provides the tax calculator."""

    name = "acme-tax"
    config = configured_by(TaxConfig)

    @provides(TAX)
    def tax(self) -> TaxCalculator:
        return StandardRates(self.config.country)
