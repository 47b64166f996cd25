"""What a board offers a design: one TOML file per board and one per family, read into frozen dataclasses.

The dataclasses are the schema: every field without a default must be in the file, and no other key may be.
"""

from __future__ import annotations

import tomllib
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import UnionType
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

    `automation` configures Vivado's own rule for the cell; `on` and `off` list properties that are switched on and off
    whatever a board preset says. `control` is the port that masters the s_axilite bundle, `hp` the ports that may serve
    the m_axi bundles; `control_base` is where the control registers of the kernel stand in the address map.
    """

    cell: str
    automation: str
    clock_pin: str
    reset_pin: str
    clock_property: str
    on: tuple[str, ...]
    off: tuple[str, ...]
    control_base: int
    control: Port
    hp: tuple[Port, ...]


@dataclass(frozen=True)
class Linking:
    """How v++ makes an .xclbin: it links one, or it links an .xsa that still has to be packaged."""

    linked: Literal["xclbin", "xsa"]


@dataclass(frozen=True)
class Family:
    """What all boards of a family share, from boards/families/*.toml.

    `flow` says who puts the kernel into a system: Vivado by a block design, or v++ with a platform of XRT. `login` is
    the user on the board (empty: no login), `note` what the software beside it must be, `remote` whether a PYNQ client
    on another computer reaches it.
    """

    name: str
    flow: Literal["vivado", "xrt"]
    login: str
    note: str
    remote: bool
    sources: tuple[str, ...]
    ps: ProcessingSystem | None = None
    xrt: Linking | None = None


@dataclass(frozen=True)
class Platform:
    """The Vitis platform of a board that XRT drives.

    `name` is empty where the user must name one. The m_axi bundles get `banks` in turn; without banks v++ chooses.
    """

    platform: str
    banks: tuple[str, ...]


@dataclass(frozen=True)
class Board:
    """One board; `sources` says where its figures come from.

    Boards of Vivado's flow have a `board_part`, boards of XRT a platform in `xrt`. `clock_uncertainty_percent` is what
    Vitis HLS keeps free of each period; 27 is its own default.
    """

    name: str
    title: str
    part: str
    family: Literal["zynq-ultrascale+", "zynq-7000", "alveo", "versal"]
    clock_mhz: float
    resources: Resources
    memory: Memory
    sources: tuple[str, ...]
    board_part: str = ""
    board_connections: str = ""
    xrt: Platform | None = None
    clock_uncertainty_percent: float = 27.0

    @property
    def about_family(self) -> Family:
        """What the board shares with its family."""
        return load_family(self.family)

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
    board: Board = _read(Board, _parse(text, where), where, "")
    _check_family(board, where)
    return board


@cache
def load_family(name: str) -> Family:
    """Loads a family by the name that boards use.

    Raises:
        BoardError: If the file of the family is not right.
    """
    where = f"families/{name.replace('-', '_').replace('+', '_plus')}.toml"
    text = files("intarsia.boards").joinpath(where).read_text(encoding="utf-8")
    family: Family = _read(Family, _parse(text, where), where, "")
    return family


def _check_family(board: Board, where: str) -> None:
    """What the schema cannot say: which keys a family needs, and how many ports it has."""
    family = board.about_family
    wanted, unwanted = ("board_part", "xrt") if family.flow == "vivado" else ("xrt", "board_part")
    if not getattr(board, wanted):
        raise BoardError(f"{where}: key '{wanted}' is missing; boards of family '{family.name}' need it")
    if getattr(board, unwanted):
        raise BoardError(f"{where}: key '{unwanted}' is not for boards of family '{family.name}'")
    if not board.memory.ports:
        raise BoardError(f"{where}: 'memory.ports' must be 1 or more, not 0")
    if family.ps and board.memory.ports > len(family.ps.hp):
        raise BoardError(
            f"{where}: 'memory.ports' must be at most {len(family.ps.hp)} for family '{family.name}', "
            f"not {board.memory.ports}"
        )


def _parse(text: str, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BoardError(f"{where}: not valid TOML: {error}") from error


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
    if get_origin(kind) is UnionType:  # T | None: TOML has no null, so what is there is a T
        return _read(get_args(kind)[0], value, where, key)
    if is_dataclass(kind):
        return _read_table(kind, value, where, key)
    if get_origin(kind) is tuple:
        _require(isinstance(value, list), where, key, "an array", value)
        return tuple(_read(get_args(kind)[0], item, where, f"{key}[{i}]") for i, item in enumerate(value))
    if get_origin(kind) is Literal:
        allowed = get_args(kind)
        _require(value in allowed, where, key, " or ".join(f'"{a}"' for a in allowed), value)
        return value
    if kind is bool:
        _require(isinstance(value, bool), where, key, "true or false", value)
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
