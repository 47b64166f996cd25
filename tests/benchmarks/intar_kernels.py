"""InTAR's five kernels and a GPT-2 medium block: what the scheduler makes of them, against bounds, baselines and InTAR's own schedules.

    python tests/benchmarks/intar_kernels.py [KERNEL ...] [--json F]

Shapes and multipliers are those of the public InTAR designs (github.com/OswaldHe/InTAR), for the U280 with 16-bit weights
and activations; the GPT-2 block has 8 bits, on the VPK180. Weights are seeded. Of every schedule the cycles are counted by
the timed C-simulation of the emitted code, whose outputs are compared with the golden bit by bit, but for schedules that
would take too long to simulate (`timed_cycles` null), for which the cost model speaks.

- ideal: products per multiplier.
- lower_bound: the larger of that and of the bytes per cycle of DRAM.
- auto, dataflow, sequential: ours, with the same multipliers; null where none fits.
- intar_schedule: InTAR's phases and engines in our terms, on our hardware; by the cost model where it would not fit the board.
  Two cores that make channels of one task side by side are one engine here where these channels fit one word, as in the
  autoencoder; the last convolution of the CNN, which InTAR cuts into bands of rows on three cores, runs on one unit.
- published: cycles that the InTAR repository reports as measured on the board, for its baselines only.
- paper_dataflow, paper_sequential: formulas of the baselines in the paper's style: a module for each layer with equal shares
  of the multipliers and no overlap where a layer needs all of the one before; one vector of weights after another without
  prefetch (7.63 cycles each, as measured for the FFN), and every intermediate result to DRAM and back.

The variational autoencoder's channels are not in the public description; two are assumed everywhere, as in its input.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from models import ModelBuilder, gpt2_block, samples

from intarsia import golden, passes
from intarsia.board import Board, load_board
from intarsia.emit import emit_sources
from intarsia.errors import IntarsiaError
from intarsia.frontend import import_model
from intarsia.machine.lower import lower
from intarsia.machine.units.kinds import is_engine_task
from intarsia.project.manifest import manifest
from intarsia.qdq.moved_tensors import add_moved_tensors
from intarsia.quantise import QuantiseOptions, calibrate, quantise
from intarsia.schedule.bounds import lower_bound_cycles, multipliers
from intarsia.schedule.bundles import bundles
from intarsia.schedule.evaluate import Evaluation, evaluate
from intarsia.schedule.phases import Engines, assign
from intarsia.schedule.plan import Pattern, Phase, Schedule
from intarsia.schedule.search import decide
from intarsia.simulation.build import build_sources
from intarsia.simulation.timed import TimedSimulation
from intarsia.task_graph import TaskGraph
from intarsia.verify.csim_runner import CsimRunner
from intarsia.verify.hardware_runner import HardwareRunner
from intarsia.work import MacWork, StencilWork

BLOCKING = 1_374_935 / 180_224
"""Cycles of a vector of weights without prefetch: measured for the FFN's sequential baseline."""

PORT_BYTES = 32
"""Of a port of high-bandwidth memory per cycle, as the public designs have them."""

LARGEST_SIMULATION = 6e9
"""Products of a sample beyond which schedules are not simulated."""


@dataclass(frozen=True)
class Kernel:
    """One of the kernels.

    Attributes:
        model: makes the ONNX model.
        lanes: multipliers of InTAR's design.
        engines: InTAR's engines in our terms: words of lanes, and output channels of each per pass.
        phases: InTAR's phases: of each, the numbers of its products (tasks with multipliers), and the engines of each of them;
            a stencil of images of one channel has the unit in the pattern behind an engine that is not used.
        pipelined: True if layers overlap in the paper's dataflow baseline.
        modules: of which that baseline has as many, with equal shares of the multipliers.
        published: cycles measured on the board by the InTAR authors.
        bits: of weights and activations.
        board: what it runs on.
    """

    model: Callable[[], onnx.ModelProto]
    lanes: int
    engines: Engines | None = None
    phases: tuple[tuple[tuple[int, tuple[int, ...]], ...], ...] = ()
    pipelined: bool = False
    modules: int = 1
    published: dict[str, int] | None = None
    bits: int = 16
    board: str = "u280"


def ffn() -> onnx.ModelProto:
    """256 -> 1024 -> 2048 -> 256 on one vector."""
    b = ModelBuilder("ffn")
    x = "x"
    for inputs, outputs in ((256, 1024), (1024, 2048), (2048, 256)):
        x = b.node("Relu", [b.gemm(x, inputs, outputs)])
    return b.model({"x": (1, 256)}, x, (1, 256))


