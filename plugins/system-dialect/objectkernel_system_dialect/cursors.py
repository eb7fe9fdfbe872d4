"""Keyset cursors: the sort values of a page's last row, opaque, and checked when they come back."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from objectkernel_system_dialect.conditions import Terms
from objectkernel_system_dialect.entity import Entity
from objectkernel_system_dialect.errors import CursorInvalid, DataError
from objectkernel_system_dialect.rows import RowReader
from objectkernel_system_dialect.stored import Codec, codec

NEUTRAL: Final = "sqlite"
"""The codecs of cursors: what they encode is text, or a number."""


def make_cursor(entity: Entity, sort: Terms, row: Mapping[str, Any]) -> str:
    """The cursor behind `row` in this order."""
    values = [_shown(codec(NEUTRAL, entity.fields[name]), row[name]) for name, _ in sort]
    text = json.dumps([_signature(sort), *values], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(entity: Entity, sort: Terms, cursor: str) -> Sequence[Any]:
    """The sort values, as the driver takes them, of the row that the cursor stands behind.

    Raises:
        CursorInvalid: it is damaged, or was made for another order.
    """
    try:
        content = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise _invalid("it cannot be read") from None
    if not isinstance(content, list) or len(content) != len(sort) + 1 or content[0] != _signature(sort):
        raise _invalid("it was made for another sort order")
    columns = {name: codec(NEUTRAL, entity.fields[name]) for name, _ in sort}
    reader = RowReader(entity.schema.name, entity.schema.key, columns)
    try:
        row = reader.row(content[1:])
        return [None if row[name] is None else entity.comparable(name, "$eq", row[name]) for name, _ in sort]
    except DataError:
        raise _invalid("its values do not fit the fields") from None


def _shown(codec: Codec, value: Any) -> Any:
    """A value as JSON has it, so that the cursors of all databases are alike."""
    if value is not None and codec.encode is not None:
        value = codec.encode(value)
    return int(value) if isinstance(value, bool) else value


def _signature(sort: Terms) -> str:
    return ",".join(f"{name}:{direction}" for name, direction in sort)


def _invalid(why: str) -> CursorInvalid:
    return CursorInvalid("the cursor cannot be used", why=why, fix="begin again without a cursor, in the order wanted")
