"""ONNX's own node tests, compiled and C-simulated at 16 bits, against the outputs that ONNX expects."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from intarsia import passes
from intarsia.board import load_board
from intarsia.boards.driver.host_part import HostPart
from intarsia.emit import emit_sources
from intarsia.errors import IntarsiaError
from intarsia.frontend import ImportedModel, import_model
from intarsia.machine.lower import lower
from intarsia.project.manifest import manifest
from intarsia.qdq.moved_tensors import add_moved_tensors
from intarsia.quantise import QuantiseOptions, calibrate, quantise
from intarsia.schedule.search import decide
from intarsia.simulation.build import BuildError, build_sources
from intarsia.task_graph import TaskGraph, Tensor
from intarsia.verify.csim_runner import CsimRunner

ALL = 99
OPERANDS: Mapping[str, int] = {
    **dict.fromkeys(("Conv", "ConvTranspose", "Gemm", "BatchNormalization", "Attention"), 1),
    **dict.fromkeys(("MatMul", "Add", "Sub", "Mul", "Max", "Min", "Concat", "Sum", "Mean"), ALL),
    **dict.fromkeys(("MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool"), 1),
    **dict.fromkeys(("Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "HardSigmoid", "HardSwish", "Sigmoid"), 1),
    **dict.fromkeys(("Tanh", "Softplus", "Mish", "Gelu", "Erf", "Swish", "Exp", "Sqrt", "Reciprocal"), 1),
    **dict.fromkeys(("Div", "Pow", "Clip", "Softmax", "LogSoftmax", "ArgMax"), 1),
    **dict.fromkeys(("LayerNormalization", "RMSNormalization", "InstanceNormalization"), 1),
    **dict.fromkeys(("GroupNormalization", "LRN", "ReduceMean", "ReduceSum", "ReduceMax"), 1),
    **dict.fromkeys(("Split", "Slice", "Pad", "Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze"), 1),
    **dict.fromkeys(("Expand", "Tile", "Resize", "Upsample", "DepthToSpace", "SpaceToDepth"), 1),
    **dict.fromkeys(("Gather", "Trilu", "Identity", "Dropout", "Cast"), 1),
    "Attention": 3,  # queries, keys and values
    "Where": ALL,
}
"""Operators of the issue of conformance: how many of their first inputs a model computes. The others are constants, as in models:
weights, shapes, masks, bounds."""

_REALS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16)
_FOR_TRAINING = ("LayerNormalization",)
"""Operators whose second and third output only training reads: the cases are run without."""
_SAME_VALUES = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")
"""Operators of the host that leave an output the values, and so the step, that the accelerator gives it."""
_DRAWS = 16
"""Random roundings of which the largest effect counts."""
_BITS = 16


@dataclass(frozen=True)
class Outcome:
    """What became of a case: `passed`, `refused` with the error as reason, or `failed` with what is wrong."""

    name: str
    op: str
    result: str
    reason: str = ""

    def as_json(self) -> dict[str, str]:
        """Plain values."""
        return asdict(self)


def node_cases() -> list[Any]:
    """ONNX's cases of one node of these operators, in order of their names; of Cast those between types of reals, which vanish."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # overflows that are part of cases of other operators
        from onnx.backend.test.case.node import collect_testcases

        cases = collect_testcases(None)
    return sorted(filter(_is_ours, cases), key=lambda case: str(case.name))


def _is_ours(case: Any) -> bool:
    nodes = case.model.graph.node
    if len(nodes) != 1 or nodes[0].op_type not in OPERANDS or case.name.endswith("_expanded"):
        return False
    values = (*case.model.graph.input, *case.model.graph.output)
    return nodes[0].op_type != "Cast" or all(value.type.tensor_type.elem_type in _REALS for value in values)


def run(case: Any) -> Outcome:
    """Compiles and simulates a case and compares all its outputs."""
    op = case.model.graph.node[0].op_type
    try:
        wrong = _differences(case)
    except BuildError as error:
        return Outcome(case.name, op, "failed", str(error))
    except IntarsiaError as error:
        return Outcome(case.name, op, "refused", str(error))
    except Exception as error:  # noqa: BLE001  (of any kind: it is a failure of the case)
        return Outcome(case.name, op, "failed", f"{type(error).__name__}: {error}")
    return Outcome(case.name, op, "failed" if wrong else "passed", wrong)


