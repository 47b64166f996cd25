"""The files for vendor tools: all that can be said about them without those tools."""

import dataclasses
import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import vendor_check
import vendor_tools
from vendor_check import HLS_COMMANDS, VIVADO_COMMANDS
from vendor_designs import BOARDS, VIVADO, findings, needs_tclsh, options_of, small_design, write

from intarsia.boards import emulated_overlay
from intarsia.project import testbench
from intarsia.project.manifest import deployment, manifest
from intarsia.project.vendor_files import CONTROL_RANGE, vendor_files


@needs_tclsh
class TestProject:
    @pytest.mark.parametrize("kind", ["dataflow", "sequential"])
    @pytest.mark.parametrize("board", BOARDS)
    def test_nothing_is_unknown(self, board: str, kind: str, tmp_path: Path) -> None:
        design = small_design(board, kind)
        assert findings(write(design, tmp_path), design) == []

    def test_the_bundled_model(self, compiled_lenet: Path, tmp_path: Path) -> None:
        """A whole project as `intarsia compile` writes it, with all its kernels."""
        project = tmp_path / "lenet"
        shutil.copytree(compiled_lenet, project)
        found = vendor_check.check_config(project / "vitis/hls_config.cfg")
        for source in sorted((project / "src").rglob("*.[ch]pp")):
            found += vendor_check.check_pragmas(source.read_text(), source.name)
        for script, table in (("vitis/run_hls.tcl", HLS_COMMANDS), ("vivado/build.tcl", VIVADO_COMMANDS)):
            calls, error = vendor_check.run_tcl(project / script)
            found += vendor_check.check_calls(calls, table, script)
            found += [error] if error else []
        assert found == []
        pins = vendor_check.kernel_pins((project / "src/top.cpp").read_text())
        linked = {word for call in calls if call.command == "connect_bd_intf_net" for word in call.words}
        name = json.loads((project / "deploy/manifest.json").read_text())["instance"]
        assert {f"{name}/{pin}" for pin in pins.interfaces} <= linked

    @pytest.mark.parametrize("board", VIVADO)
    def test_the_results_are_collected(self, board: str, tmp_path: Path) -> None:
        design = small_design(board)
        assert findings(write(design, tmp_path), design) == []
        results = {path.name for path in (tmp_path / "deploy").iterdir()} - {"manifest.json", "example.py"}
        assert results == {"small.bit", "small.hwh", "small_timing.rpt", "small_utilisation.rpt"}

    def test_scripts_run_from_any_folder_and_with_spaces_in_the_path(self, tmp_path: Path) -> None:
        design = small_design("kv260")
        project = write(design, tmp_path / "a [strange] folder")
        assert findings(project, design) == []
        assert (project / "deploy/small.hwh").exists()

    @pytest.mark.parametrize("ports", [1, 2, 3])
    def test_a_board_with_few_ports_shares_them(self, ports: int, tmp_path: Path) -> None:
        design = small_design("kv260", ports=ports)
        assert findings(write(design, tmp_path), design) == []

    @pytest.mark.parametrize("board", VIVADO)
    def test_what_the_manifest_and_the_emulated_board_rely_on(self, board: str, tmp_path: Path) -> None:
        design = small_design(board)
        project = write(design, tmp_path)
        about = manifest(design.machine, design.graph, board=board, clock_mhz=design.clock_mhz, files={})
        about |= deployment(design)
        ps = design.board.about_family.ps
        assert ps is not None
        vendor_check.run_tcl(project / "vitis/run_hls.tcl")
        calls, _ = vendor_check.run_tcl(project / "vivado/build.tcl")
        cells = {call.words[-1]: call.words for call in calls if call.command == "create_bd_cell"}
        assert about["instance"] in cells
        handoff = emulated_overlay.hwh(about)
        assert f'VLNV="{cells[about["instance"]][3]}"' in handoff
        pins = vendor_check.kernel_pins((project / "src/top.cpp").read_text())
        assert pins.interfaces == {
            "s_axi_control",
            *(f"m_axi_{argument['bundle']}" for argument in about["arguments"] if "bundle" in argument),
        }
        control = options_of(calls, "assign_bd_address")[0]
        assert int(control.options["offset"], 0) == ps.control_base == about["control_base"]
        assert int(control.options["range"], 0) == CONTROL_RANGE == emulated_overlay.CONTROL_RANGE
        assert control.places == [f"{about['instance']}/s_axi_control/Reg"]
        dicts = [o.options["dict"] for o in options_of(calls, "set_property") if "dict" in o.options]
        assert f"CONFIG.{ps.clock_property} {design.clock_mhz:g}" in dicts[0]

    def test_both_hls_flows_say_the_same(self, tmp_path: Path) -> None:
        project = write(small_design("pynq-z2"), tmp_path)
        lines = (project / "vitis/hls_config.cfg").read_text().splitlines()
        config = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
        calls, _ = vendor_check.run_tcl(project / "vitis/run_hls.tcl", {"STEPS": "csim csynth cosim export"})
        assert options_of(calls, "set_part")[0].places == [config["part"]]
        assert options_of(calls, "create_clock")[0].options["period"] + "ns" == config["clock"] == "10ns"
        assert options_of(calls, "set_clock_uncertainty")[0].places == ["27%", "default"]
        assert config["clock_uncertainty"] == "27%"
        assert options_of(calls, "config_interface")[0].options == {"m_axi_addr64": "true"}
        assert config["syn.interface.m_axi_addr64"] == "true"
        export = options_of(calls, "export_design")[0].options
        assert {
            f"package.ip.{key}": export[key] for key in ("vendor", "library", "version")
        }.items() <= config.items()
        assert export["ipname"] == config["package.ip.name"] == config["syn.top"]
        assert [call.command for call in calls][-4:] == [
            "csim_design",
            "csynth_design",
            "cosim_design",
            "export_design",
        ]

    def test_the_testbench_finds_the_project_from_where_it_runs(self, tmp_path: Path) -> None:
        project = write(small_design("kv260"), tmp_path)
        text = (project / "vitis/hls_config.cfg").read_text()
        for key, place in (("csim", "csim/build"), ("cosim", "sim/wrapc")):
            up = re.search(rf"^{key}\.argv=(.*)$", text, re.MULTILINE)
            assert up is not None
            where = project / "vitis/component/hls" / place
            assert Path(os.path.normpath(where / up[1])) == project


