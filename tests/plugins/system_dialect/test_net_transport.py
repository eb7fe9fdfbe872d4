"""Transports by name: those that are offered, those that are only known, and those that are neither."""

from __future__ import annotations

from typing import Any

import pytest
from objectkernel_system_dialect.contracts import DialectUnsupported
from objectkernel_system_dialect.net_transport import KNOWN, TRANSPORTS, NetOptions, Transport, transport_maker


@pytest.mark.parametrize("name", sorted(set(KNOWN) - set(TRANSPORTS)))
def test_known_and_not_offered(name: str) -> None:
    """A transport that nobody offers is refused as such, with those that can be had."""
    with pytest.raises(DialectUnsupported) as caught:
        transport_maker(name)
    assert "is known" in caught.value.what
    assert caught.value.why == ("usable now: rest",)


def test_unknown() -> None:
    """A name that is none gets the nearest one."""
    with pytest.raises(DialectUnsupported) as caught:
        transport_maker("rset")
    assert caught.value.facts["near"] == ("rest",)


def test_offered_by_others() -> None:
    """Whoever makes a transport offers it under its name."""

    def make(options: NetOptions) -> Transport:
        raise AssertionError("it is found, and nobody connects")

    more: Any = {**TRANSPORTS, "grpc": make}
    assert transport_maker("grpc", more) is make
    assert transport_maker("rest", more) is TRANSPORTS["rest"]
