"""How much one request may send."""

from __future__ import annotations

import pytest
from objectkernel_http import HttpLimits


@pytest.mark.parametrize("name", ["body_bytes", "header_bytes", "body_seconds", "body_rate"])
def test_a_limit_is_more_than_nothing(name: str) -> None:
    """A limit of 0 would refuse everything."""
    with pytest.raises(ValueError, match=name):
        HttpLimits(**{name: 0})
