"""What `objectkernel doctor` says of recordings."""

from __future__ import annotations

from collections.abc import Iterator

from objectkernel.errors import KernelError

from objectkernel_media_server.config import MediaServerConfig
from objectkernel_media_server.contracts import Storage
from objectkernel_media_server.errors import LinksWithoutAddress
from objectkernel_media_server.parts import links_of


def link_findings(config: MediaServerConfig, storage: Storage) -> Iterator[KernelError]:
    """What is to be said of a host's links to content."""
    if links_of(storage) is not None and not config.signed_url_base_url:
        yield LinksWithoutAddress(
            "links to recordings begin with their path: they work on pages of this host alone",
            why="nothing says where the host is reached, and a request is not asked",
            fix="set `signed_url_base_url` to the host's address, such as https://shop.example",
        )
