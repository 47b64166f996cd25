"""The files of a project that are for people and vendor tools: README, Makefile, Vitis HLS and Vivado scripts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from .board import Board, Port
from .design import Design
from .emit import argument_words, render
from .fixed_point import FixedPoint

CONTROL_RANGE = 0x1_0000
"""Bytes of the address map that the control registers get."""

_IP = MappingProxyType(
    {"vendor": "xilinx.com", "library": "hls", "version": "1.0"}
)  # what Vitis HLS itself would take

_RESOURCES = MappingProxyType(
    {"dsp": "DSP", "bram18": "BRAM (18 Kb)", "uram": "URAM", "lut": "LUT", "ff": "FF"}
)

_TEST_DATA = ("weights.bin", "tb/inputs.bin", "tb/expected.bin")


@dataclass(frozen=True)
class _Family:
    """What differs between families beyond the names in the board file.

    `automation` configures Vivado's own rule for the processing system; `properties` are set on it as well.
    """

    automation: str
    properties: tuple[tuple[str, str], ...]
    login: str
    pynq: str
    remote: str


_FAMILIES: Mapping[str, _Family] = MappingProxyType(
    {
        "zynq-ultrascale+": _Family(
            automation='apply_board_preset "1"',
            properties=(("PSU__FPGA_PL0_ENABLE", "1"),),
            login="ubuntu",
            pynq="The board runs PYNQ 3.1 or 4.0. Images with another user than `ubuntu` exist: take the one of yours.",
            remote=(
                "With PYNQ 4.0 the same commands work on another computer, with `PYNQ_REMOTE_DEVICES=BOARD` in the\n"
                "environment; `intarsia verify . --board BOARD` compares every layer."
            ),
        ),
        "zynq-7000": _Family(
            automation='make_external "FIXED_IO, DDR" apply_board_preset "1" Master "Disable" Slave "Disable"',
            properties=(),
            login="xilinx",
            pynq="The board runs PYNQ 3.1: PYNQ 4.0 has dropped this family, so there is no remote use either.",
            remote="",
        ),
    }
)


def vendor_files(design: Design, generated: str) -> dict[str, str]:
    """Text of the files, by path in the project.

    Args:
        design: the design.
        generated: the line that says what made the files.
    """
    board = design.board
    context = {
        "design": design.name,
        "generated": generated,
        "board": board,
        "part": board.part,
        "ip": _IP,
        "cflags": "-std=c++14 -I../src",
        "test_data": _TEST_DATA,
        "clock_mhz": f"{design.clock_mhz:g}",
        "period_ns": f"{1000 / design.clock_mhz:.6g}",
        "description": f"{design.name} for {board.title}",
        "system": f"{design.name}_system",
    }
    return {
        "README.md": render("project_readme.md.j2", context | _readme(design)),
        "Makefile": render("project_makefile.j2", context),
        "vitis/hls_config.cfg": render("hls_config.cfg.j2", context),
        "vitis/run_hls.tcl": render("run_hls.tcl.j2", context),
        "vivado/build.tcl": render("vivado_build.tcl.j2", context),
        "vivado/block_design.tcl": render("vivado_block_design.tcl.j2", context | _block_design(design)),
    }


def _block_design(design: Design) -> dict[str, Any]:
    """Cells, pins and links of the block design.

    One SmartConnect for each port of the processing system that is used; the m_axi bundles are dealt out in turn.
    """
    board = design.board
    ps = f"{board.ps.cell}_0"
    instance = f"{design.name}_0"
    masters = [f"m_axi_gmem_{name}" for name in argument_words(design.machine)]
    used = board.ps.hp[: len(masters)]
    ports = [
        {"name": port.name, "bus": f"memory_bus_{index}", "masters": masters[index :: len(used)]}
        for index, port in enumerate(used)
    ]
    buses = ["control_bus", *(str(port["bus"]) for port in ports)]
    clocked = [board.ps.control, *used]
    links = [
        (f"{ps}/{board.ps.control.name}", "control_bus/S00_AXI"),
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
        "instance": instance,
        "ports": ports,
        "automation": _FAMILIES[board.family].automation,
        "properties": _properties(board, used, design.clock_mhz),
        "clock_pins": [
            *(f"{ps}/{port.clock}" for port in clocked),
            "ps_reset/slowest_sync_clk",
            f"{instance}/ap_clk",
            *(f"{bus}/aclk" for bus in buses),
        ],
        "reset_pins": [f"{instance}/ap_rst_n", *(f"{bus}/aresetn" for bus in buses)],
        "links": links,
        "control_base": f"{board.ps.control_base:#010x}",
        "control_range": f"{CONTROL_RANGE:#x}",
    }


def _properties(board: Board, used: tuple[Port, ...], clock_mhz: float) -> list[tuple[str, str]]:
    """Settings of the processing system: its clock, and which of its ports are switched on or off."""
    return [
        *_FAMILIES[board.family].properties,
        (board.ps.clock_property, f"{clock_mhz:g}"),
        *((name, "0") for name in board.ps.disable),
        (board.ps.control.enable, "1"),
        *((port.enable, "1") for port in used),
    ]


def _readme(design: Design) -> dict[str, Any]:
    board = design.board
    family = _FAMILIES[board.family]
    return {
        "figures": _figures(design),
        "notes": design.notes,
        "login": family.login,
        "pynq": family.pynq,
        "remote": family.remote,
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
        ("lower bound", f"{schedule['lower_bound_cycles']:,} cycles"),
        ("pure schedules", f"{baselines} cycles"),
        *((label, f"{need[key]:,} of {have[key]:,}") for key, label in _RESOURCES.items() if have[key]),
        ("off-chip traffic", f"{about['off_chip_bytes']:,} bytes for each sample"),
    ]
