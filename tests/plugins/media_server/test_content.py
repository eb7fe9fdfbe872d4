"""Which bytes a request gets: the rules of RFC 9110, and its examples."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from objectkernel_media_server.content import Selection, Span, _listed, ranges, select
from objectkernel_media_server.content_http import disposition

ETAG = '"abc"'
MODIFIED = datetime(2026, 3, 1, 12, 0, 0, 999_999, tzinfo=UTC)
AT = "Sun, 01 Mar 2026 12:00:00 GMT"
BEFORE = "Sun, 01 Mar 2026 11:59:59 GMT"
SIZE = 10_000


def asked(method: str = "GET", size: int = SIZE, most: int = 16, **headers: str) -> Selection:
    """What a request with these headers gets."""
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return select(method, told, size=size, etag=ETAG, modified=MODIFIED, most=most)


def spans(selection: Selection) -> list[tuple[int, int]]:
    """First and last byte of each."""
    return [(span.start, span.stop - 1) for span in selection.spans]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        # section 14.1.2 and 14.2, whose examples are about 10,000 bytes
        ("bytes=0-499", [(0, 499)]),
        ("bytes=500-999", [(500, 999)]),
        ("bytes=-500", [(9500, 9999)]),
        ("bytes=9500-", [(9500, 9999)]),
        ("bytes=0-0,-1", [(0, 0), (9999, 9999)]),
        ("bytes= 0-999, 4500-5499, -1000", [(0, 999), (4500, 5499), (9000, 9999)]),
        ("bytes=500-600,601-999", [(500, 999)]),
        ("bytes=500-700,601-999", [(500, 999)]),
        # beyond the end
        ("bytes=9990-20000", [(9990, 9999)]),
        ("bytes=-20000", [(0, 9999)]),
        ("bytes=0-", [(0, 9999)]),
        # one that can be satisfied is enough
        ("bytes=20000-,5-6", [(5, 6)]),
        ("bytes=-0,5-6", [(5, 6)]),
        # other spellings
        ("BYTES=5-6", [(5, 6)]),
        ("bytes = 5-6 ,, 5000-5001", [(5, 6), (5000, 5001)]),
        # the order of the request, where nothing overlaps
        ("bytes=5000-5001,5-6", [(5000, 5001), (5, 6)]),
        ("bytes=5000-6000,5-6,5500-7000", [(5, 6), (5000, 7000)]),
        # a gap that costs less than another head
        ("bytes=0-9,50-59", [(0, 59)]),
    ],
)
def test_ranges(header: str, expected: list[tuple[int, int]]) -> None:
    """206 with these."""
    found = asked(range=header)
    assert (found.status, spans(found)) == (206, expected)


@pytest.mark.parametrize(
    "header",
    ["seconds=0-1", "bytes", "bytes=", "bytes=,", "bytes=a-b", "bytes=5-4", "bytes=--5", "bytes=5", "bytes=٣-٤", "0-1"],
)
def test_ranges_that_are_ignored(header: str) -> None:
    """An unknown unit, and what cannot be meant, is as if it was not there: 200 with everything."""
    found = asked(range=header)
    assert (found.status, spans(found)) == (200, [(0, SIZE - 1)])
    assert ranges(header) is None


@pytest.mark.parametrize("header", ["bytes=10000-", "bytes=10000-10001", "bytes=-0", "bytes=20000-,30000-"])
def test_ranges_that_cannot_be_satisfied(header: str) -> None:
    """416."""
    assert asked(range=header).status == 416


@given(st.from_regex(r"(bytes|Bytes| bytes|lines)=?[0-9٣]{0,20}-?[0-9٣]{0,20}[, ]?", fullmatch=True))
def test_one_range_is_a_list_of_one(header: str) -> None:
    """What players send is read as every other header."""
    assert ranges(header) == _listed(header)


@given(
    st.from_regex(r"[0-9]{0,2}-[0-9]{0,2}", fullmatch=True),
    st.integers(0, 50),
    st.sampled_from([ETAG, '"x"', AT, BEFORE]),
)
def test_a_range_that_is_asked_for_twice(one: str, size: int, since: str) -> None:
    """One range alone gets what it gets among several."""
    alone = asked(size=size, range=f"bytes={one}", if_range=since)
    assert alone == asked(size=size, range=f"bytes={one},{one}", if_range=since)


def test_number_of_ranges() -> None:
    """More than so many are refused, whatever they are."""
    header = "bytes=" + ",".join(f"{number * 200}-{number * 200}" for number in range(17))
    assert asked(range=header).status == 416
    assert asked(range=header, most=17).status == 206


def test_nothing_is_sent_twice() -> None:
    """Overlapping ranges are joined, so that no request costs more than the content."""
    found = asked(range="bytes=" + ",".join(["0-"] * 16))
    assert found.spans == (Span(0, SIZE),)


def test_empty_content() -> None:
    """It has no ranges."""
    assert asked(size=0, range="bytes=0-0").status == 416
    assert asked(size=0, range="bytes=-5").status == 416
    assert asked(size=0).spans == (Span(0, 0),)


def test_ranges_are_for_get() -> None:
    """HEAD tells of the whole."""
    assert asked("HEAD", range="bytes=0-1").status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"if_none_match": ETAG}, 304),
        ({"if_none_match": f'"x", W/{ETAG}'}, 304),
        ({"if_none_match": "*"}, 304),
        ({"if_none_match": '"x"'}, 200),
        ({"if_none_match": '"x"', "if_modified_since": AT}, 200),
        ({"if_none_match": "abc"}, 200),
        ({"if_match": ETAG}, 200),
        ({"if_match": f'"x", {ETAG}'}, 200),
        ({"if_match": "*"}, 200),
        ({"if_match": f"W/{ETAG}"}, 412),
        ({"if_match": '"x"'}, 412),
        ({"if_match": '"x"', "if_none_match": ETAG}, 412),
        ({"if_match": ETAG, "if_none_match": ETAG}, 304),
        ({"if_modified_since": AT}, 304),
        ({"if_modified_since": BEFORE}, 200),
        ({"if_modified_since": "soon"}, 200),
        ({"if_modified_since": "Fri, 31 Dec 9999 23:59:59 -2359"}, 200),
        ({"if_unmodified_since": AT}, 200),
        ({"if_unmodified_since": BEFORE}, 412),
        ({"if_unmodified_since": "soon"}, 200),
        ({"if_unmodified_since": BEFORE, "if_match": ETAG}, 200),
        ({"range": "bytes=0-1", "if_none_match": ETAG}, 304),
        ({"range": "bytes=0-1", "if_match": '"x"'}, 412),
        ({"range": "bytes=0-1", "if_range": ETAG}, 206),
        ({"range": "bytes=0-1", "if_range": '"x"'}, 200),
        ({"range": "bytes=0-1", "if_range": f"W/{ETAG}"}, 200),
        ({"range": "bytes=0-1", "if_range": AT}, 206),
        ({"range": "bytes=0-1", "if_range": BEFORE}, 200),
        ({"range": "bytes=0-1", "if_range": "soon"}, 200),
        ({"range": "bytes=99999-", "if_range": '"x"'}, 200),
    ],
)
def test_preconditions(headers: dict[str, str], status: int) -> None:
    """In the order of section 13.2.2."""
    assert asked(**headers).status == status


def test_dates_of_any_zone() -> None:
    """A date that is told in another zone, or with none, is the same time."""
    zone = (MODIFIED + timedelta(hours=2)).strftime("%a, %d %b %Y %H:%M:%S +0200")
    assert asked(if_modified_since=zone).status == 304
    assert asked(if_modified_since="Sun Mar  1 12:00:00 2026").status == 304


@pytest.mark.parametrize(
    ("content_type", "filename", "expected"),
    [
        ("video/webm", None, "inline"),
        ("audio/ogg; codecs=opus", None, "inline"),
        ("image/png", None, "inline"),
        ("image/svg+xml", None, "attachment"),
        ("text/html", None, "attachment"),
        ("application/octet-stream", None, "attachment"),
        ("video/webm", "take 1.webm", 'attachment; filename="take 1.webm"'),
        ("video/webm", 'a"b.webm', "attachment; filename=\"a_b.webm\"; filename*=UTF-8''a%22b.webm"),
        ("video/webm", "é.webm", "attachment; filename=\"_.webm\"; filename*=UTF-8''%C3%A9.webm"),
        (
            "video/webm",
            "a\r\nSet-Cookie: x",
            "attachment; filename=\"a__Set-Cookie: x\"; filename*=UTF-8''a%0D%0ASet-Cookie%3A%20x",
        ),
        ("video/webm", "\ud800", "attachment; filename=\"_\"; filename*=UTF-8''%3F"),
    ],
)
def test_disposition(content_type: str, filename: str | None, expected: str) -> None:
    """Only what cannot run is shown; a name is never a header of its own."""
    assert disposition(content_type, filename) == expected
