"""Circulant weights in the phase machine: the dense golden in every bit, K times fewer weights, fewer multipliers."""

from __future__ import annotations

from dataclasses import fields, replace
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import pytest
from graphs import Layer, chain, conv, dense, quantised, stress_inputs
from machines import assert_equals_golden, pure_schedule, with_form
from test_circulant import circulant_graph

import intarsia
from intarsia import golden
from intarsia.board import Board, load_board
from intarsia.circulant.blocks import expand, project
from intarsia.circulant.exact import multiplications
from intarsia.circulant.report import form_notes
from intarsia.circulant.spectral import decide_with_spectra, spectral
from intarsia.compress import compress_model
from intarsia.cost import pipeline
from intarsia.errors import IntarsiaError
from intarsia.machine.lower import lower
from intarsia.machine.machine import Machine
from intarsia.machine.units.engine import EngineHardware
from intarsia.machine.units.kinds import build_hardware
from intarsia.ops.conv import Conv
from intarsia.ops.dense import Dense
from intarsia.ops.spectral import Spectral
from intarsia.quantise import QuantiseOptions
from intarsia.schedule.evaluate import evaluate
from intarsia.schedule.plan import ScheduleError
from intarsia.schedule.pure import sequential
from intarsia.schedule.search import decide
from intarsia.simulation.timed import TimedSimulation, size_fifos
from intarsia.task_graph import TaskGraph
from intarsia.verify.edge import Edge, Verdict
from intarsia.verify.run import run


def circulant(layer: Layer, block: int, positions: int) -> Layer:
    """The layer with its projection as weights."""
    operator, parameters, clamp = layer
    weight = parameters["weight"]
    split = weight.reshape(len(weight), -1, positions)
    exact = expand(project(split, block), *split.shape[:2]).reshape(weight.shape)
    return operator, {**parameters, "weight": exact}, clamp


def arrays(machine: Machine) -> list[str]:
    """The multiply-accumulate arrays of a machine."""
    functions = [process.function for process in machine.processes]
    return [name for name in functions if name == "mac" or name.startswith("circulant_")]


@pytest.mark.parametrize("block", [2, 4, 8, 16])
@pytest.mark.parametrize(("kind", "lanes", "outputs"), [("dataflow", 16, 16), ("sequential", 16, 32)])
def test_padded_and_unpadded_layers(block: int, kind: str, lanes: int, outputs: int) -> None:
    """Strides, paddings on any side, channels that fill no block, rows of matrices, images flattened."""
    r = np.random.default_rng(block)
    few = max(6, block)
    graph = chain(
        (16, 9, 7),
        [
            circulant(conv(r, 16, 20, kernel=(3, 3), stride=(2, 1), pads=(1, 0, 2, 1)), block, 9),
            circulant(conv(r, 20, few, kernel=(1, 1)), block, 1),
            circulant(conv(r, few, 16, kernel=(2, 3), pads=(0, 1, 1, 1)), block, 6),
            circulant(dense(r, 16 * 5 * 6, 18), block, 30),
            circulant(dense(r, 18, 17), block, 1),
        ],
    )
    integers = quantised(graph)
    machine = assert_equals_golden(integers, pure_schedule(integers, kind, lanes, outputs))
    assert {name.partition("_")[0] for name in arrays(machine)} == {"circulant"}


@pytest.mark.parametrize("options", [QuantiseOptions(16, 16), QuantiseOptions(4, 8, False)])
def test_widths_of_numbers(options: QuantiseOptions) -> None:
    integers = quantised(circulant_graph(4), options)
    machine = assert_equals_golden(integers, pure_schedule(integers, "dataflow", 8, 8))
    assert arrays(machine) == ["circulant_exact"] * 3


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(
    ("form", "array", "type_"),
    [
        ("direct", "circulant_direct", "direct_form<8, "),
        ("exact", "circulant_exact", "exact_form<8, 8, "),
        ("exact/4", "circulant_exact", "exact_form<8, 4, "),
        ("exact/2", "circulant_exact", "exact_form<8, 2, "),
        ("dense", "mac", ""),
    ],
)
def test_every_form_gives_the_same_integers(form: str, array: str, type_: str, bits: int) -> None:
    graph = quantised(circulant_graph(8), QuantiseOptions(bits, bits))
    machine = assert_equals_golden(graph, with_form(pure_schedule(graph, "sequential", 16, 16), form))
    assert arrays(machine) == [array]
    assert type_ in str(machine.configs)


def test_a_form_that_the_weights_do_not_allow_is_refused() -> None:
    graph = quantised(circulant_graph(4))
    schedule = with_form(pure_schedule(graph, "sequential", 16, 16), "exact/8")
    with pytest.raises(ScheduleError, match=r"no form 'exact/8'.*direct, exact/2, exact"):
        build_hardware(graph, schedule)


