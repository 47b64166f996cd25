"""The machine: everything that the emitted C++ says, as data. Made by lower.py, rendered by emit.py."""

from __future__ import annotations

from dataclasses import dataclass

from .constants import Constant
from .rows import PrefetchRow, Row


@dataclass(frozen=True)
class Config:
    """The config struct of one process: constants, and its static program (one row per phase).

    `rows[phase]` is one row, or one per value of the register `tap` where `by_tap` is set. `steps` are those of the counters
    of its nests that are not constant.
    """

    name: str
    purpose: str
    constants: tuple[Constant, ...]
    rows: tuple[tuple[Row, ...], ...]
    comments: tuple[str, ...]
    by_tap: bool = False
    steps: tuple[int, ...] = ()


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
    empty for one. `rows` is that of how many words side by side make an entry, each in a memory of its own; empty for
    one. `uram`: in UltraRAM.
    """

    name: str
    word: str
    depth: int
    size: str
    comment: str
    element_bytes: int = 0
    offset: int = 0
    copies: str = ""
    rows: str = ""
    uram: bool = False

    @property
    def dimensions(self) -> str:
        """Of the C++ array."""
        return f"[{self.size}]" + "".join(f"[{number}]" for number in (self.copies, self.rows) if number)


@dataclass(frozen=True)
class TensorPlace:
    """Where a tensor lies in one of the DRAM buffers; `select` is the value of `tap` that asks for it, 0 for none."""

    tensor: str
    argument: str
    word_offset: int
    words: int
    select: int = 0


@dataclass(frozen=True)
class DramUse:
    """Words that a phase moves from and to DRAM, weights aside, and how often spilled tensors make it wait for DRAM.

    It waits once before the first words of tensors that it reads, and once behind the last word of one that it writes.
    """

    words: int
    waits: int


@dataclass(frozen=True, eq=False)
class Machine:
    """A datapath with its program and data.

    Attributes:
        name: of the top function.
        lanes: elements per word.
        element_bytes: bytes of an activation in memory.
        phases: number of phases, with their names in `phase_names`.
        bank_words: size of each on-chip activation bank.
        banks: number of on-chip activation banks.
        banks_in_uram: True if they are in UltraRAM.
        streamed: memories of weights that hold those of one phase; filled while the phase before runs, where each exists
            twice, or before the phase.
        spills: arguments by which the region reaches the DRAM buffer of spilled tensors, one for each process that
            does; empty without such tensors.
        spill_words: of that buffer.
        dram: what each phase moves from and to DRAM, weights aside.
        memory_ports: declarations of the region's parameters that are memories.
        bindings: the memories that are bound to them, in the ways that occur.
        binding: which of these each phase takes.
        first: what must be fetched before the first phase; None where weights stay on chip.
        loaded_words: DRAM words of weights that are loaded before each phase; empty where weights stay on chip.
        weight_bytes: of a DRAM word of weights.
        weights: content of weights.bin.
        batch: samples that a launch takes at most.
        cycles_in_memory: True if the kernel writes its count of cycles to DRAM, where XRT lets no Python program read
            registers; else to a register.
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
    banks: int
    banks_in_uram: bool
    streamed: tuple[OnChip, ...]
    spills: tuple[str, ...]
    spill_words: int
    dram: tuple[DramUse, ...]
    memory_ports: tuple[str, ...]
    bindings: tuple[tuple[str, ...], ...]
    binding: tuple[int, ...]
    first: PrefetchRow | None
    loaded_words: tuple[int, ...]
    weight_bytes: int
    inputs: tuple[TensorPlace, ...]
    outputs: tuple[TensorPlace, ...]
    taps: tuple[TensorPlace, ...]
    weights: bytes
    batch: int = 1
    cycles_in_memory: bool = False

    @property
    def word_bytes(self) -> int:
        """Bytes of a word in memory."""
        return self.lanes * self.element_bytes
