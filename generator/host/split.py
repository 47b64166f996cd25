"""Which nodes of a model run on the host: some at its start, some at its end, and all between in hardware.

The host runs what the hardware cannot do: operators without hardware, and everything on integers and booleans (token ids
of an embedding, masks, indices). It can only do so before the accelerator or after it; in the middle it is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from difflib import get_close_matches

import onnx
from onnx import NodeProto, TensorProto

from ..errors import IntarsiaError
from ..onnx_graph.onnx_checks import describe

HostOps = tuple[str, ...] | None
"""Names or operators of the nodes that the host runs, and no others; None for `auto`: what only it can do, and TAIL."""

TAIL = ("Softmax", "LogSoftmax", "Flatten", "Reshape", "Squeeze", "Unsqueeze")
"""Operators that are left to the host where they come last, because they cost it nothing."""

_LIGHT = (
    *("Add", "Sub", "Mul", "Div", "Where", "Concat", "Pad"),
    *("Flatten", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Slice"),
)
"""Operators that may go to the host along with a neighbour: element by element, or moving values."""


@dataclass(frozen=True)
class HostSplit:
    """The nodes of a model in order, by where they run."""

    before: tuple[NodeProto, ...]
    hardware: tuple[NodeProto, ...]
    after: tuple[NodeProto, ...]


def parse_host_ops(text: str) -> HostOps:
    """`auto`, `none`, or names of nodes or operators with commas between."""
    match text.strip():
        case "auto":
            return None
        case "none":
            return ()
        case names:
            found = tuple(name.strip() for name in names.split(",") if name.strip())
            if not found or {"auto", "none"} & set(found):
                raise IntarsiaError(
                    f"--host-ops {text!r} is neither auto, nor none, nor names of nodes or operators with commas between"
                )
            return found


def split(
    graph: onnx.GraphProto, without_hardware: AbstractSet[str], supported: Sequence[str], host_ops: HostOps
) -> HostSplit:
    """Split a normalised graph.

    Args:
        graph: nodes in topological order, shapes and types inferred.
        without_hardware: results of the nodes whose operator has no hardware.
        supported: operators that have, for messages.
        host_ops: what the host runs.

    Raises:
        IntarsiaError: a node that only the host can run is in the middle or not among `host_ops`, a node of `host_ops`
            is in the middle or unknown, or nothing is left for the accelerator.
    """
    graph_ = _Graph(graph, without_hardware)
    if host_ops is None:
        before = graph_.start()
        after = graph_.end(before)
    else:
        before, after = graph_.named(host_ops)
    hardware = [node for node in graph.node if node.output[0] not in before | after]
    stuck = [node for node in hardware if graph_.only_host(node)]
    only_host = [node for node in graph.node if graph_.only_host(node)]
    if not hardware and not only_host:
        raise IntarsiaError(
            "nothing is left for the accelerator: all nodes are constant, do nothing or run on the host"
        )
    if stuck or not hardware:
        raise IntarsiaError(_refusal(graph_, stuck or only_host, supported, host_ops, before, after))
    return HostSplit(
        _copies(node for node in graph.node if node.output[0] in before),
        _copies(hardware),
        _copies(node for node in graph.node if node.output[0] in after),
    )


def _copies(nodes: Iterable[NodeProto]) -> tuple[NodeProto, ...]:
    return tuple(NodeProto.FromString(node.SerializeToString()) for node in nodes)


def not_of_floats(graph: onnx.GraphProto) -> frozenset[str]:
    """Names of the nodes that only the host can run because of the types of their tensors; types must be known."""
    known = _Graph(graph, frozenset())
    return frozenset(node.name for node in graph.node if known.odd_type(node))


class _Graph:
    """Who makes and reads what; nodes go by the name of their first result."""

    def __init__(self, graph: onnx.GraphProto, without_hardware: AbstractSet[str]) -> None:
        self.nodes = list(graph.node)
        self.without_hardware = without_hardware
        self.inputs = {value.name for value in graph.input}
        self.shown = {value.name for value in graph.output}
        self.maker = {name: node.output[0] for node in self.nodes for name in node.output if name}
        self.types = {
            value.name: value.type.tensor_type.elem_type
            for value in (*graph.input, *graph.value_info, *graph.output)
        }
        self.readers: dict[str, set[str]] = {node.output[0]: set() for node in self.nodes}
        for node in self.nodes:
            for name in self.operands(node):
                if name in self.maker:
                    self.readers[self.maker[name]].add(node.output[0])

    def operands(self, node: NodeProto) -> list[str]:
        """What a node reads that depends on the inputs."""
        return [name for name in node.input if name in self.maker or name in self.inputs]

    def sources(self, node: NodeProto) -> set[str]:
        """The nodes that it reads."""
        return {self.maker[name] for name in self.operands(node) if name in self.maker}

    def odd_type(self, node: NodeProto) -> str:
        """A tensor of a node, read or made, that is not of floats, with its type; or an empty text."""
        for name in (*self.operands(node), *node.output):
            kind = self.types.get(name, TensorProto.FLOAT)
            if kind not in (TensorProto.FLOAT, TensorProto.UNDEFINED):
                return f"{TensorProto.DataType.Name(kind).lower()} tensor {name!r}"
        return ""

    def only_host(self, node: NodeProto) -> bool:
        """Whether the hardware cannot do it."""
        return node.output[0] in self.without_hardware or bool(self.odd_type(node))

    def start(self) -> set[str]:
        """What only the host can do as far as it comes first, and what light nodes lead to it or hang on it alone."""
        first: set[str] = set()
        for node in self.nodes:
            if self.sources(node) <= first and (self.only_host(node) or node.op_type in _LIGHT):
                first.add(node.output[0])
        before: set[str] = set()
        for node in reversed(self.nodes):
            name = node.output[0]
            if name in first and (self.only_host(node) or self.readers[name] & before):
                before.add(name)
        for node in self.nodes:
            name, sources = node.output[0], self.sources(node)
            alone = all(self.readers[source] <= before | {name} for source in sources)
            fed = bool(sources) and sources <= before and not self.inputs.intersection(node.input)
            if (
                node.op_type in _LIGHT
                and fed
                and alone
                and not self.shown.intersection((*node.input, *node.output))
            ):
                before.add(name)
        return before

    def end(self, before: set[str]) -> set[str]:
        """TAIL as far as it comes last, and what only the host can do there with the light nodes that lead from it."""
        last: set[str] = set()
        for node in reversed(self.nodes):
            light = node.op_type in (*_LIGHT, *TAIL)
            if self.can_end(node, last, before) and (self.only_host(node) or light):
                last.add(node.output[0])
        after: set[str] = set()
        for node in self.nodes:
            if node.output[0] in last and (self.only_host(node) or self.sources(node) & after):
                after.add(node.output[0])
        for node in reversed(self.nodes):
            if node.op_type in TAIL and self.can_end(node, after, before):
                after.add(node.output[0])
        return after

    def can_end(self, node: NodeProto, after: set[str], before: set[str]) -> bool:
        """Whether only the host's last nodes read it, and it reads nothing from before the accelerator."""
        sources = self.sources(node)
        reads_inputs = bool(self.inputs.intersection(node.input) or sources & before)
        return self.readers[node.output[0]] <= after and not reads_inputs and node.output[0] not in before

    def named(self, host_ops: tuple[str, ...]) -> tuple[set[str], set[str]]:
        """The named nodes before the accelerator, and those after it."""
        known = {node.name for node in self.nodes}, {node.op_type for node in self.nodes}
        for name in host_ops:
            if name not in known[0] | known[1]:
                close = get_close_matches(name, sorted(known[0] | known[1]), 3) or sorted(known[1])
                raise IntarsiaError(
                    f"--host-ops names {name!r}, which is no node or operator of the model (without constant nodes). "
                    f"It has, for instance, {', '.join(close)}"
                )
        wanted = [node for node in self.nodes if {node.name, node.op_type} & set(host_ops)]
        before: set[str] = set()
        for node in wanted:
            if self.sources(node) <= before:
                before.add(node.output[0])
        after: set[str] = set()
        for node in reversed(wanted):
            if self.can_end(node, after, before):
                after.add(node.output[0])
        taken = before | after
        for node in wanted:
            by_name = node.name in host_ops
            none_of_its_kind = not any(
                other.op_type == node.op_type and other.output[0] in taken for other in wanted
            )
            if node.output[0] not in taken and (by_name or none_of_its_kind):
                raise IntarsiaError(
                    f"--host-ops: {node.op_type} node {node.name!r} is in the middle of the model, with nodes for the "
                    f"hardware {self.around(node, before, after)}. The host runs the first nodes of a model, or the "
                    "last: name those before it or after it as well"
                )
        return before, after

    def around(self, node: NodeProto, before: set[str], after: set[str]) -> str:
        """The nearest nodes for the hardware on both sides."""
        by_result = {one.output[0]: one for one in self.nodes}
        name = node.output[0]
        sides = []
        for word, near, own in (
            ("before", self.sources(node), before),
            ("after", self.readers[name], after),
        ):
            found = next((by_result[one] for one in sorted(near - own)), None)
            if found is not None:
                sides.append(f"{word} it ({found.op_type} node {found.name!r})")
        return " and ".join(sides)


