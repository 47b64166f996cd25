"""The files of a project that are for people and vendor tools: README, Makefile, scripts for Vitis HLS, Vivado, v++."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from itertools import cycle
from types import MappingProxyType
from typing import Any

from ..board import Port, ProcessingSystem
from ..design import Design
from ..emit import argument_words
from ..fixed_point import FixedPoint
from ..rendering import render
from .manifest import instance_name

CONTROL_RANGE = 0x1_0000
"""Bytes of the address map that the control registers get."""

_IP = MappingProxyType(
    {"vendor": "xilinx.com", "library": "hls", "version": "1.0"}
)  # what Vitis HLS itself would take

_RESOURCES = MappingProxyType(
    {"dsp": "DSP", "bram18": "BRAM (18 Kb)", "uram": "URAM", "lut": "LUT", "ff": "FF"}
)

_TEST_DATA = ("weights.bin", "tb/inputs.bin", "tb/expected.bin")


def vendor_files(design: Design, generated: str) -> dict[str, str]:
    """Text of the files, by path in the project.

    Args:
        design: the design.
        generated: the line that says what made the files.
    """
    board = design.board
    family = board.about_family
    context = {
        "design": design.name,
        "generated": generated,
        "board": board,
        "family": family,
        "part": board.part,
        "ip": _IP,
        "cflags": "-std=c++14 -I../src",
        "test_data": _TEST_DATA,
        "clock_mhz": f"{design.clock_mhz:g}",
        "period_ns": f"{1000 / design.clock_mhz:.6g}",
        "uncertainty": f"{board.clock_uncertainty_percent:g}%",
        "description": f"{design.name} for {board.title}",
        "system": f"{design.name}_system",
        "instance": instance_name(design.name),
        "binary": f"{design.name}.{'bit' if family.flow == 'vivado' else 'xclbin'}",
    }
    files = _vivado_files if family.flow == "vivado" else _xrt_files
    return {
        "README.md": render("project_readme.md.j2", context | _readme(design)),
        "vitis/hls_config.cfg": render("hls_config.cfg.j2", context),
        "vitis/run_hls.tcl": render("run_hls.tcl.j2", context),
        "deploy/example.py": render("example.py.j2", context),
        **files(design, context),
    }


def _vivado_files(design: Design, context: Mapping[str, Any]) -> dict[str, str]:
    return {
        "Makefile": render("project_makefile.j2", context),
        "vivado/build.tcl": render("vivado_build.tcl.j2", context),
        "vivado/block_design.tcl": render("vivado_block_design.tcl.j2", {**context, **_block_design(design)}),
    }


def _xrt_files(design: Design, context: Mapping[str, Any]) -> dict[str, str]:
    board = design.board
    assert board.xrt is not None and board.about_family.xrt is not None
    places = list(zip(argument_words(design.machine), cycle(board.xrt.banks), strict=False))
    more = {
        "platform": board.xrt.platform,
        "linked": board.about_family.xrt.linked,
        "places": places,
        "clock_hz": round(design.clock_mhz * 1e6),
    }
    return {
        "Makefile": render("xrt_makefile.j2", {**context, **more}),
        "link/link.cfg": render("xrt_link.cfg.j2", {**context, **more}),
    }


def _block_design(design: Design) -> dict[str, Any]:
    """Cells, pins and links of the block design.

    One SmartConnect for each port of the processing system that is used; the m_axi bundles are dealt out in turn.
    """
    board = design.board
    system = board.about_family.ps
    assert system is not None
    ps = f"{system.cell}_0"
    instance = instance_name(design.name)
    masters = [f"m_axi_gmem_{name}" for name in argument_words(design.machine)]
    used = system.hp[: min(board.memory.ports, len(masters))]
    ports = [
        {"name": port.name, "bus": f"memory_bus_{index}", "masters": masters[index :: len(used)]}
        for index, port in enumerate(used)
    ]
    buses = ["control_bus", *(str(port["bus"]) for port in ports)]
    clocked = [system.control, *used]
    links = [
        (f"{ps}/{system.control.name}", "control_bus/S00_AXI"),
        ("control_bus/M00_AXI", f"{instance}/s_axi_control"),
    ]
    for port in ports:
        links += [
            (f"{instance}/{master}", f"{port['bus']}/S{slot:02}_AXI")
            for slot, master in enumerate(port["masters"])
        ]
        links.append((f"{port['bus']}/M00_AXI", f"{ps}/{port['name']}"))
    return {
        "ps": ps,
        "ports": ports,
        "system_ps": system,
        "properties": _properties(system, used, design.clock_mhz),
        "clock_pins": [
            *(f"{ps}/{port.clock}" for port in clocked),
            "ps_reset/slowest_sync_clk",
            f"{instance}/ap_clk",
            *(f"{bus}/aclk" for bus in buses),
        ],
        "reset_pins": [f"{instance}/ap_rst_n", *(f"{bus}/aresetn" for bus in buses)],
        "links": links,
        "control_base": f"{system.control_base:#010x}",
        "control_range": f"{CONTROL_RANGE:#x}",
    }


def _properties(system: ProcessingSystem, used: tuple[Port, ...], clock_mhz: float) -> list[tuple[str, str]]:
    """Settings of the processing system: its clock, and which of its ports are switched on or off."""
    return [
        *((name, "1") for name in system.on),
        (system.clock_property, f"{clock_mhz:g}"),
        *((name, "0") for name in system.off),
        (system.control.enable, "1"),
        *((port.enable, "1") for port in used),
    ]


def _readme(design: Design) -> dict[str, Any]:
    return {
        "figures": _figures(design),
        "notes": design.notes,
        "inputs": [_input(design, name) for name in design.graph.inputs],
    }


def _input(design: Design, name: str) -> str:
    tensor = design.graph.tensors[name]
    shape = " x ".join(str(size) for size in ("samples", *tensor.shape[1:]))
    sign = "signed" if tensor.number.signed else "unsigned"
    return f"`{name}` ({shape}, {tensor.number.bits}-bit {sign}, {_scale(tensor.number)})"


def _scale(number: FixedPoint) -> str:
    if number.mantissa == 1 and not number.zero:
        return f"scale 2^{number.exponent}"
    return f"scale {number.scale:.6g}, zero point {number.zero}"


def _figures(design: Design) -> list[tuple[str, str]]:
    """Rows of the README's table: label and text."""
    about = design.description
    schedule = about["schedule"]
    cycles = schedule["latency_cycles"]
    interval, batch = schedule["interval_cycles"], schedule["batch"]
    rate = f"{interval:,} cycles each = {design.clock_mhz * 1e6 / interval:,.0f} samples per second"
    baselines = ", ".join(
        f"{kind} {f'{value:,}' if value is not None else 'impossible'}"
        for kind, value in schedule["baselines"].items()
    )
    have = asdict(design.board.resources)
    need = about["resources"]
    return [
        ("size", f"{about['macs']:,} multiply-accumulates in {len(about['tasks'])} tasks"),
        ("schedule", f"{schedule['kind']}, {len(schedule['phases'])} phase(s)"),
        (
            "one sample",
            f"{cycles:,} cycles = {cycles / design.clock_mhz:,.1f} us at {design.clock_mhz:g} MHz",
        ),
        *([(f"launches of {batch}", rate)] if batch > 1 else []),
        ("lower bound", f"{schedule['lower_bound_cycles']:,} cycles"),
        ("pure schedules", f"{baselines} cycles"),
        *((label, f"{need[key]:,} of {have[key]:,}") for key, label in _RESOURCES.items() if have[key]),
        ("off-chip traffic", f"{about['off_chip_bytes']:,} bytes for each sample"),
    ]
