"""URLs as SQLAlchemy reads them, which is imported for the first of them, and never shown in an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import URL


def parsed_url(uri: str) -> URL | None:
    """What a URL says; None: it is none."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(uri)
    except (ArgumentError, ValueError):  # its text shows the URI, so it does not even become a context
        return None
