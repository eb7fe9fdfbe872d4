"""Which errors the document promises of the data plane's routes."""

from __future__ import annotations

import pytest
from objectkernel_system_dialect import errors
from objectkernel_system_dialect.http_errors import errors_of
from objectkernel_system_dialect.problems import status_of_kind
from objectkernel_system_dialect.rest_api import ROUTES


@pytest.mark.parametrize("operation", ROUTES)
def test_what_every_operation_may_say(operation: str) -> None:
    """Errors by what a route is: about one row, with a body, a write, held to If-Match; each once.

    Of those that are the server's own, only the ones that a caller can wait for or write to its operator about.
    """
    route = ROUTES[operation]
    found = errors_of(operation, body=True, held=route.writes)
    assert len(set(found)) == len(found)
    assert (errors.RowMissing in found) == ("{id}" in route.path)
    assert (errors.DuplicateKey in found) == (errors.IdempotencyKeyReused in found) == route.writes
    assert (errors.RowChanged in found) == route.writes
    assert errors.RequestTooLarge in found
    assert errors.RequestTooLarge not in errors_of(operation, body=False, held=False)
    own = {errors.DatabaseUnavailable, errors.DatabaseBusy}
    own |= {errors.DatabaseFull, errors.DatabaseReadOnly} if route.writes else set()
    assert {kind for kind in found if status_of_kind(kind) >= 500} == own
