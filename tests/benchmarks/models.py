"""Models of real size and shape with seeded random weights, built here: nothing is downloaded.

Batch normalisation is folded and attributes are written out, as exporters do; activations keep an ordinary size through all layers, as in trained
models. Transformers start from embedded tokens and are written node by node as PyTorch's exporter writes them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod, sqrt
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

IR_VERSION = 10
OPSET = 17
Shape = tuple[int, ...]


@dataclass
class ModelBuilder:
    """Appends nodes one after the other; every method returns the name of the tensor that it makes."""

    name: str
    seed: int = 0
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, onnx.TensorProto] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)

    def node(self, kind: str, operands: Sequence[str], **attributes: Any) -> str:
        """One node."""
        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, operands, [f"{name}_out"], name=name, **attributes))
        return f"{name}_out"

    def constant(self, values: Any, kind: type = np.float32) -> str:
        """An initializer."""
        name = f"constant_{len(self.constants)}"
        self.constants[name] = numpy_helper.from_array(np.asarray(values, dtype=kind), name)
        return name

    def weights(self, shape: Shape, fan_in: int, gain: float = 1.0) -> str:
        """Normal weights that give a result of `gain` times the operand's standard deviation."""
        return self.constant(self.random.normal(0, gain / sqrt(fan_in), shape))

    def conv(
        self,
        x: str,
        channels: tuple[int, int],
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        gain: float = sqrt(2),
    ) -> str:
        """Conv from so many channels to so many, same padding; `gain` makes up for the Relu before it."""
        inputs, outputs = channels
        weight = self.weights((outputs, inputs // groups, kernel, kernel), inputs // groups * kernel**2, gain)
        bias = self.constant(self.random.normal(0, 0.1, outputs))
        geometry = {
            "kernel_shape": [kernel] * 2,
            "strides": [stride] * 2,
            "pads": [kernel // 2] * 4,
            "dilations": [1, 1],
            "group": groups,
        }
        return self.node("Conv", [x, weight, bias], **geometry)

    def gemm(self, x: str, inputs: int, outputs: int) -> str:
        """A classifier."""
        bias = self.constant(self.random.normal(0, 0.1, outputs))
        return self.node("Gemm", [x, self.weights((outputs, inputs), inputs), bias], transB=1)

    def linear(self, x: str, inputs: int, outputs: int, gain: float = 1.0) -> str:
        """MatMul and Add: a layer over the rows of a matrix."""
        product = self.node("MatMul", [x, self.weights((inputs, outputs), inputs, gain)])
        return self.node("Add", [self.constant(self.random.normal(0, 0.02, outputs)), product])

    def layer_norm(self, x: str, size: int) -> str:
        """LayerNormalization over the last axis."""
        scale = self.constant(self.random.normal(1, 0.1, size))
        return self.node(
            "LayerNormalization", [x, scale, self.constant(np.zeros(size))], axis=-1, epsilon=1e-5
        )

    def model(self, inputs: dict[str, Shape], output: str, shape: Shape) -> onnx.ModelProto:
        """The model, checked."""
        graph = helper.make_graph(
            self.nodes,
            self.name,
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, size) for name, size in inputs.items()],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)],
            list(self.constants.values()),
        )
        opset = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION)
        onnx.checker.check_model(model)
        return model


