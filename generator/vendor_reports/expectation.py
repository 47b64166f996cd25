"""What a design expects of the vendor tools: the part of design.json that reports are held against."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..board import Resources
from ..cost import SHARED, Costs, Pipeline
from ..machine.identifiers import camel_case, identifiers
from ..machine.machine import Machine
from ..machine.wiring import COLLECT, wire
from ..task_graph import TaskGraph
from .report_error import ReportError

if TYPE_CHECKING:
    from ..schedule.evaluate import Evaluation


@dataclass(frozen=True)
class ExpectedProcess:
    """A process of the dataflow region: its config struct, kernel function, part, and the pipeline it was taken to have."""

    config: str
    kernel: str
    part: str
    pipeline: Pipeline


@dataclass(frozen=True)
class ExpectedPart:
    """A unit, or what all share: estimated resources, with the factors that are already in them.

    Attributes:
        name: of the unit, or `SHARED`.
        identifier: what its memories are named after; empty for `SHARED`.
        kind: of the unit, or `SHARED`.
        tasks: that run on it.
        resources: the estimate.
        factors: what the raw estimate was multiplied by, per resource.
    """

    name: str
    identifier: str
    kind: str
    tasks: tuple[str, ...]
    resources: Resources
    factors: Mapping[str, float]


@dataclass(frozen=True)
class Expectation:
    """A design as its schedule sees it; `cycles` of a launch of its testbench."""

    name: str
    cycles: int
    clock_mhz: float
    costs: str
    processes: tuple[ExpectedProcess, ...]
    parts: tuple[ExpectedPart, ...]

    @property
    def resources(self) -> Resources:
        """Estimate of the whole design."""
        parts = [asdict(part.resources) for part in self.parts]
        return Resources(**{name: sum(part[name] for part in parts) for name in parts[0]})


def expected(graph: TaskGraph, chosen: Evaluation, machine: Machine, costs: Costs) -> dict[str, Any]:
    """The key "expected" of design.json."""
    schedule = chosen.schedule
    feeds = wire(graph, schedule).feeds
    ids = identifiers((unit.name for unit in schedule.units), own=(*feeds, COLLECT))
    owners = {
        camel_case(ids[unit.name]) + camel_case(process.function.rpartition("_")[2]): unit.name
        for unit in schedule.units
        for process in machine.processes
    }
    kinds = {unit.name: unit.kind for unit in schedule.units} | {SHARED: SHARED}
    runs = [assignment for phase in schedule.phases for assignment in phase.assignments]
    return {
        "costs": costs.source,
        "processes": [
            {
                "config": process.config,
                "kernel": process.function,
                "part": owners.get(process.config, SHARED),
                **asdict(costs.pipelines[process.function]),
            }
            for process in machine.processes
        ],
        "parts": [
            {
                "name": name,
                "identifier": ids[name] if name != SHARED else "",
                "kind": kinds[name],
                "tasks": list(dict.fromkeys(run.task for run in runs if run.unit == name)),
                "resources": asdict(resources),
                "factors": dict(costs.factors.get(kinds[name], {})),
            }
            for name, resources in chosen.parts.items()
        ],
    }


def project_of(directory: Path) -> Path | None:
    """The project of intarsia that a directory is, or is in."""
    folders = (directory.absolute(), *directory.absolute().parents)
    return next((folder for folder in folders if (folder / "design.json").is_file()), None)


def read_expectation(project: Path) -> Expectation:
    """Reads what a project expects from its design.json.

    Raises:
        ReportError: there is none, or an older version of intarsia wrote it.
    """
    path = project / "design.json"
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ReportError(
            f"cannot read {path}: {error.strerror}. Give a project of `intarsia compile` with --design"
        ) from error
    except ValueError as error:
        raise ReportError(f"{path}: not valid JSON: {error}") from error
    try:
        text = about["expected"]
        return Expectation(
            name=about["name"],
            cycles=text["testbench_cycles"],
            clock_mhz=about["clock_mhz"],
            costs=text["costs"],
            processes=tuple(
                ExpectedProcess(p["config"], p["kernel"], p["part"], Pipeline(p["depth"], p["interval"]))
                for p in text["processes"]
            ),
            parts=tuple(
                ExpectedPart(
                    p["name"],
                    p["identifier"],
                    p["kind"],
                    tuple(p["tasks"]),
                    Resources(**p["resources"]),
                    p["factors"],
                )
                for p in text["parts"]
            ),
        )
    except (KeyError, TypeError) as error:
        raise ReportError(
            f"{path}: key {error} is missing or wrong: compile the model again with this version of intarsia"
        ) from error
