"""Which errors a route answers with: what is declared on its function."""

from __future__ import annotations

import pytest
from objectkernel.errors import KernelError
from objectkernel_contracts import Raised, raised_by, raises


class Sold(KernelError):
    """It is sold."""

    code = "S1"
    http_status = 409


class Lost(KernelError):
    """Nobody knows where it is."""

    code = "S2"


def test_a_class_says_its_status() -> None:
    """Or the declaration does, for those that leave it to their routes."""

    @raises(Sold)
    def buy() -> None: ...

    @raises(Sold, Lost, status=lambda kind: 404 if kind is Lost else 410)
    def find() -> None: ...

    assert raised_by(buy) == (Raised(Sold, 409),)
    assert raised_by(find) == (Raised(Sold, 410), Raised(Lost, 404))
    assert raised_by(lambda: None) == ()


def test_what_is_said_of_a_request_that_is_not_taken() -> None:
    """One of the errors may stand for what the host says of it, named beside the others or among them."""
    assert raised_by(raises(Sold, invalid=Sold)(lambda: None)) == (Raised(Sold, 409, invalid=True),)
    found = raised_by(raises(Sold, status=lambda kind: 410, invalid=Lost)(lambda: None))
    assert found == (Raised(Sold, 410), Raised(Lost, 410, invalid=True))


def test_an_error_that_tells_nothing_is_not_declared() -> None:
    """Without a status a host answers 500, and says nothing of what happened."""
    with pytest.raises(TypeError, match="Lost has no http_status"):
        raises(Lost)