def lenet5() -> onnx.ModelProto:
    """LeNet-5 on 28 x 28 images."""
    b = ModelBuilder("lenet5")
    x = "image"
    for inputs, outputs in ((1, 6), (6, 16)):
        weight = b.weights((outputs, inputs, 5, 5), inputs * 25, sqrt(2))
        bias = b.constant(b.random.normal(0, 0.1, outputs))
        pads = [2] * 4 if inputs == 1 else [0] * 4
        ones = {"strides": [1, 1], "dilations": [1, 1], "group": 1}
        x = b.node("Relu", [b.node("Conv", [x, weight, bias], kernel_shape=[5, 5], pads=pads, **ones)])
        x = b.node("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2], pads=[0] * 4)
    x = b.node("Flatten", [x], axis=1)
    for inputs, outputs in ((400, 120), (120, 84)):
        x = b.node("Relu", [b.gemm(x, inputs, outputs)])
    return b.model({"image": (1, 1, 28, 28)}, b.gemm(x, 84, 10), (1, 10))


def resnet8() -> onnx.ModelProto:
    """ResNet-8 on 32 x 32 images, as in MLPerf Tiny: three basic blocks of 16, 32 and 64 channels."""
    b = ModelBuilder("resnet8")
    x = b.node("Relu", [b.conv("image", (3, 16), 3)])
    before = 16
    for channels in (16, 32, 64):
        x = _basic_block(b, x, before, channels, 1 if channels == before else 2)
        before = channels
    return _classifier(b, x, 64, 10, (1, 3, 32, 32))


def resnet18(size: int = 224, width: int = 64, classes: int = 1000) -> onnx.ModelProto:
    """ResNet-18; smaller images, fewer channels and classes make a model of the same shape."""
    b = ModelBuilder(f"resnet18_{size}_{width}")
    x = _stem(b, width)
    before = width
    for stage, channels in enumerate((width, 2 * width, 4 * width, 8 * width)):
        for block in range(2):
            x = _basic_block(b, x, before, channels, 2 if stage and not block else 1)
            before = channels
    return _classifier(b, x, before, classes, (1, 3, size, size))


def resnet50(size: int = 224) -> onnx.ModelProto:
    """ResNet-50 with stride 2 in the 3 x 3 convolutions (v1.5)."""
    b = ModelBuilder("resnet50")
    x = _stem(b, 64)
    before = 64
    for stage, blocks in enumerate((3, 4, 6, 3)):
        inner = 64 << stage
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            skip = x if block else b.conv(x, (before, 4 * inner), 1, stride, gain=1.0)
            y = b.node("Relu", [b.conv(x, (before, inner))])
            y = b.node("Relu", [b.conv(y, (inner, inner), 3, stride)])
            x = b.node("Relu", [b.node("Add", [b.conv(y, (inner, 4 * inner), gain=0.5), skip])])
            before = 4 * inner
    return _classifier(b, x, before, 1000, (1, 3, size, size))


def mobilenet_v2(size: int = 224, width: float = 1.0, classes: int = 1000) -> onnx.ModelProto:
    """MobileNetV2 of a width multiplier: inverted residuals with depthwise convolutions and Relu6."""
    b = ModelBuilder(f"mobilenet_v2_{size}_{width:g}")
    low, high = b.constant(0.0), b.constant(6.0)

    def relu6(x: str) -> str:
        return b.node("Clip", [x, low, high])

    def scaled(channels: int) -> int:
        return max(8, int(channels * width + 4) // 8 * 8)

    before = scaled(32)
    x = relu6(b.conv("image", (3, before), 3, 2))
    settings = (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    )
    for expansion, channels, blocks, stride in settings:
        for block in range(blocks):
            outputs, inner = scaled(channels), before * expansion
            y = relu6(b.conv(x, (before, inner), gain=1.0)) if expansion > 1 else x
            y = relu6(b.conv(y, (inner, inner), 3, 1 if block else stride, groups=inner))
            y = b.conv(y, (inner, outputs), gain=0.7 if block else 1.0)
            x = b.node("Add", [x, y]) if block else y
            before = outputs
    last = max(1280, scaled(1280))
    x = relu6(b.conv(x, (before, last), gain=1.0))
    return _classifier(b, x, last, classes, (1, 3, size, size))


def bert(
    layers: int = 12, tokens: int = 128, hidden: int = 768, heads: int = 12, inner: int = 3072
) -> onnx.ModelProto:
    """An encoder with normalisation after each sum, on embedded tokens; BERT-base by default."""
    b = ModelBuilder(f"bert_{layers}_{tokens}_{hidden}")
    x = "embedded"
    for _ in range(layers):
        x = b.layer_norm(b.node("Add", [_attention(b, x, tokens, hidden, heads), x]), hidden)
        y = b.linear(x, hidden, inner)
        erf = b.node("Erf", [b.node("Div", [y, b.constant(sqrt(2))])])
        gelu = b.node("Mul", [y, b.node("Add", [erf, b.constant(1.0)])])
        y = b.linear(b.node("Mul", [gelu, b.constant(0.5)]), inner, hidden)
        x = b.layer_norm(b.node("Add", [y, x]), hidden)
    return b.model({"embedded": (1, tokens, hidden)}, x, (1, tokens, hidden))


def gpt2_block(tokens: int = 128, hidden: int = 1024, heads: int = 16) -> onnx.ModelProto:
    """One decoder block with normalisation before each part and a causal mask; that of GPT-2 medium by default."""
    b = ModelBuilder(f"gpt2_block_{tokens}_{hidden}")
    mask = b.constant(np.triu(np.full((tokens, tokens), -10000.0), 1)[np.newaxis, np.newaxis])
    y = _attention(b, b.layer_norm("embedded", hidden), tokens, hidden, heads, mask)
    x = b.node("Add", [y, "embedded"])
    y = b.linear(b.layer_norm(x, hidden), hidden, 4 * hidden)
    cube = b.node("Mul", [b.node("Pow", [y, b.constant(3.0)]), b.constant(0.044715)])
    tanh = b.node("Tanh", [b.node("Mul", [b.node("Add", [y, cube]), b.constant(sqrt(2 / np.pi))])])
    half = b.node("Mul", [y, b.constant(0.5)])
    gelu = b.node("Mul", [half, b.node("Add", [tanh, b.constant(1.0)])])
    x = b.node("Add", [x, b.linear(gelu, 4 * hidden, hidden)])
    return b.model({"embedded": (1, tokens, hidden)}, x, (1, tokens, hidden))


def chain(nodes: int, channels: int = 4, size: int = 4) -> onnx.ModelProto:
    """Conv, Relu and Add (of the block's input) in turn, on small images: as many nodes as asked for."""
    b = ModelBuilder(f"chain_{nodes}")
    x = start = "image"
    for index in range(nodes):
        match index % 3:
            case 0:
                start, x = x, b.conv(x, (channels, channels), 3, gain=0.05)
            case 1:
                x = b.node("Relu", [x])
            case 2:
                x = b.node("Add", [x, start])
    shape = (1, channels, size, size)
    return b.model({"image": shape}, x, shape)


def convolutions(layers: int, channels: int, size: int = 16) -> onnx.ModelProto:
    """A plain stack of 3 x 3 convolutions with Relu."""
    b = ModelBuilder(f"convolutions_{layers}_{channels}")
    x = "image"
    for index in range(layers):
        x = b.node("Relu", [b.conv(x, (channels if index else 3, channels), 3)])
    return b.model({"image": (1, 3, size, size)}, x, (1, channels, size, size))


def rows(layers: int, tokens: int, hidden: int = 32) -> onnx.ModelProto:
    """A plain stack of matrix layers with Relu over the rows of a sequence."""
    b = ModelBuilder(f"rows_{layers}_{tokens}_{hidden}")
    x = "embedded"
    for _ in range(layers):
        x = b.node("Relu", [b.linear(x, hidden, hidden, gain=sqrt(2))])
    return b.model({"embedded": (1, tokens, hidden)}, x, (1, tokens, hidden))


MODELS: dict[str, Callable[[], onnx.ModelProto]] = {
    "lenet5": lenet5,
    "resnet8": resnet8,
    "resnet18-small": lambda: resnet18(64, 16, 10),
    "mobilenet_v2-small": lambda: mobilenet_v2(64, 0.25, 10),
    "resnet18": resnet18,
    "mobilenet_v2": mobilenet_v2,
    "resnet50": resnet50,
    "bert-base": bert,
    "gpt2-medium-block": gpt2_block,
}
"""What the benchmarks measure, in order of size."""


def samples(model: onnx.ModelProto, count: int, seed: int = 1) -> dict[str, Any]:
    """Standard normal inputs of shape (count, *shape of one sample)."""
    random = np.random.default_rng(seed)
    made = {}
    for value in model.graph.input:
        shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
        made[value.name] = random.standard_normal((count, *shape[1:]), dtype=np.float32)
    return made


def _basic_block(b: ModelBuilder, x: str, before: int, channels: int, stride: int) -> str:
    same = before == channels and stride == 1
    skip = x if same else b.conv(x, (before, channels), 1, stride, gain=1.0)
    y = b.node("Relu", [b.conv(x, (before, channels), 3, stride)])
    return b.node("Relu", [b.node("Add", [b.conv(y, (channels, channels), 3, gain=0.7), skip])])


def _stem(b: ModelBuilder, channels: int) -> str:
    x = b.node("Relu", [b.conv("image", (3, channels), 7, 2)])
    return b.node("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])


def _classifier(b: ModelBuilder, x: str, channels: int, classes: int, shape: Shape) -> onnx.ModelProto:
    x = b.node("Flatten", [b.node("GlobalAveragePool", [x])], axis=1)
    return b.model({"image": shape}, b.gemm(x, channels, classes), (1, classes))


def _attention(b: ModelBuilder, x: str, tokens: int, hidden: int, heads: int, mask: str | None = None) -> str:
    """Multi-head attention, with the mask added to the scores where there is one."""
    width = hidden // heads
    apart = b.constant((1, tokens, heads, width), np.int64)
    query, key, value = (
        b.node("Transpose", [b.node("Reshape", [b.linear(x, hidden, hidden), apart])], perm=perm)
        for perm in ((0, 2, 1, 3), (0, 2, 3, 1), (0, 2, 1, 3))
    )
    scores = b.node("Div", [b.node("MatMul", [query, key]), b.constant(sqrt(width))])
    if mask is not None:
        scores = b.node("Add", [scores, mask])
    mixed = b.node("MatMul", [b.node("Softmax", [scores], axis=-1), value])
    together = b.constant((1, tokens, hidden), np.int64)
    merged = b.node("Reshape", [b.node("Transpose", [mixed], perm=(0, 2, 1, 3)), together])
    return b.linear(merged, hidden, hidden)


def weight_count(model: onnx.ModelProto) -> int:
    """Numbers in all initializers."""
    return sum(prod(tensor.dims) for tensor in model.graph.initializer)
