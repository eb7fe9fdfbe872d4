"""Whether a browser sends a request for another site's page: then its cookies are not that page's to use."""

from __future__ import annotations

from collections.abc import Collection
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from objectkernel_http.exchange import Exchange
from objectkernel_http.problems import Refusal

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
OWN: Final = frozenset({b"same-origin", b"none"})
"""Of ``Sec-Fetch-Site``: a page of this host, or the person alone."""
DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}
CODE: Final = "H301"


def refuse_foreign_pages(method: str, exchange: Exchange, trusted: Collection[str]) -> None:
    """Refuse what changes something, is sent with cookies, and comes from a page of another origin.

    Browsers say so in ``Sec-Fetch-Site``; older ones only in ``Origin``, which is held against ``Host`` then. Whoever
    sends neither is no browser, and no page makes it send cookies.

    Args:
        trusted: other origins that may: ``https://app.example.com``.

    Raises:
        Refusal: 403.
    """
    headers = exchange.headers
    if method in SAFE or b"cookie" not in headers:
        return
    site, origin = headers.get(b"sec-fetch-site"), headers.get(b"origin", b"")
    own = site in OWN if site is not None else not origin or _is_host(origin, headers.get(b"host", b""))
    if not own and origin.decode("latin-1") not in trusted:
        raise Refusal(HTTPStatus.FORBIDDEN, "a page of another origin may not send this with cookies", code=CODE)


def _is_host(origin: bytes, host: bytes) -> bool:
    """Whether an origin is of the host that was asked; which scheme it was asked with a proxy may hide."""
    try:
        parts = urlsplit(origin.decode("latin-1"))
    except ValueError:
        return False
    port = DEFAULT_PORTS.get(parts.scheme, "")
    return bool(parts.netloc) and parts.netloc.lower().removesuffix(port) == (
        host.decode("latin-1").lower().removesuffix(port)
    )
