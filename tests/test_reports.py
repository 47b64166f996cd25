"""Vendor reports: excerpts of real ones (tests/vendor_reports), Vivado's by hand, and a synthetic csynth.xml of a design."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from typer.testing import CliRunner

from intarsia.__main__ import app
from intarsia.board import Resources
from intarsia.cost import ASSUMED, Costs, Flow, Pipeline, through, using
from intarsia.cost_file import CostFileError, MeasuredCosts, read_costs, write_costs
from intarsia.machine.stage import Stage
from intarsia.vendor_reports import read_reports
from intarsia.vendor_reports.comparison import compare
from intarsia.vendor_reports.csynth import read_csynth
from intarsia.vendor_reports.expectation import read_expectation
from intarsia.vendor_reports.report_error import ReportError

EXCERPTS = Path(__file__).parent / "vendor_reports"
WHOLE = Path(__file__).parents[2] / "shared" / "data" / "vitis_reports"
DESIGNS = (
    "cnns_opt1_ResidualBlock",
    "cnns_opt5_DepthwiseSeparableConvBlock",
    "transformers_opt1_FeedForward",
)


class TestSynthesisReport:
    def test_whole_design(self) -> None:
        (report,) = read_reports(EXCERPTS / "transformers_opt1_FeedForward").syntheses
        assert (report.version, report.part, report.top) == ("2023.2", "xcu280-fsvh2892-2L-e", "forward")
        assert (report.target_ns, report.uncertainty_ns, report.whole.clock_ns) == (3.33, 0.9, 2.697)
        assert (report.whole.worst_latency, report.whole.interval) == (67141684, 67108877)
        assert report.whole.resources == Resources(dsp=10, bram18=1157, uram=0, lut=4732, ff=4119)
        assert report.available == Resources(dsp=9024, bram18=4032, uram=960, lut=1303680, ff=2607360)
        assert report.fifos["v87_U"] == 65536

    def test_function_with_its_loop_and_memories(self) -> None:
        (report,) = read_reports(EXCERPTS / "transformers_opt1_FeedForward").syntheses
        node = next(module for module in report.modules if module.name == "node5")
        assert (node.best_latency, node.interval) == (67108876, 67108876)
        assert node.resources == Resources(dsp=3, bram18=448, uram=0, lut=1256, ff=1070)
        (loop,) = node.loops
        assert (loop.name, loop.trip_count, loop.latency) == ("loop11_loop12_loop13", 16777216, 67108874)
        assert (loop.interval, loop.depth) == (4, 15)
        sizes = {(s.variable, s.width, s.depth, s.copies, s.bram18) for s in node.storages}
        assert ("v51", 32, 131072, 1, 256) in sizes

    def test_hierarchy(self) -> None:
        (report,) = read_reports(EXCERPTS / "cnns_opt1_ResidualBlock").syntheses
        inner = "Loop_loop0_proc_Pipeline_loop0_loop1_loop2"
        assert report.within("Loop_loop0_proc") == {
            "Loop_loop0_proc",
            inner,
            inner.replace("0_loop1_loop2", "3_loop4_loop5"),
        }
        assert report.within("forward") == {module.name for module in report.modules}

    def test_report_of_one_function_says_the_same(self) -> None:
        reports = read_reports(EXCERPTS / "cnns_opt1_ResidualBlock")
        of_design = {module.name: module for module in reports.syntheses[0].modules}
        assert len(reports.functions) == 3
        for report in reports.functions:
            same = of_design[report.top]
            assert report.whole.loops == same.loops
            assert (report.whole.resources, report.whole.worst_latency) == (
                same.resources,
                same.worst_latency,
            )

    @pytest.mark.parametrize("design", DESIGNS)
    def test_every_figure_equals_the_file(self, design: str) -> None:
        """All latencies, loops and resources, against the file's text taken apart by expressions."""
        whole = WHOLE / f"{design}__csynth.xml"
        path = whole if whole.exists() else EXCERPTS / design / "csynth.xml"
        text = path.read_text()
        folder = path.parent if path.parent.name == design else EXCERPTS / design
        (report,) = read_reports(folder).syntheses
        blocks = re.findall(r"<Module>\s*<Name>.*?</Module>", text, re.DOTALL)
        assert len(blocks) == len(report.modules) > 5
        for block, module in zip(blocks, report.modules, strict=True):
            figures = {tag: int(v) for tag, v in re.findall(r"<([\w-]+)>(\d+)</\1>", block)}
            assert figures["Worst-caseLatency"] == module.worst_latency
            assert figures["Best-caseLatency"] == module.best_latency
            assert [figures[k] for k in ("DSP", "BRAM_18K", "URAM", "LUT", "FF")] == [
                getattr(module.resources, k) for k in ("dsp", "bram18", "uram", "lut", "ff")
            ]
            loops = [loop for nest in module.loops for loop in nest.pipelines()]
            for tag, got in (
                ("TripCount", [loop.trip_count for loop in loops]),
                ("PipelineII", [loop.interval for loop in loops]),
                ("PipelineDepth", [loop.depth for loop in loops]),
            ):
                assert [int(v) for v in re.findall(rf"<{tag}>(\d+)<", block)] == got

    @pytest.mark.skipif(not WHOLE.exists(), reason="the unshortened reports are not here")
    @pytest.mark.parametrize("design", DESIGNS)
    def test_shortening_changed_no_figure(self, design: str) -> None:
        (short,) = read_reports(EXCERPTS / design).syntheses
        whole = read_csynth(WHOLE / f"{design}__csynth.xml")
        assert [replace(m, storages=()) for m in short.modules] == [
            replace(m, storages=()) for m in whole.modules
        ]
        assert (short.calls, short.available) == (whole.calls, whole.available)

    def test_figures_that_the_tool_does_not_know(self, tmp_path: Path) -> None:
        text = (EXCERPTS / "cnns_opt1_ResidualBlock" / "csynth.xml").read_text()
        text = re.sub(r"(<Worst-caseLatency>|<TripCount>)\d+", r"\1undef", text).replace(">53829<", ">?<")
        (tmp_path / "csynth.xml").write_text(text)
        (report,) = read_reports(tmp_path).syntheses
        assert report.whole.worst_latency is None
        assert all(loop.trip_count is None for module in report.modules for loop in module.loops)


