"""Value added tax as a service of an objectkernel host."""

from acme_tax.contracts import TAX, TaxCalculator, Taxed

__all__ = ["TAX", "TaxCalculator", "Taxed"]
