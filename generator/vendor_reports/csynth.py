"""csynth.xml: what Vitis HLS estimates after synthesis, for the whole design and for every function of it.

`csynth.xml` describes all functions; `<function>_csynth.xml` beside it describes one, in the same elements.
Figures that the tool does not know ("undef", "?", "-") are None: intarsia's loops have trip counts from a table, so
that Vitis HLS knows their depth and II but no latency.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, parse

from ..board import Resources
from .report_error import ReportError

_RESOURCE_TAGS = {
    "dsp": ("DSP", "DSP48E"),
    "bram18": ("BRAM_18K",),
    "uram": ("URAM",),
    "lut": ("LUT",),
    "ff": ("FF",),
}


@dataclass(frozen=True)
class Loop:
    """A loop: cycles, and the initiation interval and depth of its pipeline (None if it is not pipelined)."""

    name: str
    trip_count: int | None
    latency: int | None
    interval: int | None
    depth: int | None
    inner: tuple[Loop, ...] = ()

    def pipelines(self) -> tuple[Loop, ...]:
        """The pipelined loops of the nest."""
        own = (self,) if self.interval is not None and self.depth is not None else ()
        return own + tuple(loop for child in self.inner for loop in child.pipelines())


@dataclass(frozen=True)
class Storage:
    """A memory or FIFO that synthesis made of a variable: bits of a word, words, copies, and the blocks it takes."""

    variable: str
    kind: str
    width: int
    depth: int
    copies: int
    bram18: int
    uram: int


@dataclass(frozen=True)
class Module:
    """A function as hardware: worst-case latency and least interval in cycles, clock in ns, resources with its callees'."""

    name: str
    best_latency: int | None
    average_latency: int | None
    worst_latency: int | None
    interval: int | None
    clock_ns: float | None
    resources: Resources
    loops: tuple[Loop, ...]
    storages: tuple[Storage, ...] = ()


@dataclass(frozen=True)
class SynthesisReport:
    """One csynth.xml.

    Attributes:
        path: the file.
        version: of Vitis HLS.
        part: the device.
        top: name of the function that the report is about.
        target_ns: clock period asked for; `uncertainty_ns` of it is kept free.
        whole: figures of `top`.
        available: what the device holds.
        modules: every function; only `whole` in the report of one function.
        calls: names of the functions that a function instantiates.
        fifos: depth of every FIFO.
        complete: True for csynth.xml, False for the report of one function.
    """

    path: Path
    version: str
    part: str
    top: str
    target_ns: float
    uncertainty_ns: float
    whole: Module
    available: Resources
    modules: tuple[Module, ...]
    calls: dict[str, tuple[str, ...]]
    fifos: dict[str, int]
    complete: bool

    def within(self, name: str) -> set[str]:
        """The function and all that it calls, however deep."""
        found: set[str] = set()
        waiting = [name]
        while waiting:
            current = waiting.pop()
            if current not in found:
                found.add(current)
                waiting += self.calls.get(current, ())
        return found


def is_csynth(path: Path) -> bool:
    """True if a file is XML as Vitis HLS writes its synthesis reports."""
    try:
        return (
            path.suffix == ".xml" and parse(path).getroot().find("UserAssignments/TopModelName") is not None
        )
    except (OSError, ParseError):
        return False


def read_csynth(path: Path) -> SynthesisReport:
    """Reads csynth.xml, or the report of one function.

    Raises:
        ReportError: the file cannot be read, is no XML, or lacks an element.
    """
    try:
        root = parse(path).getroot()
    except OSError as error:
        raise ReportError(f"cannot read {path}: {error.strerror}") from error
    except ParseError as error:
        raise ReportError(f"{path}: not valid XML: {error}. Was the file cut short?") from error
    reader = _Reader(path)
    top = reader.text(root, "UserAssignments/TopModelName")
    module_elements = root.findall("ModuleInformation/Module")
    modules = tuple(reader.module(element, reader.text(element, "Name")) for element in module_elements)
    whole = reader.module(root, top)
    return SynthesisReport(
        path=path,
        version=reader.text(root, "ReportVersion/Version"),
        part=reader.text(root, "UserAssignments/Part"),
        top=top,
        target_ns=reader.decimal(root, "UserAssignments/TargetClockPeriod"),
        uncertainty_ns=reader.decimal(root, "UserAssignments/ClockUncertainty"),
        whole=whole,
        available=reader.resources(reader.element(root, "AreaEstimates/AvailableResources")),
        modules=modules or (whole,),
        calls=_calls(root),
        fifos={
            reader.text(fifo, "Name"): int(reader.text(fifo, "StaticDepth"))
            for fifo in root.findall("FIFOInformation/FIFOInst")
        },
        complete=root.find("ModuleInformation") is not None,
    )


