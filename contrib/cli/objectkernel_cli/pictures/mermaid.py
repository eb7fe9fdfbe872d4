"""A composition as a Mermaid flowchart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from objectkernel_cli.pictures.view import GraphView, Item

ARROWS: Final = {"needs": "-->", "wants": "-.->", "collects": "-. collects .->"}


def mermaid(view: GraphView) -> str:
    """The text of the flowchart: a box per service, in a frame per plugin; dotted arrows are soft."""
    return "\n".join(_lines(view)) + "\n"


def _lines(view: GraphView) -> Iterator[str]:
    yield "flowchart LR"
    ids = {item.id: f"n{index}" for index, item in enumerate(view.items)}
    for index, (plugin, items) in enumerate(view.plugins().items()):
        if plugin:
            yield f'  subgraph p{index}["{_quoted(plugin)}"]'
        for item in items:
            yield f'    {ids[item.id]}["{_quoted(_label(item))}"]'
        if plugin:
            yield "  end"
    for arrow in view.arrows:
        yield f"  {ids[arrow.source]} {ARROWS[arrow.kind]} {ids[arrow.target]}"
    for item in view.items:
        dash = "" if item.state in ("discovered", "running", "host") else ",stroke-dasharray:4"
        yield f"  style {ids[item.id]} fill:{item.colour},stroke:#555,color:#000{dash}"


def _label(item: Item) -> str:
    told = [item.kind] if item.kind not in ("service", item.state) else []
    told += [item.state] if item.state not in ("discovered", "running", "host") else []
    return f"{item.name} ({', '.join(told)})" if told else item.name


def _quoted(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
