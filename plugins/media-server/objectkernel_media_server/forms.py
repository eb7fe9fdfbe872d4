"""Forms with a file in them (RFC 7578), part after part as they come: nothing of a file is kept."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

import attrs
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from objectkernel_media_server.errors import InvalidMedia, UploadIncomplete

MOST_PARTS: Final = 64
LONGEST_HEADER: Final = 4096


@attrs.define(eq=False)
class Part:
    """A field, or a file. It is to be read before the next one.

    Attributes:
        is_file: its sender gives it the name of a file.
    """

    name: str
    content_type: str
    is_file: bool
    _form: Form

    async def pieces(self) -> AsyncGenerator[bytes]:
        """Its content."""
        while (piece := await self._form.data()) is not None:
            yield piece

    async def text(self) -> str:
        """Its content, of a field that is not long.

        Raises:
            InvalidMedia: all fields together are too long, or it is no UTF-8.
        """
        found = b""
        while (piece := await self._form.data()) is not None:
            self._form.spend(len(piece))
            found += piece
        try:
            return found.decode()
        except UnicodeDecodeError:
            raise _invalid(f"the field {self.name[:40]!r} is no UTF-8") from None


class Form:
    """The parts of a form.

    Args:
        content_type: the header, with the boundary.
        body: what comes.
        budget: bytes that the fields, and the heads of all parts, may have together.

    Raises:
        InvalidMedia: there is no boundary.
    """

    def __init__(self, content_type: str, body: AsyncIterator[bytes], budget: int) -> None:
        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        if not boundary:
            raise _invalid("the form has no boundary")
        self._body = body
        self._budget = budget
        self._events: deque[Part | bytes | None] = deque()
        self._over = False
        self._name = self._value = b""
        self._head: dict[str, str] = {}
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._on_part_begin,
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": self._on_part_data,
                    "on_part_end": self._on_part_end,
                    "on_end": self._on_end,
                },
                max_header_size=LONGEST_HEADER,
            )
        except FormParserError as error:
            raise _invalid("the boundary is none", str(error)) from None
        self._count = 0

    async def parts(self) -> AsyncGenerator[Part]:
        """One after another; what was not read of one is passed over.

        Raises:
            InvalidMedia: it is no form, or too long a one.
            UploadIncomplete: it ended early.
        """
        while (event := await self._next()) is not _END:
            if isinstance(event, Part):
                yield event

    async def data(self) -> bytes | None:
        """More of the part that is being read; None: that was all."""
        event = await self._next()
        return event if isinstance(event, bytes) else None

    def spend(self, size: int) -> None:
        """Count what is kept in memory.

        Raises:
            InvalidMedia: it is too much.
        """
        self._budget -= size
        if self._budget < 0:
            raise _invalid("the fields of the form are too long")

    async def _next(self) -> Part | bytes | object | None:
        while not self._events:
            if self._over:
                return _END
            try:
                self._parser.write(await anext(self._body))
            except StopAsyncIteration:
                raise UploadIncomplete("the form ended early") from None
            except FormParserError as error:
                raise _invalid("the body is no form as its head says", str(error)) from None
        return self._events.popleft()

    # --- what the parser calls --------------------------------------------------------------------

    def _on_part_begin(self) -> None:
        self._head = {}
        self._count += 1
        if self._count > MOST_PARTS:
            raise _invalid(f"a form may have {MOST_PARTS} fields")

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self.spend(len(self._name) + len(self._value))
        self._head[self._name.decode("latin-1").lower()] = self._value.decode("latin-1")
        self._name = self._value = b""

    def _on_headers_finished(self) -> None:
        kind, options = parse_options_header(self._head.get("content-disposition", ""))
        name = options.get(b"name", b"").decode("utf-8", "replace")  # as browsers write it, and names of files
        if kind != b"form-data" or not name:
            raise _invalid("a part of the form has no name")
        self._events.append(Part(name, self._head.get("content-type", ""), b"filename" in options, self))

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(data[start:end])

    def _on_part_end(self) -> None:
        self._events.append(None)

    def _on_end(self) -> None:
        self._over = True


_END: Final = object()


def _invalid(what: str, why: str = "") -> InvalidMedia:
    return InvalidMedia(what, why=why or (), fix="send multipart/form-data with the file in the field `blob`")
