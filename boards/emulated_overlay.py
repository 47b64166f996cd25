"""The bitstream and the hardware handoff of a design that nobody has synthesised, for the emulated board only.

The .bit file has a real Xilinx header, which PYNQ parses, but its body is a text that names the design. A real board
refuses it, and the emulated board refuses everything else. The .hwh has the processing system and the kernel
with the registers that the manifest predicts.
"""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

CONTROL_RANGE = 0x1_0000


def register_name(argument: str) -> str:
    """What Vitis HLS calls an argument in RTL and registers: words of Verilog get a suffix."""
    return f"{argument}_r" if argument in ("input", "output") else argument


def write_overlay(manifest: dict[str, Any], folder: Path) -> Path:
    """Writes `<name>.bit` and `<name>.hwh` for the emulated board.

    Args:
        manifest: The manifest of the design.
        folder: Where to write; not the deploy folder, lest somebody takes the file for a real bitstream.

    Returns:
        The path of the .bit file.
    """
    bit = folder / f"{manifest['name']}.bit"
    handoff = hwh(manifest)
    bit.with_suffix(".hwh").write_text(handoff, encoding="utf-8")
    bit.write_bytes(bitstream(manifest))
    return bit


def firmware(manifest: dict[str, Any]) -> bytes:
    """What a board that was given the emulated bitstream finds in /lib/firmware."""
    hardware = {
        key: manifest[key]
        for key in ("kernel", "instance", "board", "family", "clock_mhz", "arguments", "sha256")
    }
    digest = hashlib.sha256(json.dumps(hardware, sort_keys=True).encode()).hexdigest()
    text = f"intarsia emulated bitstream, not for hardware: {manifest['kernel']} {digest}".encode()
    return b"\xff" * 32 + b"\xaa\x99\x55\x66" + text + bytes(-len(text) % 4)


def bitstream(manifest: dict[str, Any]) -> bytes:
    """The .bit file: header fields a to e, then the firmware with the bytes of each word reversed."""
    body = firmware(manifest)
    words = struct.unpack(f">{len(body) // 4}I", body)
    fields = {
        b"a": f"{manifest['name']};EMULATED;Version=0",
        b"b": f"{manifest['board']}-emulated",
        b"c": "2000/01/01",
        b"d": "00:00:00",
    }
    header = struct.pack(">h", 9) + bytes.fromhex("0ff00ff00ff00ff000") + struct.pack(">h", 1)
    for key, value in fields.items():
        text = value.encode() + b"\0"
        header += key + struct.pack(">h", len(text)) + text
    return header + b"e" + struct.pack(">i", len(body)) + struct.pack(f"<{len(words)}I", *words)


def hwh(manifest: dict[str, Any]) -> str:
    """The hardware handoff: XML in the form that Vivado writes."""
    root = ElementTree.Element("EDKSYSTEM", EDWVERSION="1.2", VIVADOVERSION="intarsia emulated")
    ElementTree.SubElement(root, "SYSTEMINFO", NAME="intarsia", BOARD=manifest["board"])
    ElementTree.SubElement(root, "EXTERNALPORTS")
    ElementTree.SubElement(root, "EXTERNALINTERFACES")
    modules = ElementTree.SubElement(root, "MODULES")
    _processing_system(modules, manifest)
    _kernel(modules, manifest)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True)


def _module(modules: ElementTree.Element, name: str, kind: str, vlnv: str) -> ElementTree.Element:
    return ElementTree.SubElement(
        modules, "MODULE", FULLNAME=f"/{name}", INSTANCE=name, MODTYPE=kind, VLNV=vlnv, IS_ENABLE="1"
    )


def _interface(module: ElementTree.Element, name: str, kind: str) -> None:
    interfaces = module.find("BUSINTERFACES")
    if interfaces is None:
        interfaces = ElementTree.SubElement(module, "BUSINTERFACES")
    ElementTree.SubElement(
        interfaces, "BUSINTERFACE", NAME=name, TYPE=kind, VLNV="xilinx.com:interface:aximm:1.0"
    )