@needs_tclsh
class TestFailures:
    """What the scripts do when something is wrong."""

    @pytest.fixture
    def project(self, tmp_path: Path) -> Path:
        return write(small_design("kv260"), tmp_path)

    @pytest.mark.parametrize("slack", ["-0.001", ""])
    def test_missed_timing_is_an_error_and_nothing_is_deployed(self, project: Path, slack: str) -> None:
        vendor_check.run_tcl(project / "vitis/run_hls.tcl")
        _, error = vendor_check.run_tcl(project / "vivado/build.tcl", {"WNS": slack})
        assert "timing is not met" in error
        assert not (project / "deploy/small.bit").exists()

    def test_no_packaged_ip(self, project: Path) -> None:
        calls, error = vendor_check.run_tcl(project / "vivado/build.tcl")
        assert "make hls" in error
        assert calls == []

    def test_unknown_step(self, project: Path) -> None:
        assert "unknown step" in vendor_check.run_tcl(project / "vitis/run_hls.tcl", {"STEPS": "csimm"})[1]


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
class TestMakefile:
    def run(self, project: Path, target: str, **variables: str) -> subprocess.CompletedProcess[str]:
        words = ["make", target, *(f"{key}={value}" for key, value in variables.items())]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
        return subprocess.run(
            words, cwd=project, env=environment, capture_output=True, text=True, check=False
        )

    @pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not installed")
    def test_csim_passes_without_vendor_tools(self, tmp_path: Path) -> None:
        design = dataclasses.replace(small_design("kv260"), samples={"x": np.zeros((2, 1, 1, 8, 8))})
        project = write(design, tmp_path)
        about = manifest(design.machine, design.graph, board="kv260", clock_mhz=200, files={})
        for path, data in testbench.testbench_files(design, about, "by a test").items():
            (project / path).write_bytes(data)
        (project / "weights.bin").write_bytes(design.machine.weights)
        done = self.run(project, "csim")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "PASSED" in done.stdout
        expected = bytearray((project / "tb/expected.bin").read_bytes())
        expected[0] ^= 1
        (project / "tb/expected.bin").write_bytes(expected)
        done = self.run(project, "csim")
        assert done.returncode != 0, "a testbench that passes whatever comes out proves nothing"
        assert "FAILED: 3 of 4 vectors agree" in done.stdout

    @needs_tclsh
    @pytest.mark.parametrize("board", BOARDS)
    def test_one_make_runs_all(self, board: str, tmp_path: Path) -> None:
        design = small_design(board)
        project = write(design, tmp_path / "project")
        tools = vendor_tools.install(tmp_path / "bin") | {"CXX": "true"}
        (project / "tb/Makefile").write_text("run:\n\t@true\n")
        platform = {} if design.board.family != "versal" else {"PLATFORM": "mine.xpfm"}
        done = self.run(project, "all", **tools, **platform)
        assert done.returncode == 0, done.stdout + done.stderr
        deploy = project / "deploy"
        results = ["small.bit", "small.hwh"] if design.board.about_family.ps else ["small.xclbin"]
        sums = dict(reversed(line.split("  ")) for line in (deploy / "SHA256SUMS").read_text().splitlines())
        assert sums == {
            name: hashlib.sha256((deploy / name).read_bytes()).hexdigest()
            for name in [*results, "manifest.json"]
        }

    def test_a_board_without_a_platform_wants_one(self, tmp_path: Path) -> None:
        project = write(small_design("vpk180"), tmp_path)
        (project / "link/small.xo").touch()
        done = self.run(project, "xclbin", VPP="true", XCLBINUTIL="true")
        assert done.returncode != 0
        assert "error: name the Vitis platform: make PLATFORM=" in done.stderr

    @pytest.mark.parametrize(
        ("target", "missing"),
        [
            ("csim", "CXX"),
            ("hls", "VPP"),
            ("hls", "VITIS_RUN"),
            ("cosim", "VITIS_RUN"),
            ("bitstream", "VIVADO"),
        ],
    )
    def test_a_missing_tool_is_named(self, target: str, missing: str, tmp_path: Path) -> None:
        project = write(small_design("kv260"), tmp_path)
        tools = {"CXX": "true", "VPP": "true", "VITIS_RUN": "true", "VIVADO": "true", missing: "no-such-tool"}
        if target in ("cosim", "bitstream"):
            (project / "vitis/component/hls/impl/ip").mkdir(parents=True)
            (project / "vitis/component/hls/impl/ip/component.xml").touch()
        done = self.run(project, target, **tools)
        assert done.returncode != 0
        assert "error: no-such-tool is missing: install" in done.stderr

    def test_neither_hls_tool_for_tcl(self, tmp_path: Path) -> None:
        project = write(small_design("kv260"), tmp_path)
        done = self.run(project, "hls-tcl", VITIS_RUN="no-such-tool", VITIS_HLS="nor-this")
        assert done.returncode != 0
        assert "no-such-tool and nor-this are missing" in done.stderr


