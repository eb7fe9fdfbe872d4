"""A layered layout: what is needed stands left of who needs it, and arrows cross little."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

SWEEPS: Final = 6


def layers_of(nodes: Sequence[str], edges: Iterable[tuple[str, str]]) -> list[list[str]]:
    """`nodes` in columns, ordered within each.

    Args:
        edges: (who needs, what is needed). An edge that closes a ring is not looked at.

    Returns:
        columns from left to right; a node stands right of all that it needs.
    """
    needed: dict[str, list[str]] = {node: [] for node in nodes}
    for source, target in edges:
        needed[source].append(target)
    depth = _depths(nodes, needed)
    columns: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for node in nodes:
        columns[depth[node]].append(node)
    _untangle(columns, needed)
    return columns


def _depths(nodes: Sequence[str], needed: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """The longest way from each node down to one that needs nothing; without recursion, for long chains."""
    depth: dict[str, int] = {}
    under_way: set[str] = set()
    for root in nodes:
        stack = [root]
        while stack:
            node = stack[-1]
            todo = [n for n in needed[node] if n not in depth and n not in under_way and n != node]
            if node not in depth and todo:
                under_way.add(node)
                stack.append(todo[0])
                continue
            stack.pop()
            under_way.discard(node)
            depth[node] = 1 + max((depth[n] for n in needed[node] if n in depth and n != node), default=-1)
    return depth


def _untangle(columns: list[list[str]], needed: Mapping[str, Sequence[str]]) -> None:
    """Order each column by the mean height of the neighbours, to and fro (barycentre heuristic)."""
    around: dict[str, list[str]] = {node: list(targets) for node, targets in needed.items()}
    for node, targets in needed.items():
        for target in targets:
            around[target].append(node)
    height = {node: index - len(column) / 2 for column in columns for index, node in enumerate(column)}
    for sweep in range(SWEEPS):
        for column in columns if sweep % 2 == 0 else reversed(columns):
            mean = {n: sum(height[m] for m in around[n]) / len(around[n]) if around[n] else height[n] for n in column}
            column.sort(key=mean.__getitem__)
            height |= {node: index - len(column) / 2 for index, node in enumerate(column)}
