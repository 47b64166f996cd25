"""Injects the faults of mutations.py into every world of a compiled design, and asks the verifier where they are."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest.mock import patch

import float_mutations
import mutations
import numpy as np
import onnx
from mutations import Fault, Run

from intarsia import golden
from intarsia.design import Design
from intarsia.emit import emit_sources
from intarsia.machine.lower import lower
from intarsia.operator import Array
from intarsia.qdq.model import export_qdq
from intarsia.samples import Samples
from intarsia.simulation.build import build_sources
from intarsia.task_graph import Task, TaskGraph, Trace
from intarsia.verify import Report
from intarsia.verify.board_runner import BoardRunner
from intarsia.verify.check import check
from intarsia.verify.csim_runner import CsimRunner
from intarsia.verify.findings import Batch
from intarsia.verify.golden_runner import GoldenRunner
from intarsia.verify.hardware_runner import HardwareRunner
from intarsia.verify.onnxruntime_runner import FloatRunner, QuantisedRunner
from intarsia.verify.project_worlds import open_worlds
from intarsia.verify.runner import Isolated, Isolating, Runner
from intarsia.verify.source import batches
from intarsia.verify.worlds import Worlds

EDGES = {
    "float": "quantisation",
    "quantised": "lowering",
    "golden": "lowering",
    "csim": "mapping",
    "board": "deployment",
}


@dataclass(frozen=True)
class Outcome:
    """One fault in one world, and what the verifier said."""

    fault: str
    world: str
    layer: str
    edge: str
    found_layer: str
    found_edge: str

    @property
    def caught(self) -> bool:
        """Whether verification failed."""
        return bool(self.found_edge)

    @property
    def right_layer(self) -> bool:
        """Whether it named the layer."""
        return self.found_layer == self.layer

    @property
    def right_edge(self) -> bool:
        """Whether it named the edge."""
        return self.found_edge == self.edge


@dataclass(frozen=True, eq=False)
class Remembered:
    """A sound world, asked once for each batch."""

    runner: Runner
    known: dict[bytes, Mapping[str, Array]]

    @property
    def name(self) -> str:
        """Name of the world."""
        return self.runner.name

    def trace(self, inputs: dict[str, Array]) -> Mapping[str, Array]:
        """The trace."""
        key = b"".join(np.ascontiguousarray(values).tobytes() for values in inputs.values())
        if key not in self.known:
            self.known[key] = self.runner.trace(inputs)
        return self.known[key]


@dataclass(frozen=True, eq=False)
class RememberedModel(Remembered):
    """The sound QDQ model."""

    def isolated(self, trace: Mapping[str, Array]) -> Isolated:
        """Every task alone."""
        assert isinstance(self.runner, Isolating)
        return self.runner.isolated(trace)


class Campaign:
    """One design, its sound worlds, and faults in each of them."""

    def __init__(
        self, design: Design, samples: Samples, folder: Path, count: int = 6, *, board: bool = True
    ) -> None:
        """Write the project and run the sound worlds.

        Args:
            design: what is verified.
            samples: real inputs.
            folder: an empty folder.
            count: how many samples every fault is tried on, beside the stress vectors.
            board: whether to run the emulated board, which needs the PYNQ client.
        """
        self.design, self.graph, self.folder = design, design.graph, folder
        self.project = design.write(folder / "project")
        self.stack = ExitStack()
        values = {name: array[:count] for name, array in samples.arrays.items()}
        # No labels: the SQNR then judges the quantisation edge, and says more about few samples than their accuracy.
        self.batches = list(batches(self.graph, values, None))
        worlds = open_worlds(self.project, self.graph, "emulated" if board else "none", self.stack)
        self.truth: Trace = golden.run(
            self.graph,
            {name: np.concatenate([batch.raw[name] for batch in self.batches]) for name in self.graph.inputs},
        )
        fields = ("golden", "float_model", "quantised", "csim", "board")
        sound = {field: getattr(worlds, field) for field in fields}
        self.worlds = replace(
            worlds,
            **{
                field: (RememberedModel if field == "quantised" else Remembered)(runner, {})
                for field, runner in sound.items()
                if runner is not None
            },
        )
        self.uncached = worlds
        self.kinds: frozenset[str] | None = None

    def close(self) -> None:
        """End the emulated board."""
        self.stack.close()

    @cached_property
    def faults(self) -> list[Fault]:
        """The faults of the graph."""
        return mutations.faults(self.graph, self.truth)

    def check(self, worlds: Worlds, inputs: list[Batch] | None = None) -> Report:
        """Verify."""
        return check(self.graph, worlds, inputs or self.batches)

    def outcome(
        self,
        fault: str,
        world: str,
        layer: str,
        graph: TaskGraph | None = None,
        edge: str | None = None,
        **runners: Runner,
    ) -> Outcome:
        """What the verifier says of a faulty world.

        Args:
            fault: its name.
            world: where it is.
            layer: what has to be named.
            graph: what the verifier takes for the right graph, if that is faulty itself.
            edge: what has to be named, if not the edge that ends in the world.
            runners: the faulty world.
        """
        worlds = replace(self.worlds, **runners)  # type: ignore[arg-type]
        first = check(graph or self.graph, worlds, self.batches).first_divergence
        return Outcome(
            fault,
            world,
            layer,
            edge or EDGES[world],
            first.layer if first else "",
            str(first.edge) if first else "",
        )

    def run(
        self, worlds: tuple[str, ...] = tuple(EDGES), kinds: frozenset[str] | None = None
    ) -> Iterator[Outcome]:
        """Faults in the given worlds, one after the other; of some kinds only, if these are given."""
        self.kinds = kinds
        for world in worlds:
            if world == "float":
                yield from self._float()
                continue
            for fault in self.faults:
                if world in fault.worlds and self._wanted(fault.name):
                    yield from self._graph_fault(world, fault)
            yield from {
                "quantised": self._quantised,
                "golden": self._golden,
                "csim": self._csim,
                "board": self._board,
            }[world]()

    def _wanted(self, kind: str) -> bool:
        return self.kinds is None or kind in self.kinds

    # Faults of graphs

    def _graph_fault(self, world: str, fault: Fault) -> Iterator[Outcome]:
        if world == "quantised":
            runner: Runner = self._onnx(export_qdq(fault.graph), QuantisedRunner)
            yield self.outcome(fault.name, world, fault.layer, quantised=runner)
        elif world == "golden":
            # The verifier computes with the same graph, as it would with a damaged one: it must not need a sound golden.
            yield self.outcome(fault.name, world, fault.layer, fault.graph, golden=GoldenRunner(fault.graph))
        else:
            library, weights = self._compiled(fault.graph)
            yield from self._hardware(world, fault.name, fault.layer, library, weights)

    def _compiled(
        self, graph: TaskGraph, edit: Callable[[dict[str, str]], None] = lambda sources: None
    ) -> tuple[Path, bytes]:
        """Library and weights of a faulty graph on the schedule of the right one."""
        machine = lower(graph, self.design.decision.chosen.schedule, self.design.name)
        sources = emit_sources(machine, "test")
        edit(sources)
        return build_sources(sources), machine.weights

    def _manifest(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.project / "deploy" / "manifest.json").read_text())
        return content

    def _hardware(
        self,
        world: str,
        fault: str,
        layer: str,
        library: Path,
        weights: bytes,
        about: dict[str, Any] | None = None,
        driver: tuple[str, str, str] | None = None,
    ) -> Iterator[Outcome]:
        """A faulty C-simulation, or an emulated board with it, faulty weights, manifest or driver."""
        if not self._wanted(fault):
            return
        about = about or self._manifest()
        about["weights"]["bytes"] = len(weights)  # a fault may part tables that two tasks shared
        for argument in about["arguments"]:
            if argument["name"] == about["weights"]["argument"]:
                argument["bytes"] = len(weights)
        if world == "csim":
            csim = HardwareRunner(CsimRunner(about, library, weights), self.graph)
            yield self.outcome(fault, world, layer, csim=csim)
            return
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            deploy = Path(shutil.copytree(self.project / "deploy", Path(name) / "deploy"))
            digest = hashlib.sha256(weights).hexdigest()
            about["weights"]["sha256"] = about["sha256"]["weights.bin"] = digest
            (deploy / "manifest.json").write_text(json.dumps(about))
            (deploy / "weights.bin").write_bytes(weights)
            if driver:
                file, old, new = driver
                path = deploy / "intarsia_driver" / file
                path.write_text(replaced(path.read_text(), old, new))
            with BoardRunner(Path(name), library, timeout_s=120) as runner:
                yield self.outcome(fault, world, layer, board=HardwareRunner(runner, self.graph))

    # Faults of single worlds

    def _onnx(self, model: onnx.ModelProto, kind: type[Any]) -> Runner:
        with tempfile.NamedTemporaryFile(suffix=".onnx", dir=self.folder) as file:
            onnx.save(model, file.name)
            runner: Runner = kind(Path(file.name), self.graph)
        return runner

    def _float(self) -> Iterator[Outcome]:
        """A framework that computes something else in one layer."""

        def trace(model: onnx.ModelProto) -> Mapping[str, Array]:
            runner = self._onnx(model, FloatRunner)
            parts = [runner.trace(dict(batch.real)) for batch in self.batches if batch.real is not None]
            return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

        for fault in float_mutations.faults(self.graph, self.design.float_model, trace):
            if self._wanted(fault.name):
                runner = self._onnx(fault.model, FloatRunner)
                yield self.outcome(fault.name, "float", fault.layer, float_model=runner)

    def _quantised(self) -> Iterator[Outcome]:
        """Rounding down before QuantizeLinear: it has nothing left to round."""
        layer = mutations.first_layer_hurt(self.graph, self.truth, mutations.run_task_rounding_down)
        if layer is None:
            return
        model = export_qdq(self.graph)
        output = self.graph.task(layer).output
        quantise = next(
            node
            for node in model.graph.node
            if node.op_type == "QuantizeLinear" and node.output[0].startswith(f"{output}_quantised")
        )
        place = list(model.graph.node).index(quantise)
        scale = quantise.input[1]
        for node in (
            onnx.helper.make_node("Mul", ["floored", scale], ["rounded down"]),
            onnx.helper.make_node("Floor", ["in steps"], ["floored"]),
            onnx.helper.make_node("Div", [quantise.input[0], scale], ["in steps"]),
        ):
            model.graph.node.insert(place, node)
        quantise.input[0] = "rounded down"
        runner = self._onnx(model, QuantisedRunner)
        yield self.outcome("floor for round", "quantised", layer, quantised=runner)

    def _golden(self) -> Iterator[Outcome]:
        """Other arithmetic in one task, for all that computes with the golden: the verifier, too."""
        sound = golden.run_task
        for name, run in ARITHMETIC.items():
            if layer := mutations.first_layer_hurt(self.graph, self.truth, run):

                def faulty(
                    graph: TaskGraph, task: Task, inputs: list[Array], run: Run = run, layer: str = layer
                ) -> Array:
                    if task.name != layer:
                        return sound(graph, task, inputs)
                    return run(graph, task, [values.astype(np.int64) for values in inputs])

                with patch.object(golden, "run_task", faulty):
                    edge = self._golden_edge(self.graph, layer)
                    runner = GoldenRunner(self.graph)
                    yield self.outcome(name, "golden", layer, None, edge, golden=runner)

    def _golden_edge(self, graph: TaskGraph, layer: str) -> str:
        """Lowering, unless the faulty golden is as close to the real function as a sound one has to be: then it is the C++
        that differs from it.
        """
        inputs = [self.truth[name] for name in graph.task(layer).inputs]
        result = golden.run_task(graph, graph.task(layer), inputs)
        within = mutations.allowed(self.graph, self.graph.task(layer), inputs, result)
        return EDGES["csim"] if within else EDGES["golden"]

    def _kernel_faults(self, world: str) -> Iterator[Outcome]:
        """The emitted kernels round or saturate in another way, all tasks alike: the first that shows it is named."""
        for name, (file, old, new) in KERNELS.items():
            layer = mutations.first_layer_hurt(self.graph, self.truth, ARITHMETIC[name])
            if layer is None or not self._wanted(name):
                continue

            def edit(sources: dict[str, str], file: str = file, old: str = old, new: str = new) -> None:
                sources[file] = replaced(sources[file], old, new)

            library, weights = self._compiled(self.graph, edit)
            yield from self._hardware(world, name, layer, library, weights)

    def _mislabelled(self) -> tuple[dict[str, Any], str] | None:
        """A manifest in which two taps of one size have changed places, and the earlier of both layers."""
        about = self._manifest()
        taps = {spec["tensor"]: spec for spec in about["taps"]}
        tasks = [task for task in self.graph.tasks if task.output in taps]
        for number, task in enumerate(tasks):
            for other in tasks[number + 1 :]:
                mine, theirs = taps[task.output], taps[other.output]
                same = all(mine[key] == theirs[key] for key in ("shape", "words", "lanes", "select"))
                if same and not np.array_equal(self.truth[task.output], self.truth[other.output]):
                    mine["word_offset"], theirs["word_offset"] = theirs["word_offset"], mine["word_offset"]
                    return about, task.name
        return None

    def _weighted(self) -> str:
        """The first task of which something is in weights.bin."""
        return next(task.name for task in self.graph.tasks if task.parameters)

    def _csim(self) -> Iterator[Outcome]:
        yield from self._kernel_faults("csim")
        library, weights = self._compiled(self.graph)
        yield from self._common(world="csim", library=library, weights=weights)

    def _common(self, world: str, library: Path, weights: bytes) -> Iterator[Outcome]:
        if found := self._mislabelled():
            about, layer = found
            yield from self._hardware(world, "tap mislabelled", layer, library, weights, about)
        swapped = np.frombuffer(weights, np.uint8).reshape(-1, 2)[:, ::-1].tobytes()
        yield from self._hardware(world, "byte order of weights", self._weighted(), library, swapped)
        other = np.random.default_rng(1).permutation(np.frombuffer(weights, np.uint8)).tobytes()
        yield from self._hardware(world, "wrong weights file", self._weighted(), library, other)

    def _board(self) -> Iterator[Outcome]:
        yield from self._kernel_faults("board")
        library, weights = self._compiled(self.graph)
        yield from self._common(world="board", library=library, weights=weights)
        readers = [task.name for task in self.graph.tasks if set(task.inputs) & set(self.graph.inputs)]
        for name, driver in DRIVER.items():
            yield from self._hardware("board", name, readers[0], library, weights, driver=driver)


def replaced(text: str, old: str, new: str) -> str:
    """The text with its one occurrence of `old` replaced."""
    assert text.count(old) == 1, f"{text.count(old)} times {old!r}"
    return text.replace(old, new)


ARITHMETIC = {
    "floor for round": mutations.run_task_rounding_down,
    "half up for half to even": mutations.run_task_rounding_up,
    "wrap for saturate": mutations.run_task_wrapping,
    "one operand read twice": mutations.run_task_on_one_operand,
    "softmax without maximum": mutations.run_task_from_the_rail,
}

KERNELS = {
    "floor for round": (
        "intarsia/requantise.hpp",
        "Wide(Wide(value + half - Wide(1) + odd) >> shift)",
        "Wide((value + Wide(0) * (half + odd)) >> shift)",
    ),
    "half up for half to even": (
        "intarsia/requantise.hpp",
        "Wide(value + half - Wide(1) + odd)",
        "Wide(value + half + Wide(0) * odd)",
    ),
    "wrap for saturate": (
        "intarsia/post.hpp",
        "clamp(wide_t(rounded + wide_t(row.zero)), row.low, row.high)",
        "clamp(wide_t(rounded + wide_t(row.zero)), row.low, 0x3fffffff)",
    ),
    "one operand read twice": (
        "intarsia/combine.hpp",
        "total_t(total_t(y[v] - row.zero_b) << row.shift_b)",
        "total_t(total_t(x[v] + 0 * y[v] - row.zero_b) << row.shift_b)",
    ),
    "softmax without maximum": (
        "intarsia/softmax.hpp",
        "counts ? int(largest) - int(x[v]) : 0",
        "counts ? (1 << (8 * sizeof(input_t) - 1)) - 1 + 0 * int(largest) - int(x[v]) : 0",
    ),
}

DRIVER = {
    "byte order of inputs": (
        "dram_layout.py",
        "    return packed.reshape(-1).view(np.uint8)\n",
        "    return np.ascontiguousarray(packed.reshape(-1).view(np.uint8).reshape(-1, 2)[:, ::-1]).reshape(-1)\n",
    ),
    "truncated DMA": (
        "kernel.py",
        'view[rows // together, rows % together] = packed[spec["tensor"]][first : first + len(rows)]',
        (
            "half = view.shape[2] // 2; view[rows // together, rows % together, :half] = "
            'packed[spec["tensor"]][first : first + len(rows), :half]'
        ),
    ),
    "stale buffer": (
        "kernel.py",
        "offsets = {name: launch * strides[name] for name in moving}",
        (
            "offsets = {name: max(0, launch - (name in {s['argument'] for s in self.manifest['inputs']})) "
            "* strides[name] for name in moving}"
        ),
    ),
    "results not fetched": (
        "kernel.py",
        "            self._buffers[name].from_device()\n        for spec in wanted:\n",
        "            pass\n        for spec in wanted:\n",
    ),
    "register written twice": (
        "pynq_device.py",
        "        self.bounded(self._mmio.write, CTRL, AP_START)\n",
        (
            "        self.bounded(self._mmio.write, self._arguments['tap']['offset'], b'\\0\\0\\0\\0')\n"
            "        self.bounded(self._mmio.write, CTRL, AP_START)\n"
        ),
    ),
}
