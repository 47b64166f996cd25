"""An ONNX model as a PyTorch module that can be trained, with some of its layers circulant."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..circulant.blocks import Array
from ..errors import IntarsiaError
from .layers import Layer, initializer_values
from .rules import Choice
from .torch_layers import expand

Attributes = Mapping[str, Any]
_WEIGHTED = ("Conv", "Gemm", "MatMul")


class Network(nn.Module):
    """A float ONNX model, normalised by the front end; its weights and biases are parameters.

    Constants that are no operand of a layer (shapes, factors) stay as they are.

    Raises:
        IntarsiaError: a node is of an operator that cannot be trained here.
    """

    def __init__(
        self, model: onnx.ModelProto, columns: Mapping[str, Array], choices: Sequence[Choice]
    ) -> None:
        """Take over a model.

        Args:
            model: normalised float model; not changed.
            columns: first columns by initializer, of the layers that are circulant.
            choices: for all layers.
        """
        super().__init__()
        graph = model.graph
        if unknown := sorted({node.op_type for node in graph.node} - OPERATIONS.keys()):
            raise IntarsiaError(
                f"--train cannot go through {', '.join(unknown)}. Train with the layers of intarsia.compress in a "
                "loop of your own, and compile the exported model: circulant weights are recognised"
            )
        self._nodes = [
            (node.op_type, tuple(node.input), node.output[0], _attributes(node)) for node in graph.node
        ]
        self._inputs = [value.name for value in graph.input]
        self._outputs = [value.name for value in graph.output]
        self._layers = {c.layer.initializer: c.layer for c in choices if c.layer.initializer in columns}
        self._inverse = {name: _inverse(layer) for name, layer in self._layers.items()}
        trained = {
            name for node in graph.node if node.op_type in _WEIGHTED for name in node.input[1:] if name
        }
        # Attributes of these names hold the parameters: PyTorch takes no dots in names, of which ONNX is full.
        self._names: dict[str, str] = {}
        self._constants: dict[str, Tensor] = {}
        for number, (name, value) in enumerate(initializer_values(model).items()):
            if name in trained:
                start = torch.tensor(np.asarray(columns.get(name, value), dtype=np.float32))
                self._names[name] = f"parameter{number}"
                self.register_parameter(self._names[name], nn.Parameter(start))
            else:
                self._constants[name] = torch.tensor(value)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The graph's outputs for its inputs, both (batch, ...)."""
        values: dict[str, Any] = {**self._constants, **dict(zip(self._inputs, inputs, strict=True))}
        values |= {name: self._value(name) for name in self._names}
        for op, operands, output, attributes in self._nodes:
            arguments = [values[name] if name else None for name in operands]
            values[output] = OPERATIONS[op](arguments, attributes)
        return tuple(values[name] for name in self._outputs)

    def initializers(self) -> dict[str, Array]:
        """The trained weights as the model's initializers."""
        return {name: self._value(name).detach().numpy() for name in self._names}

    def columns(self) -> dict[str, Array]:
        """The trained first columns by initializer."""
        return {name: getattr(self, self._names[name]).detach().numpy() for name in self._layers}

    def _value(self, name: str) -> Tensor:
        parameter: Tensor = getattr(self, self._names[name])
        if name not in self._layers:
            return parameter
        layer = self._layers[name]
        weight = expand(parameter, layer.outputs, layer.inputs)
        return weight.reshape(-1)[self._inverse[name]].reshape(layer.shape)


def _inverse(layer: Layer) -> Tensor:
    """Where each element of the initializer stands among the weights."""
    return torch.from_numpy(np.argsort(layer.index.reshape(-1)))


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}


def _conv(x: list[Any], a: Attributes) -> Tensor:
    image, weight, *bias = x
    axes = weight.ndim - 2
    padded = _pad(image, a, axes, 0.0, weight.shape[2:])
    run = functional.conv1d if axes == 1 else functional.conv2d
    result: Tensor = run(
        padded,
        weight,
        bias[0] if bias else None,
        tuple(a.get("strides", [1] * axes)),
        0,
        tuple(a.get("dilations", [1] * axes)),
        a.get("group", 1),
    )
    return result


def _gemm(x: list[Any], a: Attributes) -> Tensor:
    weight = x[1] if a.get("transB", 0) else x[1].T
    result = a.get("alpha", 1.0) * functional.linear(x[0], weight)
    return result if len(x) < 3 or x[2] is None else result + a.get("beta", 1.0) * x[2]


