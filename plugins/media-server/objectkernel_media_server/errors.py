"""What goes wrong with recordings and their bytes."""

from __future__ import annotations

from http import HTTPStatus
from typing import ClassVar

from objectkernel.errors import KernelError


class MediaError(KernelError):
    """The base of this plugin's errors. `http_status` is what a host answers."""

    code = "M100"
    http_status: ClassVar[int] = HTTPStatus.CONFLICT


class InvalidMedia(MediaError, ValueError):
    """What is asked for a recording, or said of it, is not allowed; all problems are in `why`."""

    code = "M101"
    http_status = HTTPStatus.UNPROCESSABLE_ENTITY


class MediaMissing(MediaError):
    """There is no such recording or upload for whoever asks: missing, another account's, and a link that is not good
    are one answer.
    """

    code = "M102"
    http_status = HTTPStatus.NOT_FOUND


class MediaTooLarge(MediaError):
    """A file is larger than one may be. Attributes: limit, in bytes."""

    code = "M103"
    http_status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class QuotaExceeded(MediaError):
    """The account has no room for this. Attributes: limit, used, asked; bytes or recordings, as `what_is` says."""

    code = "M104"
    http_status = HTTPStatus.INSUFFICIENT_STORAGE


class MediaTypeRefused(MediaError):
    """The first bytes are of no type that is taken. Attributes: found, claimed."""

    code = "M105"
    http_status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class ChecksumMismatch(MediaError):
    """What came is not what its sender has hashed; nothing of it is kept. Attributes: algorithm."""

    code = "M106"
    http_status = HTTPStatus.UNPROCESSABLE_ENTITY


class UploadIncomplete(MediaError):
    """A body ended early, or an upload is to be finished that has not all of its bytes. Attributes: offset, length."""

    code = "M107"
    http_status = HTTPStatus.BAD_REQUEST


class UploadConflict(MediaError):
    """Somebody else is at this upload, or it is not where the sender thinks. Attributes: offset."""

    code = "M108"


class StorageUnavailable(MediaError):
    """The store does not answer, or refuses what it was told. Attributes: store, reason."""

    code = "M120"
    http_status = HTTPStatus.SERVICE_UNAVAILABLE


class StorageFull(StorageUnavailable):
    """The store has no room left."""

    code = "M121"
    http_status = HTTPStatus.INSUFFICIENT_STORAGE


class ObjectMissing(MediaError):
    """The store has no object under this key. Attributes: bucket, key."""

    code = "M122"
    http_status = HTTPStatus.NOT_FOUND


class ObjectExists(MediaError):
    """The store has another object under this key; nothing was replaced. Attributes: bucket, key."""

    code = "M123"


class KeyRefused(MediaError, ValueError):
    """A bucket or a key is none: its form could lead elsewhere, or not every store can hold it."""

    code = "M124"
    http_status = HTTPStatus.UNPROCESSABLE_ENTITY


class SigningKeyMissing(MediaError):
    """There is no secret to sign links with, or no address that they begin with."""

    code = "M125"
    http_status = HTTPStatus.SERVICE_UNAVAILABLE


class LinksWithoutAddress(SigningKeyMissing):
    """Links begin with their path, since nothing says where the host is reached; a finding of `doctor`."""

    code = "M126"
    tolerable = True