class TestReadme:
    @pytest.mark.parametrize("board", BOARDS)
    def test_it_says_what_holds_for_this_design(self, board: str) -> None:
        design = small_design(board)
        text = vendor_files(design, "Generated by a test.")["README.md"]
        assert f"{sum(design.phase_cycles):,} cycles" in text
        assert "has been synthesised" in text
        assert design.board.part in text
        assert ("PYNQ_REMOTE_DEVICES" in text) == design.board.about_family.remote
        assert design.board.about_family.note in text
        assert all(note in text for note in design.notes)
        assert re.findall(r"^## (.*)$", text, re.MULTILINE) == [
            "Check it without vendor tools",
            "Synthesise",
            "Build the bitstream" if design.board.about_family.ps else "Build the .xclbin",
            "Run on the board",
            "Files",
            "What was tried, and what was not",
        ]


class TestPragmas:
    @pytest.mark.parametrize(
        "text",
        [
            "#pragma HLS PIPELINE II = 1",
            "#pragma HLS pipeline II=2 rewind style=frp",
            "  #pragma HLS ALLOCATION function instances = ns::f limit = 1",
            "#pragma HLS INTERFACE mode=axis port=x register",
            "#pragma HLS UNROLL factor = kFactor",
            "#pragma HLS DEPENDENCE variable = a type = inter dependent = false",
            "#pragma once",
        ],
    )
    def test_good(self, text: str) -> None:
        assert vendor_check.check_pragmas(text, "f") == []

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("#pragma HLS STREAM depth=2", "variable is missing"),
            ("#pragma HLS PIPELINE II", "needs a value"),
            ("#pragma HLS INLINE off=1", "takes no value"),
            ("#pragma HLS UNROLL factor=-1", "must be a number"),
            ("#pragma HLS PIPELINE II=1 II=2", "given twice"),
            ("#pragma HLS INTERFACE mode=s_axilite port=x depth=3", "there is no option depth"),
            ("#pragma HLS PIPELINE -style=frp", "there is no option -style"),
        ],
    )
    def test_bad(self, text: str, expected: str) -> None:
        found = vendor_check.check_pragmas(text, "f")
        assert len(found) == 1
        assert expected in found[0]