def _pad(image: Tensor, a: Attributes, axes: int, fill: float, kernel: Sequence[int]) -> Tensor:
    """The image with the node's padding."""
    pads = list(a.get("pads", [0] * (2 * axes)))
    mode = a.get("auto_pad", b"NOTSET")
    if mode in (b"SAME_UPPER", b"SAME_LOWER"):
        strides, dilations = a.get("strides", [1] * axes), a.get("dilations", [1] * axes)
        for axis in range(axes):
            size = image.shape[2 + axis]
            reach = (kernel[axis] - 1) * dilations[axis] + 1
            total = max(0, (-(-size // strides[axis]) - 1) * strides[axis] + reach - size)
            small, large = total // 2, total - total // 2
            pads[axis], pads[axes + axis] = (small, large) if mode == b"SAME_UPPER" else (large, small)
    if not any(pads):
        return image
    sides = [side for axis in reversed(range(axes)) for side in (pads[axis], pads[axes + axis])]
    return functional.pad(image, sides, value=fill)


def _max_pool(x: list[Any], a: Attributes) -> Tensor:
    kernel = tuple(a["kernel_shape"])
    axes = len(kernel)
    padded = _pad(x[0], a, axes, -torch.inf, kernel)
    run = functional.max_pool1d if axes == 1 else functional.max_pool2d
    strides = tuple(a.get("strides", [1] * axes))
    result: Tensor = run(
        padded, kernel, strides, 0, tuple(a.get("dilations", [1] * axes)), bool(a.get("ceil_mode"))
    )
    return result


def _average_pool(x: list[Any], a: Attributes) -> Tensor:
    """Padding counts: the front end takes no other."""
    kernel = tuple(a["kernel_shape"])
    axes = len(kernel)
    run = functional.avg_pool1d if axes == 1 else functional.avg_pool2d
    strides = tuple(a.get("strides", [1] * axes))
    return run(_pad(x[0], a, axes, 0.0, kernel), kernel, strides, 0, bool(a.get("ceil_mode")))


def _reshape(x: list[Any], a: Attributes) -> Tensor:
    """A 0 keeps the axis."""
    sizes = [int(size) for size in x[1]]
    return x[0].reshape([x[0].shape[i] if size == 0 else size for i, size in enumerate(sizes)])


def _flatten(x: list[Any], a: Attributes) -> Tensor:
    axis = a.get("axis", 1) % x[0].ndim
    return x[0].reshape(int(np.prod(x[0].shape[:axis])), -1)


def _axes(x: list[Any], a: Attributes) -> list[int]:
    return [int(axis) for axis in (x[1] if len(x) > 1 else a.get("axes", ()))]


def _unsqueeze(x: list[Any], a: Attributes) -> Tensor:
    axes = _axes(x, a)
    rank = x[0].ndim + len(axes)
    result = x[0]
    for axis in sorted(axis % rank for axis in axes):
        result = result.unsqueeze(axis)
    return result


def _squeeze(x: list[Any], a: Attributes) -> Tensor:
    rank = x[0].ndim
    axes = _axes(x, a) or [axis for axis in range(1, rank) if x[0].shape[axis] == 1]
    return x[0].squeeze(tuple(axis % rank for axis in axes))


def _clip(x: list[Any], a: Attributes) -> Tensor:
    low = x[1] if len(x) > 1 and x[1] is not None else a.get("min")
    high = x[2] if len(x) > 2 and x[2] is not None else a.get("max")
    result = x[0] if low is None else torch.maximum(x[0], torch.as_tensor(low, dtype=x[0].dtype))
    return result if high is None else torch.minimum(result, torch.as_tensor(high, dtype=x[0].dtype))


def _batch_norm(x: list[Any], a: Attributes) -> Tensor:
    """As it is at inference: its statistics are not trained."""
    return functional.batch_norm(x[0], x[3], x[4], x[1], x[2], False, 0.0, a.get("epsilon", 1e-5))


def _gelu(x: list[Any], a: Attributes) -> Tensor:
    return functional.gelu(x[0], approximate=a.get("approximate", b"none").decode())


def _unary(function: Callable[[Tensor], Tensor]) -> Callable[[list[Any], Attributes], Tensor]:
    return lambda x, a: function(x[0])


OPERATIONS: Mapping[str, Callable[[list[Any], Attributes], Tensor]] = {
    "Add": lambda x, a: x[0] + x[1],
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Clip": _clip,
    "Conv": _conv,
    "Div": lambda x, a: x[0] / x[1],
    "Elu": lambda x, a: functional.elu(x[0], a.get("alpha", 1.0)),
    "Erf": _unary(torch.erf),
    "Exp": _unary(torch.exp),
    "Flatten": _flatten,
    "Gelu": _gelu,
    "Gemm": _gemm,
    "GlobalAveragePool": lambda x, a: x[0].mean(tuple(range(2, x[0].ndim)), keepdim=True),
    "GlobalMaxPool": lambda x, a: x[0].amax(tuple(range(2, x[0].ndim)), keepdim=True),
    "HardSigmoid": lambda x, a: (a.get("alpha", 0.2) * x[0] + a.get("beta", 0.5)).clamp(0, 1),
    "HardSwish": _unary(functional.hardswish),
    "LeakyRelu": lambda x, a: functional.leaky_relu(x[0], a.get("alpha", 0.01)),
    "LogSoftmax": lambda x, a: torch.log_softmax(x[0], a.get("axis", -1)),
    "MatMul": lambda x, a: x[0] @ x[1],
    "MaxPool": _max_pool,
    "Mish": _unary(functional.mish),
    "Mul": lambda x, a: x[0] * x[1],
    "Neg": _unary(torch.neg),
    "PRelu": lambda x, a: torch.where(x[0] < 0, x[0] * x[1], x[0]),
    "Pow": lambda x, a: x[0] ** x[1],
    "Relu": _unary(torch.relu),
    "Reshape": _reshape,
    "Sigmoid": _unary(torch.sigmoid),
    "Softmax": lambda x, a: torch.softmax(x[0], a.get("axis", -1)),
    "Softplus": _unary(functional.softplus),
    "Sqrt": _unary(torch.sqrt),
    "Squeeze": _squeeze,
    "Sub": lambda x, a: x[0] - x[1],
    "Tanh": _unary(torch.tanh),
    "Transpose": lambda x, a: x[0].permute(tuple(a["perm"])),
    "Unsqueeze": _unsqueeze,
}
"""By ONNX operator: its result for its operands and attributes."""
