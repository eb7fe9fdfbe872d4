"""The settings of acme-tax."""

from __future__ import annotations

import attrs

from acme_tax.rates import STANDARD_RATES


@attrs.frozen(kw_only=True)
class TaxConfig:
    """`[plugins.acme-tax]` in the host's configuration."""

    country: str = attrs.field(default="DE", validator=attrs.validators.in_(STANDARD_RATES))
    """The country whose rate is used when a caller names none."""
