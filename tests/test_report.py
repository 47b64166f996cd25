"""The page about a compiled design: valid, self-contained, and with the figures of design.json."""

from __future__ import annotations

import json
import xml.etree.ElementTree as Xml
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any, cast

import pytest
from graphs import quantised, small_cnn

from intarsia.board import load_board
from intarsia.design import Design
from intarsia.machine.lower import lower
from intarsia.report.memory_map import memory_map, memory_picture
from intarsia.report.page import report, schedule_picture, unit_shares
from intarsia.report.svg import Scale, element, fitted
from intarsia.samples import Preprocess
from intarsia.schedule.evaluate import evaluate
from intarsia.schedule.mixed import mixed
from intarsia.schedule.phases import Engines
from intarsia.schedule.plan import Schedule
from intarsia.schedule.pure import dataflow, sequential
from intarsia.schedule.search import Decision
from intarsia.simulation.timed import TimedSimulation, size_fifos
from intarsia.task_graph import TaskGraph
from intarsia.work import MacWork

GRAPH = quantised(small_cnn())
NOTE = "a <note> & more"
SVG = "{http://www.w3.org/2000/svg}"
VOID = {"meta", "link", "br", "img", "input"}


def schedules(graph: TaskGraph) -> dict[str, Schedule]:
    macs = [task.name for task in graph.tasks if isinstance(task.operator.work(task, graph), MacWork)]
    return {
        "sequential": sequential(graph, 4, 8),
        "dataflow": dataflow(graph, 4, dict.fromkeys(macs, 4)),
        "mixed": mixed(graph, Engines((4, 8), 4), 1 << 30),
    }


def design(kind: str, timed: bool = True) -> Design:
    board = load_board("pynq-z2")
    chosen = evaluate(GRAPH, schedules(GRAPH)[kind], board)
    machine = lower(GRAPH, chosen.schedule, "small")
    timings = None
    if timed:
        simulation = TimedSimulation(machine)
        machine, timings = size_fifos(simulation)
    return Design(
        graph=GRAPH,
        machine=machine,
        decision=Decision(chosen, (chosen,), {"dataflow": 123_456, "sequential": None}, ()),
        board=board,
        clock_mhz=100.0,
        float_model=cast("Any", None),
        quantised_model=cast("Any", None),
        samples={},
        preprocess=Preprocess(),
        notes=(NOTE,),
        timings=timings,
    )


@pytest.fixture(scope="module", params=["sequential", "dataflow", "mixed", "untimed"])
def small(request: pytest.FixtureRequest) -> Design:
    return design("mixed", timed=False) if request.param == "untimed" else design(request.param)