@pytest.mark.parametrize("lanes", [4, 8])
def test_words_smaller_than_a_block_are_dense(lanes: int) -> None:
    graph = quantised(circulant_graph(8))
    machine = assert_equals_golden(graph, pure_schedule(graph, "sequential", lanes, lanes))
    assert arrays(machine) == ["mac" if lanes == 4 else "circulant_exact"]


def test_shared_by_dense_layers_an_engine_is_dense() -> None:
    r = np.random.default_rng(0)
    layers = [circulant(dense(r, 32, 32), 8, 1), dense(r, 32, 16)]
    graph = quantised(chain((32,), layers))
    together = assert_equals_golden(graph, sequential(graph, 16, 16))
    assert arrays(together) == ["mac"]
    apart = assert_equals_golden(graph, sequential(graph, 16, 16, apart=True))
    assert sorted(arrays(apart)) == ["circulant_exact", "mac"]


@pytest.mark.parametrize("block", [2, 4, 8, 16])
def test_weights_shrink_by_the_size_of_the_blocks(block: int) -> None:
    """The bytes of weights.bin, for the same schedule."""
    r = np.random.default_rng(0)
    layer = dense(r, 64, 64)
    sizes = []
    for one in (layer, circulant(layer, block, 1)):
        graph = quantised(chain((64,), [one]))
        machine = assert_equals_golden(graph, pure_schedule(graph, "sequential", 16, 16))
        weights, biases = sorted(machine.parameters, key=lambda parameter: parameter.offset)
        assert weights.offset == 0
        sizes.append(biases.offset * 16)  # words of 16 bytes
    assert sizes == [64 * 64, 64 * 64 // block]


@pytest.mark.parametrize("block", [2, 4, 8, 16])
def test_multipliers_of_a_unit(block: int) -> None:
    r = np.random.default_rng(0)
    graph = quantised(chain((64,), [circulant(dense(r, 64, 64), block, 1)]))
    (unit,) = build_hardware(graph, with_form(pure_schedule(graph, "dataflow", 16, 32), "exact")).values()
    assert isinstance(unit, EngineHardware)
    assert unit.multipliers == 16 * 32 // block**2 * multiplications(block)
    assert unit.resources(16, 8).dsp == unit.multipliers


def streamed_graph(block: int) -> TaskGraph:
    r = np.random.default_rng(0)
    layers = [dense(r, 64, 64) for _ in range(3)]
    return quantised(chain((64,), [circulant(layer, block, 1) if block > 1 else layer for layer in layers]))


def test_streamed_weights() -> None:
    graph = streamed_graph(8)
    machine = assert_equals_golden(graph, sequential(graph, 16, 16, entries=8))
    assert arrays(machine) == ["circulant_exact"]
    assert machine.streamed


def test_the_chosen_sequential_schedule_has_fewer_multipliers() -> None:
    board = load_board("pynq-z2")
    dense_choice = decide(streamed_graph(1), board, "sequential").chosen
    graph = streamed_graph(8)
    chosen = decide(graph, board, "sequential").chosen
    assert chosen.cycles <= dense_choice.cycles
    assert chosen.resources.dsp < dense_choice.resources.dsp
    machine = assert_equals_golden(graph, chosen.schedule)
    assert "circulant_exact" in arrays(machine)


def test_a_dataflow_schedule_takes_passes_of_whole_blocks() -> None:
    """Behind a slow layer an output per pass would do, with all weights as dense ones."""
    r = np.random.default_rng(0)
    slow = conv(r, 1, 8, kernel=(5, 5)), conv(r, 8, 8, kernel=(1, 1), stride=(4, 4))
    graph = quantised(chain((1, 36, 36), [*slow, circulant(dense(r, 8 * 64, 64), 8, 64)]))
    chosen = decide(graph, load_board("pynq-z2"), "dataflow", (16,)).chosen
    machine = assert_equals_golden(graph, chosen.schedule)
    assert arrays(machine)[-1].startswith("circulant")


def spectral_graph(block: int, bits: int = 8) -> TaskGraph:
    """Convolutions with stride and padding, an image flattened, rows of a matrix; all with spectra."""
    r = np.random.default_rng(block)
    layers = [
        circulant(conv(r, block, 20, kernel=(3, 3), stride=(2, 1), pads=(1, 0, 1, 1)), block, 9),
        circulant(conv(r, 20, 2 * block, kernel=(1, 1)), block, 1),
        circulant(dense(r, 2 * block * 30, 18), block, 30),
        circulant(dense(r, 18, 17), block, 1),
    ]
    graph, notes = spectral(quantised(chain((block, 9, 7), layers), QuantiseOptions(bits, bits)))
    assert not notes
    assert all(isinstance(task.operator, Spectral) for task in graph.tasks)
    return graph


@pytest.mark.parametrize(("block", "bits"), [(8, 8), (16, 8), (8, 16)])
@pytest.mark.parametrize("kind", ["dataflow", "sequential"])
def test_spectra_give_the_golden_in_every_bit(block: int, bits: int, kind: str) -> None:
    graph = spectral_graph(block, bits)
    machine = assert_equals_golden(graph, pure_schedule(graph, kind, 16, 32))
    assert set(arrays(machine)) == {"circulant_fft"}


@pytest.mark.parametrize(("block", "bits"), [(8, 8), (16, 8), (8, 16)])
def test_spectra_differ_from_the_exact_layer_by_their_bound_at_most(block: int, bits: int) -> None:
    """Task by task for the same inputs, on stress inputs. What occurs is far less than what could."""
    graph = spectral_graph(block, bits)
    inputs = stress_inputs(graph)
    trace = golden.run(graph, inputs)
    for task in graph.tasks:
        bound = task.operator.tolerance(task.values)
        kind = Conv if isinstance(task.operator, Conv) else Dense
        plain = {f.name: getattr(task.operator, f.name) for f in fields(kind)}
        exact = replace(task, operator=kind(**plain))
        other = golden.run_task(
            graph.with_tasks(tuple(exact if one is task else one for one in graph.tasks)),
            exact,
            [trace[name] for name in task.inputs],
        )
        largest = np.abs(other - trace[task.output]).max()
        assert 1 <= largest <= min(bound, bits // 8)


def test_what_cannot_be_computed_by_spectra_says_why() -> None:
    r = np.random.default_rng(0)
    layers = [circulant(dense(r, 32, 32), 4, 1), circulant(dense(r, 32, 32), 8, 1), dense(r, 32, 16)]
    graph, notes = spectral(quantised(chain((32,), layers)))
    assert [isinstance(task.operator, Spectral) for task in graph.tasks] == [False, True, False]
    (note,) = notes
    assert "blocks of 4" in note
    found = decide(graph, load_board("kv260")).chosen
    assert_equals_golden(graph, found.schedule)
    with pytest.raises(ScheduleError, match="words of as many"):
        decide(graph, load_board("kv260"), lanes=(4,))


def test_a_project_with_spectra_is_verified(tmp_path: Path) -> None:
    """Within the proven bounds of the QDQ model, and the golden's integers in the C-simulation."""
    with as_file(files("intarsia.demo") / "lenet5.onnx") as path:
        model = compress_model(path, 8, allow_untuned=True).model
    design = intarsia.compile(model, circulant_fft="always", schedule="dataflow", fifo_sizing=False)
    assert any("fc1, fc2 are computed by spectra" in note for note in design.notes)
    report = run(design.write(tmp_path / "project"), board="none")
    assert report.passed
    verdicts = {layer.name: layer.edges[Edge.LOWERING].verdict for layer in report.layers}
    assert verdicts["conv2"] is Verdict.PASS
    assert {verdicts["fc1"], verdicts["fc2"]} <= {Verdict.WARN, Verdict.PASS}
    bounded = [layer.edges[Edge.LOWERING].isolated for layer in report.layers if layer.name in ("fc1", "fc2")]
    assert max(one.max_lsb for one in bounded if one) == 1


def test_spectra_are_taken_only_where_they_win() -> None:
    """Layer by layer: never worse than with spectra everywhere, or nowhere."""
    board = load_board("kv260")
    plain = quantised(circulant_graph(8))
    made, decision, notes = decide_with_spectra(plain, board, "auto", (16,), "allow")
    everywhere = decide(spectral(plain)[0], board, "auto", (16,)).chosen
    nowhere = decide(plain, board, "auto", (16,)).chosen
    assert decision.chosen.rank <= min(everywhere.rank, nowhere.rank)
    taken = [task.name for task in made.tasks if isinstance(task.operator, Spectral)]
    assert all(name in notes[-1] for name in taken)
    assert bool(taken) == ("are computed by spectra" in notes[-1])
    assert_equals_golden(made, decision.chosen.schedule)
    assert decide_with_spectra(plain, board, "auto", (16,), "never")[0] is plain
    with pytest.raises(IntarsiaError, match="never, allow or always, not 'often'"):
        decide_with_spectra(plain, board, "auto", (16,), "often")


def test_single_layers_can_have_spectra() -> None:
    plain = quantised(circulant_graph(8))
    last = plain.tasks[-1].name
    graph, notes = spectral(plain, (last,))
    assert [isinstance(task.operator, Spectral) for task in graph.tasks] == [False, False, True]
    assert not notes


@pytest.mark.parametrize(("block", "bits"), [(64, 8), (32, 16)])
def test_the_largest_blocks_have_words_of_their_own(block: int, bits: int) -> None:
    """Longer than the usual ones, in all forms; a port brings 512 bits."""
    r = np.random.default_rng(block)
    layers = [
        circulant(conv(r, 64, 64, kernel=(3, 3), stride=(2, 1), pads=(1, 0, 1, 1)), block, 9),
        circulant(dense(r, 64 * 9, 128), block, 9),
    ]
    graph = quantised(chain((64, 5, 4), layers), QuantiseOptions(bits, bits))
    for form in ("direct", "exact/32" if block == 64 else "exact"):
        assert_equals_golden(graph, with_form(pure_schedule(graph, "sequential", block, 64), form))
    rounded = spectral(graph)[0]
    machine = assert_equals_golden(rounded, pure_schedule(rounded, "sequential", block, 64))
    assert arrays(machine) == ["circulant_fft"]
    found = decide(rounded, load_board("kv260"), "sequential").chosen.schedule
    assert found.lanes == block


@pytest.mark.parametrize(("form", "depth"), [("dense", 12), ("direct", 12), ("exact", 20), ("fft", 32)])
def test_the_cost_model_agrees_with_the_timed_simulation(form: str, depth: int) -> None:
    """For passes of many words, whose last one leaves word by word; `fft` also turns 16 blocks back, in 8 steps."""
    r = np.random.default_rng(0)
    graph = quantised(chain((64,), [circulant(dense(r, 64, 256), 8, 1)]))
    if form == "fft":
        graph = spectral(graph)[0]
    plain = pure_schedule(graph, "sequential", 8, 128)
    schedule = plain if form == "fft" else with_form(plain, form)
    model = evaluate(graph, schedule, load_board("kv260")).cycles
    machine = lower(graph, schedule, "timed")
    counted = sum(timing.cycles for timing in size_fifos(TimedSimulation(machine))[1])
    assert 0 <= model - counted <= 6  # a cycle at most for every process
    (array,) = arrays(machine)
    assert pipeline(array).depth == depth


def layers_of(bits: int) -> TaskGraph:
    r = np.random.default_rng(0)
    return quantised(chain((64,), [circulant(dense(r, 64, 64), 16, 1)]), QuantiseOptions(bits, bits))


def with_resources(**amounts: int) -> Board:
    board = load_board("kv260")
    return replace(board, resources=replace(board.resources, **amounts))


@pytest.mark.parametrize(
    ("board", "form"),
    [
        (with_resources(), "exact/8"),
        (with_resources(dsp=64), "exact"),  # scarce DSPs are dear: the fewest products
        (with_resources(dsp=1000, lut=50_000), "exact/4"),  # scarce LUTs: fewer additions
        (with_resources(dsp=100_000, lut=20_000), "direct"),
    ],
)
def test_the_board_decides_about_the_form(board: Board, form: str) -> None:
    graph = layers_of(16)
    found = evaluate(graph, pure_schedule(graph, "sequential", 16, 32), board)
    assert [unit.form for unit in found.schedule.units] == [form]
    (engine,) = (unit.name for unit in found.schedule.units)
    (unit,) = build_hardware(graph, found.schedule).values()
    assert isinstance(unit, EngineHardware)
    assert found.parts[engine] == unit.resources(16, 16)  # the chosen form is what is counted, and built


def test_a_design_that_is_short_of_one_resource_takes_another_form() -> None:
    """A form that prices alone would not choose, if only with it the design fits."""
    graph = layers_of(16)
    schedule = pure_schedule(graph, "sequential", 16, 32)
    free = evaluate(graph, schedule, with_resources())
    short = with_resources(dsp=free.resources.dsp, lut=1 << 20, bram18=1 << 10)  # 95 % of that is not enough
    found = evaluate(graph, schedule, short)
    assert found.fits
    assert found.resources.dsp < free.resources.dsp
    assert found.resources.lut > free.resources.lut


def test_the_notes_say_why_a_layer_is_dense() -> None:
    board = load_board("kv260")
    mixed = quantised(
        chain((32,), [circulant(dense(r := np.random.default_rng(0), 32, 32), 8, 1), dense(r, 32, 16)])
    )
    (note,) = form_notes(mixed, sequential(mixed, 16, 16), board)
    assert "as dense: it also runs layers without circulant weights" in note
    graph = quantised(circulant_graph(8))
    (note,) = form_notes(graph, sequential(graph, 4, 4), board)
    assert "as dense: words of 4 and passes of 4 channels hold no whole blocks of 8" in note
    (note,) = form_notes(graph, evaluate(graph, sequential(graph, 16, 16), board).schedule, board)
    for other in ("direct would take", "exact/2 would take", "exact/4 would take", "dense"):
        assert other in note
