"""A composition in Graphviz' language."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from objectkernel_cli.pictures.view import GraphView, Item

STYLES: Final = {"needs": "solid", "wants": "dashed", "collects": "dotted"}


def dot(view: GraphView) -> str:
    """The text of the digraph: a box per service, in a cluster per plugin; solid arrows are hard."""
    return "\n".join(_lines(view)) + "\n"


def _lines(view: GraphView) -> Iterator[str]:
    yield "digraph kernel {"
    yield '  rankdir=LR; node [shape=box, style="filled,rounded", fontname="sans-serif"];'
    for index, (plugin, items) in enumerate(view.plugins().items()):
        if plugin:
            yield f"  subgraph cluster_{index} {{ label={_quoted(plugin)}; color=gray;"
        for item in items:
            yield f"    {_quoted(item.id)} [{_looks(item)}];"
        if plugin:
            yield "  }"
    for arrow in view.arrows:
        yield f"  {_quoted(arrow.source)} -> {_quoted(arrow.target)} [style={STYLES[arrow.kind]}];"
    yield "}"


def _looks(item: Item) -> str:
    label = "\n".join(part for part in (item.name, item.subtitle) if part)
    dashed = "" if item.state in ("discovered", "running", "host") else ', style="filled,dashed"'
    return f"label={_quoted(label)}, fillcolor={_quoted(item.colour)}{dashed}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