def _differences(case: Any) -> str:
    """What is wrong with a case; empty if nothing is."""
    model, values = with_constants(case)
    outputs = {value.name for value in model.graph.output}
    given = zip(case.model.graph.output, case.data_sets[0][1], strict=True)
    expected = {value.name: _array(data) for value, data in given if value.name in outputs}
    imported = import_model(model)
    float_graph = passes.run(imported.graph)
    float_model = add_moved_tensors(imported.model, float_graph)
    arrays = _accelerator_inputs(imported, float_graph, values)
    graph = quantise(
        float_graph,
        calibrate(float_model, float_graph, arrays),
        QuantiseOptions(weight_bits=_BITS, activation_bits=_BITS),
    )
    results = simulate(graph, arrays)
    if imported.host_after is not None:
        results |= HostPart(imported.host_after.SerializeToString()).run(results)
    direct = {name: _of_accelerator(imported, name) for name in expected}
    reference, allowed = tolerances(float_model, graph, arrays, direct)
    for name, given in expected.items():
        if name not in results:
            return f"output {name!r} is not made"
        wanted = np.asarray(given, dtype=np.float64)
        found, ours = np.asarray(results[name], dtype=np.float64), reference[name]
        if found.size != wanted.size:
            return f"output {name!r} has shape {found.shape}, not {wanted.shape}"
        steps = (
            ("the C-simulation", found, "the float model", ours, np.full(wanted.size, allowed[name])),
            ("the float model", ours, "ONNX", wanted, _own_tolerance(case, given)),
        )
        for what, ours, whose, theirs, within in steps:
            if wrong := _difference(ours.ravel(), theirs.ravel(), within.ravel()):
                return f"output {name!r}: {what} differs from {whose}: {wrong}"
    return ""


def _accelerator_inputs(
    imported: ImportedModel, graph: TaskGraph, values: Mapping[str, Any]
) -> dict[str, Any]:
    """The case's inputs as samples of the accelerator's, through the host's first nodes if there are any."""
    known = dict(values)
    if imported.host_before is not None:
        part = HostPart(imported.host_before.SerializeToString())
        own = {name: np.asarray(values[name]).reshape(-1, *shape) for name, shape in part.inputs.items()}
        known |= part.run(own)
    return {
        name: np.asarray(known[name]).astype(np.float32).reshape(-1, *graph.tensors[name].shape)
        for name in graph.inputs
    }


def _of_accelerator(imported: ImportedModel, name: str) -> str:
    """The accelerator's output whose values a model output has; empty where the host computes them."""
    nodes = imported.host_after.graph.node if imported.host_after is not None else ()
    makers = {result: node for node in nodes for result in node.output}
    while name in makers:
        if makers[name].op_type not in _SAME_VALUES:
            return ""
        name = makers[name].input[0]
    return name


def _own_tolerance(case: Any, expected: Any) -> Any:
    """What ONNX itself allows, and two roundings where it computes in numbers shorter than float32; nothing for integers."""
    if np.asarray(expected).dtype.kind in "iub":
        return np.zeros(np.shape(expected))
    wanted = np.abs(np.asarray(expected, dtype=np.float64))
    types = {
        helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type) for value in case.model.graph.input
    }
    short = [
        float(2 * ml_dtypes.finfo(kind).eps) for kind in types if kind.itemsize == 2 and kind.kind not in "iu"
    ]
    return case.atol + case.rtol * wanted + max(short, default=0.0) * wanted.max(initial=0)


def _difference(found: Any, wanted: Any, within: Any) -> str:
    """The element that is worst; empty if none is wrong."""
    excess = np.abs(found - wanted) - within
    if (excess <= 0).all():  # false also if something is NaN
        return ""
    worst = int(np.argmax(np.nan_to_num(excess, nan=np.inf)))
    return f"element {worst} is {found[worst]:.7g}, not {wanted[worst]:.7g} within {within[worst]:.2g}"


def with_constants(case: Any) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """The case's model with all inputs but the computed ones as initializers, and the values of those."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    graph = model.graph
    computed = list(graph.node[0].input)[: OPERANDS[graph.node[0].op_type]]
    values = {value.name: _array(data) for value, data in zip(graph.input, case.data_sets[0][0], strict=True)}
    constants = [value for value in graph.input if value.name not in computed]
    for value in constants:
        graph.input.remove(value)
        graph.initializer.append(numpy_helper.from_array(np.asarray(values.pop(value.name)), value.name))
    if graph.node[0].op_type in _FOR_TRAINING:
        del graph.node[0].output[1:], graph.output[1:]
    return model, values


def _array(data: Any) -> Any:
    """Some cases hold tensors of ONNX, not of NumPy."""
    return numpy_helper.to_array(data) if isinstance(data, TensorProto) else data


def simulate(graph: TaskGraph, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Real outputs of the C-simulation."""
    schedule = decide(graph, load_board("kv260"), "sequential", (4,)).chosen.schedule
    machine = lower(graph, schedule, "conformance")
    library = build_sources(emit_sources(machine, "conformance"))
    about = manifest(machine, graph, board="none", clock_mhz=100.0, files={})
    runner = CsimRunner(about, library, machine.weights)
    raw = runner.outputs(
        {name: graph.tensors[name].number.quantise(values[:, 0]) for name, values in arrays.items()}
    )
    return {name: graph.tensors[name].number.dequantise(raw[name]) for name in graph.outputs}


