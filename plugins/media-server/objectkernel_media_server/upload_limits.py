"""How much may be sent in which time, and how its sender is told: the numbers alone."""

from __future__ import annotations

from typing import Literal

import attrs
from attrs.validators import ge, gt, in_


@attrs.frozen(kw_only=True)
class UploadLimits:
    """What uploads and downloads over HTTP may be.

    Attributes:
        upload_expires: seconds that an upload waits for its next bytes.
        uploads_per_account: how many may be unfinished at once.
        acknowledge_bytes, acknowledge_seconds: of a long request so much is made durable, and recorded, at a time.
        takeover_seconds: a request waits so long for the one whose upload it takes over.
        request_bytes: what one request may bring; 0: as much as it likes, within what a file may have.
        drain_bytes, drain_seconds: what is read of a body that was refused, so that its sender comes to read why.
        public_url: what the addresses of uploads begin with; "": they are relative to the one that is asked.
        content_by: whether the content of a store that signs links itself is sent by the host, or by that store.
        max_ranges: of one request.
        form_bytes: all fields of a form but the blob.
    """

    upload_expires: float = attrs.field(default=86400.0, validator=gt(0))
    uploads_per_account: int = attrs.field(default=1000, validator=gt(0))
    acknowledge_bytes: int = attrs.field(default=8 * 2**20, validator=gt(0))
    acknowledge_seconds: float = attrs.field(default=5.0, validator=gt(0))
    takeover_seconds: float = attrs.field(default=10.0, validator=gt(0))
    request_bytes: int = attrs.field(default=0, validator=ge(0))
    drain_bytes: int = attrs.field(default=2**20, validator=ge(0))
    drain_seconds: float = attrs.field(default=2.0, validator=ge(0))
    public_url: str = ""
    content_by: Literal["proxy", "redirect"] = attrs.field(default="redirect", validator=in_(("proxy", "redirect")))
    max_ranges: int = attrs.field(default=16, validator=gt(0))
    form_bytes: int = attrs.field(default=64 * 2**10, validator=gt(0))
