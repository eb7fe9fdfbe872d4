"""The settings of media-server."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal

import attrs
from attrs.validators import deep_iterable, ge, gt, in_, le
from objectkernel.secret import Secret

from objectkernel_media_server.sniffing import EXTENSIONS
from objectkernel_media_server.upload_limits import UploadLimits

MINUTE: Final = 60.0
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
KIB: Final = 2**10
GIB: Final = 2**30

StorageKind = Literal["filesystem", "memory", "obstore", "s3"]
_UPLOADS: Final = attrs.fields_dict(UploadLimits)


def _upload(name: str) -> Any:
    """A setting that is one of `UploadLimits`, with its default and its bounds."""
    limit = _UPLOADS[name]
    return attrs.field(default=limit.default, validator=limit.validator)


@attrs.frozen(kw_only=True)
class MediaServerConfig:
    """`[plugins.media-server]` in the configuration file; times are seconds."""

    # --- where blobs are ------------------------------------------------------------------------------
    storage: StorageKind = attrs.field(default="filesystem", validator=in_(("filesystem", "memory", "obstore", "s3")))
    """What holds the blobs: a folder, memory (for tests), GCS or Azure by obstore, an S3-compatible store."""
    default_bucket: str = "media-recordings"
    """Where they are put. One bucket belongs to one system database: what no row of that needs is removed from it."""
    data_dir: Path = attrs.field(default=Path(".objectkernel"), metadata={"env": "OBJECTKERNEL_DATA_DIR"})
    """The folder of everything that a host writes; blobs are in its sub-folder ``media``."""
    storage_dir: Path | None = None
    """Another folder for them."""
    fsync: bool = True
    """Whether a file is on the disk before it is acknowledged; False leaves to the system what a power cut may take."""
    signing_secret: Secret[str] | None = attrs.field(default=None, metadata={"env": "STORAGE_SIGNING_SECRET"})
    """What signs links to files: 32 bytes or more; several with commas between, the first signs. Without it a key of
    `KEYRING` is used."""
    signed_url_base_url: str = ""
    """Where the host is reached, such as ``https://shop.example``: what links to files begin with. "": with a path."""
    signed_url_ttl: float = attrs.field(default=HOUR, validator=[ge(1.0), le(7 * DAY)])
    """How long a link works."""
    s3_endpoint: str = ""
    """Where the S3-compatible store is; "": at Amazon's."""
    s3_public_endpoint: str = ""
    """What its links begin with, where browsers reach it elsewhere."""
    s3_region: str = "us-east-1"
    s3_access_key: Secret[str] | None = attrs.field(default=None, metadata={"env": "AWS_ACCESS_KEY_ID"})
    s3_secret_key: Secret[str] | None = attrs.field(default=None, metadata={"env": "AWS_SECRET_ACCESS_KEY"})
    s3_path_style: bool = True
    """Whether the bucket stands in the path of addresses, or in the host's name."""
    obstore_url: str = ""
    """Which store obstore opens, such as ``gs://`` or ``az://``; its credentials are where its library looks."""

    # --- what a recording, and an account, may be -----------------------------------------------------
    max_file_bytes: int = attrs.field(default=8 * GIB, validator=ge(1))
    """The largest recording."""
    account_bytes: int = attrs.field(default=0, validator=ge(0))
    """How much one account may have, with what is coming; 0: as much as there is room for."""
    account_recordings: int = attrs.field(default=0, validator=ge(0))
    """How many recordings one account may have, with those that are coming; 0: any number."""
    allowed_types: tuple[str, ...] = attrs.field(
        default=tuple(EXTENSIONS), validator=deep_iterable(in_(tuple(EXTENSIONS)))
    )
    """What recordings may be, by their first bytes; all that are recognised, or some of these."""
    metadata_bytes: int = attrs.field(default=16 * KIB, validator=[ge(2), le(1024 * KIB)])
    """The longest metadata of a recording, as JSON."""
    metadata_depth: int = attrs.field(default=8, validator=[ge(1), le(64)])
    """Objects and arrays within each other in metadata."""

    # --- uploads and downloads over HTTP: see `UploadLimits` ------------------------------------------
    upload_expires: float = _upload("upload_expires")
    uploads_per_account: int = _upload("uploads_per_account")
    acknowledge_bytes: int = _upload("acknowledge_bytes")
    acknowledge_seconds: float = _upload("acknowledge_seconds")
    takeover_seconds: float = _upload("takeover_seconds")
    request_bytes: int = _upload("request_bytes")
    drain_bytes: int = _upload("drain_bytes")
    drain_seconds: float = _upload("drain_seconds")
    public_url: str = _upload("public_url")
    content_by: Literal["proxy", "redirect"] = _upload("content_by")
    max_ranges: int = _upload("max_ranges")
    form_bytes: int = _upload("form_bytes")

    # --- what happens in the background ---------------------------------------------------------------
    collect_every: float = attrs.field(default=HOUR, validator=ge(0.0))
    """How often garbage is collected; 0: only when somebody says so."""
    collect_grace: float = attrs.field(default=DAY, validator=ge(0.0))
    """How old a blob must be that no recording has."""
    stuck_after: float = attrs.field(default=HOUR, validator=ge(5 * MINUTE))
    """How long nothing is heard of a recording that is coming before it counts as given up."""
    ended_kept: float = attrs.field(default=30 * DAY, validator=ge(0.0))
    """How long the row is kept of a recording that failed or was deleted."""
    events_every: float = attrs.field(default=5.0, validator=[gt(0.0), le(HOUR)])
    """How often it is looked for events of other hosts, and for those that were refused."""
    events_patience: float = attrs.field(default=MINUTE, validator=[gt(0.0), le(HOUR)])
    """How long the handlers of one event may take."""

    @property
    def uploads(self) -> UploadLimits:
        """The part of it that is about uploads and downloads over HTTP."""
        return UploadLimits(**{name: getattr(self, name) for name in _UPLOADS})
