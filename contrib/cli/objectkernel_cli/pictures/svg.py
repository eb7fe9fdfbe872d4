"""A composition as an SVG picture that needs no other program to be drawn."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from itertools import pairwise
from pathlib import PurePath
from typing import Final

import attrs

from objectkernel_cli.pictures.layout import Layout, Slot, layout
from objectkernel_cli.pictures.view import COLOURS, OTHER_COLOUR, Arrow, GraphView, Item

BOX: Final = 40
ROW: Final = 58
LANE: Final = 16
GAP: Final = 90
MARGIN: Final = 16
LETTER: Final = 7.2
"""Height of a box, of its row, of an arrow that passes; the space between columns; the width of a letter at 12 px;
all in px.
"""

DASHES: Final = {"needs": "", "wants": ' stroke-dasharray="6 4"', "collects": ' stroke-dasharray="2 3"'}


@attrs.frozen
class Place:
    """A box, or the lane of an arrow that passes: its left edge, its middle height and its width."""

    x: float
    y: float
    width: float


def svg(view: GraphView) -> str:
    """The picture: services left of who needs them, filled by state; solid arrows are hard."""
    items = {item.id: item for item in view.items}
    found = layout(list(items), [(a.source, a.target) for a in view.arrows])
    places, width, height = _places(found, items)
    return "\n".join(_drawn(view, found, places, max(width, _legend_width(view)), height)) + "\n"


def _places(found: Layout, items: dict[str, Item]) -> tuple[dict[Slot, Place], float, float]:
    """Where everything stands, the width and the height of the picture."""
    tallest = max((_height(column) for column in found.columns), default=0)
    places: dict[Slot, Place] = {}
    x = float(MARGIN)
    for column in found.columns:
        width = max(_width(items[slot]) for slot in column if isinstance(slot, str))
        y = MARGIN + (tallest - _height(column)) / 2
        for slot in column:
            room = _room(slot)
            places[slot] = Place(x, y + room / 2, width)
            y += room
        x += width + GAP
    return places, x - GAP + MARGIN, MARGIN * 2 + tallest + 24


def _room(slot: Slot) -> int:
    return ROW if isinstance(slot, str) else LANE


def _height(column: list[Slot]) -> int:
    return sum(map(_room, column))


def _width(item: Item) -> float:
    return max(len(item.name) * LETTER, len(item.subtitle) * LETTER * 0.85, 80) + 20


def _drawn(view: GraphView, found: Layout, places: dict[Slot, Place], width: float, height: float) -> Iterator[str]:
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" font-family="sans-serif" font-size="12">'
    )
    yield f"<title>{escape(view.host)}</title>"
    yield f'<rect width="{width:.0f}" height="{height:.0f}" fill="#fff"/>'
    yield (
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0 8 4 0 8z" fill="#555"/></marker></defs>'
    )
    for arrow in view.arrows:
        way: list[Slot] = [arrow.source, *found.routes[arrow.source, arrow.target], arrow.target]
        yield _arrow(arrow, [places[slot] for slot in way])
    for item in view.items:
        yield from _box(item, places[item.id])
    yield from _legend(view, height)
    yield "</svg>"


def _arrow(arrow: Arrow, way: list[Place]) -> str:
    """Curves between the columns, and straight on through the lane of a column that it only crosses."""
    leftwards = way[0].x > way[-1].x
    path = ""
    for begin, end in pairwise(way):
        x1, x2 = (begin.x, end.x + end.width) if leftwards else (begin.x + begin.width, end.x)
        path += f"{'L' if path else 'M'}{x1:.0f} {begin.y:.0f}"
        path += f"C{(x1 + x2) / 2:.0f} {begin.y:.0f} {(x1 + x2) / 2:.0f} {end.y:.0f} {x2:.0f} {end.y:.0f}"
    tooltip = escape(f"{arrow.source} {arrow.kind} {arrow.target}")
    return (
        f'<path d="{path}" fill="none" stroke="#555" class="{arrow.kind}"{DASHES[arrow.kind]} '
        f'marker-end="url(#tip)"><title>{tooltip}</title></path>'
    )


def _box(item: Item, place: Place) -> Iterator[str]:
    dash = "" if item.state in ("discovered", "running", "host") else ' stroke-dasharray="4 3"'
    middle, top = place.x + place.width / 2, place.y - BOX / 2
    yield f"<g><title>{escape(_near(item.where))}</title>"
    yield (
        f'<rect x="{place.x:.0f}" y="{top:.0f}" width="{place.width:.0f}" height="{BOX}" rx="6" '
        f'fill="{item.colour}" stroke="#555"{dash}/>'
    )
    yield (
        f'<text x="{middle:.0f}" y="{top + 17:.0f}" text-anchor="middle" font-weight="bold">{escape(item.name)}</text>'
    )
    yield (
        f'<text x="{middle:.0f}" y="{top + 32:.0f}" text-anchor="middle" font-size="10" fill="#333">'
        f"{escape(item.subtitle)}</text></g>"
    )


def _near(where: str) -> str:
    """The file and the folder it is in, which are the same on every machine."""
    return "/".join(PurePath(where).parts[-2:])


def _legend(view: GraphView, height: float) -> Iterator[str]:
    x, y = MARGIN, height - MARGIN
    for state in _states(view):
        colour = COLOURS.get(state, OTHER_COLOUR)
        yield f'<rect x="{x}" y="{y - 9:.0f}" width="11" height="11" fill="{colour}" stroke="#555"/>'
        yield f'<text x="{x + 16}" y="{y:.0f}" font-size="10">{escape(state)}</text>'
        x += 30 + round(len(state) * LETTER)
    for kind in _kinds(view):
        yield f'<path d="M{x} {y - 4:.0f}h24" stroke="#555"{DASHES[kind]}/>'
        yield f'<text x="{x + 29}" y="{y:.0f}" font-size="10">{kind}</text>'
        x += 43 + round(len(kind) * LETTER)


def _legend_width(view: GraphView) -> float:
    states, kinds = _states(view), _kinds(view)
    return 2 * MARGIN + sum(30 + len(s) * LETTER for s in states) + sum(43 + len(k) * LETTER for k in kinds)


def _states(view: GraphView) -> list[str]:
    return list(dict.fromkeys(item.state for item in view.items))


def _kinds(view: GraphView) -> list[str]:
    return [kind for kind in DASHES if any(arrow.kind == kind for arrow in view.arrows)]