def attention(tokens: int = 256, width: int = 1024) -> onnx.ModelProto:
    """One head of self-attention over 256 tokens of 1024."""
    b = ModelBuilder("attention")
    q, k, v = (b.linear("x", width, width) for _ in range(3))
    scores = b.node("MatMul", [q, b.node("Transpose", [k], perm=[0, 2, 1])])
    scaled = b.node("Mul", [scores, b.constant(1 / sqrt(width))])
    y = b.node("MatMul", [b.node("Softmax", [scaled], axis=-1), v])
    return b.model({"x": (1, tokens, width)}, y, (1, tokens, width))


def cnn(size: int = 224) -> onnx.ModelProto:
    """One channel: conv, relu, upsample; conv, relu, upsample; conv, maxpool; conv."""
    b = ModelBuilder("cnn")
    x = "x"
    sizes = b.constant([1.0, 1.0, 2.0, 2.0])
    for _ in range(2):
        x = b.node("Relu", [b.conv(x, (1, 1), 3)])
        x = b.node(
            "Resize",
            [x, "", sizes],
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )
    x = b.node("MaxPool", [b.conv(x, (1, 1), 3)], kernel_shape=[2, 2], strides=[2, 2])
    return b.model({"x": (1, 1, size, size)}, b.conv(x, (1, 1), 3), (1, 1, 2 * size, 2 * size))


def vae() -> onnx.ModelProto:
    """28x28 -> conv 8x8 -> conv 4x4 -> sample -> transposed conv 8x8 -> transposed conv 4x4 -> 28x28."""
    b = ModelBuilder("vae")

    def window(kind: str, x: str, kernel: int) -> str:
        weight = b.weights((2, 2, kernel, kernel), 2 * kernel**2, sqrt(2))
        return b.node(kind, [x, weight], kernel_shape=[kernel, kernel])

    x = b.node("Relu", [window("Conv", "x", 8)])
    mean = window("Conv", x, 4)
    spread = b.node("Exp", [b.node("Mul", [mean, b.constant(0.5)])])
    noise = b.constant(b.random.normal(0, 1, (1, 2, 18, 18)))
    x = b.node("Add", [mean, b.node("Mul", [spread, noise])])
    x = b.node("Relu", [window("ConvTranspose", x, 8)])
    return b.model({"x": (1, 2, 28, 28)}, window("ConvTranspose", x, 4), (1, 2, 28, 28))


def gated_ffn(rows: int = 32, width: int = 4096, inner: int = 11008) -> onnx.ModelProto:
    """down(silu(gate(x)) * up(x)) of a Llama-7B layer, on 32 rows."""
    b = ModelBuilder("gated_ffn")
    gate, up = (b.node("MatMul", ["x", b.weights((width, inner), width)]) for _ in range(2))
    silu = b.node("Mul", [gate, b.node("Sigmoid", [gate])])
    y = b.node("MatMul", [b.node("Mul", [silu, up]), b.weights((inner, width), inner)])
    return b.model({"x": (1, rows, width)}, y, (1, rows, width))


BOTH = (0, 1)
KERNELS = {
    "ffn": Kernel(
        ffn,
        32,
        Engines((2, 2), 8),
        (((0, BOTH),), ((1, (0,)), (2, (1,)))),
        modules=2,
        published={"dataflow": 181_996, "sequential": 1_374_935},
    ),
    "attention": Kernel(
        attention,
        32,
        Engines((2, 2), 8),
        (((0, BOTH),), ((1, (0,)), (3, (1,))), ((2, BOTH),), ((4, BOTH),)),
        modules=5,
    ),
    "cnn": Kernel(
        cnn,
        432,
        Engines((1, 1, 1), 16),
        (((0, (0,)), (1, (1,)), (2, (2,))), ((3, (0,)),)),
        pipelined=True,
        modules=4,
        published={"dataflow": 713_144, "sequential": 2_215_282},
    ),
    "vae": Kernel(
        vae,
        160,
        Engines((2, 1, 1, 1), 64),
        (((0, (0,)),), ((1, (1,)),), ((2, (2,)), (3, (3,)))),
        modules=4,
        published={"sequential": 309_498},
    ),
    "gated_ffn": Kernel(
        gated_ffn, 768, Engines((32, 16), 16), (((0, BOTH),), ((1, (0,)), (2, (1,)))), modules=3
    ),
    "gpt2_block": Kernel(lambda: gpt2_block(1024), 16_384, modules=8, bits=8, board="vpk180"),
}


