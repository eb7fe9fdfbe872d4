"""What the first bytes of a recording are, whatever its sender says.

Some containers hold sound alone or pictures too, which their first bytes do not tell: there, and only there, the
sender's claim decides between the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from objectkernel_media_server.contracts import MediaKind, MediaTypeRefused

SNIFFED: Final = 4096
"""Bytes that are enough to tell."""
UNKNOWN: Final = "application/octet-stream"

EXTENSIONS: Final[Mapping[str, str]] = {
    "video/webm": "webm",
    "audio/webm": "weba",
    "video/matroska": "mkv",
    "audio/matroska": "mka",
    "video/mp4": "mp4",
    "audio/mp4": "m4a",
    "video/quicktime": "mov",
    "video/ogg": "ogv",
    "audio/ogg": "ogg",
    "audio/wav": "wav",
    "audio/mpeg": "mp3",
    "audio/aac": "aac",
    "audio/flac": "flac",
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "image/gif": "gif",
}
"""Every type that is recognised and may be taken, with the ending of its files."""
_ALIASES: Final[Mapping[str, str]] = {
    "video/x-matroska": "video/matroska",
    "audio/x-matroska": "audio/matroska",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/vnd.wave": "audio/wav",
    "audio/mp3": "audio/mpeg",
    "audio/x-m4a": "audio/mp4",
    "audio/aacp": "audio/aac",
    "audio/x-flac": "audio/flac",
    "image/jpg": "image/jpeg",
}
_SIGNATURES: Final[tuple[tuple[bytes, str], ...]] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"fLaC", "audio/flac"),
    (b"ID3", "audio/mpeg"),
)
_RIFF: Final[Mapping[bytes, str]] = {b"WAVE": "audio/wav", b"WEBP": "image/webp"}
_OGG_CODECS: Final[tuple[tuple[bytes, str], ...]] = (
    (b"OpusHead", "audio/ogg"),
    (b"\x01vorbis", "audio/ogg"),
    (b"\x7fFLAC", "audio/ogg"),
    (b"Speex   ", "audio/ogg"),
    (b"\x80theora", "video/ogg"),
)
_STILL_BRANDS: Final[Mapping[bytes, str]] = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heif",
    b"msf1": "image/heif",
}
_EBML: Final = b"\x1a\x45\xdf\xa3"
_DOC_TYPE: Final = 0x4282


def base_type(claimed: str) -> str:
    """A media type without its parameters, under its name here: ``video/webm;codecs=vp9`` is ``video/webm``."""
    name = claimed.partition(";")[0].strip().lower()
    return _ALIASES.get(name, name)


def known_type(claimed: str) -> str:
    """The type that a sender claims, if it is one that is recognised; `UNKNOWN` for every other."""
    name = base_type(claimed)
    return name if name in EXTENSIONS else UNKNOWN


def kind_of(mime_type: str) -> MediaKind:
    """What a type is for people."""
    match mime_type.partition("/")[0]:
        case "video":
            return "video"
        case "audio":
            return "audio"
        case "image":
            return "image"
        case _:
            return "other"


def sniff(head: bytes, claimed: str = "") -> str:
    """The type of what begins with `head`; `UNKNOWN` where it is none that is known."""
    found = _families(head)
    claim = base_type(claimed)
    return claim if claim in found else found[0] if found else UNKNOWN


def accepted(head: bytes, claimed: str, allowed: frozenset[str] | None) -> str:
    """The type of what begins with `head`, if it is taken.

    Args:
        allowed: the types that are taken; None: all.

    Raises:
        MediaTypeRefused: it is not.
    """
    found = sniff(head, claimed)
    if allowed is None or found in allowed:
        return found
    if not head:
        raise MediaTypeRefused(
            "this is no recording", why="not one byte came", fix="send its bytes", found=found, claimed=claimed
        )
    raise MediaTypeRefused(
        "this is no recording of a type that is taken",
        why=f"its first bytes are {'of no known type' if found == UNKNOWN else found}",
        fix=f"send one of {', '.join(sorted(allowed))}",
        found=found,
        claimed=claimed,
    )


def _families(head: bytes) -> tuple[str, ...]:
    """The types that `head` may be, the likeliest first."""
    for signature, name in _SIGNATURES:
        if head.startswith(signature):
            return (name,)
    if head[:4] in (b"RIFF", b"RF64"):
        return _named(_RIFF.get(head[8:12]))
    if head.startswith(_EBML):
        return _of_doc_type(_doc_type(head))
    if head[4:8] == b"ftyp":
        return _of_brand(head[8:12])
    if head.startswith(b"OggS"):
        packet = head[27 + head[26] :] if len(head) > 26 else b""
        return _named(next((name for start, name in _OGG_CODECS if packet.startswith(start)), None))
    return _named(_mpeg_frame(head))


def _named(name: str | None) -> tuple[str, ...]:
    return () if name is None else (name,)


def _of_doc_type(doc_type: bytes) -> tuple[str, ...]:
    name = {b"webm": "webm", b"matroska": "matroska"}.get(doc_type)
    return () if name is None else (f"video/{name}", f"audio/{name}")


def _of_brand(brand: bytes) -> tuple[str, ...]:
    """Of an ISO base media file (ISO/IEC 14496-12 section 4.3) by its major brand."""
    if brand in _STILL_BRANDS:
        return (_STILL_BRANDS[brand],)
    if brand == b"qt  ":
        return ("video/quicktime",)
    if brand in (b"M4A ", b"M4B "):
        return ("audio/mp4",)
    return ("video/mp4", "audio/mp4") if brand.isascii() and len(brand) == 4 else ()


def _doc_type(head: bytes) -> bytes:
    """The DocType of an EBML header (RFC 8794 section 11.2.4), b"" where there is none in it."""
    size, at = _number(head, 4, keep_marker=False)
    end = min(len(head), at + size)
    while 0 < at < end:
        element, at = _number(head, at, keep_marker=True)
        size, at = _number(head, at, keep_marker=False)
        if not at or at + size > end:
            return b""
        if element == _DOC_TYPE:
            return head[at : at + size].rstrip(b"\0")
        at += size
    return b""


def _number(head: bytes, at: int, *, keep_marker: bool) -> tuple[int, int]:
    """A variable-size integer (RFC 8794 section 4) and where it ends; (0, 0) where there is none."""
    first = head[at] if 0 < at < len(head) else 0
    length = 9 - first.bit_length()
    if not first or at + length > len(head):
        return 0, 0
    value = int.from_bytes(head[at : at + length])
    return value if keep_marker else value & ~(1 << 7 * length), at + length


def _mpeg_frame(head: bytes) -> str | None:
    """MPEG audio without a container begins with a frame: 11 bits that are set, then what kind of frame it is."""
    if len(head) < 3 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    if layer == 0:  # ADTS: 12 bits that are set, and a sampling frequency that exists (ISO/IEC 14496-3)
        return "audio/aac" if head[1] & 0xF0 == 0xF0 and head[2] >> 2 & 15 < 13 else None
    is_possible = version != 1 and head[2] >> 4 != 15 and head[2] >> 2 & 3 != 3
    return "audio/mpeg" if is_possible else None
