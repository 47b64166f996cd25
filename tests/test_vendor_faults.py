"""Faults put into vendor files, which the checks must find."""

from pathlib import Path

import pytest
from vendor_designs import findings, needs_tclsh, replace, small_design, write

FAULTS = [
    ("vitis/run_hls.tcl", "csynth_design", "csynth_desing", "unknown command csynth_desing"),
    ("vitis/run_hls.tcl", "../tb/inputs.bin", "../tb/input.bin", "there is no file ../tb/input.bin"),
    ("vitis/run_hls.tcl", "-flow_target", "-flow_targets", "open_solution has no option -flow_targets"),
    ("vitis/run_hls.tcl", "-I../src", "-I../sources", "there is no folder ../sources"),
    ("vivado/build.tcl", "wait_on_run ", "wait_on_rum ", "unknown command wait_on_rum"),
    ("vivado/build.tcl", "-to_step", "-until_step", "launch_runs has no option -until_step"),
    ("vivado/build.tcl", "block_design.tcl", "blockdesign.tcl", "blockdesign.tcl"),
    ("vivado/build.tcl", "hw_handoff", "hw_handof", "no files matched"),
    ("vivado/block_design.tcl", "ap_rst_n", "ap_rst", "there is no pin small_0/ap_rst"),
    (
        "vivado/block_design.tcl",
        "memory_bus_1/S00_AXI",
        "memory_bus_1/S01_AXI",
        "no pin memory_bus_1/S01_AXI",
    ),
    (
        "vivado/block_design.tcl",
        "memory_bus_2/M00_AXI",
        "memory_bus_1/M00_AXI",
        "pin memory_bus_2/M00_AXI is open",
    ),
    (
        "vivado/block_design.tcl",
        "small_0/m_axi_gmem_taps]",
        "small_0/m_axi_taps]",
        "no pin small_0/m_axi_taps",
    ),
    ("vivado/block_design.tcl", ":smartconnect control_bus", ":smartconnect bus", "control_bus"),
    ("vitis/hls_config.cfg", "syn.top=", "syn.tops=", "unknown key syn.tops"),
    ("vitis/hls_config.cfg", "../src/top.cpp", "../src/tops.cpp", "there is no file ../src/tops.cpp"),
    ("vitis/hls_config.cfg", "ip_catalog", "ip_catalogue", "package.output.format must be one of"),
    ("vitis/hls_config.cfg", "[hls]", "[hls]\npart=xc7", "part must stand before [hls]"),
    ("src/top.cpp", "HLS DATAFLOW", "HLS DATAFLOWS", "unknown pragma dataflows"),
    ("src/top.cpp", "mode = m_axi", "mode = axi_m", "interface with an unknown mode"),
    ("src/top.cpp", "offset = slave", "offsets = slave", "interface: there is no option offsets"),
    ("src/intarsia/window.hpp", "PIPELINE II = 1", "PIPELINE I = 1", "pipeline: there is no option i"),
    ("src/intarsia/window.hpp", "type = complete", "type = full", "type must be one of"),
]


@needs_tclsh
@pytest.mark.parametrize(
    ("path", "old", "new", "expected"), FAULTS, ids=[fault[2].strip() for fault in FAULTS]
)
def test_seeded_faults_are_found(path: str, old: str, new: str, expected: str, tmp_path: Path) -> None:
    design = small_design("kv260")
    project = write(design, tmp_path)
    replace(project / path, old, new)
    assert any(expected in line for line in findings(project, design))


@needs_tclsh
@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("[connectivity]", "[connections]", "unknown section [connections]"),
        ("nk=small:1", "nk=smal:1", "there is no kernel smal"),
        ("sp=small_0.m_axi_gmem_input", "sp=small_1.m_axi_gmem_input", "there is no compute unit small_1"),
        ("gmem_weights:", "gmem_weight:", "no port m_axi_gmem_weight"),
        ("sp=small_0.m_axi_gmem_weights:DDR[2]\n", "", "no memory for m_axi_gmem_weights"),
        ("DDR[1]", "DDR1", "is not understood in [connectivity]"),
        ("freqHz", "freqMHz", "is not understood in [clock]"),
        ("300000000", "300MHz", "is not understood in [clock]"),
    ],
)
def test_seeded_faults_of_the_link_are_found(old: str, new: str, expected: str, tmp_path: Path) -> None:
    design = small_design("u250")
    project = write(design, tmp_path)
    replace(project / "link/link.cfg", old, new)
    assert any(expected in line for line in findings(project, design))
