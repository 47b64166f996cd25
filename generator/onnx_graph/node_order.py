"""Order and names of the nodes of an ONNX graph. Part of normalise.py: both change a private copy in place."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import count

import networkx as nx
import onnx
from onnx import NodeProto

from ..errors import IntarsiaError
from . import onnx_checks


def sort_nodes(graph: onnx.GraphProto) -> None:
    """Topological order, as near to the given one as possible.

    Raises:
        IntarsiaError: a tensor is made twice or never, or nodes wait for each other.
    """
    given = {"", *(value.name for value in (*graph.input, *graph.initializer))}
    maker: dict[str, int] = {}
    for index, node in enumerate(graph.node):
        for name in filter(None, node.output):
            if name in maker or name in given:
                first = onnx_checks.describe([graph.node[maker[name]]]) if name in maker else ""
                twice = (
                    f"is made twice: by {first} and by"
                    if first
                    else "is a graph input or constant, and made again by"
                )
                raise IntarsiaError(
                    f"tensor {name!r} {twice} {onnx_checks.describe([node])}. Supported: one source for each tensor. "
                    "Rename one of the two, or export the model again"
                )
            maker[name] = index
    order: nx.DiGraph[int] = nx.DiGraph()
    order.add_nodes_from(range(len(graph.node)))
    for index, node in enumerate(graph.node):
        for name in node.input:
            if name not in maker and name not in given:
                raise IntarsiaError(
                    f"{onnx_checks.describe([node])} reads tensor {name!r}, which nothing makes. Supported: results of "
                    "nodes, graph inputs and initializers. Export the model again"
                )
            if name in maker:
                order.add_edge(maker[name], index)
    for value in graph.output:
        if value.name not in maker:
            raise IntarsiaError(
                f"no node makes graph output {value.name!r}. The last node, {onnx_checks.describe(graph.node[-1:])}, makes "
                f"{', '.join(map(repr, graph.node[-1].output))}. Name a node's result as output, or export the model again"
            )
    try:
        nodes = [graph.node[index] for index in nx.lexicographical_topological_sort(order)]
    except nx.NetworkXUnfeasible:
        cycle = [graph.node[index] for index, _ in nx.find_cycle(order)]
        raise IntarsiaError(
            f"the graph has a cycle: {onnx_checks.describe(cycle)}. Supported: graphs without cycles. Write the loop out, "
            "or make what comes back an input and an output"
        ) from None
    copies = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def name_nodes(graph: onnx.GraphProto) -> None:
    """Give nodes without a name, or with one that is taken, a readable one: conv1, dense2, ..."""
    taken = {node.name for node in graph.node}
    seen: set[str] = set()
    numbers: defaultdict[str, Iterator[int]] = defaultdict(lambda: count(1))
    for node in graph.node:
        if not node.name or node.name in seen:
            base = {"Gemm": "dense", "MatMul": "dense"}.get(node.op_type, node.op_type.lower())
            node.name = next(name for i in numbers[base] if (name := f"{base}{i}") not in taken)
        seen.add(node.name)
