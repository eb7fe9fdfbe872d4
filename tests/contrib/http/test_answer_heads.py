"""The head of an answer: its lines, and what they say of the body."""

from __future__ import annotations

import pytest

pytest.importorskip("httptools")

from objectkernel_http.answer_heads import AnswerHead, answer_head


def test_lines() -> None:
    """One for each header, in their order, with names in lower case."""
    headers = [(b"Content-Type", b"video/webm"), (b"etag", b'"1"'), (b"set-cookie", b"a"), (b"set-cookie", b"b\tc")]
    head = answer_head(206, headers)
    assert head.lines == [
        b"HTTP/1.1 206 Partial Content\r\n",
        b"content-type: video/webm\r\n",
        b'etag: "1"\r\n',
        b"set-cookie: a\r\n",
        b"set-cookie: b\tc\r\n",
    ]
    assert (head.length, head.chunked, head.closes) == (None, False, False)


def test_lines_that_were_made_before_are_not_others() -> None:
    """The same value under another name, and another value under the same name."""
    one = answer_head(200, [(b"etag", b"x"), (b"vary", b"y")]).lines
    other = answer_head(200, [(b"etag", b"y"), (b"vary", b"x")]).lines
    assert (one[1:], other[1:]) == ([b"etag: x\r\n", b"vary: y\r\n"], [b"etag: y\r\n", b"vary: x\r\n"])


@pytest.mark.parametrize(
    ("headers", "length", "chunked", "closes"),
    [
        ([(b"Content-Length", b"12")], 12, False, False),
        ([(b"content-length", b"12"), (b"content-length", b"13")], 12, False, False),
        ([(b"transfer-encoding", b"Chunked")], None, True, False),
        ([(b"transfer-encoding", b"gzip")], None, False, False),
        ([(b"transfer-encoding", b"chunked"), (b"content-length", b"12")], None, True, False),
        ([(b"connection", b"keep-alive, Close")], None, False, True),
        ([(b"connection", b"closed")], None, False, False),
    ],
)
def test_what_headers_say(headers: list[tuple[bytes, bytes]], length: int | None, chunked: bool, closes: bool) -> None:
    """Of the length of the body, and of the end of the connection."""
    head = answer_head(200, headers)
    assert head == AnswerHead(head.lines, length, chunked, closes)


@pytest.mark.parametrize("name", [b"", b"a b", b"a:", b"a\r\nb", "ä".encode(), b"a\0"])
def test_no_name(name: bytes) -> None:
    """It would end the name, or the head."""
    with pytest.raises(RuntimeError, match="no name of a header"):
        answer_head(200, [(name, b"value")])


@pytest.mark.parametrize("name", [b"etag", b"x-of-an-application"])
@pytest.mark.parametrize("value", [b"a\r\nset-cookie: b", b"a\nb", b"a\0", b"\x7f"])
def test_no_value(name: bytes, value: bytes) -> None:
    """It would end the line, whether lines of its name are remembered or not."""
    with pytest.raises(RuntimeError, match="no value of a header"):
        answer_head(200, [(name, value)])
