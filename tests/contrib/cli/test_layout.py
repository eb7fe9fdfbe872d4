"""The layered layout of the pictures."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from objectkernel_cli.pictures.layout import Bend, layout

NODES = [f"n{i}" for i in range(8)]
EDGES = st.lists(st.tuples(st.sampled_from(NODES), st.sampled_from(NODES)).filter(lambda e: e[0] != e[1]), max_size=20)


def columns_of(edges):
    found = layout(NODES, edges)
    return found, {slot: index for index, column in enumerate(found.columns) for slot in column}


@given(EDGES)
def test_every_node_stands_once_and_no_column_is_empty(edges):
    """Whatever needs what, rings too."""
    found, _ = columns_of(edges)
    assert sorted(s for column in found.columns for s in column if isinstance(s, str)) == NODES
    assert all(any(isinstance(s, str) for s in column) for column in found.columns)


@given(EDGES)
def test_an_edge_has_a_bend_in_each_column_it_crosses(edges):
    """So that no arrow passes a column but through its own lane."""
    found, column = columns_of(edges)
    for edge, bends in found.routes.items():
        ends = column[edge[0]], column[edge[1]]
        assert ends[0] != ends[1]
        between = range(min(ends) + 1, max(ends))
        assert sorted(column[bend] for bend in bends) == [*between]
        assert bends == sorted(bends, key=column.__getitem__, reverse=ends[0] > ends[1])
    assert sum(isinstance(s, Bend) for c in found.columns for s in c) == sum(map(len, found.routes.values()))


@given(EDGES.map(lambda edges: [(max(e), min(e)) for e in edges]))
def test_what_is_needed_stands_left(edges):
    """Where there is no ring."""
    _, column = columns_of(edges)
    assert all(column[target] < column[source] for source, target in edges)


def test_a_long_chain_needs_no_recursion():
    """Ten thousand services in a row."""
    nodes = [str(i) for i in range(10_000)]
    found = layout(nodes, pairwise(nodes))
    assert found.columns == [[node] for node in reversed(nodes)]