def _processing_system(modules: ElementTree.Element, manifest: dict[str, Any]) -> None:
    clock = float(manifest["clock_mhz"])
    if manifest["family"] == "zynq-7000":
        module = _module(
            modules, "processing_system7_0", "processing_system7", "xilinx.com:ip:processing_system7:5.5"
        )
        control = "M_AXI_GP0"
        parameters: dict[str, str | float] = {}
        for i in range(4):
            parameters[f"PCW_FPGA_FCLK{i}_ENABLE"] = int(i == 0)
            parameters[f"PCW_FCLK{i}_PERIPHERAL_DIVISOR0"] = max(1, round(1000 / clock))
            parameters[f"PCW_FCLK{i}_PERIPHERAL_DIVISOR1"] = 1
            parameters[f"PCW_FCLK{i}_PERIPHERAL_CLKSRC"] = "IO PLL"
        # pynq 4.0.0 knows only this name for the clock of any family, and fails without it.
        parameters["PSU__CRL_APB__PL0_REF_CTRL__ACT_FREQMHZ"] = clock
    else:
        module = _module(modules, "zynq_ultra_ps_e_0", "zynq_ultra_ps_e", "xilinx.com:ip:zynq_ultra_ps_e:3.5")
        control = "M_AXI_HPM0_FPD"
        parameters = {"C_MAXIGP0_DATA_WIDTH": 32, "C_SAXIGP2_DATA_WIDTH": 128}
        for i in range(4):
            parameters[f"PSU__FPGA_PL{i}_ENABLE"] = int(i == 0)
            parameters[f"PSU__CRL_APB__PL{i}_REF_CTRL__DIVISOR0"] = max(1, round(1500 / clock))
            parameters[f"PSU__CRL_APB__PL{i}_REF_CTRL__DIVISOR1"] = 1
            parameters[f"PSU__CRL_APB__PL{i}_REF_CTRL__SRCSEL"] = "IOPLL"
            parameters[f"PSU__CRL_APB__PL{i}_REF_CTRL__ACT_FREQMHZ"] = clock
    table = ElementTree.SubElement(module, "PARAMETERS")
    for name, value in parameters.items():
        ElementTree.SubElement(table, "PARAMETER", NAME=name, VALUE=str(value))
    _interface(module, control, "MASTER")
    base = manifest["control_base"]
    memory_map = ElementTree.SubElement(module, "MEMORYMAP")
    ElementTree.SubElement(
        memory_map,
        "MEMRANGE",
        ADDRESSBLOCK="Reg",
        BASEVALUE=f"{base:#010x}",
        HIGHVALUE=f"{base + CONTROL_RANGE - 1:#010x}",
        INSTANCE=manifest["instance"],
        MASTERBUSINTERFACE=control,
        MEMTYPE="REGISTER",
        SLAVEBUSINTERFACE="s_axi_control",
    )


def _kernel(modules: ElementTree.Element, manifest: dict[str, Any]) -> None:
    kernel = manifest["kernel"]
    module = _module(modules, manifest["instance"], kernel, f"xilinx.com:hls:{kernel}:1.0")
    blocks = ElementTree.SubElement(module, "ADDRESSBLOCKS")
    block = ElementTree.SubElement(
        blocks,
        "ADDRESSBLOCK",
        INTERFACE="s_axi_control",
        NAME="Reg",
        RANGE=str(CONTROL_RANGE),
        USAGE="register",
    )
    registers = ElementTree.SubElement(block, "REGISTERS")
    control = {"AP_START": 0, "AP_DONE": 1, "AP_IDLE": 2, "AP_READY": 3, "AUTO_RESTART": 7}
    _register(registers, "CTRL", 0x00, control)
    _register(registers, "GIER", 0x04, {"Enable": 0})
    _register(registers, "IP_IER", 0x08, {"CHAN0_INT_EN": 0, "CHAN1_INT_EN": 1})
    _register(registers, "IP_ISR", 0x0C, {"CHAN0_INT_ST": 0, "CHAN1_INT_ST": 1})
    for argument in manifest["arguments"]:
        name, offset = register_name(argument["name"]), argument["offset"]
        if argument["bits"] > 32:
            _register(registers, f"{name}_1", offset, {})
            _register(registers, f"{name}_2", offset + 4, {})
        else:
            _register(registers, name, offset, {})
        if argument["kind"] == "scalar" and argument.get("direction") == "out":
            _register(registers, f"{name}_ctrl", offset + 4, {f"{name}_ap_vld": 0})
    _interface(module, "s_axi_control", "SLAVE")
    for bundle in sorted(
        {a["bundle"] for a in manifest["arguments"] if a.get("bundle") and a["kind"] == "pointer"}
    ):
        _interface(module, f"m_axi_{bundle}", "MASTER")


def _register(registers: ElementTree.Element, name: str, offset: int, fields: dict[str, int]) -> None:
    register = ElementTree.SubElement(registers, "REGISTER", NAME=name)
    for key, value in {"ADDRESS_OFFSET": f"{offset:#x}", "SIZE": "32", "ACCESS": "read-write"}.items():
        ElementTree.SubElement(register, "PROPERTY", NAME=key, VALUE=value)
    table = ElementTree.SubElement(register, "FIELDS")
    for field, bit in fields.items():
        entry = ElementTree.SubElement(table, "FIELD", NAME=field)
        for key, value in {"BIT_OFFSET": str(bit), "BIT_WIDTH": "1", "ACCESS": "read-write"}.items():
            ElementTree.SubElement(entry, "PROPERTY", NAME=key, VALUE=value)
