"""A composition as an SVG picture that needs no other program to be drawn."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Final

import attrs

from objectkernel_cli.pictures.layout import layers_of
from objectkernel_cli.pictures.view import COLOURS, Arrow, GraphView, Item

BOX: Final = 40
ROW: Final = 58
GAP: Final = 90
MARGIN: Final = 16
LETTER: Final = 7.2
"""Height of a box, of a row; the space between columns; the width of a letter at 12 px; all in px."""

DASHES: Final = {"needs": "", "wants": ' stroke-dasharray="6 4"', "collects": ' stroke-dasharray="2 3"'}


@attrs.frozen
class Place:
    """Where a box stands: its left upper corner and its width."""

    x: float
    y: float
    width: float


def svg(view: GraphView) -> str:
    """The picture: services left of who needs them, filled by state; solid arrows are hard."""
    places, width, height = _places(view)
    return "\n".join(_drawn(view, places, width, height)) + "\n"


def _places(view: GraphView) -> tuple[dict[str, Place], float, float]:
    items = {item.id: item for item in view.items}
    columns = layers_of(list(items), [(a.source, a.target) for a in view.arrows])
    tallest = max((len(c) for c in columns), default=0)
    places: dict[str, Place] = {}
    x = float(MARGIN)
    for column in columns:
        width = max(_width(items[id]) for id in column)
        top = MARGIN + (tallest - len(column)) * ROW / 2
        for index, id in enumerate(column):
            places[id] = Place(x, top + index * ROW, width)
        x += width + GAP
    return places, max(x - GAP + MARGIN, 420), MARGIN * 2 + tallest * ROW + 24


def _width(item: Item) -> float:
    return max(len(item.name) * LETTER, len(item.subtitle) * LETTER * 0.85, 80) + 20


def _drawn(view: GraphView, places: dict[str, Place], width: float, height: float) -> Iterator[str]:
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
        yield _arrow(arrow, places[arrow.source], places[arrow.target])
    for item in view.items:
        yield from _box(item, places[item.id])
    yield from _legend(view, height)
    yield "</svg>"


def _arrow(arrow: Arrow, source: Place, target: Place) -> str:
    """From the left side of who needs to the right side of what is needed; in a ring, back around below."""
    x1, y1 = source.x, source.y + BOX / 2
    x2, y2 = target.x + target.width, target.y + BOX / 2
    if x1 > x2:
        bend = max((x1 - x2) / 2, 30)
        path = f"M{x1:.0f} {y1:.0f}C{x1 - bend:.0f} {y1:.0f} {x2 + bend:.0f} {y2:.0f} {x2:.0f} {y2:.0f}"
    else:
        x1, x2 = source.x + source.width / 2, target.x + target.width / 2
        y1, y2 = source.y + BOX, target.y + BOX
        path = f"M{x1:.0f} {y1:.0f}C{x1:.0f} {y1 + 30:.0f} {x2:.0f} {y2 + 30:.0f} {x2:.0f} {y2:.0f}"
    tooltip = escape(f"{arrow.source} {arrow.kind} {arrow.target}")
    return (
        f'<path d="{path}" fill="none" stroke="#555" class="{arrow.kind}"{DASHES[arrow.kind]} '
        f'marker-end="url(#tip)"><title>{tooltip}</title></path>'
    )


def _box(item: Item, place: Place) -> Iterator[str]:
    dash = "" if item.state in ("discovered", "running", "host") else ' stroke-dasharray="4 3"'
    middle = place.x + place.width / 2
    yield f"<g><title>{escape(item.where)}</title>"
    yield (
        f'<rect x="{place.x:.0f}" y="{place.y:.0f}" width="{place.width:.0f}" height="{BOX}" rx="6" '
        f'fill="{item.colour}" stroke="#555"{dash}/>'
    )
    yield (
        f'<text x="{middle:.0f}" y="{place.y + 17:.0f}" text-anchor="middle" font-weight="bold">'
        f"{escape(item.name)}</text>"
    )
    yield (
        f'<text x="{middle:.0f}" y="{place.y + 32:.0f}" text-anchor="middle" font-size="10" fill="#333">'
        f"{escape(item.subtitle)}</text></g>"
    )


def _legend(view: GraphView, height: float) -> Iterator[str]:
    x, y = MARGIN, height - MARGIN
    for state in dict.fromkeys(item.state for item in view.items):
        colour = COLOURS.get(state, "#e6e6e6")
        yield f'<rect x="{x}" y="{y - 9:.0f}" width="11" height="11" fill="{colour}" stroke="#555"/>'
        yield f'<text x="{x + 16}" y="{y:.0f}" font-size="10">{escape(state)}</text>'
        x += 30 + round(len(state) * LETTER)
    for kind, dash in DASHES.items():
        if any(arrow.kind == kind for arrow in view.arrows):
            yield f'<path d="M{x} {y - 4:.0f}h24" stroke="#555"{dash}/>'
            yield f'<text x="{x + 29}" y="{y:.0f}" font-size="10">{kind}</text>'
            x += 43 + round(len(kind) * LETTER)
