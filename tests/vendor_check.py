"""Checks what vendor tools would read, without vendor tools: Tcl scripts, the HLS config file, HLS pragmas.

Each check returns its findings, one line each; none means that all is known. The tables say in our own words what the
documentation allows, as far as emitted files could need it. They find slips of the pen and files that do not fit
together. They cannot find what only the tools know, such as whether a pipeline reaches its II.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

SHELL = Path(__file__).with_name("vendor_shell.tcl")


# HLS pragmas. Sources: UG1399 "HLS Pragmas", and the option table of AMD's own front end,
# Xilinx/hls-llvm-project clang/include/clang/Basic/XlxPragmaOption.td; CACHE is newer than that and from UG1399 2025.2.

ANY = None
NUMBER = frozenset({"<number>"})
TRUTH = frozenset({"true", "false"})
NO_VALUE = frozenset[str]()
Options = Mapping[str, frozenset[str] | None]


@dataclass(frozen=True)
class Pragma:
    """Options with the values they take (ANY: free text; NO_VALUE: the word stands alone); which must be there."""

    options: Options
    required: frozenset[str] = frozenset()


def _pragma(required: str = "", **options: frozenset[str] | None) -> Pragma:
    return Pragma({key.lower(): value for key, value in options.items()}, frozenset(required.split()))


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PARTITION = _words("block cyclic complete")
PRAGMAS: Mapping[str, Pragma] = {
    "aggregate": _pragma("variable", variable=ANY, compact=_words("bit byte none auto")),
    "alias": _pragma("ports", ports=ANY, offset=ANY, distance=NUMBER),
    "allocation": _pragma(
        "instances limit", function=NO_VALUE, operation=NO_VALUE, instances=ANY, limit=NUMBER
    ),
    "array_partition": _pragma("variable", variable=ANY, type=PARTITION, factor=NUMBER, dim=NUMBER, off=ANY),
    "array_reshape": _pragma(
        "variable", variable=ANY, type=PARTITION, factor=NUMBER, dim=NUMBER, object=NO_VALUE, off=ANY
    ),
    "bind_op": _pragma("variable op", variable=ANY, op=ANY, impl=ANY, latency=NUMBER),
    "bind_storage": _pragma("variable type", variable=ANY, type=ANY, impl=ANY, latency=NUMBER),
    "cache": _pragma("port", port=ANY, lines=NUMBER, depth=NUMBER, ports=NUMBER, l2_lines=NUMBER),
    "dataflow": _pragma(disable_start_propagation=NO_VALUE),
    "dependence": Pragma(
        {
            "variable": ANY,
            "class": _words("array pointer"),
            "type": _words("intra inter"),
            "direction": _words("raw war waw"),
            "distance": NUMBER,
            "dependent": TRUTH,
        }
    ),
    "disaggregate": _pragma("variable", variable=ANY),
    "expression_balance": _pragma(off=NO_VALUE),
    "function_instantiate": _pragma("variable", variable=ANY),
    "inline": _pragma(recursive=NO_VALUE, off=NO_VALUE),
    "latency": _pragma(min=NUMBER, max=NUMBER),
    "loop_flatten": _pragma(off=NO_VALUE),
    "loop_merge": _pragma(force=NO_VALUE),
    "loop_tripcount": _pragma("max", min=NUMBER, max=NUMBER, avg=NUMBER),
    "occurrence": _pragma(cycle=NUMBER, off=NO_VALUE),
    "performance": _pragma(target_ti=ANY, target_tl=ANY, unit=ANY),
    "pipeline": _pragma(ii=NUMBER, rewind=NO_VALUE, off=NO_VALUE, style=_words("stp flp frp")),
    "protocol": _pragma(mode=_words("floating fixed"), floating=NO_VALUE, fixed=NO_VALUE),
    "reset": _pragma("variable", variable=ANY, off=NO_VALUE),
    "stable": _pragma("variable", variable=ANY),
    "stream": _pragma("variable", variable=ANY, depth=NUMBER, type=_words("fifo pipo shared unsync")),
    "top": _pragma(name=ANY),
    "unroll": _pragma(factor=NUMBER, skip_exit_check=NO_VALUE, off=TRUTH),
}
_M_AXI = (
    "bundle depth offset num_read_outstanding num_write_outstanding max_read_burst_length max_write_burst_length "
    "latency max_widen_bitwidth channel name"
)
INTERFACE: Mapping[str, frozenset[str]] = {
    "m_axi": _words(_M_AXI),
    "s_axilite": _words("bundle offset clock storage_impl name register"),
    "axis": _words("register register_mode depth name"),
    **dict.fromkeys(("ap_memory", "bram"), _words("depth latency storage_type name")),
    **dict.fromkeys(
        ["ap_none", "ap_fifo", "ap_hs", "ap_ack", "ap_vld", "ap_ovld", "ap_stable"],
        _words("name depth register"),
    ),
    **dict.fromkeys(["ap_ctrl_none", "ap_ctrl_hs", "ap_ctrl_chain"], _words("name")),
}


def pragma_lines(source: str) -> Iterator[tuple[int, str, list[tuple[str, str | None]]]]:
    """Line number, name in lower case, and (option in lower case, value or None) of each `#pragma HLS`."""
    for number, line in enumerate(source.splitlines(), 1):
        match = re.match(r"\s*#\s*pragma\s+HLS\s+(\w+)(.*)", line, re.IGNORECASE)
        if match:
            words = re.sub(r"\s*=\s*", "=", match[2].partition("//")[0]).split()
            parts = [word.partition("=") for word in words]
            yield number, match[1].lower(), [(key.lower(), value or None) for key, _, value in parts]


def check_pragmas(source: str, where: str) -> list[str]:
    """Pragmas, options and values that are not in the tables, and required options that are missing."""
    found = []
    for number, name, options in pragma_lines(source):
        found += [f"{where}:{number}: {text}" for text in _pragma_faults(name, options)]
    return found


def _pragma_faults(name: str, options: list[tuple[str, str | None]]) -> Iterator[str]:
    pragma = _interface(dict(options)) if name == "interface" else PRAGMAS.get(name)
    if pragma is None:
        yield f"unknown pragma {name}" if name != "interface" else "interface with an unknown mode"
        return
    given = [key for key, _ in options]
    for key, value in options:
        fault = _option_fault(key, value, pragma.options)
        if fault:
            yield f"{name}: {fault}"
    for key in sorted(pragma.required - set(given)):
        yield f"{name}: option {key} is missing"
    for key in sorted(key for key, times in Counter(given).items() if times > 1):
        yield f"{name}: option {key} is given twice"


def _option_fault(key: str, value: str | None, options: Options) -> str | None:
    if key not in options:
        return f"there is no option {key}"
    allowed = options[key]
    if (value is None) != (allowed == NO_VALUE):
        return f"option {key} {'needs a value' if value is None else 'takes no value'}"
    if value is None or allowed is ANY:
        return None
    if allowed == NUMBER:  # or a constant of the source
        return None if re.fullmatch(r"\d+|[A-Za-z_][\w:]*", value) else f"{key} must be a number, not {value}"
    if value.lower() not in allowed:
        return f"{key} must be one of {', '.join(sorted(allowed))}, not {value}"
    return None


def _interface(options: Mapping[str, str | None]) -> Pragma | None:
    allowed = INTERFACE.get(options.get("mode") or "")
    if allowed is None:
        return None
    values: dict[str, frozenset[str] | None] = dict.fromkeys([*allowed, "mode", "port"], ANY)
    values |= {key: kind for key, kind in (("register", NO_VALUE), ("depth", NUMBER)) if key in allowed}
    return Pragma(values, _words("mode port"))


# The HLS config file. Sources: UG1399 "Tcl to Config File Command Map", "HLS General Options", "C-Synthesis Sources",
# "Test Bench Sources", "C-Simulation", "Interface Configuration", "Package/Export" (2025.2 and 2026.1); UG1702.

FILE = "a file"
TEXT = "text"
BOOL = frozenset({"0", "1", "true", "false"})
CONFIG_KEYS: Mapping[str, str | frozenset[str]] = {
    "clock": r"[0-9.]+(ns|MHz)?",
    "clock_uncertainty": r"[0-9.]+(ns|MHz|%)?",
    "flow_target": _words("vivado vitis"),
    "syn.top": r"[A-Za-z_]\w*",
    "syn.file": FILE,
    "syn.cflags": TEXT,
    "syn.csimflags": TEXT,
    "tb.file": FILE,
    "tb.cflags": TEXT,
    "syn.interface.m_axi_addr64": BOOL,
    "csim.argv": TEXT,
    "csim.clean": BOOL,
    "csim.O": BOOL,
    "cosim.argv": TEXT,
    "cosim.O": BOOL,
    "cosim.trace_level": _words("none port port_hier all"),
    "package.output.format": _words("ip_catalog xo syn_dcp sysgen rtl"),
    "package.output.file": TEXT,
    "package.ip.vendor": TEXT,
    "package.ip.library": TEXT,
    "package.ip.name": TEXT,
    "package.ip.version": r"\d+\.\d+(\.\d+)?",
    "package.ip.display_name": TEXT,
    "package.ip.description": TEXT,
}
REPEATABLE = {"syn.file", "tb.file"}


def check_config(path: Path) -> list[str]:
    """Keys, values and files of an hls_config.cfg."""
    found = []
    section = ""
    seen: Counter[str] = Counter()
    for number, line in enumerate(path.read_text().splitlines(), 1):
        where = f"{path.name}:{number}"
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line.startswith("["):
            section = line.strip()
            found += [] if section == "[hls]" else [f"{where}: unknown section {section}"]
            continue
        key, separator, value = line.partition("=")
        seen[key] += 1
        if not separator or not value.strip():
            found.append(f"{where}: '{line}' is not key=value")
        elif key == "part":
            found += [f"{where}: part must stand before [hls]"] if section else []
        elif not section:
            found.append(f"{where}: {key} must stand below [hls]")
        elif fault := _config_fault(key, value, path.parent):
            found.append(f"{where}: {fault}")
    found += [
        f"{path.name}: {key} is given twice" for key, n in seen.items() if n > 1 and key not in REPEATABLE
    ]
    wanted = ("part", "clock", "flow_target", "syn.top", "syn.file", "tb.file", "package.output.format")
    return found + [f"{path.name}: {key} is missing" for key in wanted if key not in seen]


# The config file of v++ --link. Sources: UG1393 and UG1702, "--connectivity Options", "--clock Options".
LINK_KEYS: Mapping[str, Mapping[str, str]] = {
    "[connectivity]": {
        "nk": r"(?P<kernel>\w+):(?P<count>\d+):(?P<unit>\w+)",
        "sp": r"(?P<unit>\w+)\.(?P<argument>\w+):(DDR|HBM|PLRAM|HOST|LPDDR|MC_NOC\d*)\[\d+(:\d+)?\]",
    },
    "[clock]": {"freqHz": r"\d+:(?P<unit>\w+)"},
}


def check_link_config(path: Path, kernel: str, arguments: frozenset[str]) -> list[str]:
    """Sections, keys and values of a link.cfg, and that it names what there is: the kernel, its unit, its ports."""
    found, section, units = [], "", {""}
    placed: Counter[str] = Counter()
    for number, line in enumerate(path.read_text().splitlines(), 1):
        where = f"{path.name}:{number}"
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("["):
            section = line.strip()
            found += [] if section in LINK_KEYS else [f"{where}: unknown section {section}"]
            continue
        key, _, value = line.partition("=")
        pattern = LINK_KEYS.get(section, {}).get(key)
        match = re.fullmatch(pattern, value) if pattern else None
        if match is None:
            found.append(f"{where}: {line} is not understood in {section or 'no section'}")
            continue
        parts = match.groupdict()
        if key == "nk":
            units = {parts["unit"]}
            found += [] if parts["kernel"] == kernel else [f"{where}: there is no kernel {parts['kernel']}"]
        elif parts["unit"] not in units:
            found.append(f"{where}: there is no compute unit {parts['unit']}")
        if key == "sp":
            placed[parts["argument"]] += 1
            found += [] if parts["argument"] in arguments else [f"{where}: no port {parts['argument']}"]
    if placed and set(placed) != arguments:
        found.append(f"{path.name}: no memory for {', '.join(sorted(arguments - set(placed)))}")
    return found + [f"{path.name}: {name} is placed twice" for name, n in placed.items() if n > 1]


def _config_fault(key: str, value: str, folder: Path) -> str | None:
    kind = CONFIG_KEYS.get(key)
    if kind is None:
        return f"unknown key {key}"
    if kind == FILE:
        return None if (folder / value).is_file() else f"{key}: there is no file {value}"
    if isinstance(kind, frozenset):
        return None if value in kind else f"{key} must be one of {', '.join(sorted(kind))}, not {value}"
    if kind == TEXT:
        return _include_fault(value, folder) if key.endswith("flags") else None
    return None if re.fullmatch(kind, value) else f"{key} has a strange value {value}"


def _include_fault(flags: str, folder: Path) -> str | None:
    missing = [f for f in re.findall(r"-I\s*(\S+)", flags) if not (folder / f).is_dir()]
    return f"there is no folder {missing[0]}" if missing else None


# Tcl. Sources: UG1399 "Vitis HLS Command Reference" (2025.2); UG835 "Vivado Tcl Command Reference" (2022.2, 2023.1).
# `make_wrapper -files` and `wait_on_run` are not in UG835's current tables, but in Vivado's own journals to this day.


@dataclass(frozen=True)
class Command:
    """Options that stand alone and options that take a value; whether the other words are files that must exist."""

    flags: frozenset[str] = frozenset()
    values: frozenset[str] = frozenset()
    files: bool = False


def _command(flags: str = "", values: str = "", *, files: bool = False) -> Command:
    return Command(_words(flags), _words(values), files)


HLS_COMMANDS: Mapping[str, Command] = {
    "open_project": _command("reset upgrade"),
    "set_top": _command(),
    "add_files": _command("tb", "cflags csimflags blackbox", files=True),
    "open_solution": _command("reset", "flow_target"),
    "set_part": _command("board"),
    "create_clock": _command("", "name period"),
    "set_clock_uncertainty": _command(),
    "config_interface": _command("clock_enable", "m_axi_addr64 default_slave_interface m_axi_latency"),
    "csim_design": _command("O clean profile setup", "argv ldflags mflags"),
    "csynth_design": _command("dump_cfg dump_post_cfg synthesis_check"),
    "cosim_design": _command(
        "O disable_deadlock_detection setup", "argv ldflags mflags rtl tool trace_level"
    ),
    "export_design": _command(
        "", "format vendor library ipname version display_name description output rtl flow"
    ),
}
_GET = _command("quiet verbose regexp nocase hierarchical", "filter of_objects")
VIVADO_COMMANDS: Mapping[str, Command] = {
    "create_project": _command("force in_memory quiet", "part"),
    "current_project": _command(),
    "current_fileset": _command(),
    "set_property": _command("quiet", "dict"),
    "get_property": _command("quiet"),
    "get_board_parts": _command("quiet latest_file_version latest_hw_revision", "filter"),
    "update_ip_catalog": _command("rebuild quiet", "repo_path"),
    "create_bd_design": _command("quiet", "dir"),
    "create_bd_cell": _command("quiet", "type vlnv reference"),
    "apply_bd_automation": _command("quiet", "rule config"),
    **dict.fromkeys(
        [
            "get_bd_cells",
            "get_bd_pins",
            "get_bd_intf_pins",
            "get_bd_addr_spaces",
            "get_bd_addr_segs",
            "get_files",
            "get_runs",
        ],
        _GET,
    ),
    "connect_bd_net": _command("boundary_type quiet", "net"),
    "connect_bd_intf_net": _command("quiet", "intf_net boundary_type"),
    "assign_bd_address": _command("force quiet", "offset range target_address_space"),
    "validate_bd_design": _command("force quiet"),
    "save_bd_design": _command("quiet"),
    "make_wrapper": _command("top import force quiet", "files fileset"),
    "add_files": _command("norecurse quiet", "fileset", files=True),
    "update_compile_order": _command("quiet", "fileset"),
    "launch_runs": _command("quiet force", "to_step jobs"),
    "wait_on_run": _command("quiet", "timeout"),
    "open_run": _command("quiet", "name"),
    "report_timing_summary": _command("quiet", "file max_paths"),
    "report_utilization": _command("hierarchical quiet", "file"),
}


@dataclass(frozen=True)
class Call:
    """One vendor command of a script, as it ran."""

    folder: Path
    command: str
    words: tuple[str, ...]


@dataclass
class Arguments:
    """The words of a call, sorted by the command's table."""

    places: list[str] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)


