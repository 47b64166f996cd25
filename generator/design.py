"""A compiled design: everything the project directory is made of, before anything is written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .board import Board
from .cost import ASSUMED, Costs
from .machine.machine import Machine
from .machine.units.kinds import unit_multipliers
from .operator import Array
from .report.activity import PhaseActivity, phase_activities, utilisation
from .schedule.bounds import lower_bound_cycles, multipliers, off_chip_bytes
from .schedule.search import Decision
from .task_graph import TaskGraph
from .vendor_reports.expectation import expected

if TYPE_CHECKING:
    import onnx

    from .samples import Preprocess
    from .schedule.stages import PhaseCost
    from .simulation.timed import PhaseTiming

HOST_BEFORE, HOST_AFTER = "host_before.onnx", "host_after.onnx"
"""Files of the deploy folder: what the host runs before the accelerator, and after it."""
TESTBENCH_SAMPLES = 4
"""Samples that the testbench checks: a few calibration samples, then random ones."""
MOST_PHASES_SHOWN = 12
"""Phases that the summary lists one by one."""


@dataclass(frozen=True, eq=False)
class Design:
    """The result of `intarsia.compile`.

    Attributes:
        graph: the quantised task graph.
        machine: the datapath and its program.
        decision: the schedule, its cost and its baselines by the cost model.
        float_model: the normalised float model, whose tensors have the graph's names.
        quantised_model: the same as standard QDQ ONNX.
        samples: a few calibration samples per input, kept for verification.
        preprocess: how sample files become model inputs.
        notes: what a user should know, one line each.
        own_samples: the same samples in the model's own inputs, where its first nodes run on the host.
        host_before: the model's first nodes, if they run on the host: from its own inputs to the graph's.
        host_after: its last nodes, if they run on the host: from the graph's outputs to its own.
        costs: what the schedule takes kernels and units to cost.
        dense_model: for a compressed model, the float model before, whose tensors have the same names; None if not given.
        timings: what the timed C-simulation saw, with the FIFO depths of the machine; None if it was not run.
    """

    graph: TaskGraph
    machine: Machine
    decision: Decision
    board: Board
    clock_mhz: float
    float_model: onnx.ModelProto
    quantised_model: onnx.ModelProto
    samples: Mapping[str, Array]
    preprocess: Preprocess
    notes: tuple[str, ...] = field(default=())
    own_samples: Mapping[str, Array] = field(default_factory=dict)
    host_before: onnx.ModelProto | None = None
    host_after: onnx.ModelProto | None = None
    costs: Costs = ASSUMED
    timings: tuple[PhaseTiming, ...] | None = None
    dense_model: onnx.ModelProto | None = None

    @property
    def name(self) -> str:
        """Name of the design and of its top function."""
        return self.machine.name

    @property
    def phase_times(self) -> Sequence[PhaseTiming | PhaseCost]:
        """Cycles of each phase: as the timed C-simulation counted them, if it was run, else by the cost model."""
        return self.timings or self.decision.chosen.phases

    @property
    def phase_cycles(self) -> tuple[int, ...]:
        """Cycles of each phase for one sample."""
        return tuple(phase.cycles for phase in self.phase_times)

    @property
    def launch_cycles(self) -> int:
        """Cycles of a launch of as many samples as the kernel takes."""
        return sum(phase.launch(self.machine.batch) for phase in self.phase_times)

    @property
    def testbench_cycles(self) -> int:
        """Cycles of the testbench's first launch, which co-simulation counts."""
        samples = min(self.machine.batch, TESTBENCH_SAMPLES)
        return sum(phase.launch(samples) for phase in self.phase_times)

    @property
    def interval_cycles(self) -> int:
        """Cycles per sample in such launches."""
        return ceil(self.launch_cycles / self.machine.batch)

    @cached_property
    def activities(self) -> tuple[PhaseActivity, ...]:
        """What every unit does in every phase."""
        schedule = self.decision.chosen.schedule
        return phase_activities(self.graph, schedule, self.machine, self.phase_times, self.timings)

    @cached_property
    def description(self) -> dict[str, Any]:
        """The content of design.json."""
        chosen = self.decision.chosen
        schedule = chosen.schedule
        macs = sum(task.operator.macs(task, self.graph) for task in self.graph.tasks)
        return {
            "name": self.name,
            "board": self.board.name,
            "clock_mhz": self.clock_mhz,
            "schedule": {
                "kind": schedule.kind,
                "latency_cycles": sum(self.phase_cycles),
                "batch": self.machine.batch,
                "launch_cycles": self.launch_cycles,
                "interval_cycles": self.interval_cycles,
                "counted_by": "timed C-simulation" if self.timings else "cost model",
                "model_cycles": chosen.interval,
                "multipliers": multipliers(schedule),
                "utilisation": utilisation(macs, multipliers(schedule), self.interval_cycles),
                "lower_bound_cycles": lower_bound_cycles(self.graph, schedule, self.board, self.clock_mhz),
                "phases": [
                    {
                        "pattern": phase.pattern.value,
                        "tasks": list(phase.tasks),
                        "cycles": activity.cycles,
                        "interval_cycles": activity.interval,
                        "lanes": {
                            task: count
                            for task in phase.tasks
                            if (
                                count := sum(
                                    unit_multipliers(schedule.unit(a.unit), schedule.lanes)
                                    for a in phase.shares(task)
                                )
                            )
                        },
                        "utilisation": activity.utilisation,
                        "bound_by": asdict(activity.bound_by),
                    }
                    for phase, activity in zip(schedule.phases, self.activities, strict=True)
                ],
                "baselines": self.decision.baselines,
            },
            "resources": asdict(chosen.resources),
            "macs": macs,
            "off_chip_bytes": off_chip_bytes(self.graph, schedule),
            "tasks": [
                {
                    "name": task.name,
                    "op": task.operator.name,
                    "onnx_nodes": list(task.onnx_nodes),
                    "shape": list(self.graph.output_tensor(task).shape),
                    "cycles": sum(phase.tasks.get(task.name, 0) for phase in chosen.phases),
                }
                for task in self.graph.tasks
            ],
            "expected": {
                "testbench_cycles": self.testbench_cycles,
                **expected(self.graph, chosen, self.machine, self.costs),
            },
            "host_ops": {
                "before": [node.name for node in self.host_before.graph.node] if self.host_before else [],
                "after": [node.name for node in self.host_after.graph.node] if self.host_after else [],
            },
            "preprocess": asdict(self.preprocess),
            "notes": list(self.notes),
        }

    def summary(self) -> str:
        """A few lines for the terminal."""
        text = self.description
        schedule = text["schedule"]
        need = text["resources"]
        have = asdict(self.board.resources)
        baselines = ", ".join(
            f"{kind} {cycles if cycles is not None else 'impossible'}"
            for kind, cycles in schedule["baselines"].items()
        )
        used = ", ".join(f"{key.upper()} {need[key]}/{have[key]}" for key in need if have[key])
        size = f"{text['macs']:,} MACs in {_count(len(text['tasks']), 'task')}"
        bound = f"lower bound {schedule['lower_bound_cycles']:,}"
        lines = [
            f"{self.name} for {self.board.title} at {self.clock_mhz:g} MHz: {size}",
            f"schedule   {schedule['kind']}, {_count(len(schedule['phases']), 'phase')}: {self._pace()}",
            f"           ({schedule['counted_by']}; {bound}; {schedule['utilisation']:.0%} of the multipliers busy)",
            *_phase_lines(schedule["phases"]),
            f"baselines  {baselines} cycles (cost model)",
            f"resources  {used} (estimates before synthesis)",
        ]
        return "\n".join([*lines, *(f"note       {note}" for note in self.notes)])

    def _pace(self) -> str:
        """How long a sample takes, and where a launch takes several, how often one comes."""
        latency = sum(self.phase_cycles)
        batch = self.machine.batch
        if batch == 1:
            return f"{latency:,} cycles = {latency / self.clock_mhz:,.1f} us per sample"
        rate = self.clock_mhz * 1e6 / self.interval_cycles
        return (
            f"{self.interval_cycles:,} cycles per sample = {rate:,.0f} samples/s in launches of {batch}; "
            f"{latency:,} cycles = {latency / self.clock_mhz:,.1f} us for one alone"
        )

    def to_json(self) -> str:
        """design.json."""
        return json.dumps(self.description, indent=2) + "\n"

    def write(self, directory: str | Path, *, replace: bool = False) -> Path:
        """Writes the project directory: whole, or not at all.

        Args:
            directory: where the project goes; must not exist.
            replace: replaces an existing project of intarsia.

        Raises:
            ProjectError: the directory exists, or cannot be written.
        """
        from .project.directory import write_project

        return write_project(self, Path(directory), replace=replace)


def _phase_lines(phases: list[dict[str, Any]]) -> list[str]:
    """A line per phase, if they are not too many."""
    if len(phases) > MOST_PHASES_SHOWN:
        return []
    cycles = [f"{phase['interval_cycles']:,}" for phase in phases]
    patterns = max(len(phase["pattern"]) for phase in phases)
    return [
        f"  phase {number:<2} {phase['pattern']:{patterns}}  {text:>{max(map(len, cycles))}} cycles  "
        f"{phase['utilisation']:>4.0%} busy  {', '.join(phase['tasks'])}"
        for number, (phase, text) in enumerate(zip(phases, cycles, strict=True))
    ]


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
