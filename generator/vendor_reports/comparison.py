"""Estimate against report: per process its pipeline, per part its resources, and what the next schedule should take.

Vitis HLS names the hardware of `mac<Engine0Mac>` after the function and its template argument (`mac_Engine0Mac_s`),
and takes a pipelined loop out as `mac_Engine0Mac_Pipeline_Mac`: a module belongs to a process if the name of the
process's config struct is a part of its name, or if such a module calls it. Memories that are shared between phases stand in the top
function; they belong to the unit after which they are named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property

from ..board import Resources
from ..cost import ASSUMED, SHARED, Costs, Pipeline
from ..cost_file import MeasuredCosts
from .cosim import CosimReport
from .csynth import Loop, Module, SynthesisReport
from .expectation import Expectation, ExpectedPart, ExpectedProcess
from .find import VendorReports
from .report_error import ReportError

_NAMES = ("dsp", "bram18", "uram", "lut", "ff")


@dataclass(frozen=True)
class ProcessComparison:
    """A process as expected, and its pipelined loops as reported; none if the report lacks the process."""

    expected: ExpectedProcess
    loops: tuple[Loop, ...]

    @property
    def reported(self) -> Pipeline | None:
        """The worst of its loops: a process runs one of them per phase."""
        if not self.loops:
            return None
        return Pipeline(
            max(loop.depth or 1 for loop in self.loops), max(loop.interval or 1 for loop in self.loops)
        )


@dataclass(frozen=True)
class PartComparison:
    """A unit, or what all share, with its resources as reported."""

    expected: ExpectedPart
    reported: Resources


@dataclass(frozen=True)
class Comparison:
    """A design beside its reports."""

    expectation: Expectation
    synthesis: SynthesisReport
    cosim: CosimReport | None
    processes: tuple[ProcessComparison, ...]
    parts: tuple[PartComparison, ...]

    @cached_property
    def missing(self) -> tuple[str, ...]:
        """Processes that the report does not have."""
        return tuple(process.expected.config for process in self.processes if process.reported is None)

    @property
    def measured(self) -> MeasuredCosts:
        """Costs for the next schedule: of each kernel the worst process, of each kind of unit the sum over its units.

        DRAM latency is part of the assumed depth of `prefetch` and in no report of synthesis, so that one stays.
        """
        pipelines = dict(ASSUMED.pipelines)
        seen: dict[str, list[Pipeline]] = {}
        for process in self.processes:
            if (
                process.reported
                and process.expected.kernel in pipelines
                and process.expected.kernel != "prefetch"
            ):
                seen.setdefault(process.expected.kernel, []).append(process.reported)
        for kernel, found in seen.items():
            pipelines[kernel] = Pipeline(max(p.depth for p in found), max(p.interval for p in found))
        costs = Costs(
            pipelines=pipelines,
            factors=_factors_by_kind(self.parts),
            source=f"Vitis HLS {self.synthesis.version} on {self.synthesis.top} for {self.synthesis.part}",
        )
        return MeasuredCosts(costs, self.synthesis.part, round(1e3 / self.synthesis.target_ns, 3))


def compare(expectation: Expectation, reports: VendorReports) -> Comparison:
    """Holds the reports of a design against what it expects.

    Raises:
        ReportError: there is not one synthesis report of the design, or it is of another version of the design.
    """
    synthesis = reports.synthesis_of(expectation.name)
    roots = {p.config: _roots(synthesis, p.config) for p in expectation.processes}
    if expectation.processes and not any(roots.values()):
        raise ReportError(
            f"{synthesis.path} has none of the {len(expectation.processes)} processes of design {expectation.name!r}: "
            "it is of another design of that name"
        )
    modules = {module.name: module for module in synthesis.modules}
    cosims = [report for report in reports.cosims if report.top == expectation.name]
    parts = []
    for part in expectation.parts:
        if part.name != SHARED:
            own = [m for p in expectation.processes if p.part == part.name for m in roots[p.config]]
            parts.append(PartComparison(part, _sum(own, _memories(synthesis, part, own))))
    rest = _minus(synthesis.whole.resources, [part.reported for part in parts])
    parts += [PartComparison(part, rest) for part in expectation.parts if part.name == SHARED]
    return Comparison(
        expectation=expectation,
        synthesis=synthesis,
        cosim=cosims[-1] if cosims else None,
        processes=tuple(
            ProcessComparison(p, _loops(synthesis, modules, roots[p.config])) for p in expectation.processes
        ),
        parts=tuple(parts),
    )


def _roots(synthesis: SynthesisReport, config: str) -> list[Module]:
    """The modules named after a process, without those that another one of them calls."""
    named = [module for module in synthesis.modules if config in module.name.split("_")]
    called = {inner for module in named for inner in synthesis.within(module.name) - {module.name}}
    return [module for module in named if module.name not in called]


def _loops(
    synthesis: SynthesisReport, modules: Mapping[str, Module], roots: Sequence[Module]
) -> tuple[Loop, ...]:
    names = sorted({name for root in roots for name in synthesis.within(root.name)})
    inside = [modules[name] for name in names if name in modules]
    return tuple(loop for module in inside for nest in module.loops for loop in nest.pipelines())


def _memories(synthesis: SynthesisReport, part: ExpectedPart, own: Sequence[Module]) -> Resources:
    """Blocks of the memories outside a unit's processes that are named after it."""
    inside = {name for module in own for name in synthesis.within(module.name)}
    found = [
        storage
        for module in synthesis.modules
        if module.name not in inside
        for storage in module.storages
        if storage.kind != "fifo" and storage.variable.startswith(f"{part.identifier}_")
    ]
    return Resources(dsp=0, bram18=sum(s.bram18 for s in found), uram=sum(s.uram for s in found), lut=0, ff=0)


def _sum(modules: Sequence[Module], more: Resources) -> Resources:
    all_resources = [asdict(module.resources) for module in modules] + [asdict(more)]
    return Resources(**{name: sum(each[name] for each in all_resources) for name in _NAMES})


def _minus(whole: Resources, parts: Sequence[Resources]) -> Resources:
    return Resources(
        **{name: max(getattr(whole, name) - sum(getattr(p, name) for p in parts), 0) for name in _NAMES}
    )


def _factors_by_kind(parts: Sequence[PartComparison]) -> dict[str, dict[str, float]]:
    """Of all units of a kind together, so that large units weigh more than small ones."""
    result: dict[str, dict[str, float]] = {}
    for kind in dict.fromkeys(part.expected.kind for part in parts):
        of_kind = [part for part in parts if part.expected.kind == kind]
        factors = {}
        for name in _NAMES:
            raw = sum(getattr(p.expected.resources, name) / p.expected.factors.get(name, 1) for p in of_kind)
            report = sum(getattr(p.reported, name) for p in of_kind)
            if raw and report:
                factors[name] = round(report / raw, 4)
        if factors:
            result[kind] = factors
    return result
