"""Vendor reports beside what was expected, by a synthetic csynth.xml of a design; and the costs that come of them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from typer.testing import CliRunner
from vendor_excerpts import DESIGNS, EXCERPTS

from intarsia.__main__ import app
from intarsia.cost import ASSUMED, Costs, Flow, Pipeline, through, using
from intarsia.cost_file import CostFileError, MeasuredCosts, read_costs, write_costs
from intarsia.machine.stage import Stage
from intarsia.vendor_reports import read_reports
from intarsia.vendor_reports.comparison import compare
from intarsia.vendor_reports.expectation import read_expectation
from intarsia.vendor_reports.report_error import ReportError

LATENCY = "".join(f"<{case}-caseLatency>undef</{case}-caseLatency>" for case in ("Best", "Average", "Worst"))


def synthetic_csynth(project: Path, depth: int, interval: int, figure: int) -> str:
    """A csynth.xml of a project, named as Vitis HLS names templates: every process with the same figures.

    Windows have their loop in a function that they call, which the names do not tell.
    """
    about = json.loads((project / "design.json").read_text())
    top = about["name"]

    def resources(times: int, bram: int = 0) -> str:
        return (
            f"<AreaEstimates><Resources><DSP>{times * figure}</DSP><BRAM_18K>{bram}</BRAM_18K><LUT>{times * figure}</LUT>"
            f"<FF>{times * figure}</FF></Resources></AreaEstimates>"
        )

    def performance(loop: str = "") -> str:
        loops = (
            f"<SummaryOfLoopLatency><{loop}><TripCount>undef</TripCount><Latency>undef</Latency><PipelineII>{interval}"
            f"</PipelineII><PipelineDepth>{depth}</PipelineDepth></{loop}></SummaryOfLoopLatency>"
            if loop
            else ""
        )
        return (
            f"<PerformanceEstimates><SummaryOfOverallLatency>{LATENCY}</SummaryOfOverallLatency>{loops}"
            "</PerformanceEstimates>"
        )

    modules, instances = "", ""
    for process in about["expected"]["processes"]:
        name = f"{process['kernel']}_{process['config']}_s"
        inner = "straight_window" if process["kernel"] == "window" else f"{name}_Pipeline_Loop"
        if inner not in modules:
            modules += f"<Module><Name>{inner}</Name>{performance('Loop')}{resources(1)}</Module>"
        modules += f"<Module><Name>{name}</Name>{performance()}{resources(1)}</Module>"
        instances += (
            f"<Instance><ModuleName>{name}</ModuleName><InstancesList><Instance><ModuleName>{inner}</ModuleName>"
            "</Instance></InstancesList></Instance>"
        )
    memory = (
        '<BindNodes><BindNode BINDTYPE="storage" OPTYPE="ram_1p" VARIABLE="engine_weights" STORAGESIZE="8 9 1" BRAM="7" '
        'URAM="0"/></BindNodes>'
    )
    modules += f"<Module><Name>{top}</Name>{performance()}{resources(100, 20)}{memory}</Module>"
    return (
        "<profile><ReportVersion><Version>2023.2</Version></ReportVersion><UserAssignments><Part>xck26-sfvc784-2LV-c</Part>"
        f"<TopModelName>{top}</TopModelName><TargetClockPeriod>5.00</TargetClockPeriod>"
        f"<ClockUncertainty>1.35</ClockUncertainty></UserAssignments>{performance()}"
        "<AreaEstimates><Resources><DSP>900</DSP><BRAM_18K>20</BRAM_18K><LUT>90000</LUT><FF>90000</FF></Resources>"
        "<AvailableResources><DSP>1248</DSP><BRAM_18K>288</BRAM_18K><LUT>117120</LUT><FF>234240</FF><URAM>64</URAM>"
        f"</AvailableResources></AreaEstimates><RTLDesignHierarchy><TopModule><ModuleName>{top}</ModuleName>"
        f"<InstancesList>{instances}</InstancesList></TopModule></RTLDesignHierarchy><ModuleInformation>{modules}"
        "</ModuleInformation></profile>"
    )


@pytest.fixture
def synthesised(lenet_project: Path) -> Path:
    """A project with a synthetic synthesis report where Vitis HLS puts it: depth 21, interval 2, 30 of everything."""
    folder = lenet_project / "vitis" / "component" / "hls" / "syn" / "report"
    folder.mkdir(parents=True)
    text = synthetic_csynth(lenet_project, depth=21, interval=2, figure=30)
    ElementTree.fromstring(text)
    (folder / "csynth.xml").write_text(text)
    return lenet_project


class TestComparison:
    def test_every_process_is_found(self, synthesised: Path) -> None:
        comparison = compare(read_expectation(synthesised), read_reports(synthesised))
        assert not comparison.missing
        assert {process.reported for process in comparison.processes} == {Pipeline(21, 2)}

    def test_resources_of_a_unit_are_those_of_its_processes_and_memories(self, synthesised: Path) -> None:
        comparison = compare(read_expectation(synthesised), read_reports(synthesised))
        engine, shared = (
            next(part for part in comparison.parts if part.expected.kind == kind)
            for kind in ("engine", "shared")
        )
        own = [p for p in comparison.expectation.processes if p.part == engine.expected.name]
        assert {"window", "mac", "post"} <= {p.kernel for p in own}
        assert engine.reported.lut == engine.reported.dsp == 30 * len(own)
        assert engine.reported.bram18 == 7
        assert shared.reported.bram18 == 20 - 7
        assert sum(part.reported.lut for part in comparison.parts) == 90000

    def test_factors_turn_the_estimate_into_the_report(self, synthesised: Path) -> None:
        comparison = compare(read_expectation(synthesised), read_reports(synthesised))
        factors = comparison.measured.costs.factors["engine"]
        engine = next(part for part in comparison.parts if part.expected.kind == "engine")
        assert factors["dsp"] * engine.expected.resources.dsp == pytest.approx(engine.reported.dsp, abs=0.1)

    def test_other_design(self, synthesised: Path) -> None:
        with pytest.raises(ReportError, match=r"has no csynth.xml of 'lenet5', but of 'forward'"):
            compare(read_expectation(synthesised), read_reports(EXCERPTS / DESIGNS[0]))

    def test_same_name_but_no_process(self, synthesised: Path) -> None:
        for path in synthesised.rglob("csynth.xml"):
            path.write_text(
                path.read_text().replace("Engine", "Motor").replace("Feed", "F").replace("Coll", "C")
            )
            path.write_text(re.sub(r"_(Pool|Table|Combine|Taps)", r"_Other\1", path.read_text()))
        with pytest.raises(ReportError, match="of another design of that name"):
            compare(read_expectation(synthesised), read_reports(synthesised))

    def test_older_project(self, synthesised: Path) -> None:
        path = synthesised / "design.json"
        about = json.loads(path.read_text())
        del about["expected"]
        path.write_text(json.dumps(about))
        with pytest.raises(ReportError, match=r"key 'expected' is missing or wrong: compile the model again"):
            read_expectation(synthesised)


class TestCommand:
    def run(self, *arguments: object) -> str:
        result = CliRunner().invoke(app, ["import-reports", *map(str, arguments)])
        assert result.exit_code == 0, result.output
        return result.output

    def test_samples_are_shown_completely(self, tmp_path: Path) -> None:
        output = self.run(EXCERPTS, "--json", tmp_path / "r.json")
        for figure in (
            "67,141,684",
            "node5",
            "16,777,216 x 4 + 15",
            "57,906,819",
            "BRAM18 73/288",
            "0.214",
        ):
            assert figure in output
        figures = json.loads((tmp_path / "r.json").read_text())
        assert [len(figures[key]) for key in ("synthesis", "cosimulation", "utilisation", "timing")] == [
            3,
            4,
            1,
            1,
        ]
        assert figures["comparison"] is None

    def test_project_to_the_next_schedule(
        self, synthesised: Path, lenet_model: Path, lenet_images: Path
    ) -> None:
        import intarsia

        output = self.run(synthesised / "vitis")
        assert "Engine" in output
        path = synthesised / "measured_costs.json"
        assert read_costs(path).costs.pipelines["mac"] == Pipeline(21, 2)
        options = {"calibration": lenet_images, "schedule": "sequential"}
        before = intarsia.compile(lenet_model, **options)
        after = intarsia.compile(lenet_model, measured_costs=path, **options)
        assert sum(after.phase_cycles) > 1.5 * sum(before.phase_cycles)  # an interval of 2
        assert any("Vitis HLS 2023.2" in note for note in after.notes)
        expected = after.description["expected"]
        assert {process["depth"] for process in expected["processes"]} == {21}
        again = after.decision.chosen.parts
        assert again != before.decision.chosen.parts

    def test_costs_without_a_design(self, tmp_path: Path) -> None:
        shutil.copytree(EXCERPTS / DESIGNS[0], tmp_path / "reports")
        result = CliRunner().invoke(
            app, ["import-reports", str(tmp_path), "--costs", str(tmp_path / "c.json")]
        )
        assert result.exit_code == 2
        assert not (tmp_path / "c.json").exists()


class TestCostFile:
    def test_round_trip(self, tmp_path: Path) -> None:
        costs = Costs({**ASSUMED.pipelines, "mac": Pipeline(9, 2)}, {"engine": {"lut": 1.5}}, "a test")
        write_costs(MeasuredCosts(costs, "part", 200.0), tmp_path / "c.json")
        read = read_costs(tmp_path / "c.json")
        assert (read.costs, read.part, read.clock_mhz) == (costs, "part", 200.0)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"format": "x"}, "'format' must be"),
            ({"kernel": {}}, "key 'kernel' is not known"),
            ({"kernels": {"mack": {}}}, "key 'kernels.mack' is not known. Known: fetch"),
            (
                {"kernels": {"mac": {"depth": 0}}},
                "'kernels.mac.depth' must be a number from 1 to 10000, not 0",
            ),
            ({"kernels": {"mac": {"depth": 1.5}}}, "'kernels.mac.depth' must be whole"),
            ({"kernels": []}, "'kernels' must be an object"),
            (
                {"resource_factors": {"engine": {"lut": -1}}},
                "'resource_factors.engine.lut' must be a number from 0",
            ),
        ],
    )
    def test_wrong(self, tmp_path: Path, change: dict[str, object], message: str) -> None:
        (tmp_path / "c.json").write_text(json.dumps({"format": "intarsia measured costs 1", **change}))
        with pytest.raises(CostFileError, match=re.escape(message)):
            read_costs(tmp_path / "c.json")

    def test_partial_file_keeps_the_rest_as_assumed(self, tmp_path: Path) -> None:
        (tmp_path / "c.json").write_text(
            json.dumps({"format": "intarsia measured costs 1", "kernels": {"mac": {"depth": 9}}})
        )
        pipelines = read_costs(tmp_path / "c.json").costs.pipelines
        assert pipelines == {**ASSUMED.pipelines, "mac": Pipeline(9, 1)}


def test_interval_in_the_cost_model() -> None:
    stage = Stage.passing("mac", 100)
    inputs = [Flow(np.array([1.0, 100.0]), np.array([0.0, 99.0]), 99.0)]
    once = through(stage, inputs)
    with using(Costs({**ASSUMED.pipelines, "mac": Pipeline(12, 3)})):
        thrice = through(stage, inputs)
    assert thrice.end - once.end == 198  # two more cycles for each iteration after the first
    assert through(stage, inputs).end == once.end
