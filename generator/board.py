"""What a board offers a design: one TOML file per board, read into frozen dataclasses.

The dataclasses are the schema: every field without a default must be in the file, and no other key may be.
"""

from __future__ import annotations

import tomllib
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from .errors import IntarsiaError

FASTEST_MHZ = 1000
WHOLE = 100
"""Percent."""


class BoardError(IntarsiaError):
    """A board is unknown, or its TOML file is not right."""


@dataclass(frozen=True)
class Resources:
    """What the programmable logic holds; BRAM counted in 18 Kb halves, as Vitis HLS reports it."""

    dsp: int
    bram18: int
    uram: int
    lut: int
    ff: int


@dataclass(frozen=True)
class Memory:
    """The DRAM and the ports by which the programmable logic reaches it; the bandwidth is the peak of the DRAM."""

    ports: int
    port_bits: int
    bandwidth_gb_s: float
    ddr_bytes: int


@dataclass(frozen=True)
class Port:
    """An AXI port of the processing system: its pin, its clock pin, and the property that enables it."""

    name: str
    clock: str
    enable: str


@dataclass(frozen=True)
class ProcessingSystem:
    """The processing-system cell, in Vivado's names.

    `control` is the port that masters the s_axilite bundle, `hp` the ports that serve the m_axi bundles; `disable`
    lists properties that a board preset switches on and the design does not want; `control_base` is where the
    control registers of the kernel stand in the address map.
    """

    cell: str
    clock_pin: str
    reset_pin: str
    clock_property: str
    disable: tuple[str, ...]
    control_base: int
    control: Port
    hp: tuple[Port, ...]


@dataclass(frozen=True)
class Board:
    """One board; `sources` says where its figures come from."""

    name: str
    title: str
    part: str
    board_part: str
    family: Literal["zynq-ultrascale+", "zynq-7000"]
    clock_mhz: float
    resources: Resources
    memory: Memory
    ps: ProcessingSystem
    sources: tuple[str, ...]
    board_connections: str = ""

    def bytes_per_cycle(self, clock_mhz: float) -> float:
        """Bytes between DRAM and logic per cycle of a clock, at most: what the ports or the DRAM allow."""
        ports = self.memory.ports * self.memory.port_bits / 8
        return min(ports, self.memory.bandwidth_gb_s * 1e3 / clock_mhz)


def board_names() -> tuple[str, ...]:
    """Returns the names of the boards that come with intarsia, sorted."""
    entries = files("intarsia.boards").iterdir()
    return tuple(sorted(e.name[:-5].replace("_", "-") for e in entries if e.name.endswith(".toml")))


def load_board(name_or_path: str | Path) -> Board:
    """Loads a board by its name, or from a TOML file of the user's own.

    Args:
        name_or_path: A name from `board_names`, or a path that ends in `.toml`.

    Returns:
        The board.

    Raises:
        BoardError: If the name is unknown, the file cannot be read, or a key is missing, unknown or of the wrong type.
    """
    name = str(name_or_path)
    if name.endswith(".toml"):
        where = name
        try:
            text = Path(name).read_text(encoding="utf-8")
        except OSError as error:
            raise BoardError(f"cannot read board file {name}: {error.strerror}") from error
    elif name in board_names():
        where = f"{name.replace('-', '_')}.toml"
        text = files("intarsia.boards").joinpath(where).read_text(encoding="utf-8")
    else:
        raise BoardError(
            f"unknown board '{name}'. Known: {', '.join(board_names())}; or give the path of a .toml file of your own"
        )
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BoardError(f"{where}: not valid TOML: {error}") from error
    board: Board = _read(Board, table, where, "")
    return board


def at_clock(board: Board, clock_mhz: float) -> Board:
    """The board with another clock.

    Raises:
        BoardError: no logic runs at such a clock.
    """
    if not 0 < clock_mhz <= FASTEST_MHZ:
        raise BoardError(f"--clock-mhz must be above 0 and at most {FASTEST_MHZ}, not {clock_mhz:g}")
    return replace(board, clock_mhz=clock_mhz)


def part_of(board: Board, percent: float) -> Board:
    """The board with so many percent of its logic, for designs that leave room for others.

    Raises:
        BoardError: it is not above 0 and at most 100.
    """
    if not 0 < percent <= WHOLE:
        raise BoardError(f"--budget must be above 0 and at most {WHOLE} percent, not {percent:g}")
    counts = {name: int(count * percent / WHOLE) for name, count in asdict(board.resources).items()}
    name = board.name if percent == WHOLE else f"{percent:g} % of {board.name}"
    return replace(board, name=name, resources=Resources(**counts))


def _read(kind: Any, value: Any, where: str, key: str) -> Any:
    """Checks `value` against the type `kind` and converts TOML tables and arrays to dataclasses and tuples."""
    if is_dataclass(kind):
        return _read_table(kind, value, where, key)
    if get_origin(kind) is tuple:
        _require(isinstance(value, list), where, key, "an array", value)
        return tuple(_read(get_args(kind)[0], item, where, f"{key}[{i}]") for i, item in enumerate(value))
    if get_origin(kind) is Literal:
        allowed = get_args(kind)
        _require(value in allowed, where, key, " or ".join(f'"{a}"' for a in allowed), value)
        return value
    if kind is float:
        _require(
            isinstance(value, int | float) and not isinstance(value, bool), where, key, "a number", value
        )
        _require(value > 0, where, key, "more than 0", value)
        return float(value)
    if kind is int:
        _require(isinstance(value, int) and not isinstance(value, bool), where, key, "an integer", value)
        _require(value >= 0, where, key, "0 or more", value)
        return value
    _require(isinstance(value, str), where, key, "a string", value)
    return value


def _read_table(kind: Any, table: Any, where: str, key: str) -> Any:
    _require(isinstance(table, dict), where, key, "a table", table)
    prefix = f"{key}." if key else ""
    hints = get_type_hints(kind)
    required = [f.name for f in fields(kind) if f.default is MISSING]
    for missing in (name for name in required if name not in table):
        raise BoardError(f"{where}: key '{prefix}{missing}' is missing")
    for unknown in (name for name in table if name not in hints):
        raise BoardError(f"{where}: key '{prefix}{unknown}' is not known. Known: {', '.join(hints)}")
    return kind(**{name: _read(hints[name], value, where, prefix + name) for name, value in table.items()})


def _require(holds: bool, where: str, key: str, wanted: str, got: object) -> None:
    if not holds:
        shown = "a table" if isinstance(got, dict) else repr(got)
        raise BoardError(f"{where}: '{key}' must be {wanted}, not {shown}")
