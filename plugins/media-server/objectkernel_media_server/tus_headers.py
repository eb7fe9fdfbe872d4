"""The headers of tus 1.0 as values: what they may be, and what is said of those that are not."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Final

from objectkernel_media_server.errors import InvalidMedia
from objectkernel_media_server.upload_entities import UploadKind
from objectkernel_media_server.upload_needs import Details, NewUpload

LONGEST_METADATA: Final = 8 * 2**10
"""Bytes of ``Upload-Metadata``."""
DIGITS: Final = 19
"""Of a length that the database can hold."""
ALGORITHMS: Final = ("sha256", "sha1", "md5")
"""Of ``Upload-Checksum``; SHA-1 is the one that every server has (tus, Checksum)."""
SIZES: Final[Mapping[str, int]] = {"sha256": 32, "sha1": 20, "md5": 16}
MOST_PARTS: Final = 1000

NAME: Final = re.compile(r"[\x21-\x2b\x2d-\x7e]+")
"""Of metadata: printable ASCII without blank and comma."""
PART: Final = re.compile(r"(?:https?://[^/\s]+)?/?(?:[^\s/?#]+/)*([A-Za-z0-9._~-]{1,64})/?")
"""The address of an upload, whole or as a path; all but its last segment says how the sender reaches the host."""

TYPES: Final = ("filetype", "type", "contentType", "mimeType")
OWN: Final = frozenset({*TYPES, "durationMs", "sessionId", "takeIndex", "sha256"})


def invalid(what: str, why: str = "") -> InvalidMedia:
    """A header that cannot be meant."""
    return InvalidMedia(what, why=why)


def number(headers: Mapping[str, str], name: str) -> int | None:
    """A length or an offset; None without the header.

    Raises:
        InvalidMedia
    """
    given = headers.get(name)
    if given is None:
        return None
    if not (given.isascii() and given.isdigit()) or len(given) > DIGITS or int(given) >= 2**63:
        raise invalid(f"{name} is a whole number that is not negative")
    return int(given)


def metadata(header: str) -> dict[str, bytes]:
    """The values of ``Upload-Metadata``. An empty header has none, and a name without value an empty one.

    Raises:
        InvalidMedia: it is too long, a name comes twice, or a value is not Base64.
    """
    if len(header) > LONGEST_METADATA:
        raise invalid(f"Upload-Metadata may have {LONGEST_METADATA} bytes")
    found: dict[str, bytes] = {}
    for pair in filter(None, map(str.strip, header.split(","))):
        name, _, value = pair.partition(" ")
        if not NAME.fullmatch(name):
            raise invalid("a name in Upload-Metadata is printable ASCII without blanks and commas")
        if name in found:
            raise invalid("a name comes twice in Upload-Metadata")
        found[name] = _base64(value.strip(), "a value in Upload-Metadata")
    return found


def details(given: Mapping[str, bytes]) -> Details:
    """What metadata says of a recording. Values that are no text are not part of it, and are given back as they came.

    Raises:
        InvalidMedia: a number is none.
    """
    texts = {name: text for name, value in given.items() if (text := _text(value)) is not None}
    return Details(
        mime_type=next((texts[name] for name in TYPES if texts.get(name)), ""),
        duration_ms=whole(texts, "durationMs"),
        session_id=texts.get("sessionId") or None,
        take_index=whole(texts, "takeIndex"),
        sha256=digest(texts.get("sha256", "")),
        metadata={name: text for name, text in texts.items() if name not in OWN} or None,
    )


def whole(texts: Mapping[str, str], name: str) -> int | None:
    """A whole number that a sender may leave away.

    Raises:
        InvalidMedia
    """
    text = texts.get(name, "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > DIGITS - 3:
        raise invalid(f"{name} is a whole number that is not negative")
    return int(text)


def digest(text: str) -> str | None:
    """A SHA-256 in hexadecimal that a sender may leave away.

    Raises:
        InvalidMedia
    """
    if not text:
        return None
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise invalid("sha256 is 64 hexadecimal digits")
    return text.lower()


def checksum(header: str) -> tuple[str, bytes] | None:
    """Algorithm and digest of ``Upload-Checksum``; None: an algorithm that is not known.

    Raises:
        InvalidMedia
    """
    algorithm, _, value = header.strip().partition(" ")
    if algorithm not in ALGORITHMS:
        return None
    found = _base64(value.strip(), "the digest in Upload-Checksum")
    if len(found) != SIZES[algorithm]:
        raise invalid(f"a digest of {algorithm} has {SIZES[algorithm]} bytes")
    return algorithm, found


def concat(header: str | None) -> tuple[UploadKind, tuple[str, ...]]:
    """Kind and parts of ``Upload-Concat``.

    Raises:
        InvalidMedia
    """
    if header is None:
        return "whole", ()
    kind, _, rest = header.strip().partition(";")
    if kind == "partial" and not rest:
        return "partial", ()
    if kind != "final":
        raise invalid("Upload-Concat is `partial`, or `final;` with the addresses of the parts")
    return "final", _part_ids(rest.split())


def new_upload(headers: Mapping[str, str]) -> NewUpload:
    """What a creation asks for.

    Raises:
        InvalidMedia
    """
    length, deferred = number(headers, "upload-length"), headers.get("upload-defer-length")
    if deferred not in (None, "1"):
        raise invalid("Upload-Defer-Length is 1")
    kind, parts = concat(headers.get("upload-concat"))
    if kind == "final":
        if length is not None or deferred:
            raise invalid("a final upload has the length of its parts")
    elif (length is None) == (deferred is None):
        raise invalid("an upload says Upload-Length, or Upload-Defer-Length, and not both")
    given = headers.get("upload-metadata", "")
    return NewUpload(
        length=length,
        metadata=given,
        details=details(metadata(given)),
        kind=kind,
        parts=parts,
        concat=headers.get("upload-concat"),
    )


def _part_ids(addresses: Sequence[str]) -> tuple[str, ...]:
    if not 0 < len(addresses) <= MOST_PARTS:
        raise invalid(f"a final upload has 1 to {MOST_PARTS} parts")
    found = [PART.fullmatch(address) for address in addresses]
    return tuple("" if one is None else one[1] for one in found)


def _base64(value: str, what: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise invalid(f"{what} is not Base64") from None


def _text(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None
