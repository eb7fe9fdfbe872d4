"""What first bytes are, whatever their sender says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from objectkernel_media_server.contracts import MediaTypeRefused
from objectkernel_media_server.sniffing import EXTENSIONS, SNIFFED, UNKNOWN, accepted, base_type, kind_of, sniff

OGG_PAGE = b"OggS\x00\x02" + bytes(20) + b"\x01\x1e"
HEADS = [
    (b"\x1a\x45\xdf\xa3\x87\x42\x82\x84webm", "video/webm"),
    # as browsers write it: versions and lengths before the DocType, sizes in eight bytes, or of one
    (
        b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\xf7\x81\x01\x42\xf2\x81\x04\x42\xf3\x81\x08\x42\x82\x84webm",
        "video/webm",
    ),
    (b"\x1a\x45\xdf\xa3\x01\x00\x00\x00\x00\x00\x00\x1f\x42\x86\x81\x01\x42\x82\x84webm", "video/webm"),
    (b"\x1a\x45\xdf\xa3\x93\x42\x82\x88matroska\x42\x87\x81\x04", "video/matroska"),
    (b"\x1a\x45\xdf\xa3\x89\x42\x82\x86webm\0\0", "video/webm"),
    (b"\x00\x00\x00\x1cftypisom\x00\x00\x02\x00isomiso2", "video/mp4"),
    (b"\x00\x00\x00\x14ftypqt  \x00\x00\x00\x00qt  ", "video/quicktime"),
    (b"\x00\x00\x00\x20ftypM4A \x00\x00\x02\x00", "audio/mp4"),
    (b"\x00\x00\x00\x20ftypavif\x00\x00\x00\x00", "image/avif"),
    (b"\x00\x00\x00\x20ftypheic\x00\x00\x00\x00", "image/heic"),
    (OGG_PAGE + b"OpusHead\x01", "audio/ogg"),
    (OGG_PAGE + b"\x01vorbis", "audio/ogg"),
    (OGG_PAGE + b"\x80theora", "video/ogg"),
    (b"RIFF\x24\x08\x00\x00WAVEfmt ", "audio/wav"),
    (b"RF64\xff\xff\xff\xffWAVEds64", "audio/wav"),
    (b"RIFF\x24\x08\x00\x00WEBPVP8 ", "image/webp"),
    (b"ID3\x04\x00\x00\x00\x00\x00\x00", "audio/mpeg"),
    (b"\xff\xfb\x90\x64", "audio/mpeg"),
    (b"\xff\xf1\x50\x80", "audio/aac"),
    (b"fLaC\x00\x00\x00\x22", "audio/flac"),
    (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "image/png"),
    (b"\xff\xd8\xff\xe0\x00\x10JFIF", "image/jpeg"),
    (b"GIF89a", "image/gif"),
    (b"GIF87a", "image/gif"),
]
NONE_OF_THEM = [
    b"",
    b"\x01\x02\x03",
    b"<!doctype html><script>alert(1)</script>",
    b'<svg xmlns="http://www.w3.org/2000/svg">',
    b"%PDF-1.7",
    b"PK\x03\x04",
    b"MZ\x90\x00",
    b"#!/bin/sh\n",
    b"GIF88a",
    b"RIFF\x24\x08\x00\x00AVI LIST",
    b"RIFF",
    b"OggS\x00\x02" + bytes(20) + b"\x01\x1efishead\0",
    b"OggS",
    b"\x1a\x45\xdf\xa3",
    b"\x1a\x45\xdf\xa3\x87\x42\x82\x84html",
    b"\x1a\x45\xdf\xa3<html>webm",
    b"\x1a\x45\xdf\xa3\x83\x42\x82\x84webm",  # the DocType lies beyond the header
    b"\x1a\x45\xdf\xa3\x87\x42\x82\x8fwebm",
    b"\x1a\x45\xdf\xa3\x00\x00\x00\x00",
    b"\x00\x00\x00\x1cftyp\xff\xfe\xfd\xfc",
    b"\x00\x00\x00\x1cfty",
    b"\xff\xff\xff",
    b"\xff\xe8\x90",  # a version of MPEG that is reserved
    b"\xff\xfb\xf0",  # a bit rate that is none
    b"\xff\xf1\xfc",  # a sampling frequency that is none
    b"\xff\xfb",
]


@pytest.mark.parametrize(("head", "found"), HEADS, ids=str)
def test_known(head: bytes, found: str) -> None:
    """The type of each that is known, also when its sender says that it is another."""
    assert sniff(head) == found
    assert sniff(head + bytes(SNIFFED), "text/html") == found
    assert sniff(head, "image/svg+xml; charset=utf-8") == found


@pytest.mark.parametrize("head", NONE_OF_THEM, ids=str)
def test_unknown(head: bytes) -> None:
    """What is none of them, or no longer one after a byte more or less, is of no known type, whatever is said."""
    for claimed in ("", "video/webm", "audio/mpeg", "image/png"):
        assert sniff(head, claimed) == UNKNOWN


@pytest.mark.parametrize(
    ("head", "claimed", "found"),
    [
        (HEADS[0][0], "audio/webm;codecs=opus", "audio/webm"),
        (HEADS[0][0], "AUDIO/WebM", "audio/webm"),
        (HEADS[0][0], "audio/mp4", "video/webm"),
        (HEADS[3][0], "audio/x-matroska", "audio/matroska"),
        (HEADS[3][0], "video/x-matroska;codecs=avc1", "video/matroska"),
        (HEADS[5][0], "audio/mp4", "audio/mp4"),
        (HEADS[7][0], "video/mp4", "audio/mp4"),
        (HEADS[12][0], "audio/ogg", "video/ogg"),
    ],
)
def test_hint(head: bytes, claimed: str, found: str) -> None:
    """Where a container does not tell sound from pictures, its sender may; of nothing else."""
    assert sniff(head, claimed) == found


def test_accepted() -> None:
    """What is of no allowed type is refused, with what it is and what was said; without a list all is taken."""
    allowed = frozenset({"video/webm"})
    assert accepted(HEADS[0][0], "", allowed) == "video/webm"
    with pytest.raises(MediaTypeRefused) as caught:
        accepted(b"GIF89a", "video/webm", allowed)
    assert caught.value.facts == {"found": "image/gif", "claimed": "video/webm"}
    with pytest.raises(MediaTypeRefused):
        accepted(HEADS[0][0], "audio/webm", allowed)
    assert accepted(b"<html>", "text/html", None) == UNKNOWN


def test_kinds() -> None:
    """Each type has an ending and a kind; what browsers call it is one name."""
    assert {kind_of(name) for name in EXTENSIONS} == {"video", "audio", "image"}
    assert len(set(EXTENSIONS.values())) == len(EXTENSIONS)
    assert kind_of(UNKNOWN) == "other"
    assert base_type(" Audio/X-WAV ;a=b") == "audio/wav"


@given(
    st.binary(max_size=64), st.sampled_from([b"", b"\x1a\x45\xdf\xa3", b"OggS", b"RIFF", b"\xff", b"\0\0\0\x20ftyp"])
)
def test_any_bytes(rest: bytes, start: bytes) -> None:
    """Any bytes are of one of the types that there are, or of none; none is an error."""
    assert sniff(start + rest, "video/webm") in {*EXTENSIONS, UNKNOWN, "image/avif", "image/heic", "image/heif"}
