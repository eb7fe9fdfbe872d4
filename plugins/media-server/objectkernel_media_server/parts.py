"""The parts of media-server, put together: what its service, its routes and its commands are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import attrs
from objectkernel.keys import Service
from objectkernel_contracts import Audit
from objectkernel_system_dialect.contracts import Dialect

from objectkernel_media_server.claims import Limits
from objectkernel_media_server.collected import CollectingHook
from objectkernel_media_server.collecting import GarbageCollector
from objectkernel_media_server.config import MediaServerConfig
from objectkernel_media_server.contracts import Resumable, Storage
from objectkernel_media_server.leaving import Leaving
from objectkernel_media_server.outbox import Outbox
from objectkernel_media_server.quota import AccountLimits, Quota
from objectkernel_media_server.repository import DialectMediaRepository, Keeping
from objectkernel_media_server.service import HostMedia, create_media
from objectkernel_media_server.signing import LinkSigner
from objectkernel_media_server.tally import Tally
from objectkernel_media_server.trail import Trail
from objectkernel_media_server.upload_collecting import UploadCollector
from objectkernel_media_server.upload_needs import ResumableStorage
from objectkernel_media_server.uploads import UploadService


@attrs.frozen(kw_only=True)
class Parts:
    """Everything of one host that has to do with recordings.

    Attributes:
        uploads: None where the store takes no object in several goes.
    """

    config: MediaServerConfig
    storage: Storage
    repo: DialectMediaRepository
    media: HostMedia
    uploads: UploadService | None
    outbox: Outbox
    collector: GarbageCollector
    leaving: Leaving
    tally: Tally


PARTS = Service[Parts]("media-server-parts")
"""Of this plugin alone."""


def links_of(storage: Storage) -> LinkSigner | None:
    """What signs the links of a store that this host answers itself; None: they lead elsewhere."""
    links = getattr(storage, "links", None)
    return links if isinstance(links, LinkSigner) else None


def assemble(dialect: Dialect, storage: Storage, config: MediaServerConfig, *, audit: Audit | None = None) -> Parts:
    """Put the parts together on a dialect that has their tables.

    Args:
        audit: None: there is no trail.
    """
    tally, outbox = Tally(), Outbox(dialect, config.events_patience)
    quota = Quota(dialect, AccountLimits(bytes=config.account_bytes or None, count=config.account_recordings or None))
    keeping = Keeping(coming=config.stuck_after, ended=config.ended_kept)
    repo = DialectMediaRepository(dialect, quota=quota, outbox=outbox, trail=Trail(audit), keeping=keeping)
    media = create_media(
        storage,
        repo,
        config.default_bucket,
        config.signed_url_ttl,
        limits=Limits(
            file_bytes=config.max_file_bytes,
            metadata_bytes=config.metadata_bytes,
            metadata_depth=config.metadata_depth,
        ),
        allowed_types=config.allowed_types,
        quota=quota,
        tally=tally,
    )
    uploads = None
    if isinstance(storage, Resumable):
        store = cast(ResumableStorage, storage)
        bucket, most = config.default_bucket, config.max_file_bytes
        uploads = UploadService(dialect, media, store, config.uploads, bucket=bucket, file_bytes=most)
    hooks: Sequence[CollectingHook] = () if uploads is None else (UploadCollector(uploads),)
    return Parts(
        config=config,
        storage=storage,
        repo=repo,
        media=media,
        uploads=uploads,
        outbox=outbox,
        collector=GarbageCollector(repo, media.recordings, hooks, grace=config.collect_grace),
        leaving=Leaving(repo, media.recordings, hooks),
        tally=tally,
    )