def tolerances(
    model: onnx.ModelProto, graph: TaskGraph, arrays: Mapping[str, Any], direct: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, float]]:
    """Outputs of the float model, and what rounding to the formats may change in each element of each output; one rule for all cases.

    Half a step of the output, the steps that tasks on the way allow themselves (`Operator.tolerance`), and twice the largest change
    of any element that 16 random roundings make in the float model: every element of every tensor that has a format,
    and of every weight, moved up or down by half a step. Whole numbers in steps of 1 are not rounded. An output that the host computes
    has no step of its own; what it is computed from is moved like all others.

    Args:
        model: the float model, with the host's last nodes.
        graph: the quantised graph.
        arrays: samples of the accelerator.
        direct: the model's outputs, and which of the graph's has their values, if any.
    """
    moved = _MovedModel(model, graph, direct)
    exact = moved.run(arrays, None)
    effect = {name: 0.0 for name in direct}
    for draw in range(_DRAWS):
        other = moved.run(arrays, np.random.default_rng(draw))
        for name, largest in effect.items():
            effect[name] = max(float(np.abs(other[name] - exact[name]).max(initial=0)), largest)  # NaN stays
    stated = sum(task.operator.tolerance(task.values) for task in graph.tasks)
    steps = {
        name: graph.tensors[tensor].number.scale if tensor and not is_exact(graph.tensors[tensor]) else 0.0
        for name, tensor in direct.items()
    }
    return exact, {name: (0.5 + stated) * steps[name] + 2 * effect[name] for name in direct}


def is_exact(tensor: Tensor) -> bool:
    """True for whole numbers in steps of 1: nothing rounds them."""
    return bool(tensor.kind) and tensor.number.exponent == 0


class _MovedModel:
    """A float model whose tensors and weights can be moved by half a step of their formats."""

    def __init__(self, model: onnx.ModelProto, graph: TaskGraph, direct: Mapping[str, str]) -> None:
        changed = onnx.ModelProto()
        changed.CopyFrom(model)
        self.outputs = list(direct)
        still = set(direct.values())
        self.weights = {
            tensor.name: numpy_helper.to_array(tensor)
            for tensor in changed.graph.initializer
            if tensor.data_type == TensorProto.FLOAT and tensor.dims and not _is_size(changed, tensor.name)
        }
        made = {name for node in changed.graph.node for name in node.output}
        self.tensors = {
            name: tensor
            for name, tensor in graph.tensors.items()
            if name not in still and (name in made or name in graph.inputs)
        }
        for name in self.weights:  # an input overrides an initializer
            value = helper.make_tensor_value_info(name, TensorProto.FLOAT, self.weights[name].shape)
            changed.graph.input.append(value)
        nodes = [
            _move(changed, name, self.tensors[name].shape) for name in graph.inputs if name in self.tensors
        ]
        for node in changed.graph.node:
            for index, name in enumerate(node.input):
                if name in self.tensors:
                    node.input[index] = f"{name}, moved"
            nodes.append(node)
            nodes += [
                _move(changed, name, self.tensors[name].shape) for name in node.output if name in self.tensors
            ]
        copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
        del changed.graph.node[:], changed.graph.output[:], changed.graph.value_info[:]
        changed.graph.node.extend(copies)
        changed.graph.output.extend(onnx.ValueInfoProto(name=name) for name in self.outputs)
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 4
        self.session = onnxruntime.InferenceSession(
            changed.SerializeToString(), options, ["CPUExecutionProvider"]
        )

    def run(self, arrays: Mapping[str, Any], random: np.random.Generator | None) -> dict[str, Any]:
        """Outputs for all samples, one after the other; nothing moves if `random` is None."""
        found = []
        for sample in range(len(next(iter(arrays.values())))):
            feeds = {name: values[sample] for name, values in arrays.items()}
            for name, values in self.weights.items():
                finite = values[np.isfinite(values)]  # masks hold minus infinity
                step = np.abs(finite).max(initial=0) * 2.0 ** (2 - _BITS)
                feeds[name] = (values + _half(values.shape, step, random)).astype(np.float32)
            for name, tensor in self.tensors.items():
                step = 0.0 if is_exact(tensor) else tensor.number.scale
                feeds[f"{name}, by"] = _half(tensor.shape, step, random).astype(np.float32)
            found.append(self.session.run(self.outputs, feeds))
        return {
            name: np.stack([np.asarray(one[index], dtype=np.float64) for one in found])
            for index, name in enumerate(self.outputs)
        }


def _half(shape: tuple[int, ...], step: float, random: np.random.Generator | None) -> Any:
    """Half a step up or down for each element."""
    return np.zeros(shape) if random is None else step / 2 * random.choice((-1.0, 1.0), shape)


def _move(model: onnx.ModelProto, name: str, shape: tuple[int, ...]) -> onnx.NodeProto:
    """Adds an input to a tensor."""
    by = f"{name}, by"
    model.graph.input.append(helper.make_tensor_value_info(by, TensorProto.FLOAT, shape))
    return helper.make_node("Add", [name, by], [f"{name}, moved"], name=f"{name}, moved")


def _is_size(model: onnx.ModelProto, name: str) -> bool:
    """True for reals that say where values go, not what they are."""
    return any(name in node.input and node.op_type in ("Resize", "Upsample") for node in model.graph.node)