def _refusal(
    graph: _Graph,
    offenders: list[NodeProto],
    supported: Sequence[str],
    host_ops: HostOps,
    before: set[str],
    after: set[str],
) -> str:
    """Why nodes cannot be run, and what to do."""
    if host_ops is not None:
        rule = "--host-ops auto leaves to the host what it can do before or after the accelerator"
    elif around := graph.around(offenders[0], before, after):
        rule = (
            "The host can only run the first and the last nodes of a model, and there are nodes for the hardware "
            f"{around}"
        )
    else:
        rule = "The host could run them, but nothing would be left for the accelerator"
    unknown = [node for node in offenders if node.output[0] in graph.without_hardware]
    if unknown:
        return (
            f"the model uses operators that are not supported: {describe(unknown)}. Supported: "
            f"{', '.join(supported)}. {rule}. Export the model without them, or cut it before the first of them"
        )
    node = offenders[0]
    return (
        f"{node.op_type} node {node.name!r} works on {graph.odd_type(node)}, and the hardware on fixed-point numbers only. "
        f"{rule}. Export the model without it, or cut it there"
    )


def part(
    model: onnx.ModelProto, nodes: Sequence[NodeProto], others: Sequence[NodeProto]
) -> onnx.ModelProto | None:
    """Some nodes of a model as a model: what `others` read of them, or the model shows, are its outputs; None if empty.

    Args:
        model: normalised, with all shapes and types.
        nodes: some of its nodes, in order.
        others: the rest.
    """
    if not nodes:
        return None
    graph = model.graph
    known: Mapping[str, onnx.ValueInfoProto] = {
        value.name: value for value in (*graph.input, *graph.value_info, *graph.output)
    }
    made = {name for node in nodes for name in node.output if name}
    read = dict.fromkeys(name for node in nodes for name in node.input if name)
    needed = {name for node in others for name in node.input} | {value.name for value in graph.output}
    constants = [tensor for tensor in graph.initializer if tensor.name in read]
    given = {tensor.name for tensor in graph.initializer} | made
    result = onnx.helper.make_graph(
        nodes,
        graph.name,
        [known[name] for name in read if name not in given],
        [known[name] for node in nodes for name in node.output if name in needed],
        constants,
    )
    return onnx.helper.make_model(result, opset_imports=model.opset_import, ir_version=model.ir_version)


def without_first(model: onnx.ModelProto, before: onnx.ModelProto, nodes: Sequence[NodeProto]) -> None:
    """Take the host's first nodes off a model, in place: their results become inputs.

    Args:
        model: the whole model.
        before: its first nodes, as `part` made them.
        nodes: the rest.
    """
    graph = model.graph
    read = {name for node in nodes for name in node.input}
    inputs = [value for value in (*graph.input, *before.graph.output) if value.name in read]
    inputs = [onnx.ValueInfoProto.FromString(value.SerializeToString()) for value in inputs]
    constants = [tensor for tensor in graph.initializer if tensor.name in read]
    constants = [TensorProto.FromString(tensor.SerializeToString()) for tensor in constants]
    del graph.node[:], graph.input[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.input.extend(inputs)
    graph.initializer.extend(constants)
