"""How much may be sent, how slowly, and how often: the numbers alone."""

from __future__ import annotations

import ipaddress
from typing import Any

import attrs
from attrs.validators import ge, gt

LOOPBACK = ("127.0.0.0/8", "::1/128")
UNIX = "unix"
"""In the place of an address: whoever connects to the Unix socket."""


def networks(limits: Any, option: attrs.Attribute[Any], given: tuple[str, ...]) -> None:
    """A validator: every one is an address, or a network without bits of a host."""
    for one in given:
        try:
            ipaddress.ip_network(one)
        except ValueError as error:
            raise ValueError(f"{option.name} has addresses and networks such as 10.0.0.0/8: {error}") from None


def origins(limits: Any, option: attrs.Attribute[Any], given: tuple[str, ...]) -> None:
    """A validator: every one is as browsers write it."""
    for one in given:
        scheme, _, host = one.partition("://")
        if scheme not in ("http", "https") or not host or "/" in host:
            raise ValueError(f"{option.name} has origins such as https://app.example.com, and not {one!r}")


@attrs.frozen(kw_only=True)
class HttpLimits:
    """What requests may be.

    A route, or a router, that says ``max_body_size`` has that in place of `body_bytes`.

    Attributes:
        body_bytes: the longest body.
        header_bytes: the names and values of all headers together.
        body_seconds, body_rate: the host waits for a body as many seconds, and one more for each `body_rate` bytes
            that have come; the time that a route takes with what has come does not count.
        key_rate, account_rate: requests a second that one key, and one account with all its keys and people, may send;
            0: as many as they like.
        address_rate: the same for an address whose requests show no credential that is known.
        rate_window: what was not asked for is kept for as many seconds: so much may come at once.
        rate_exempt: addresses and networks that are not counted as addresses; by default this machine, where either
            its own people ask, or a proxy that was not named.
        origins: origins such as ``https://app.example.com`` whose pages may change something with cookies.
    """

    body_bytes: int = attrs.field(default=10 * 2**20, validator=gt(0))
    header_bytes: int = attrs.field(default=32 * 2**10, validator=gt(0))
    body_seconds: float = attrs.field(default=30.0, validator=gt(0))
    body_rate: int = attrs.field(default=1024, validator=gt(0))
    key_rate: float = attrs.field(default=200.0, validator=ge(0))
    account_rate: float = attrs.field(default=500.0, validator=ge(0))
    address_rate: float = attrs.field(default=50.0, validator=ge(0))
    rate_window: int = attrs.field(default=10, validator=gt(0))
    rate_exempt: tuple[str, ...] = attrs.field(default=LOOPBACK, validator=networks)
    origins: tuple[str, ...] = attrs.field(default=(), validator=origins)