def quantised(kernel: Kernel) -> TaskGraph:
    """The kernel's task graph in integers."""
    model = kernel.model()
    arrays = {name: values[:, np.newaxis] for name, values in samples(model, 2).items()}
    imported = import_model(model)
    graph = passes.run(imported.graph)
    statistics = calibrate(add_moved_tensors(imported.model, graph), graph, arrays)
    return quantise(graph, statistics, QuantiseOptions(kernel.bits, kernel.bits))


def intar_schedule(graph: TaskGraph, kernel: Kernel) -> Schedule | None:
    """InTAR's phases on its engines; what is no product follows the last product that it depends on."""
    if kernel.engines is None:
        return None
    works = {task.name: task.operator.work(task, graph) for task in graph.tasks}
    products = [name for name, work in works.items() if isinstance(work, MacWork | StencilWork)]
    phase_of: dict[str, int] = {}
    groups: dict[str, range] = {}
    for index, phase in enumerate(kernel.phases):
        for number, engines in phase:
            phase_of[products[number]] = index
            if is_engine_task(graph, graph.task(products[number])):
                groups[products[number]] = range(engines[0], engines[-1] + 1)
    for bundle in bundles(graph):
        producers = (graph.producers[name].name for name in bundle.task.inputs if name in graph.producers)
        last = max((phase_of[name] for name in producers if name in phase_of), default=0)
        for task in bundle.tasks:
            phase_of[task.name] = phase_of.get(bundle.task.name, last)
    phases = []
    for index in range(len(kernel.phases)):
        tasks = [task for task in graph.tasks if phase_of[task.name] == index]
        assignments = assign(graph, kernel.engines, tasks, groups)
        if assignments is None:
            return None
        several = len({a.task for a in assignments if a.task in products}) > 1
        phases.append(Phase(Pattern.DATAFLOW if several else Pattern.SEQUENTIAL, assignments))
    used = {assignment.unit for phase in phases for assignment in phase.assignments}
    units = tuple(unit for unit in kernel.engines.units if unit.name in used)
    return Schedule("intar", kernel.engines.lanes, units, tuple(phases))


def simulated(graph: TaskGraph, schedule: Schedule, board: Board) -> tuple[int, bool]:
    """Cycles by the timed C-simulation, and whether all tensors that the C-simulation shows are the golden's."""
    machine = lower(graph, schedule, "kernel")
    cycles = TimedSimulation(machine, board.bytes_per_cycle(board.clock_mhz)).cycles()
    about = manifest(machine, graph, board=board.name, clock_mhz=board.clock_mhz, files={})
    runner = CsimRunner(about, build_sources(emit_sources(machine, "benchmark")), machine.weights)
    inputs = {}
    for name in graph.inputs:
        number = graph.tensors[name].number
        random = np.random.default_rng(3).integers(
            number.minimum, number.maximum + 1, (1, *graph.tensors[name].shape)
        )
        inputs[name] = random.astype(np.int64)
    expected = golden.run(graph, inputs)
    found = HardwareRunner(runner, graph).trace(inputs)
    return cycles, all(np.array_equal(expected[name], values) for name, values in found.items())


def measure(kernel: Kernel) -> dict[str, Any]:
    """All figures of a kernel."""
    graph = quantised(kernel)
    board = load_board(kernel.board)
    macs = {task.name: task.operator.macs(task, graph) for task in graph.tasks}
    total = sum(macs.values())
    found: dict[str, Evaluation | None] = {}
    for kind in ("auto", "dataflow", "sequential"):
        try:
            found[kind] = decide(graph, board, kind, multipliers=kernel.lanes).chosen
        except IntarsiaError as error:
            print(f"  {kind}: {error}", file=sys.stderr)
            found[kind] = None
    own = intar_schedule(graph, kernel)
    try:
        found["intar_schedule"] = evaluate(graph, own, board) if own else None
    except IntarsiaError as error:
        print(f"  intar_schedule: {error}", file=sys.stderr)
        found["intar_schedule"] = None
    cycles: dict[str, int | None] = {kind: e.cycles if e else None for kind, e in found.items()}
    exact: bool | None = None
    timed = None
    if total <= LARGEST_SIMULATION:
        counted: dict[Schedule, tuple[int, bool]] = {}
        for kind, evaluation in found.items():
            if evaluation is not None and evaluation.fits:
                if evaluation.schedule not in counted:
                    counted[evaluation.schedule] = simulated(graph, evaluation.schedule, board)
                cycles[kind] = counted[evaluation.schedule][0]
        exact = all(right for _, right in counted.values())
        timed = cycles["auto"]
    chosen = found["auto"]
    assert chosen is not None
    best = cycles["auto"] or 0
    return {
        "lanes": kernel.lanes,
        "multipliers": multipliers(chosen.schedule),
        "ideal": ceil(total / kernel.lanes),
        "lower_bound": lower_bound_cycles(graph, chosen.schedule, board, board.clock_mhz),
        **cycles,
        "paper_dataflow": paper_dataflow(graph, kernel, macs),
        "paper_sequential": paper_sequential(graph, kernel, macs),
        "published": kernel.published,
        "model_cycles": chosen.cycles,
        "timed_cycles": timed,
        "bit_exact": exact,
        "utilisation": round(total / (multipliers(chosen.schedule) * best), 4),
        "weights": chosen.schedule.weights.value,
        "schedule": [f"{phase.pattern.value}: {', '.join(phase.tasks)}" for phase in chosen.schedule.phases][
            :12
        ],
    }


