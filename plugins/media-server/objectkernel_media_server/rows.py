"""Recordings as rows of the database, and as JSON within events."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import attrs

from objectkernel_media_server.claims import plain_metadata
from objectkernel_media_server.contracts import InvalidMedia, MediaRow
from objectkernel_media_server.entities import NO_TAKE

_FIELDS: Final = tuple(field.name for field in attrs.fields(MediaRow))
_FIXED: Final = frozenset({"id", "account_id", "bucket", "key", "created_at"})
CHANGEABLE: Final = frozenset(_FIELDS) - _FIXED
"""The fields of a recording that may change."""
_TIMES: Final = ("created_at", "updated_at")


def stored(row: MediaRow) -> dict[str, Any]:
    """A recording as it is kept."""
    return columns({name: getattr(row, name) for name in _FIELDS})


def columns(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Some fields of a recording as they are kept."""
    kept = dict(fields)
    if "take_index" in kept:
        take = kept.pop("take_index")
        kept["take_order"] = NO_TAKE if take is None else take
    if "metadata" in kept:
        kept["metadata"] = plain_metadata(kept["metadata"])
    return kept


def recording(row: Mapping[str, Any]) -> MediaRow:
    """A recording of what is kept of it."""
    take = row["take_order"]
    return MediaRow(take_index=None if take == NO_TAKE else take, **{n: row[n] for n in _FIELDS if n != "take_index"})


def refuse_unknown(changes: Mapping[str, Any]) -> None:
    """Refuse changes of what a recording has not, or keeps for its life.

    Raises:
        InvalidMedia: there are such.
    """
    if wrong := sorted(changes.keys() - CHANGEABLE):
        raise InvalidMedia(
            f"a recording's {', '.join(wrong)} cannot be changed",
            why=f"what may change is {', '.join(sorted(CHANGEABLE))}",
            fix="change these alone",
        )


def as_json(row: MediaRow) -> dict[str, Any]:
    """A recording as JSON, with times as text (RFC 3339)."""
    shown = {name: getattr(row, name) for name in _FIELDS}
    times = {name: None if shown[name] is None else shown[name].isoformat() for name in _TIMES}
    return {**shown, **times, "metadata": plain_metadata(row.metadata)}


def from_json(shown: Mapping[str, Any]) -> MediaRow:
    """A recording of what `as_json` has made."""
    times = {name: None if shown[name] is None else datetime.fromisoformat(shown[name]) for name in _TIMES}
    return MediaRow(**{**shown, **times})
