"""acme-tax, alone and in a kernel."""

from __future__ import annotations

from decimal import Decimal

import pytest
from acme_tax import TAX
from acme_tax.config import TaxConfig
from acme_tax.plugin import AcmeTax


def test_the_tax_is_rounded_half_up():
    """Half a cent is rounded up, as tax offices want it."""
    taxed = AcmeTax.fake(config=TaxConfig()).tax().add_tax(Decimal("0.50"))
    assert (taxed.net, taxed.tax, taxed.gross) == (Decimal("0.50"), Decimal("0.10"), Decimal("0.60"))


def test_a_country_without_a_rate_is_an_error():
    """No rate is guessed."""
    with pytest.raises(LookupError, match="XX"):
        AcmeTax.fake(config=TaxConfig()).tax().add_tax(Decimal(1), "XX")


def test_the_host_configures_the_country(kernel_factory):
    """In a kernel the country of the host's configuration is used."""
    kernel = kernel_factory(plugins=[AcmeTax()], config={"plugins": {"acme-tax": {"country": "NL"}}})
    assert kernel.get(TAX).add_tax(Decimal(100)).tax == Decimal(21)
