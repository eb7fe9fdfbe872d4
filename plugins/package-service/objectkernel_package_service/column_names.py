"""Names that a package gives, as names that every database takes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from typing import Final

LONGEST: Final = 63
_STRANGE: Final = re.compile(r"[^A-Za-z0-9_]")
_OWN: Final = frozenset({"cmax", "cmin", "ctid", "tableoid", "xmax", "xmin"})
"""Columns that PostgreSQL has itself."""


def column_name(name: str, taken: Collection[str]) -> str:
    """The name of a column for a field; `taken` has those of the others in lower case."""
    made = _safe(name, "field")
    if made.lower() in _OWN:
        made += "_"
    return made if made.lower() not in taken else _with_digest(made, name)


def entity_name(name: str) -> str:
    """The name of an entity for an object."""
    return _safe(name, "object")


def collection_name(name: str) -> str:
    """The table of an object: its name in lower case, words of ``CamelCase`` joined by ``_``."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", _safe(name, "object")).lower()
    if snake.startswith(("sqlite_", "objectkernel_")):
        snake = f"x_{snake}"
    return snake if len(snake) <= LONGEST else _with_digest(snake, name)


def link_name(collection: str, relation: str) -> str:
    """The table of a relation to many."""
    made = f"{collection}__{relation}".lower()
    return made if len(made) <= LONGEST else _with_digest(made, made)


def _safe(name: str, kind: str) -> str:
    made = _STRANGE.sub("_", name)
    if not made.strip("_"):
        return _with_digest(kind, name)
    made = f"_{made}" if made[0].isdigit() else made
    return made if len(made) <= LONGEST else _with_digest(made, name)


def _with_digest(made: str, name: str) -> str:
    """A name that only this one has: what is cut off, or replaced, is in the digest."""
    digest = hashlib.blake2s(name.encode(), digest_size=4).hexdigest()
    return f"{made[: LONGEST - 9]}_{digest}"
