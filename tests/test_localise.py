"""Known faults in each world: each must be found at the right layer and edge, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from fake_worlds import (
    FaultyRunner,
    FloatRunner,
    batches,
    floored,
    network,
    no_bias,
    one_weight,
    sound_worlds,
    stale,
    swapped,
    transposed,
    with_operator,
    with_parameter,
    wrapped,
)

from intarsia import golden
from intarsia.qdq.model import export_qdq
from intarsia.task_graph import Task, TaskGraph
from intarsia.verify.accuracy import Accuracy
from intarsia.verify.budget import Budget
from intarsia.verify.check import check
from intarsia.verify.edge import Edge, Mode, Verdict
from intarsia.verify.findings import Batch
from intarsia.verify.golden_runner import GoldenRunner
from intarsia.verify.hardware_runner import HardwareRunner
from intarsia.verify.onnxruntime_runner import ModelError, QuantisedRunner
from intarsia.verify.report import Report
from intarsia.verify.runner import Array
from intarsia.verify.worlds import Worlds

GRAPH = network()
FAULTS: dict[str, tuple[str, Callable[[str], FaultyRunner]]] = {
    "one weight": (
        "conv2",
        lambda name: FaultyRunner(with_parameter(GRAPH, "conv2", "weight", one_weight), name),
    ),
    "floor instead of round": ("conv2", lambda name: FaultyRunner(GRAPH, name, {"conv2": floored})),
    "wrap instead of saturate": ("conv1", lambda name: FaultyRunner(GRAPH, name, {"conv1": wrapped})),
    "bias dropped": ("conv3", lambda name: FaultyRunner(GRAPH, name, {"conv3": no_bias})),
    "kernel transposed": (
        "conv1",
        lambda name: FaultyRunner(with_parameter(GRAPH, "conv1", "weight", transposed), name),
    ),
    "padding shifted": (
        "conv2",
        lambda name: FaultyRunner(with_operator(GRAPH, "conv2", pads=(2, 1, 0, 1)), name),
    ),
    "bytes swapped": ("conv2", lambda name: FaultyRunner(GRAPH, name, {"conv2": swapped})),
    "stale buffer": ("conv3", lambda name: FaultyRunner(GRAPH, name, {"conv3": stale})),
    "last layer": (
        "fc",
        lambda name: FaultyRunner(with_parameter(GRAPH, "fc", "bias", lambda bias: bias + 600), name),
    ),
}
WORLD = {Edge.LOWERING: "quantised", Edge.MAPPING: "csim", Edge.DEPLOYMENT: "board"}


def run(worlds: Worlds, graph: TaskGraph = GRAPH, **options: object) -> Report:
    return check(graph, worlds, batches(graph), **options)  # type: ignore[arg-type]


def with_fault(edge: Edge, runner: object) -> Worlds:
    return replace(sound_worlds(GRAPH), **{WORLD[edge]: runner})


def test_no_false_alarm() -> None:
    report = run(sound_worlds(GRAPH))
    assert report.passed and report.first_divergence is None and not report.unobserved
    verdicts = {result.verdict for layer in report.layers for result in layer.edges.values()}
    assert verdicts == {Verdict.PASS}
    assert (report.samples, report.stress) == (24, 19)


@pytest.mark.parametrize("edge", list(WORLD))
@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found_at_its_layer_and_edge(fault: str, edge: Edge) -> None:
    layer, world = FAULTS[fault]
    report = run(with_fault(edge, world(WORLD[edge])))
    assert not report.passed
    divergence = next(one for one in report.divergences if one.edge is not Edge.QUANTISATION)
    assert (divergence.edge, divergence.layer, divergence.mode) == (edge, layer, Mode.ISOLATED)
    assert divergence.index is not None and divergence.expected != divergence.got
    failed = [row.name for row in report.layers if row.edges[edge].verdict is Verdict.FAIL]
    assert failed == [layer]


def test_the_message() -> None:
    report = run(with_fault(Edge.MAPPING, FAULTS["one weight"][1]("csim")))
    assert report.verdict == (
        "FIRST DIVERGENCE: conv2 (mapping) index (0,0,1,2) golden=0 csim=1; inputs match; sample 0"
    )


def test_layers_after_the_fault_inherit_it() -> None:
    report = run(with_fault(Edge.DEPLOYMENT, FAULTS["bytes swapped"][1]("board")))
    verdicts = {row.name: row.edges[Edge.DEPLOYMENT].verdict for row in report.layers}
    assert verdicts["conv1"] is Verdict.PASS and verdicts["conv2"] is Verdict.FAIL
    assert verdicts["conv3"] is verdicts["fc"] is Verdict.INHERITED


def test_a_second_fault_is_found_behind_the_first() -> None:
    world = FaultyRunner(with_parameter(GRAPH, "conv1", "weight", one_weight), "csim", {"conv3": floored})
    report = run(with_fault(Edge.MAPPING, world))
    failed = [row.name for row in report.layers if row.edges[Edge.MAPPING].verdict is Verdict.FAIL]
    assert failed == ["conv1", "conv3"]


def test_a_fault_that_csim_and_board_share_is_the_mappings() -> None:
    shared = FAULTS["floor instead of round"][1]
    report = run(replace(sound_worlds(GRAPH), csim=shared("csim"), board=shared("board")))
    assert [divergence.edge for divergence in report.divergences] == [Edge.MAPPING]


def test_a_board_fault_behind_a_shared_one() -> None:
    graph = with_parameter(GRAPH, "conv1", "weight", one_weight)
    worlds = replace(
        sound_worlds(GRAPH),
        csim=FaultyRunner(graph, "csim"),
        board=FaultyRunner(graph, "board", {"conv3": no_bias}),
    )
    found = [(divergence.edge, divergence.layer) for divergence in run(worlds).divergences]
    assert found == [(Edge.MAPPING, "conv1"), (Edge.DEPLOYMENT, "conv3")]


def test_a_stale_buffer_shows_only_from_the_second_sample_on() -> None:
    divergence = run(with_fault(Edge.DEPLOYMENT, FAULTS["stale buffer"][1]("board"))).first_divergence
    assert divergence is not None and divergence.sample == 1


def test_a_mislabelled_tap() -> None:
    def swap(trace: dict[str, Array]) -> dict[str, Array]:
        return {**trace, "conv2_out": trace["conv3_out"], "conv3_out": trace["conv2_out"]}

    divergence = run(with_fault(Edge.MAPPING, FaultyRunner(GRAPH, taps=swap))).first_divergence
    assert divergence is not None and (divergence.layer, divergence.edge) == ("conv2", Edge.MAPPING)


def test_a_tap_of_the_wrong_shape() -> None:
    def crop(trace: dict[str, Array]) -> dict[str, Array]:
        return {**trace, "conv2_out": trace["conv2_out"][..., :3]}

    divergence = run(with_fault(Edge.MAPPING, FaultyRunner(GRAPH, taps=crop))).first_divergence
    assert divergence is not None and divergence.layer == "conv2" and "shape" in divergence.reason


def test_a_corrupted_input_is_named() -> None:
    def corrupt(trace: dict[str, Array]) -> dict[str, Array]:
        return {**trace, "image": trace["image"] ^ 1}

    divergence = run(with_fault(Edge.DEPLOYMENT, FaultyRunner(GRAPH, "board", taps=corrupt))).first_divergence
    assert divergence is not None and divergence.layer == "image"


@pytest.mark.parametrize("hidden", ["conv2_out", "image"])
def test_what_is_not_tapped_is_not_observed(hidden: str) -> None:
    def hide(trace: dict[str, Array]) -> dict[str, Array]:
        return {name: values for name, values in trace.items() if name != hidden}

    report = run(with_fault(Edge.MAPPING, FaultyRunner(GRAPH, taps=hide)))
    row = next(row for row in report.layers if row.tensor.name == hidden)
    given = hidden in GRAPH.inputs
    assert row.edges[Edge.MAPPING].verdict is (Verdict.GIVEN if given else Verdict.UNOBSERVED)
    assert report.coverage.startswith("all" if given else f"{len(GRAPH.tasks) - 1} of")
    assert report.passed


def test_a_fault_in_an_untapped_layer_is_bracketed() -> None:
    def hide(trace: dict[str, Array]) -> dict[str, Array]:
        return {name: values for name, values in trace.items() if name not in ("conv1_out", "pool1_out")}

    world = FaultyRunner(with_parameter(GRAPH, "conv1", "weight", one_weight), taps=hide)
    divergence = run(with_fault(Edge.MAPPING, world)).first_divergence
    assert divergence is not None
    assert (divergence.layer, divergence.through, divergence.inputs_match) == (
        "conv2",
        ("conv1", "pool1"),
        None,
    )


def test_unobserved_outputs_do_not_pass() -> None:
    def hide(trace: dict[str, Array]) -> dict[str, Array]:
        return {name: values for name, values in trace.items() if name != "scores"}

    report = run(with_fault(Edge.DEPLOYMENT, FaultyRunner(GRAPH, "board", taps=hide)))
    assert not report.passed and report.unobserved == (Edge.DEPLOYMENT,)
    assert report.verdict.startswith("NOT VERIFIED")


def test_nothing_compared_does_not_pass() -> None:
    assert not check(GRAPH, Worlds(GoldenRunner(GRAPH)), batches(GRAPH)).passed
    assert not check(GRAPH, sound_worlds(GRAPH), []).passed


def test_the_result_does_not_depend_on_the_batch_size() -> None:
    # The float model's own sums do depend on it, in the last bit.
    worlds = replace(with_fault(Edge.MAPPING, FAULTS["one weight"][1]("csim")), float_model=None)
    few, many = (check(GRAPH, worlds, batches(GRAPH, size=size)) for size in (24, 5))
    assert few.to_json() == many.to_json()


def test_the_last_bit_of_float32_is_a_warning_where_it_is_not_exact() -> None:
    wide = with_parameter(GRAPH, "conv2", "bias", lambda bias: bias + (1 << 25))

    def last_bit(graph: TaskGraph, task: Task, inputs: list[Array]) -> Array:
        return golden.run_task(graph, task, inputs) - 1

    for graph, passed in ((wide, True), (GRAPH, False)):
        runner = FaultyRunner(graph, "ONNX Runtime", {"conv2": last_bit})
        worlds = replace(sound_worlds(graph), float_model=None, quantised=runner)
        report = run(worlds, graph)
        assert report.passed is passed
        assert report.layers[3].edges[Edge.LOWERING].verdict is (Verdict.WARN if passed else Verdict.FAIL)


def test_onnxruntime_agrees_with_the_golden(tmp_path: Path) -> None:
    onnx.save(export_qdq(GRAPH), tmp_path / "quantised.onnx")
    worlds = replace(sound_worlds(GRAPH), quantised=QuantisedRunner(tmp_path / "quantised.onnx", GRAPH))
    report = run(worlds)
    assert report.passed and report.counts_of(Edge.LOWERING) == {Verdict.PASS: len(report.layers)}
    graph = with_parameter(GRAPH, "conv3", "bias", lambda bias: bias + 40)
    divergence = run(replace(worlds, golden=GoldenRunner(graph), csim=None, board=None), graph).divergences[0]
    assert (divergence.edge, divergence.layer) == (Edge.LOWERING, "conv3")


def test_a_model_of_one_sample_is_run_in_a_loop(tmp_path: Path) -> None:
    model = export_qdq(GRAPH)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(model, tmp_path / "one.onnx")
    inputs = dict(batches(GRAPH)[0].raw)
    trace = QuantisedRunner(tmp_path / "one.onnx", GRAPH).trace(inputs)
    assert all(np.array_equal(trace[name], values) for name, values in golden.run(GRAPH, inputs).items())


def test_the_drivers_arrays_have_no_batch_axis() -> None:
    class Driver:
        name = "driver"

        def trace(self, inputs: dict[str, Array]) -> dict[str, Array]:
            assert inputs["image"].shape[1:] == (2, 8, 8)
            trace = golden.run(GRAPH, {"image": inputs["image"][:, np.newaxis]})
            return {name: raw[:, 0] for name, raw in trace.items()}

    assert run(with_fault(Edge.DEPLOYMENT, HardwareRunner(Driver(), GRAPH))).passed


def test_a_broken_model_file_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError, match="cannot run"):
        QuantisedRunner(tmp_path / "broken.onnx", GRAPH)


class TestQuantisation:
    def test_accuracy_decides_when_there_are_labels(self) -> None:
        float_model = FloatRunner(
            with_parameter(network(formats=False), "conv3", "weight", lambda weight: -weight)
        )
        labelled = [
            replace(batch, labels=float_model.trace(dict(batch.real))["scores"][:, 0].argmax(axis=1))
            for batch in batches(GRAPH)
            if batch.real is not None
        ]
        report = check(GRAPH, replace(sound_worlds(GRAPH), float_model=float_model), labelled)
        assert report.first_divergence is not None
        assert (report.first_divergence.edge, report.first_divergence.layer) == (Edge.QUANTISATION, "conv3")
        assert report.accuracy is not None and report.accuracy.share(report.accuracy.float_model) == 1

    def test_sqnr_decides_when_there_are_no_labels(self) -> None:
        unlabelled = [replace(batch, labels=None) for batch in batches(GRAPH)]
        assert check(GRAPH, sound_worlds(GRAPH), unlabelled).passed
        report = check(GRAPH, sound_worlds(GRAPH), unlabelled, Budget(output_sqnr_db=60))
        assert report.first_divergence is not None and report.first_divergence.edge is Edge.QUANTISATION
        assert "adds most noise" in str(report.first_divergence)
        assert str(report.first_divergence).endswith(
            "Give it more bits (compile --precision), or say what may be lost (--budget)"
        )
        assert report.accuracy is None

    @pytest.mark.parametrize(
        ("allowed", "shown"), [(0.01, "1 point"), (0.02, "2 points"), (0.005, "0.5 points")]
    )
    def test_lost_accuracy_in_points(self, allowed: float, shown: str) -> None:
        judged = Budget(accuracy_drop=allowed).judge_accuracy(Accuracy(100, 100, 90))
        assert judged == (Verdict.FAIL, f"accuracy 100.00% -> 90.00%: drops by more than {shown}")

    def test_a_weak_layer_is_a_warning(self) -> None:
        report = run(sound_worlds(GRAPH), budget=Budget(layer_sqnr_db=25))
        assert report.passed
        weak = [row.name for row in report.layers if row.edges[Edge.QUANTISATION].verdict is Verdict.WARN]
        assert weak == ["conv2", "conv3"]

    def test_values_that_are_not_finite_fail(self) -> None:
        graph = with_parameter(network(formats=False), "conv2", "bias", lambda bias: bias * np.nan)
        report = run(replace(sound_worlds(GRAPH), float_model=FloatRunner(graph)))
        assert report.first_divergence is not None and "NaN" in report.first_divergence.reason

    def test_stress_vectors_alone_leave_it_unjudged(self) -> None:
        only_stress: list[Batch] = [
            replace(batch, first_sample=0) for batch in batches(GRAPH) if batch.real is None
        ]
        report = check(GRAPH, sound_worlds(GRAPH), only_stress)
        assert report.passed and "not judged" in report.notes[0]
