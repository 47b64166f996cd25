"""Models without a batch: where axis 0 of an input cannot count samples, the whole input is one sample. Part of normalise.py.

Axis 0 counts samples if every node treats each index of it by itself. Where one does not (it sums along axis 0, moves it, broadcasts
over it), where inputs have different sizes there, or one axis only, every computed tensor gets an axis of size 1 in front, and every
node that names axes or shapes names them anew. The values stay what they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, helper, numpy_helper

from ..errors import IntarsiaError
from ..operator import Array
from . import onnx_checks
from .constant_folding import shapes_of

Shape = tuple[int, ...]

_BROADCASTING = ("Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "Mean", "Pow", "PRelu", "Where")
_WITH_AXIS = ("Softmax", "LogSoftmax", "Concat", "Split", "Gather", "LayerNormalization", "RMSNormalization")
_REDUCING = ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin")
RESHAPING = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")
OF_BATCHES = (
    *("Conv", "ConvTranspose", "MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool", "LRN"),
    *("BatchNormalization", "InstanceNormalization", "GroupNormalization", "DepthToSpace", "SpaceToDepth"),
    *("Upsample", "Attention", "LSTM", "GRU", "RNN"),
)
"""Operators for which ONNX itself says which axis is the batch."""
_FIRST_WITH_AXES_INPUT = {"ReduceSum": 13, "Squeeze": 13, "Unsqueeze": 13, "Slice": 10, "Pad": 18}
"""Opset from which axes are an operand; 18 for other reductions."""


def has_batch(model: onnx.ModelProto) -> bool:
    """True if axis 0 of all inputs counts samples, as far as can be seen; shapes and constants must be known."""
    sizes = {tuple(d.dim_value for d in value.type.tensor_type.shape.dim[:1]) for value in model.graph.input}
    if len(sizes) > 1 or any(len(value.type.tensor_type.shape.dim) < 2 for value in model.graph.input):
        return False
    known = Known.of(model)
    return all(_keeps_samples(node, known) for node in model.graph.node)


def of_batches(model: onnx.ModelProto) -> bool:
    """True if a node has a batch by its definition: then there is one, whatever other nodes do to its axis."""
    return any(node.op_type in OF_BATCHES for node in model.graph.node)


def add_sample_axis(model: onnx.ModelProto) -> str:
    """Makes the whole of every input one sample, in place; returns a remark for the report.

    Raises:
        IntarsiaError: a node cannot work on tensors with one more axis.
    """
    known = Known.of(model)
    lifted = Lifted(known)
    for node in model.graph.node:
        lifted.node(node)
    graph = model.graph
    copies = [NodeProto.FromString(node.SerializeToString()) for node in lifted.nodes]
    del graph.node[:], graph.value_info[:]
    graph.node.extend(copies)
    graph.initializer.extend(lifted.constants)
    for value in graph.input:
        shape = known.shapes[value.name]
        del value.type.tensor_type.shape.dim[:]
        for size in (1, *shape):
            value.type.tensor_type.shape.dim.add(dim_value=size)
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")
    names = ", ".join(repr(value.name) for value in graph.input)
    return f"the whole of {names} is one sample: the model does not treat axis 0 as a batch"


@dataclass(frozen=True)
class Known:
    """Shapes of all tensors, and values of the constant ones."""

    shapes: dict[str, Shape]
    constants: dict[str, Array]
    opset: int

    @classmethod
    def of(cls, model: onnx.ModelProto) -> Known:
        constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        return cls(shapes_of(model.graph), constants, onnx_checks.opset(model))

    def computed(self, node: NodeProto) -> list[str]:
        """Operands that are no constants."""
        return [name for name in node.input if name and name not in self.constants]

    def shape(self, name: str) -> Shape:
        if name not in self.shapes:
            raise IntarsiaError(
                f"the shape of {name!r} depends on the input's values. Supported: fixed shapes"
            )
        return self.shapes[name]

    def integers(self, node: NodeProto, attribute: str, index: int) -> list[int] | None:
        """An attribute, or the constant operand that took its place; None if there is neither."""
        given = _attribute(node, attribute, None)
        if given is None and len(node.input) > index and node.input[index]:
            name = node.input[index]
            if name not in self.constants:
                raise IntarsiaError(
                    f"{node.op_type} node {node.name!r}: its {attribute}, {name!r}, are computed. Supported: constants"
                )
            given = self.constants[name]
        return None if given is None else [int(value) for value in np.ravel(given)]

    def axes(self, node: NodeProto) -> list[int]:
        """Axes, from 0 on, that a node names or means."""
        rank = len(self.shape(node.input[0]))
        given = self.integers(node, "axes", {"Slice": 3, "Pad": 3}.get(node.op_type, 1))
        if given is not None and (given or node.op_type not in _REDUCING):
            return [axis % rank for axis in given]
        if node.op_type in _REDUCING and _attribute(node, "noop_with_empty_axes", 0):
            return []
        if node.op_type == "Slice":
            return list(range(len(self.integers(node, "starts", 1) or [])))
        return list(range(rank))

    def perm(self, node: NodeProto) -> list[int]:
        return list(_attribute(node, "perm", range(len(self.shape(node.input[0])))[::-1]))

    def axis(self, node: NodeProto) -> int:
        default = {"Concat": 0, "Split": 0, "Gather": 0}.get(node.op_type, -1)
        if node.op_type in ("Softmax", "LogSoftmax") and self.opset < 13:
            default = 1
        return int(_attribute(node, "axis", default)) % len(self.shape(node.input[0]))


def _keeps_samples(node: NodeProto, known: Known) -> bool:
    """True if index i along axis 0 of the result depends on index i of the operands only."""
    computed = known.computed(node)
    if not computed or any(name not in known.shapes for name in (*computed, *filter(None, node.output))):
        return True  # what it does is refused elsewhere
    result = known.shape(next(filter(None, node.output)))
    first = known.shape(computed[0])
    match node.op_type:
        case kind if kind in _BROADCASTING:
            fixed = [known.shape(name) for name in node.input if name and name not in computed]
            return all(
                known.shape(name)[:1] == result[:1] for name in computed if _full(known, name, result)
            ) and (
                all(_full(known, name, result) for name in computed)
                and all(len(shape) < len(result) or shape[0] == 1 for shape in fixed)
            )
        case "Gather" if node.input[0] in known.constants:
            return known.axis(node) == 0
        case kind if kind in _WITH_AXIS:
            return known.axis(node) != 0
        case "Trilu":
            return len(result) > 2
        case kind if kind in (*_REDUCING, "Slice"):
            return 0 not in known.axes(node)
        case "Transpose":
            return known.perm(node)[0] == 0
        case "Expand":
            target = known.integers(node, "shape", 1) or []
            return result[0] == first[0] and (len(target) < len(result) or target[0] == 1)
        case kind if kind in (*RESHAPING, "Tile", "Pad", "Resize"):
            return len(result) > 0 and result[0] == first[0]
        case "MatMul" | "Gemm":
            return _product_keeps_samples(node, known, computed, len(result))
        case _:
            return True


def _product_keeps_samples(node: NodeProto, known: Known, computed: list[str], rank: int) -> bool:
    """For a matrix product whose result has `rank` axes: rows of the first operand may be samples, or matrices."""
    first = known.shape(computed[0])
    if node.op_type == "Gemm":
        bias = known.shapes.get(node.input[2], ()) if len(node.input) > 2 else ()
        one_for_all = len(bias) < 2 or bias[0] == 1
        return computed == [node.input[0]] and not _attribute(node, "transA", 0) and one_for_all
    if len(computed) == 2:
        second = known.shape(computed[1])
        return len(first) == len(second) > 2 and first[0] == second[0]
    if computed[0] == node.input[0]:
        weights = known.shape(node.input[1])
        return len(first) > 1 and (len(weights) < max(rank, 3) or weights[0] == 1)
    weights = known.shape(node.input[0])
    return len(first) > 2 and (len(weights) < rank or weights[0] == 1)


def _full(known: Known, name: str, result: Shape) -> bool:
    shape = known.shape(name)
    return len(shape) == len(result) and shape[:1] == result[:1]


class Lifted:
    """The nodes for tensors with an axis of size 1 in front."""

    def __init__(self, known: Known) -> None:
        self.known = known
        self.nodes: list[NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def node(self, node: NodeProto) -> None:
        """Adds what takes the node's place."""
        match node.op_type:
            case "Gemm":
                self._gemm(node)
                return
            case "MatMul":
                self._matmul(node)
            case kind if kind in _BROADCASTING:
                self._pad_ranks(node, len(self.known.shape(node.output[0])))
            case kind if kind in RESHAPING:
                self._reshape(node)
            case kind if kind in (*OF_BATCHES, "Resize"):
                raise self._error(node, "its operator has a batch axis by its definition")
            case _:
                self._rename_axes(node)
        self.nodes.append(node)

    def _rename_axes(self, node: NodeProto) -> None:
        """The axes and sizes that a node names; none where it works element by element."""
        known = self.known
        match node.op_type:
            case "Gather" if node.input[0] in known.constants:
                if known.axis(node) != 0:
                    raise self._error(node, "it takes columns of a constant")
            case kind if kind in _WITH_AXIS:
                _set(node, "axis", known.axis(node) + 1)
            case kind if kind in _REDUCING:
                if axes := known.axes(node):
                    self._set_axes(node, axes, 1)
            case "Slice":
                self._set_axes(node, known.axes(node), 3)
            case "Transpose":
                _set(node, "perm", [0, *(axis + 1 for axis in known.perm(node))])
            case "Expand":
                shape = known.shape(node.output[0])
                self._pad_ranks(node, len(shape))
                node.input[1] = self._integers(node, "shape", (1, *shape))
            case "Tile":
                repeats = known.integers(node, "repeats", 1) or []
                node.input[1] = self._integers(node, "repeats", [1, *repeats])
            case "Pad":
                self._pad(node)

    def _error(self, node: NodeProto, why: str) -> IntarsiaError:
        return IntarsiaError(
            f"{node.op_type} node {node.name!r}: {why}, but elsewhere the model mixes indices of axis 0 of its inputs. "
            "Supported: axis 0 as the batch everywhere, or nowhere. Export the model with a batch axis"
        )

    def _pad_ranks(self, node: NodeProto, rank: int) -> None:
        """Axes of size 1 behind the first one, for operands that have fewer than the result."""
        for index, name in enumerate(node.input):
            if not name or name in self.known.constants:
                continue
            shape = self.known.shape(name)
            if len(shape) < rank:
                padded = (1, *(1,) * (rank - len(shape)), *shape)
                node.input[index] = self.as_shape(name, padded, f"{node.output[0]}, widened {index}")

    def as_shape(self, name: str, shape: Sequence[int], result: str) -> str:
        """Adds a Reshape that makes `result`, and gives its name."""
        target = f"{result}, shape"
        self.constants.append(numpy_helper.from_array(np.array(shape, dtype=np.int64), target))
        self.nodes.append(helper.make_node("Reshape", [name, target], [result], name=result))
        return result

    def _integers(self, node: NodeProto, what: str, values: Sequence[int]) -> str:
        name = f"{node.output[0]}, {what}"
        self.constants.append(numpy_helper.from_array(np.array(values, dtype=np.int64), name))
        return name

    def _set_axes(self, node: NodeProto, axes: Sequence[int], index: int) -> None:
        """As an attribute or an operand, whatever this opset has."""
        shifted = [axis + 1 for axis in axes]
        if self.known.opset < _FIRST_WITH_AXES_INPUT.get(node.op_type, 18):
            _set(node, "axes", shifted)
            return
        node.input.extend([""] * (index + 1 - len(node.input)))
        node.input[index] = self._integers(node, "axes", shifted)

    def _reshape(self, node: NodeProto) -> None:
        del node.input[1:], node.attribute[:]
        node.op_type = "Reshape"
        node.input.append(self._integers(node, "shape", (1, *self.known.shape(node.output[0]))))

    def _pad(self, node: NodeProto) -> None:
        known = self.known
        pads = known.integers(node, "pads", 1) or []
        if _attribute(node, "pads", None) is not None:
            half = len(pads) // 2
            _set(node, "pads", [0, *pads[:half], 0, *pads[half:]])
        elif len(node.input) > 3 and node.input[3]:
            node.input[3] = self._integers(node, "axes", [axis + 1 for axis in known.axes(node)])
        else:
            half = len(pads) // 2
            node.input[1] = self._integers(node, "pads", [0, *pads[:half], 0, *pads[half:]])

    def _matmul(self, node: NodeProto) -> None:
        ranks = [len(self.known.shape(name)) for name in node.input]
        computed = self.known.computed(node)
        if (ranks[1] == 1 and node.input[1] in computed) or (ranks[0] == 1 and ranks[1] > 2):
            self._vectors(node)
        elif ranks[0] > 1:
            self._pad_ranks(node, max(ranks))

    def _vectors(self, node: NodeProto) -> None:
        """A vector as a row or a column, and the product without the axis of size 1 again."""
        result = node.output[0]
        rank = max(2, *(len(self.known.shape(name)) for name in node.input))
        for index, name in enumerate(node.input):
            shape = self.known.shape(name)
            if len(shape) == 1:
                shape = (*shape, 1) if index else (1, *shape)
            if name in self.known.constants:
                values = self.known.constants[name].reshape(shape)
                node.input[index] = self._reals(node, f"operand {index}", values)
            else:
                padded = (1, *(1,) * (rank - len(shape)), *shape)
                node.input[index] = self.as_shape(name, padded, f"{result}, operand {index}")
        product = helper.make_node("MatMul", node.input, [f"{result}, product"], name=f"{node.name}, product")
        self.nodes.append(product)
        shape = (1, *self.known.shape(result))
        target = self._integers(node, "shape", shape)
        node.CopyFrom(helper.make_node("Reshape", [product.output[0], target], [result], name=node.name))

    def _gemm(self, node: NodeProto) -> None:
        """A product and a sum, because Gemm knows two axes only."""
        known = self.known
        factor, summand = _attribute(node, "alpha", 1.0), _attribute(node, "beta", 1.0)
        operands = []
        for index, name in enumerate(node.input[:2]):
            turned = bool(_attribute(node, "transB" if index else "transA", 0))
            if name in known.constants:
                values = known.constants[name] * np.float32(factor if index else 1.0)
                operands.append(self._reals(node, f"operand {index}", values.T if turned else values))
            elif turned:
                moved = f"{node.output[0]}, turned {index}"
                self.nodes.append(helper.make_node("Transpose", [name], [moved], name=moved, perm=[0, 2, 1]))
                operands.append(moved)
            else:
                operands.append(name)
        result = node.output[0]
        steps: list[tuple[str, str]] = []
        if node.input[1] not in known.constants and factor != 1.0:
            steps.append(("Mul", self._reals(node, "alpha", np.float32(factor))))
        if len(node.input) > 2 and node.input[2]:
            if node.input[2] not in known.constants:
                raise IntarsiaError(
                    f"Gemm node {node.name!r}: its operand C is computed. Supported: a constant"
                )
            bias = known.constants[node.input[2]] * np.float32(summand)
            steps.append(("Add", self._reals(node, "bias", bias)))
        names = [f"{result}, step {number}" for number in range(len(steps))] + [result]
        self.nodes.append(
            helper.make_node(
                "MatMul", operands, [names[0]], name=f"{node.name}, product" if steps else node.name
            )
        )
        for number, (kind, constant) in enumerate(steps):
            name = node.name if names[number + 1] == result else f"{node.name}, {kind}"
            self.nodes.append(
                helper.make_node(kind, [names[number], constant], [names[number + 1]], name=name)
            )

    def _reals(self, node: NodeProto, what: str, values: Any) -> str:
        name = f"{node.output[0]}, {what}, constant"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values, dtype=np.float32), name))
        return name


def _attribute(node: NodeProto, name: str, default: Any) -> Any:
    found: Callable[[onnx.AttributeProto], Any] = helper.get_attribute_value
    return next((found(attribute) for attribute in node.attribute if attribute.name == name), default)


def _set(node: NodeProto, name: str, value: Any) -> None:
    kept = [attribute for attribute in node.attribute if attribute.name != name]
    copies = [onnx.AttributeProto.FromString(attribute.SerializeToString()) for attribute in kept]
    del node.attribute[:]
    node.attribute.extend([*copies, helper.make_attribute(name, value)])
