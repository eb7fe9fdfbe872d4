"""Routes that declare another shape of errors."""

from __future__ import annotations

import pytest
from objectkernel_contracts import error_shape_of, errors_as


def test_what_is_declared_is_read() -> None:
    """On the function itself; without a declaration there is none."""

    @errors_as("oauth")
    def token() -> None: ...

    def plain() -> None: ...

    assert error_shape_of(token) == "oauth"
    assert error_shape_of(plain) is None


def test_a_shape_that_no_host_knows() -> None:
    """It is refused where it is declared."""
    with pytest.raises(ValueError, match="'soap' is no shape of errors: there are oauth, tus, metrics"):
        errors_as("soap")  # type: ignore[arg-type]
