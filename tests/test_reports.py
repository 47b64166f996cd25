"""Vendor reports as they are read: excerpts of real ones (tests/vendor_reports), and Vivado's by hand."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from vendor_excerpts import DESIGNS, EXCERPTS, WHOLE

from intarsia.board import Resources
from intarsia.vendor_reports import read_reports
from intarsia.vendor_reports.csynth import read_csynth
from intarsia.vendor_reports.report_error import ReportError


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