def run_tcl(script: Path, variables: Mapping[str, str] | None = None) -> tuple[list[Call], str]:
    """Runs a script under tclsh with stubs, in a folder that it may write to.

    Returns:
        The vendor commands in order, and the error that ended the script, or an empty text.
    """
    tclsh = shutil.which("tclsh")
    if tclsh is None:
        raise RuntimeError("tclsh is missing: apt-get install tcl")
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace"
        done = subprocess.run(
            [tclsh, str(SHELL), str(script), str(trace)],
            cwd=script.parent,
            env=os.environ | dict(variables or {}),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        calls = [_call(line) for line in trace.read_text().splitlines()]
    return calls, (done.stderr.strip() or "it failed without a message") if done.returncode else ""


def _call(line: str) -> Call:
    escapes = {r"\t": "\t", r"\n": "\n", r"\\": "\\"}
    folder, command, *words = (
        re.sub(r"\\[tn\\]", lambda match: escapes[match[0]], word) for word in line.split("\t")
    )
    return Call(Path(folder), command, tuple(words))


def sort_words(call: Call, table: Mapping[str, Command]) -> Arguments:
    """Takes the options out of a call; both `-option value` and `-option=value` will do."""
    known = table[call.command]
    result = Arguments()
    words = iter(call.words)
    for word in words:
        name, separator, value = word[1:].partition("=")
        if not re.match(r"-[A-Za-z]", word):
            result.places.append(word)
        elif name in known.values:
            result.options[name] = value if separator else next(words, "")
        elif name in known.flags:
            result.options[name] = value
        else:
            result.unknown.append(word)
    return result


def tcl_list(text: str) -> list[str]:
    """The elements of a flat Tcl list."""
    return [braced or plain for braced, plain in re.findall(r"\{([^{}]*)\}|(\S+)", text)]


def check_calls(calls: list[Call], table: Mapping[str, Command], where: str) -> list[str]:
    """Commands and options that are not in the table, and files that are not there."""
    found = []
    for call in calls:
        if call.command not in table:
            found.append(f"{where}: unknown command {call.command}")
            continue
        arguments = sort_words(call, table)
        found += [f"{where}: {call.command} has no option {word}" for word in arguments.unknown]
        if table[call.command].files:
            names = [name for place in arguments.places for name in tcl_list(place)]
            found += [
                f"{where}: {call.command}: there is no file {name}"
                for name in names
                if not (call.folder / name).exists()
            ]
        flags = " ".join(arguments.options.get(key, "") for key in ("cflags", "csimflags"))
        fault = _include_fault(flags, call.folder)
        found += [f"{where}: {call.command}: {fault}"] if fault else []
    return found


# The block design. Pins of the processing system come from the board file, those of the kernel from its pragmas.


@dataclass(frozen=True)
class Pins:
    """Interface pins and net pins of a cell; every one of them must be connected once."""

    interfaces: frozenset[str]
    nets: frozenset[str]


def check_block_design(calls: list[Call], known: Mapping[str, Pins]) -> list[str]:
    """Pins that do not exist, are left open or are connected twice.

    Args:
        calls: the trace of the script.
        known: the pins of the kernel and of the processing system, by instance.
    """
    pins = dict(known)
    cells = [call.words[-1] for call in calls if call.command == "create_bd_cell"]
    sockets = {
        call.words[2]: int(call.words[1])
        for call in calls
        if call.command == "set_property" and call.words[0] == "CONFIG.NUM_SI"
    }
    for call in calls:
        if call.command == "create_bd_cell" and call.words[-1] not in known:
            pins[call.words[-1]] = _library_pins(" ".join(call.words), sockets.get(call.words[-1], 1))
    found = [f"block design: cell {cell} is made twice" for cell, n in Counter(cells).items() if n > 1]
    found += [f"block design: there is no cell {cell}" for cell in known if cell not in cells]
    for command, kind in (("connect_bd_intf_net", "interfaces"), ("connect_bd_net", "nets")):
        used = Counter(word for call in calls if call.command == command for word in call.words)
        offered = {f"{cell}/{pin}" for cell in cells if cell in pins for pin in getattr(pins[cell], kind)}
        found += [f"block design: there is no pin {pin}" for pin in used if pin not in offered]
        found += [f"block design: pin {pin} is open" for pin in sorted(offered - set(used))]
        found += [f"block design: pin {pin} is connected {n} times" for pin, n in used.items() if n > 1]
    return found


def _library_pins(creation: str, sockets: int) -> Pins:
    if "smartconnect" in creation:
        return Pins(
            frozenset({"M00_AXI", *(f"S{i:02}_AXI" for i in range(sockets))}), frozenset({"aclk", "aresetn"})
        )
    if "proc_sys_reset" in creation:
        return Pins(frozenset(), frozenset({"slowest_sync_clk", "ext_reset_in", "peripheral_aresetn"}))
    return Pins(frozenset(), frozenset())


def kernel_pins(top: str) -> Pins:
    """Pins of the IP that Vitis HLS makes from the INTERFACE pragmas of a source (UG1399, "Defining Interfaces")."""
    interfaces = set()
    for _, name, options in pragma_lines(top):
        values = dict(options)
        if name == "interface" and values.get("mode") in ("m_axi", "s_axilite"):
            prefix = "m_axi" if values["mode"] == "m_axi" else "s_axi"
            interfaces.add(f"{prefix}_{values['bundle']}")
    return Pins(frozenset(interfaces), frozenset({"ap_clk", "ap_rst_n"}))