def _calls(root: Element) -> dict[str, tuple[str, ...]]:
    """The hierarchy of functions, once per function however often it is instantiated."""
    calls: dict[str, tuple[str, ...]] = {}

    def visit(element: Element) -> None:
        inner = element.findall("InstancesList/Instance")
        calls[element.findtext("ModuleName", "")] = tuple(i.findtext("ModuleName", "") for i in inner)
        for instance in inner:
            visit(instance)

    if (top := root.find("RTLDesignHierarchy/TopModule")) is not None:
        visit(top)
    return calls


@dataclass(frozen=True)
class _Reader:
    """Reads elements; its errors name the file."""

    path: Path

    def element(self, parent: Element, tag: str) -> Element:
        found = parent.find(tag)
        if found is None:
            raise ReportError(
                f"{self.path}: element {tag} is missing in {parent.tag}. Is this csynth.xml of Vitis HLS?"
            )
        return found

    def text(self, parent: Element, tag: str) -> str:
        return (self.element(parent, tag).text or "").strip()

    def decimal(self, parent: Element, tag: str) -> float:
        text = self.text(parent, tag)
        try:
            return float(text)
        except ValueError:
            raise ReportError(f"{self.path}: {tag} must be a number, not {text!r}") from None

    def resources(self, element: Element) -> Resources:
        figures = {}
        for name, tags in _RESOURCE_TAGS.items():
            text = next((t for tag in tags if (t := element.findtext(tag)) is not None), None)
            if text is None and name != "uram":  # devices without UltraRAM do not list it
                raise ReportError(f"{self.path}: {element.tag} has no {tags[0]}")
            figures[name] = count(text) or 0
        return Resources(**figures)

    def module(self, element: Element, name: str) -> Module:
        latency = self.element(element, "PerformanceEstimates/SummaryOfOverallLatency")
        interval = next(
            (t for tag in ("Interval-min", "PipelineInitiationInterval") if (t := latency.findtext(tag))),
            None,
        )
        loops = element.find("PerformanceEstimates/SummaryOfLoopLatency")
        clock = element.findtext("PerformanceEstimates/SummaryOfTimingAnalysis/EstimatedClockPeriod")
        nodes = element.findall("BindNodes/BindNode")
        return Module(
            name=name,
            best_latency=count(latency.findtext("Best-caseLatency")),
            average_latency=count(latency.findtext("Average-caseLatency")),
            worst_latency=count(latency.findtext("Worst-caseLatency")),
            interval=count(interval),
            clock_ns=float(clock) if clock else None,
            resources=self.resources(self.element(element, "AreaEstimates/Resources")),
            loops=tuple(_loop(loop) for loop in loops) if loops is not None else (),
            storages=tuple(_storage(node) for node in nodes if node.get("BINDTYPE") == "storage"),
        )


def _loop(element: Element) -> Loop:
    inner = tuple(_loop(child) for child in element if child.find("TripCount") is not None)
    return Loop(
        name=element.findtext("Name") or element.tag,
        trip_count=count(element.findtext("TripCount")),
        latency=count(element.findtext("Latency")),
        interval=count(element.findtext("PipelineII")),
        depth=count(element.findtext("PipelineDepth")),
        inner=inner,
    )


def _storage(node: Element) -> Storage:
    sizes = [int(part) for part in node.get("STORAGESIZE", "").split()]
    width, depth, copies = sizes if len(sizes) == 3 else (0, 0, 0)
    return Storage(
        variable=node.get("VARIABLE", ""),
        kind=node.get("OPTYPE", ""),
        width=width,
        depth=depth,
        copies=copies,
        bram18=count(node.get("BRAM")) or 0,
        uram=count(node.get("URAM")) or 0,
    )


def count(text: str | None) -> int | None:
    """An integer of a report, or None where the tool knows none ("undef", "?", "-", "NA", "inf")."""
    text = (text or "").strip()
    return int(text) if text.isdigit() else None