class Page(HTMLParser):
    """Texts and nesting of a page; fails on tags that do not close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href"}]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def titles(picture: str) -> list[str]:
    return [title.text or "" for title in Xml.fromstring(picture).iter(f"{SVG}title")]


def test_page_is_well_formed_and_needs_no_network(small: Design) -> None:
    page = Page(report(small, "Generated."))
    assert "script" not in page.tags and "svg" in page.tags
    assert not page.addresses
    assert "url(" not in report(small, "Generated.")


def test_page_is_a_pure_function(small: Design) -> None:
    assert report(small, "Generated.") == report(small, "Generated.")


def test_figures_equal_design_json(small: Design) -> None:
    about = json.loads(small.to_json())
    texts = " ".join(Page(report(small, "Generated.")).texts)
    schedule = about["schedule"]
    assert f"{schedule['lower_bound_cycles']:,}" in texts and f"{about['macs']:,}" in texts
    assert f"{schedule['latency_cycles']:,}" in texts and f"{schedule['utilisation']:.1%}" in texts
    for phase in schedule["phases"]:
        assert f"{phase['cycles']:,}" in texts and f"{phase['utilisation']:.1%}" in texts
        assert f"{phase['bound_by']['trips']:,} trips" in texts
        assert ", ".join(phase["tasks"]) in texts
    for task in about["tasks"]:
        assert task["name"] in texts and f"{task['cycles']:,}" in texts
    for name, need in about["resources"].items():
        have = getattr(small.board.resources, name)
        assert not have or f"{need:,} / {have:,}" in texts
    assert "123,456" in texts and "impossible" in texts
    assert NOTE in texts and schedule["counted_by"] in texts


def test_utilisation_adds_up(small: Design) -> None:
    schedule = small.description["schedule"]
    work = sum(phase["utilisation"] * phase["cycles"] for phase in schedule["phases"])
    assert work / schedule["latency_cycles"] == pytest.approx(schedule["utilisation"])
    assert 0 < schedule["utilisation"] <= schedule["lower_bound_cycles"] / schedule["latency_cycles"] + 1e-9
    assert sum(phase.macs for phase in small.activities) == small.description["macs"]
    by_unit = unit_shares(small)
    engines = [unit for unit in small.decision.chosen.schedule.units if unit.is_engine]
    lanes = small.decision.chosen.schedule.lanes
    total = sum(by_unit[unit.name] * unit.outputs * lanes for unit in engines) / schedule["multipliers"]
    assert total == pytest.approx(schedule["utilisation"])


def test_lanes_of_a_shared_task_are_those_of_all_its_engines(small: Design) -> None:
    for phase, activity in zip(small.description["schedule"]["phases"], small.activities, strict=True):
        assert sum(phase["lanes"].values()) == activity.in_use <= activity.multipliers


def test_activities_lie_within_their_phase(small: Design) -> None:
    for phase in small.activities:
        assert len({activity.unit for activity in phase.activities}) == len(phase.activities)
        assert set(phase.tasks) <= {activity.about for activity in phase.activities}
        assert phase.bound_by.trips <= phase.cycles
        for activity in phase.activities:
            assert 0 <= activity.start < activity.end <= phase.cycles
            assert 0 < activity.busy <= 1


def test_picture_of_the_schedule_has_a_bar_for_every_activity(small: Design) -> None:
    picture = schedule_picture(small, alone=True)
    found = titles(picture)
    start = 0
    for phase in small.activities:
        for activity in phase.activities:
            span = f"cycles {start + activity.start:,} to {start + activity.end:,}"
            where = f"{activity.about} on {activity.unit}\n{span}"
            assert sum(title.startswith(where) for title in found) == 1
        start += phase.cycles
    root = Xml.fromstring(picture)
    width = float(root.attrib["viewBox"].split()[2])
    for bar in root.iter(f"{SVG}rect"):
        assert float(bar.attrib["x"]) + float(bar.attrib["width"]) <= width


def test_tensors_in_a_bank_never_overlap(small: Design) -> None:
    memory = memory_map(GRAPH, small.decision.chosen.schedule)
    for one in memory.stays:
        for other in memory.stays:
            if one is not other and one.store == other.store and one.store >= 0:
                apart_in_time = one.last < other.first or other.last < one.first
                apart = one.offset + one.words <= other.offset or other.offset + other.words <= one.offset
                assert apart_in_time or apart
    tasks = [task.name for task in GRAPH.tasks]
    found = titles(memory_picture(memory, small.phase_cycles, tasks))
    assert len(found) == len(memory.stays)


def test_untimed_designs_say_so() -> None:
    text = report(design("mixed", timed=False), "Generated.")
    assert "by the cost model" in text and "timed C-simulation" not in text


def test_summary_has_a_line_per_phase(small: Design) -> None:
    phases = small.description["schedule"]["phases"]
    lines = [line for line in small.summary().splitlines() if line.startswith("  phase ")]
    assert len(lines) == len(phases)
    for line, phase in zip(lines, phases, strict=True):
        assert phase["pattern"] in line and f"{phase['cycles']:,} cycles" in line
        assert f"{phase['utilisation']:.0%}" in line and line.endswith(", ".join(phase["tasks"]))


def test_names_are_escaped() -> None:
    small = design("sequential", timed=False)
    named = replace(small, board=replace(small.board, title="<b>&"))
    assert "<b>&" not in report(named, "Generated.")
    assert element("rect", title='"<&') == '<rect title="&quot;&lt;&amp;"/>'


@pytest.mark.parametrize("cycles", [1, 7, 99, 1_000, 123_456_789])
def test_ticks_are_few_and_round(cycles: int) -> None:
    ticks = list(Scale(cycles).ticks())
    assert ticks[0] == 0 and ticks[-1] <= cycles
    assert 2 <= len(ticks) <= 11
    assert int(str(ticks[1]).rstrip("0")) in {1, 2, 5}


def test_texts_that_do_not_fit_are_cut() -> None:
    assert fitted("conv1", 100) == "conv1"
    assert fitted("a long name of a task", 60) == "a long n…"
    assert fitted("/blocks.0/attn/MatMul", 60) == "…n/MatMul"
    assert fitted("conv1", 12) == ""


def test_the_lower_bound_says_what_it_follows_from() -> None:
    narrow = design("sequential", timed=False)
    assert "lower bound: words that patches fill" in report(narrow, "now")  # two channels in words of four
    slow = replace(narrow.board, memory=replace(narrow.board.memory, bandwidth_gb_s=1e-4))
    assert "lower bound: DRAM bandwidth" in report(replace(narrow, board=slow), "now")
