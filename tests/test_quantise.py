from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from graphs import RELU, chain, conv, dense, quantised, random_inputs, small_cnn, stress_inputs
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from intarsia import golden
from intarsia.arithmetic.requantisation import accumulator_units
from intarsia.errors import IntarsiaError
from intarsia.fixed_point import FixedPoint
from intarsia.ops.average_pool import AveragePool
from intarsia.ops.dense import Dense
from intarsia.quantise import (
    CalibrationError,
    QuantiseOptions,
    RangeError,
    accumulator_bits,
    accumulator_ranges,
    calibrate,
    quantise,
)
from intarsia.quantise.exponents import (
    channel_exponents,
    choose_activation_format,
    choose_format,
    choose_weight_format,
    full_range_exponent,
)
from intarsia.quantise.histogram import histogram, merge
from intarsia.task_graph import UNBOUNDED, TaskGraph


def sqnr_db(signal: NDArray[Any], noisy: NDArray[Any]) -> float:
    return float(10 * np.log10(np.square(signal).sum() / np.square(signal - noisy).sum()))


def squared_error(values: NDArray[np.float64], number: FixedPoint) -> float:
    return float(np.square(number.dequantise(number.quantise(values)) - values).sum())


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("bits", [3, 4, 8])
def test_histogram_gives_the_exact_squared_error(seed: int, bits: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.standard_t(3, 5000) * 2.0 ** rng.integers(-20, 20)
    values[:500] = 0
    found = histogram(values)
    widest = full_range_exponent(found.magnitude, bits)
    for exponent in range(widest - 4, widest + 1):
        number = FixedPoint(bits, exponent)
        assert found.squared_error(number) == pytest.approx(squared_error(values, number), rel=1e-6)


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_histogram_of_finer_formats_is_close(bits: int) -> None:
    values = np.random.default_rng(0).normal(0, 1, 20000)
    found = histogram(values)
    for finer in range(3):
        number = FixedPoint(bits, full_range_exponent(found.magnitude, bits) - finer)
        assert found.squared_error(number) == pytest.approx(squared_error(values, number), rel=0.05)


def test_batches_give_the_statistics_of_the_whole() -> None:
    values = np.random.default_rng(0).normal(0, 1, 4000) * np.repeat([1e-3, 1, 40, 0], 1000)
    whole = histogram(values)
    for order in ((0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)):
        parts = [histogram(values[1000 * i : 1000 * (i + 1)]) for i in order]
        merged = parts[0]
        for part in parts[1:]:
            merged = merge(merged, part)
        assert (merged.minimum, merged.maximum, merged.exponent) == (
            whole.minimum,
            whole.maximum,
            whole.exponent,
        )
        np.testing.assert_array_equal(merged.counts, whole.counts)
        np.testing.assert_allclose(merged.squares, whole.squares)


@given(st.floats(1e-12, 1e12), st.integers(2, 16))
def test_full_range_exponent_is_the_smallest_that_fits(magnitude: float, bits: int) -> None:
    exponent = full_range_exponent(magnitude, bits)
    largest = FixedPoint(bits, 0).maximum
    assert magnitude <= largest * 2.0**exponent * (1 + 1e-15)
    assert magnitude > largest * 2.0 ** (exponent - 1) * (1 - 1e-15)


def test_least_squared_error_wins_over_the_full_range() -> None:
    values = np.random.default_rng(0).normal(0, 1, 100_000)
    values[0] = 100.0
    number = choose_weight_format(values, 4)
    assert number.exponent < full_range_exponent(100.0, 4)
    assert number == choose_format(100.0, 4, histogram(values).squared_error)
    assert choose_weight_format(np.full(10, 0.5), 8) == FixedPoint(
        8, -7
    )  # exact at -7 (64) and -8 (clipped): coarser


def test_wide_activations_keep_headroom_and_narrow_ones_do_not() -> None:
    values = np.random.default_rng(0).uniform(-1, 1, 10_000)
    values[0] = 0.99
    found = histogram(values)
    for bits in (10, 12, 16):
        number = choose_activation_format(found, bits)
        assert number.maximum * number.scale > 1.25 * found.magnitude
    assert choose_activation_format(found, 8) == FixedPoint(8, -7)


def test_zeros_and_constants_have_ordinary_formats() -> None:
    assert choose_weight_format(np.zeros(5), 8) == choose_format(0.0, 8, histogram(np.zeros(5)).squared_error)
    assert abs(choose_weight_format(np.zeros(5), 8).exponent) <= 8
    assert choose_weight_format(np.full(5, 1e-30), 8).exponent == -48


@pytest.mark.parametrize(("bits", "least"), [(4, 7), (8, 30), (12, 50), (16, 75)])
def test_quantised_graph_is_close_to_the_float_graph(bits: int, least: float) -> None:
    graph = small_cnn()
    integers = quantised(graph, QuantiseOptions(bits, bits))
    reals = random_inputs(graph)
    expected = golden.run_float(graph, reals)
    got = golden.run(integers, {"x": integers.tensors["x"].number.quantise(reals["x"])})
    for name in graph.tensors:
        assert sqnr_db(expected[name], integers.tensors[name].number.dequantise(got[name])) > least, name


def test_every_number_has_a_format_and_the_rules_hold() -> None:
    graph = quantised(small_cnn(), QuantiseOptions(6, 10))
    for tensor in graph.tensors.values():
        assert tensor.number.signed
        assert tensor.number.bits == 10
    for task in graph.tasks:
        units = accumulator_units(task, [x.number.scale for x in graph.input_tensors(task)])
        output = graph.output_tensor(task).number.exponent
        assert output >= np.log2(max(units)) - (task.operator.divisor - 1).bit_length()
        for role, parameter in task.parameters.items():
            assert parameter.values.dtype == np.int64
            assert parameter.number.bits == (32 if role == "bias" else 6)
        if "bias" in task.parameters:
            assert task.parameters["bias"].number.scales == units
    assert graph.tensors["t1"].number == graph.tensors["t0"].number  # a maximum keeps the format


def test_quantising_twice_gives_the_same() -> None:
    first, second = quantised(small_cnn()), quantised(small_cnn())
    assert dict(first.tensors) == dict(second.tensors)


@pytest.mark.parametrize("per_channel", [False, True])
def test_a_large_bias_makes_weights_coarser_and_is_kept(per_channel: bool) -> None:
    rng = np.random.default_rng(0)
    operator, parameters, _ = dense(rng, 4, 3)
    parameters["bias"] = np.array([0.0, 900.0, -1000.0])
    parameters["weight"] = parameters["weight"] * 1e-3
    float_graph = chain((4,), [(operator, parameters, UNBOUNDED)])
    graph = quantised(float_graph, QuantiseOptions(16, 16, per_channel))
    bias = graph.tasks[0].parameters["bias"]
    steps = 2.0 ** np.array(bias.number.exponents)
    assert np.abs(bias.values).max() < 1 << 31
    assert (np.abs(bias.number.dequantise(bias.values) - parameters["bias"]) <= steps).all()
    reals = random_inputs(float_graph)
    expected = golden.run_float(float_graph, reals)["t0"]
    output = graph.tensors["t0"].number
    got = golden.run(graph, {"x": graph.tensors["x"].number.quantise(reals["x"])})["t0"]
    assert np.abs(output.dequantise(got) - expected).max() <= output.scale


def test_channels_get_exponents_of_their_own_within_limits() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(0, 1, (6, 50)) * np.array([[1], [0.25], [2**-6], [2**-30], [0], [4]])
    exponents = channel_exponents(rows, 8).tolist()
    alone = [choose_weight_format(row, 8).exponent for row in rows]
    assert exponents[:3] + exponents[5:] == alone[:3] + alone[5:]
    assert exponents[3] == exponents[5] - 8  # all below one step of the coarsest channel
    assert exponents[4] == exponents[5]  # zeros do not care
    assert (
        channel_exponents(np.zeros((2, 3)), 8).tolist() == [choose_weight_format(np.zeros(3), 8).exponent] * 2
    )


def test_a_dead_channel_with_a_bias_does_not_widen_the_accumulators() -> None:
    rng = np.random.default_rng(0)
    operator, parameters, clamp = dense(rng, 16, 4)
    plain = chain((16,), [(operator, parameters, clamp)])
    weight = parameters["weight"] * np.array([[1], [1], [2**-12], [1]])
    fading = chain((16,), [(operator, {"weight": weight, "bias": parameters["bias"]}, clamp)])
    bits = [accumulator_bits(quantised(graph))["layer0"] for graph in (plain, fading)]
    assert bits[1] <= bits[0] + 1


def test_exponents_by_channel_are_more_accurate() -> None:
    rng = np.random.default_rng(0)
    operator, parameters, clamp = conv(rng, 3, 16, kernel=(3, 3))
    sizes = 2.0 ** rng.uniform(-5, 0, 16)
    parameters = {
        "weight": parameters["weight"] * sizes[:, None, None, None],
        "bias": parameters["bias"] * sizes,
    }
    graph = chain((3, 8, 8), [(operator, parameters, clamp), dense(rng, 16 * 36, 4)])
    reals = random_inputs(graph)
    expected = golden.run_float(graph, reals)["t1"]
    found = []
    for per_channel in (False, True):
        integers = quantised(graph, QuantiseOptions(per_channel=per_channel))
        got = golden.run(integers, {"x": integers.tensors["x"].number.quantise(reals["x"])})["t1"]
        found.append(sqnr_db(expected, integers.tensors["t1"].number.dequantise(got)))
    assert found[1] > found[0]


def test_a_mean_keeps_the_bits_that_its_division_brings() -> None:
    """Sparse inputs: the mean is far smaller than the largest input, and 6 bits finer than its step at most."""
    rng = np.random.default_rng(0)
    values = rng.normal(0, 1, (64, 1, 8, 7, 7)).clip(0) ** 3
    graph = chain((8, 7, 7), [(AveragePool((7, 7)), {}, UNBOUNDED)])
    trace = golden.run_float(graph, {"x": values})
    integers = quantise(graph, {name: histogram(real) for name, real in trace.items()})
    unit = integers.tensors["x"].number.exponent
    assert unit - 6 <= integers.tensors["t0"].number.exponent < unit
    raw = integers.tensors["x"].number.quantise(values)
    seen = integers.tensors["x"].number.dequantise(raw).mean(axis=(3, 4), keepdims=True)
    got = integers.tensors["t0"].number.dequantise(golden.run(integers, {"x": raw})["t0"])
    assert sqnr_db(seen, got) > 36


def test_a_layer_of_zeros_and_a_dead_relu_are_fine() -> None:
    rng = np.random.default_rng(0)
    zero = ({"weight": np.zeros((3, 4)), "bias": np.zeros(3)}, RELU)
    graph = quantised(chain((4,), [(Dense(), *zero), dense(rng, 3, 2)]))
    golden.run(graph, stress_inputs(graph))


@pytest.mark.parametrize("options", [(1, 8), (17, 8), (8, 1), (8, 17)])
def test_widths_are_checked(options: tuple[int, int]) -> None:
    with pytest.raises(IntarsiaError, match="must be 2 to 16"):
        QuantiseOptions(*options)


def test_accumulators_never_exceed_their_bits() -> None:
    graph = quantised(small_cnn())
    bits = accumulator_bits(graph)
    trace = golden.run(graph, stress_inputs(graph))
    for task in graph.tasks:
        accumulators = task.operator.accumulate([trace[name] for name in task.inputs], task.values)
        assert np.abs(accumulators).max() < 1 << (bits[task.name] - 1)


def test_the_bound_of_a_dense_layer_is_reached() -> None:
    graph = quantised(chain((4,), [dense(np.random.default_rng(0), 4, 1, bias=False)]))
    weight = graph.tasks[0].parameters["weight"].values
    worst = np.where(weight < 0, 127, -128)[np.newaxis]
    reached = int(np.abs(graph.tasks[0].operator.accumulate([worst], graph.tasks[0].values)).max())
    found = accumulator_ranges(graph)["layer0"]
    assert found.bound == 128 * np.abs(weight).sum()
    assert found.bound - np.abs(weight).sum() <= reached <= found.bound
    assert found.bits == found.bound.bit_length() + 1


def test_float32_exactness_follows_the_bound() -> None:
    rng = np.random.default_rng(0)
    short = quantised(chain((64,), [dense(rng, 64, 2)]))
    assert accumulator_ranges(short)["layer0"].float32_exact
    long = quantised(chain((8192,), [dense(rng, 8192, 2)]))
    assert not accumulator_ranges(long)["layer0"].float32_exact
    for size, exact in (
        (255, True),
        (257, False),
    ):  # 128 * 255**2 < 2**23 < 128 * 257**2: divided, so half of 2**24
        pool = quantised(chain((1, size, size), [(AveragePool((size, size)), {}, UNBOUNDED)]))
        assert accumulator_ranges(pool)["layer0"].float32_exact == exact


def test_too_wide_accumulators_are_refused() -> None:
    graph = quantised(chain((4,), [dense(np.random.default_rng(0), 4, 2)]))
    task = graph.tasks[0]
    huge = {**task.parameters, "bias": type(task.parameters["bias"])(np.array([2**61, 0]), FixedPoint(64, 0))}
    from dataclasses import replace

    with pytest.raises(RangeError, match=r"layer0.*needs 63 bits"):
        accumulator_bits(graph.with_tasks((replace(task, parameters=huge),)))
    tensors = {**graph.tensors, "t0": replace(graph.tensors["t0"], format=FixedPoint(8, -75))}
    with pytest.raises(RangeError, match=r"accumulator would need \d+ bits on the way to the format of 't0'"):
        accumulator_bits(graph.with_tasks(graph.tasks, tensors))


def convolution_model(batch: int | str, divide: bool = False) -> tuple[onnx.ModelProto, TaskGraph]:
    """One Conv and Relu, as ONNX and as a task graph with the same tensor names."""
    operator, parameters, clamp = conv(np.random.default_rng(0), 1, 2, kernel=(3, 3))
    graph = chain((1, 6, 6), [(operator, parameters, clamp)])
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["c"]), helper.make_node("Relu", ["c"], ["t0"])]
    if divide:
        nodes[1] = helper.make_node("Div", ["c", "zero"], ["t0"])
    constants = {"w": parameters["weight"], "b": parameters["bias"], "zero": np.zeros(1)}
    onnx_graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 1, 6, 6])],
        [helper.make_tensor_value_info("c", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(values.astype(np.float32), name) for name, values in constants.items()],
    )
    return helper.make_model(onnx_graph, opset_imports=[helper.make_opsetid("", 17)]), graph