class TestCosimReport:
    @pytest.mark.parametrize(
        ("design", "cycles"),
        list(
            zip((*DESIGNS, "transformers_opt5_FeedForward"), (57906819, 134541, 67276842, 65997), strict=True)
        ),
    )
    def test_latency(self, design: str, cycles: int) -> None:
        (report,) = read_reports(EXCERPTS / design).cosims
        assert (report.top, report.language, report.passed) == ("forward", "Verilog", True)
        assert report.latency == (cycles, cycles, cycles)
        assert report.interval == (None, None, None)
        assert report.total == cycles

    def test_nothing_simulated(self, tmp_path: Path) -> None:
        text = (EXCERPTS / "transformers_opt5_FeedForward" / "forward_cosim.rpt").read_text()
        (tmp_path / "forward_cosim.rpt").write_text(text.replace("      Pass", "        NA"))
        with pytest.raises(ReportError, match="no RTL was simulated"):
            read_reports(tmp_path)


class TestVivado:
    """On samples made by hand after the documented format: no report of a real run was at hand."""

    def test_utilisation(self) -> None:
        (report,) = read_reports(EXCERPTS / "vivado_by_hand").utilisations
        assert (report.design, report.device, report.state) == (
            "by_hand_wrapper",
            "xck26-sfvc784-2LV-c",
            "Routed",
        )
        assert report.used == Resources(dsp=512, bram18=73, uram=2, lut=30123, ff=41234)
        assert report.available == Resources(dsp=1248, bram18=288, uram=64, lut=117120, ff=234240)

    def test_older_columns_and_no_uram(self, tmp_path: Path) -> None:
        text = (EXCERPTS / "vivado_by_hand" / "utilization.rpt").read_text()
        text = re.sub(r"\| Prohibited (?=\|)|\|          0 (?=\|)|\|            (?=\|)", "", text)
        text = (
            re.sub(r"\| URAM .*\n", "", text)
            .replace("CLB LUTs  ", "Slice LUTs*")
            .replace("CLB Reg", "Slice Reg")
        )
        assert "Prohibited" not in text
        (tmp_path / "utilization.rpt").write_text(text)
        (report,) = read_reports(tmp_path).utilisations
        assert report.used == Resources(dsp=512, bram18=73, uram=0, lut=30123, ff=41234)

    def test_missing_row(self, tmp_path: Path) -> None:
        text = (EXCERPTS / "vivado_by_hand" / "utilization.rpt").read_text()
        (tmp_path / "utilization.rpt").write_text(text.replace("| DSPs ", "| Else "))
        with pytest.raises(ReportError, match=r"utilization.rpt: no row 'DSPs'"):
            read_reports(tmp_path)

    def test_timing(self) -> None:
        (report,) = read_reports(EXCERPTS / "vivado_by_hand").timings
        assert (report.worst_setup, report.total_setup, report.worst_hold) == (0.214, 0.0, 0.011)
        assert report.clocks == {"clk_pl_0": 5.0}
        assert report.met

    @pytest.mark.parametrize(("old", "new"), [("  0.214", " -0.214"), ("0.011", "-0.01"), ("0.214", "   NA")])
    def test_timing_not_met(self, tmp_path: Path, old: str, new: str) -> None:
        text = (EXCERPTS / "vivado_by_hand" / "timing_summary.rpt").read_text()
        (tmp_path / "timing.rpt").write_text(text.replace(old, new))
        assert not read_reports(tmp_path).timings[0].met


class TestWrongDirectories:
    def test_empty(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("nothing")
        with pytest.raises(ReportError, match=r"holds no vendor report among 1 files. Wanted: csynth.xml"):
            read_reports(tmp_path)

    def test_file(self, tmp_path: Path) -> None:
        (tmp_path / "x").touch()
        with pytest.raises(ReportError, match="is no directory"):
            read_reports(tmp_path / "x")

    def test_cut_short(self, tmp_path: Path) -> None:
        text = (EXCERPTS / "cnns_opt1_ResidualBlock" / "csynth.xml").read_text()
        (tmp_path / "csynth.xml").write_text(text[: len(text) // 2])
        with pytest.raises(ReportError, match=r"csynth.xml: not valid XML: .* cut short"):
            read_reports(tmp_path)

    def test_no_resources(self, tmp_path: Path) -> None:
        text = (EXCERPTS / "cnns_opt1_ResidualBlock" / "csynth.xml").read_text()
        (tmp_path / "csynth.xml").write_text(text.replace("<DSP>", "<X>").replace("</DSP>", "</X>"))
        with pytest.raises(ReportError, match=r"csynth.xml: \w+ has no DSP"):
            read_reports(tmp_path)


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
