"""The address of an authorization server, and whether what is secret may be sent there."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

import attrs

from objectkernel_device_auth.client_errors import address_refused

DATA_PATH: Final = "/api/v1/data"
"""The end of an address that names a server's data: the server is what stands before it."""


@attrs.frozen
class Address:
    """Where an authorization server is.

    Attributes:
        issuer: the address without a slash at its end: the server's name, and what its paths begin with.
        insecure: whether http is taken for other machines.
    """

    issuer: str
    insecure: bool = False

    @property
    def place(self) -> str:
        """How messages call it: host and port; the path may be known to few."""
        return urlsplit(self.issuer).netloc

    def admits(self, url: object) -> bool:
        """Whether codes and keys may be sent to a URL that this server has named."""
        parts = _split(url) if isinstance(url, str) else None
        if parts is None or parts.fragment:
            return False
        own = urlsplit(self.issuer).scheme.lower()
        return parts.scheme == "https" or (own == "http" and _may_be_plain(parts, self.insecure))


def address(url: str, variable: str, *, insecure: bool = False) -> Address:
    """The address that `variable` has; its path is kept.

    Raises:
        AuthorizationFailed: it is none, or not one that a key may be sent to.
    """
    text = url.strip()
    parts = _split(text)
    if parts is None or parts.query or parts.fragment:
        raise address_refused(
            variable,
            "it has to be https:// with a host and perhaps a path, without user, query and fragment",
            f"correct {variable}: https://keys.example, or http://127.0.0.1:8000 for this machine",
        )
    if parts.scheme == "http" and not _may_be_plain(parts, insecure):
        raise address_refused(
            variable,
            f"http to {parts.netloc} lets everybody on the way read the key; it is taken for this machine alone",
            "use https; where the way is safe, set insecure_http of api-key-source "
            "(OBJECTKERNEL_PLUGINS__API_KEY_SOURCE__INSECURE_HTTP=true)",
        )
    return Address(text.rstrip("/").removesuffix(DATA_PATH).rstrip("/"), insecure)


def _split(url: str) -> SplitResult | None:
    """A URL of http or https in its parts; None for everything else, and for one with a user in it."""
    if not url.isascii() or not url.isprintable() or " " in url:
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        return None
    return parts


def _may_be_plain(parts: SplitResult, insecure: bool) -> bool:
    return insecure or _is_loopback(parts.hostname or "")


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
