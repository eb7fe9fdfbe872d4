"""The seals of private packages whose account was deleted before there were seals.

Who takes such an id learns nothing of what was before. The history tells of each whether it was private and when its
account left: an id without a head was left with its last entry, one that has a head again before the first entry of
another account.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from objectkernel_system_dialect.contracts import Migration
from sqlalchemy import JSON, insert, select, update

from objectkernel_package_service.table import CHANGE, HEAD


def seal_what_was_left(step: Any) -> None:
    """Give each private package that its account left behind the seal that it would have by now."""
    changes, heads = step.table(CHANGE.collection), step.table(HEAD.collection)
    left = select(changes.c.id).where(changes.c.action == "delete", changes.c.by.is_(None)).distinct()
    taken = set(step.connection.scalars(select(heads.c.id).where(heads.c.id.in_(left))).all())
    for id in step.connection.scalars(left).all():
        of_package = select(changes).where(changes.c.id == id).order_by(changes.c.number)
        rows = step.connection.execute(of_package).all()
        _seal(step, changes, rows, unsealed(rows, is_taken=id in taken))


def unsealed(rows: Sequence[Any], *, is_taken: bool) -> list[int]:
    """The numbers of a history before which a seal is missing; one beyond the last where that is at its end.

    Args:
        rows: action, by, details and number of each change, in their order.
        is_taken: whether the id belongs to somebody.
    """
    found: list[int] = []
    owner, visibility = None, "public"
    for row in rows:
        details = _details(row.details)
        if row.action == "seal":
            owner, visibility = None, "public"
        elif row.action == "transfer":
            owner = details.get("to")
        elif row.action == "publish" and row.by is not None:
            if owner not in (None, row.by):
                found += [row.number] if visibility == "private" else []
                visibility = "public"
            owner = row.by
        visibility = details.get("visibility", visibility)
    if not is_taken and visibility == "private":
        found.append(rows[-1].number + 1)
    return found


def _seal(step: Any, changes: Any, rows: Sequence[Any], places: Sequence[int]) -> None:
    """Put seals in these places, and what follows further on."""
    of_package = changes.c.id == rows[0].id
    for row in reversed(rows):
        if before := sum(place <= row.number for place in places):
            moved = update(changes).where(of_package, changes.c.number == row.number)
            step.connection.execute(moved.values(number=row.number + before))
    for before, place in enumerate(places):
        at = next(row.at for row in reversed(rows) if row.number < place)
        details: Any = {} if isinstance(changes.c.details.type, JSON) else "{}"
        entry = {"id": rows[0].id, "number": place + before, "action": "seal", "details": details, "at": at}
        step.connection.execute(insert(changes).values(entry))


def _details(stored: Any) -> dict[str, Any]:
    """What else was said; nothing where it is damaged."""
    try:
        details = json.loads(stored) if isinstance(stored, str) else stored
    except ValueError:
        return {}
    return details if isinstance(details, dict) else {}


SEALS: Final = Migration(
    "package-service",
    3,
    "private packages of accounts that are gone are sealed",
    seal_what_was_left,
    collections=CHANGE.collection,
)