@pytest.mark.parametrize("batch", [1, "n"])
def test_calibration_sees_what_the_float_graph_computes(batch: int | str) -> None:
    model, graph = convolution_model(batch)
    before = model.SerializeToString()
    reals = random_inputs(graph, 70)
    told: list[tuple[int, int]] = []
    statistics = calibrate(model, graph, reals, lambda _, done, total: told.append((done, total)))
    assert model.SerializeToString() == before
    assert told[-1] == (70, 70)
    for name, values in golden.run_float(graph, reals).items():
        assert statistics[name].maximum == pytest.approx(values.max(), rel=1e-5)
        assert statistics[name].counts.sum() == values.size
    assert statistics["t0"].minimum == 0


def test_calibration_errors() -> None:
    model, graph = convolution_model("n", divide=True)
    with pytest.raises(CalibrationError, match="'t0' of the float model has NaN or infinite"):
        calibrate(model, graph, random_inputs(graph, 2))
    model, graph = convolution_model("n")
    model.graph.node[1].output[0] = "other"
    with pytest.raises(CalibrationError, match="has no tensor 't0'"):
        calibrate(model, graph, random_inputs(graph, 2))
    model, graph = convolution_model(1)
    model.graph.initializer[0].dims[1] = 9
    with pytest.raises(CalibrationError, match=r"ONNX Runtime cannot load|fails on sample 0"):
        calibrate(model, graph, random_inputs(graph, 2))
