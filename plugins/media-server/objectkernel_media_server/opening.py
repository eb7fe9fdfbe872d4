"""The store that the settings say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from anyio import to_thread
from objectkernel_contracts import Keyring, NamedKey

from objectkernel_media_server.config import MediaServerConfig
from objectkernel_media_server.errors import SigningKeyMissing
from objectkernel_media_server.signing import signing_keys
from objectkernel_media_server.storage_contracts import Storage

LINK_KEYS: Final = "media-links"
"""The name in the keyring of the secrets that sign links."""


async def open_storage(config: MediaServerConfig, keyring: Keyring | None) -> Storage:
    """Open it.

    Args:
        keyring: None: links are signed with the secrets of the settings alone.

    Raises:
        SigningKeyMissing: there is nothing to sign links with.
    """
    if config.storage == "memory":
        from objectkernel_media_server.memory_store import MemoryDriver

        return MemoryDriver(config.signed_url_base_url)
    if config.storage == "s3":
        from objectkernel_media_server.s3 import S3Driver, S3Place

        place = S3Place(
            endpoint_url=config.s3_endpoint,
            public_endpoint_url=config.s3_public_endpoint,
            region=config.s3_region,
            access_key="" if config.s3_access_key is None else config.s3_access_key.reveal(),
            secret_key="" if config.s3_secret_key is None else config.s3_secret_key.reveal(),
            path_style=config.s3_path_style,
        )
        return await to_thread.run_sync(S3Driver, place)  # the client reads files
    if config.storage == "obstore":
        from objectkernel_media_server.object_store import ObstoreDriver

        return ObstoreDriver(config.obstore_url, _keys(config, keyring), config.signed_url_base_url)
    from objectkernel_media_server.filesystem import FilesystemDriver

    folder: Path = config.storage_dir or config.data_dir / "media"
    return FilesystemDriver(folder, _keys(config, keyring), config.signed_url_base_url, fsync=config.fsync)


def _keys(config: MediaServerConfig, keyring: Keyring | None) -> Callable[[], Sequence[NamedKey]]:
    if config.signing_secret is not None:
        given = signing_keys(config.signing_secret.reveal())
        return lambda: given
    if keyring is not None:
        return lambda: keyring.keys(LINK_KEYS)
    raise SigningKeyMissing(
        "there is nothing to sign links with",
        why="no secret is set, and no plugin provides KEYRING",
        fix="set STORAGE_SIGNING_SECRET to what `openssl rand -hex 32` prints, or compose the plugin keyring",
    )