def _weight_bytes(graph: TaskGraph, task: str) -> int:
    roles = graph.task(task).operator.weight_roles
    return sum(2 * graph.task(task).parameters[role].values.size for role in roles)


def _reused(graph: TaskGraph, task: str) -> bool:
    """True if weights serve several pixels, so that a module keeps them; else they stream through it while it works."""
    return graph.output_tensor(graph.task(task)).pixels > 1


def paper_dataflow(graph: TaskGraph, kernel: Kernel, macs: dict[str, int]) -> int:
    """A module for each layer with an equal share of the multipliers; weights that it keeps are loaded before."""
    share = kernel.lanes / kernel.modules
    own = {
        name: count / share + _weight_bytes(graph, name) / PORT_BYTES * _reused(graph, name)
        for name, count in macs.items()
    }
    if kernel.pipelined:
        return ceil(max(own.values()))
    ends: dict[str, float] = {}
    for task in graph.tasks:
        before = (graph.producers[name].name for name in task.inputs if name in graph.producers)
        ends[task.name] = own[task.name] + max((ends[name] for name in before), default=0.0)
    return ceil(max(ends.values()))


def paper_sequential(graph: TaskGraph, kernel: Kernel, macs: dict[str, int]) -> int:
    """A vector of weights after the other, each waited for, and every intermediate result to DRAM and back."""
    between = [name for name in graph.tensors if name not in (*graph.inputs, *graph.outputs)]
    moved = sum(2 * kernel.bits // 8 * int(np.prod(graph.tensors[name].shape)) for name in between)
    return ceil(sum(macs.values()) / kernel.lanes * BLOCKING + moved / PORT_BYTES)


def print_table(results: dict[str, Any]) -> None:
    """The figures side by side, and the geometric means against the paper's baselines."""
    columns = (
        "lanes",
        "ideal",
        "lower_bound",
        "auto",
        "dataflow",
        "sequential",
        "intar_schedule",
        "paper_dataflow",
        "paper_sequential",
        "utilisation",
        "bit_exact",
    )
    print("| kernel | " + " | ".join(columns) + " |")
    print("|---|" + "---:|" * len(columns))
    for name, result in results.items():
        cells = [
            f"{result[c]:,}"
            if isinstance(result[c], int) and not isinstance(result[c], bool)
            else str(result[c])
            for c in columns
        ]
        print(f"| {name} | " + " | ".join(cells) + " |")
    rest = {name: result for name, result in results.items() if name != "gpt2_block"}
    for kind in ("dataflow", "sequential"):
        formula = [r[f"paper_{kind}"] / r["auto"] for r in rest.values()]
        measured = [
            ((r["published"] or {}).get(kind) or r[f"paper_{kind}"]) / r["auto"] for r in rest.values()
        ]
        if rest:
            print(
                f"over the paper's {kind}: {_geometric_mean(measured):.2f} with the cycles that were published, where "
                f"there are some; {_geometric_mean(formula):.2f} by formula alone (geometric means)"
            )


def _geometric_mean(ratios: Sequence[float]) -> float:
    return float(np.exp(np.mean(np.log(ratios))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("kernels", nargs="*", choices=[*KERNELS, []], help="which (all)")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results: dict[str, Any] = {}
    for name in options.kernels or KERNELS:
        start = time.perf_counter()
        results[name] = measure(KERNELS[name])
        print(f"{name}: {json.dumps(results[name])}  ({time.perf_counter() - start:.0f} s)", flush=True)
    print_table(results)
    if options.json:
        options.json.write_text(json.dumps({"kernels": results}, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
