"""Links of stores that have none of their own: the host answers them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from objectkernel_contracts import NamedKey

from objectkernel_media_server.signing import LinkSigner, signing_keys
from objectkernel_media_server.storage_contracts import SignedUrl


class HostLinks:
    """`contracts.Signs` by a `LinkSigner`.

    Args:
        signed_url_secret: what signs links: secrets of 32 bytes or more with commas between, the first one signs; or
            what gives the keys.
        signed_url_base_url: where the host is reached; "": links begin with their path.

    Attributes:
        links: for the route that answers the links.
    """

    def __init__(self, signed_url_secret: str | Callable[[], Sequence[NamedKey]], signed_url_base_url: str) -> None:
        if isinstance(signed_url_secret, str):
            keys = signing_keys(signed_url_secret)
            self.links = LinkSigner(lambda: keys, signed_url_base_url)
        else:
            self.links = LinkSigner(signed_url_secret, signed_url_base_url)

    async def sign_get(
        self, bucket: str, key: str, *, ttl: float, content_type: str = "", filename: str | None = None
    ) -> SignedUrl:
        """See `contracts.Signs.sign_get`."""
        return self.links.sign("GET", bucket, key, ttl=ttl, content_type=content_type, filename=filename)

    async def sign_put(self, bucket: str, key: str, *, ttl: float, size: int, content_type: str) -> SignedUrl:
        """See `contracts.Signs.sign_put`."""
        return self.links.sign("PUT", bucket, key, ttl=ttl, content_type=content_type, size=size)
