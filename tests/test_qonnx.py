"""Models with QONNX's quantisers, as Brevitas exports them."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import numpy_helper
from prequantised_models import assert_close, bipolar, brevitas_like, compiled, inputs, quant

from intarsia import golden


def assert_defined(bits: int, mode: str = "ROUND", zero: float = 0, **attributes: int) -> None:
    """Golden and definition are the same numbers, bit for bit."""
    model, reals = brevitas_like(bits, mode, zero, **attributes)
    _imported, graph = compiled(model)
    (name,) = graph.inputs
    values = inputs(20)
    x = quant(values, 2.0**-5, 0, 8)
    raw = golden.run(graph, {name: graph.tensors[name].number.quantise(values)[:, np.newaxis]})
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))
    c = np.einsum("bcyxij,ocij->boyx", windows, quant(reals["w"], reals["w_scale"], 0, bits, narrow=1))
    along = np.array([[1, -2, 0.5, 1], [0.3, 0.1, 0, -1], [0.1, 0, 0, 0]], np.float32).astype(np.float64)
    gamma, beta, mean = along[:, :, None, None]
    n = quant((c - mean) * gamma + beta, 2.0**-6 * 2 ** (8 - bits), zero, bits, mode=mode, **attributes)
    middle = next(task.output for task in graph.tasks if task.operator.name == "Conv")
    shown = graph.tensors[middle].number.dequantise(raw[middle])[:, 0]
    np.testing.assert_array_equal(shown, n)
    y = quant(n.reshape(20, -1) @ quant(reals["v"], 2.0 ** (1 - bits), 0, bits), 2.0**-4, 0, 8)
    (output,) = graph.outputs
    np.testing.assert_array_equal(graph.tensors[output].number.dequantise(raw[output])[:, 0], y)


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 7, 8])
def test_qonnx_widths(bits: int) -> None:
    assert_defined(bits)


@pytest.mark.parametrize("mode", ["ROUND", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN"])
def test_qonnx_rounding_modes(mode: str) -> None:
    assert_defined(4, mode)
    assert_defined(4, mode, signed=0)


@pytest.mark.parametrize("zero", [3, -2, 7])
@pytest.mark.parametrize("mode", ["ROUND", "FLOOR", "CEIL"])
def test_qonnx_zero_points(mode: str, zero: int) -> None:
    assert_defined(5, mode, zero)


def test_qonnx_any_scale_in_onnxruntime() -> None:
    model, _ = brevitas_like(4, power=False)
    assert_close(*compiled(model))


def test_qonnx_narrow() -> None:
    assert_defined(4, narrow=1)


def test_bipolar() -> None:
    model = bipolar()
    _imported, graph = compiled(model)
    (name,), (output,) = graph.inputs, graph.outputs
    values = inputs(40)
    raw = golden.run(graph, {name: graph.tensors[name].number.quantise(values)[:, np.newaxis]})
    weights = numpy_helper.to_array(model.graph.initializer[0])
    sums = np.where(values < 0, -1, 1).reshape(40, -1) @ np.where(weights < 0, -0.5, 0.5)
    expected = np.where(sums < 0, -0.5, 0.5)
    assert len(np.unique(expected)) == 2
    np.testing.assert_array_equal(graph.tensors[output].number.dequantise(raw[output])[:, 0], expected)
