"""A layered layout: what is needed stands left of who needs it, and no arrow has to run behind a box."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Final, TypeAlias

import attrs

SWEEPS: Final = 6

Edge: TypeAlias = tuple[str, str]
"""(who needs, what is needed)"""


@attrs.frozen
class Bend:
    """The room that a long arrow has in a column it only crosses."""

    edge: Edge
    column: int


Slot: TypeAlias = "str | Bend"


@attrs.frozen(kw_only=True)
class Layout:
    """Attributes:
    columns: from left to right, each from top to bottom: every node once, and the bends between them.
    routes: of each edge, the bends on the way from who needs to what is needed.
    """

    columns: list[list[Slot]]
    routes: dict[Edge, list[Bend]]


def layout(nodes: Sequence[str], edges: Iterable[Edge]) -> Layout:
    """Put `nodes` in columns, ordered so that arrows cross little.

    A node stands right of all that it needs, but for the edges that close a ring: of such a one what is needed
    stands right. Whichever way an edge leads, its ends are in different columns.

    Args:
        edges: between two different nodes.
    """
    routes: dict[Edge, list[Bend]] = {edge: [] for edge in edges}
    depth = _depths(nodes, routes)
    columns: list[list[Slot]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for node in nodes:
        columns[depth[node]].append(node)
    around: dict[Slot, list[Slot]] = {node: [] for node in nodes}
    for edge, bends in routes.items():
        source, target = edge
        step = 1 if depth[source] < depth[target] else -1
        bends += [Bend(edge, column) for column in range(depth[source] + step, depth[target], step)]
        for bend in bends:
            columns[bend.column].append(bend)
        way: list[Slot] = [source, *bends, target]
        for one, other in pairwise(way):
            around.setdefault(one, []).append(other)
            around.setdefault(other, []).append(one)
    _untangle(columns, around)
    return Layout(columns=columns, routes=routes)


def _depths(nodes: Sequence[str], edges: Collection[Edge]) -> dict[str, int]:
    """The column of each node: its longest way down to one that needs nothing."""
    needed: dict[str, list[str]] = {node: [] for node in nodes}
    for source, target in edges:
        needed[source].append(target)
    rank = {node: index for index, node in enumerate(_deepest_first(nodes, needed))}
    below: dict[str, list[str]] = {node: [] for node in rank}
    for source, target in edges:
        left, right = sorted((source, target), key=rank.__getitem__)
        below[right].append(left)
    depth: dict[str, int] = {}
    for node, others in below.items():
        depth[node] = 1 + max((depth[other] for other in others), default=-1)
    return depth


def _deepest_first(nodes: Sequence[str], needed: Mapping[str, Sequence[str]]) -> list[str]:
    """Each node after all that it needs, as far as there is no ring; without recursion, for long chains."""
    seen: set[str] = set()
    done: list[str] = []
    for root in nodes:
        stack = [(root, iter(needed[root]))] if root not in seen else []
        seen.add(root)
        while stack:
            node, rest = stack[-1]
            deeper = next((other for other in rest if other not in seen), None)
            if deeper is None:
                done.append(node)
                stack.pop()
            else:
                seen.add(deeper)
                stack.append((deeper, iter(needed[deeper])))
    return done


def _untangle(columns: list[list[Slot]], around: Mapping[Slot, Sequence[Slot]]) -> None:
    """Order each column by the mean height of the neighbours, to and fro (barycentre heuristic)."""
    height = {slot: index - len(column) / 2 for column in columns for index, slot in enumerate(column)}
    for sweep in range(SWEEPS):
        for column in columns if sweep % 2 == 0 else reversed(columns):
            mean = {s: sum(height[m] for m in around[s]) / len(around[s]) if around[s] else height[s] for s in column}
            column.sort(key=mean.__getitem__)
            height |= {slot: index - len(column) / 2 for index, slot in enumerate(column)}
