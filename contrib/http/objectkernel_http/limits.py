"""How much one request may send, and how slowly: the numbers alone."""

from __future__ import annotations

import attrs
from attrs.validators import gt


@attrs.frozen(kw_only=True)
class HttpLimits:
    """What one request may send.

    A route, or a router, that says ``max_body_size`` has that in place of `body_bytes`.

    Attributes:
        body_bytes: the longest body.
        header_bytes: the names and values of all headers together.
        body_seconds, body_rate: the host waits for a body as many seconds, and one more for each `body_rate` bytes
            that have come; the time that a route takes with what has come does not count.
    """

    body_bytes: int = attrs.field(default=10 * 2**20, validator=gt(0))
    header_bytes: int = attrs.field(default=32 * 2**10, validator=gt(0))
    body_seconds: float = attrs.field(default=30.0, validator=gt(0))
    body_rate: int = attrs.field(default=1024, validator=gt(0))
