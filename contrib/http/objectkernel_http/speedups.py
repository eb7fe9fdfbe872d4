"""What makes a server quicker where it is installed: httptools and uvloop (``objectkernel-http[fast]``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from objectkernel_http.protocol import TimedProtocol


def fastest_protocol() -> type[TimedProtocol]:
    """HTTP/1.1 by httptools, or else by h11."""
    try:
        from objectkernel_http.protocol_httptools import TimedHttpTools
    except ImportError:
        from objectkernel_http.protocol_h11 import TimedH11

        return TimedH11
    return TimedHttpTools


def fast_loop() -> bool:
    """Whether there is uvloop."""
    try:
        import uvloop  # noqa: F401
    except ImportError:
        return False
    return True
