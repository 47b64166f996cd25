"""The machine: everything that the emitted C++ says, as data. Made by lower.py, rendered by emit.py."""

from __future__ import annotations

from dataclasses import dataclass

from .rows import Row


@dataclass(frozen=True)
class Constant:
    """A compile-time constant or type alias of a config struct."""

    name: str
    value: str
    comment: str = ""
    is_type: bool = False


@dataclass(frozen=True)
class Config:
    """The config struct of one process: constants, and its static program (one row per phase).

    `rows[phase]` is one row, or one per value of the register `tap` where `by_tap` is set.
    """

    name: str
    purpose: str
    constants: tuple[Constant, ...]
    rows: tuple[tuple[Row, ...], ...]
    comments: tuple[str, ...]
    by_tap: bool = False


@dataclass(frozen=True)
class Stream:
    """A FIFO inside the dataflow region."""

    name: str
    word: str
    depth: int
    carries: str


@dataclass(frozen=True)
class Process:
    """One line of the dataflow region: a kernel function with its config and arguments."""

    function: str
    config: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class OnChip:
    """A static memory of the top function, and how it is loaded from weights.bin (offset in words).

    `copies` is the C++ expression of how many copies of it there are, for more readers than a memory has ports;
    empty for one.
    """

    name: str
    word: str
    depth: int
    size: str
    comment: str
    element_bytes: int = 0
    offset: int = 0
    copies: str = ""

    @property
    def dimensions(self) -> str:
        """Of the C++ array."""
        return f"[{self.size}]" + (f"[{self.copies}]" if self.copies else "")


@dataclass(frozen=True)
class TensorPlace:
    """Where a tensor lies in one of the DRAM buffers; `select` is the value of `tap` that asks for it, 0 for none."""

    tensor: str
    argument: str
    word_offset: int
    words: int
    select: int = 0


@dataclass(frozen=True, eq=False)
class Machine:
    """A datapath with its program and data.

    Attributes:
        name: of the top function.
        lanes: elements per word.
        element_bytes: bytes of an activation in memory.
        phases: number of phases, with their names in `phase_names`.
        bank_words: size of each on-chip activation bank.
        bank_ports: parameters of the region that are banks: what each feed reads, then what collect writes.
        bank_orders: the ways in which banks are bound to these ports.
        bank_order: which of them each phase takes.
        weights: content of weights.bin.
    """

    name: str
    lanes: int
    element_bytes: int
    phase_names: tuple[str, ...]
    types: tuple[Constant, ...]
    configs: tuple[Config, ...]
    streams: tuple[Stream, ...]
    processes: tuple[Process, ...]
    parameters: tuple[OnChip, ...]
    bank_words: int
    bank_ports: tuple[str, ...]
    bank_orders: tuple[tuple[int, ...], ...]
    bank_order: tuple[int, ...]
    inputs: tuple[TensorPlace, ...]
    outputs: tuple[TensorPlace, ...]
    taps: tuple[TensorPlace, ...]
    weights: bytes

    @property
    def banks(self) -> int:
        """Number of on-chip activation banks."""
        return 1 + max((bank for order in self.bank_orders for bank in order), default=-1)

    @property
    def word_bytes(self) -> int:
        """Bytes of a word in memory."""
        return self.lanes * self.element_bytes
