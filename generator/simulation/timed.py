"""The timed C-simulation: cycles, stalls, FIFO use and deadlocks of the emitted code.

The sources are compiled with INTARSIA_TIMED and run once on zeros (control flow does not depend on data); the record
is then timed for any FIFO depths in milliseconds. hls_kernels/timing.hpp states the rules.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any

import numpy as np

from ..cost import NO_DRAM, PHASE_OVERHEAD, Dram, DramTime, pipeline
from ..emit import WATCHED, argument_bytes, argument_names, emit_sources
from ..errors import IntarsiaError
from ..machine.machine import Machine
from .build import build_sources


class DeadlockError(IntarsiaError):
    """A phase cannot end with these FIFO depths; the message names who waits for whom."""


@dataclass(frozen=True)
class FifoUse:
    """What one FIFO did in one phase: words held at most, and cycles in which either end waited."""

    high_water: int
    reader_waits: int
    writer_waits: int


@dataclass(frozen=True)
class ProcessTiming:
    """What one process did in one phase: iterations of its loop, and the cycles of its first and last word."""

    iterations: int
    started: int
    ended: int


@dataclass(frozen=True)
class PhaseTiming:
    """One phase.

    Attributes:
        ends: cycles until the first sample of a launch has passed, the first two, and so on, as far as they were simulated.
        fifos: use of each FIFO by name, over all of them.
        processes: timing of each process by its config's name, over all of them.
        dram: what DRAM adds.
    """

    ends: tuple[int, ...]
    fifos: Mapping[str, FifoUse]
    processes: Mapping[str, ProcessTiming]
    dram: DramTime = NO_DRAM

    @property
    def interval(self) -> int:
        """Cycles from one sample of a launch to the next, when they follow steadily."""
        return self.ends[-1] - self.ends[-2] if len(self.ends) > 1 else self.ends[-1]

    def launch(self, samples: int) -> int:
        """Cycles of the phase for so many samples; those that were not simulated follow steadily."""
        simulated = min(samples, len(self.ends))
        passed = self.ends[simulated - 1] + (samples - simulated) * self.interval
        return self.dram.launch(passed, samples)

    @property
    def cycles(self) -> int:
        """Of one sample."""
        return self.launch(1)


class TimedSimulation:
    """A machine's record, to be timed for any FIFO depths.

    Raises:
        BuildError: the sources do not compile.
    """

    def __init__(self, machine: Machine, bytes_per_cycle: float = inf, samples: int = 1) -> None:
        """Builds and runs the simulation once.

        Args:
            machine: what to time.
            bytes_per_cycle: what all ports together move from and to DRAM; no port more than a word per cycle.
            samples: of the launch, at most as many as the machine takes.
        """
        self.machine = machine
        self.samples = samples
        self._dram = Dram(bytes_per_cycle, machine.word_bytes, machine.weight_bytes)
        library = build_sources(emit_sources(machine, "timed"), ("-DINTARSIA_TIMED",))
        self._library = ctypes.CDLL(str(library))
        self._library.intarsia_time_phase.restype = ctypes.c_int64
        self._record()

    def depths(self) -> dict[str, int]:
        """The depths that the machine has now."""
        return {stream.name: stream.depth for stream in self.machine.streams}

    def time(self, depths: Mapping[str, int] | None = None) -> tuple[PhaseTiming, ...]:
        """Timing of every phase.

        Args:
            depths: FIFO depths by stream name; the machine's own where absent.

        Raises:
            DeadlockError: a phase does not end.
        """
        chosen = self.depths() | dict(depths or {})
        known: dict[int, PhaseTiming] = {}
        timings = []
        for phase, record in enumerate(self.records()):
            if record not in known:
                known[record] = self._time_phase(phase, chosen)
            timings.append(self._with_dram(phase, known[record]))
        return tuple(timings)

    def records(self) -> tuple[int, ...]:
        """The number of each phase's record; phases that do the same have the same."""
        return tuple(self._library.intarsia_record(phase) for phase in range(len(self.machine.phase_names)))

    def cycles(self, depths: Mapping[str, int] | None = None) -> int:
        """Cycles of a launch of as many samples as the machine takes."""
        return launch_cycles(self.machine, self.time(depths))

    def _record(self) -> None:
        sizes = argument_bytes(self.machine)
        buffers = {
            name: np.zeros(max(size, self.machine.weight_bytes), np.uint8) for name, size in sizes.items()
        }
        pointers = [ctypes.c_void_p(buffers[name].ctypes.data) for name in sizes if name not in WATCHED]
        watched = [ctypes.byref(ctypes.c_uint32()) for _ in WATCHED]
        scalars = {"load_weights": 1, "samples": self.samples, "tap": 0}
        numbers = [ctypes.c_int(scalars[name]) for name in argument_names(self.machine) if name in scalars]
        getattr(self._library, self.machine.name)(*pointers, *numbers, *watched)

    def _time_phase(self, phase: int, depths: Mapping[str, int]) -> PhaseTiming:
        names = [stream.name for stream in self.machine.streams]
        processes = [process.config for process in self.machine.processes]
        found = (self._library.intarsia_streams(phase), self._library.intarsia_processes(phase))
        if found != (len(names), len(processes)):
            raise RuntimeError(
                f"phase {phase} has {found} streams and processes, not {len(names), len(processes)}"
            )
        fifo_depths = _ints([depths[name] for name in names])
        pipelines = [pipeline(process.function) for process in self.machine.processes]
        pipeline_depths = _ints([kernel.depth for kernel in pipelines])
        intervals = _ints([kernel.interval for kernel in pipelines])
        waits = np.zeros((3, len(names)), np.int64)
        blocked = np.zeros(len(processes), np.int32)
        times = np.zeros((3, len(processes)), np.int64)
        ends = np.zeros(self.samples, np.int64)
        cycles = self._library.intarsia_time_phase(
            ctypes.c_int(phase),
            *(_pointer(a) for a in (fifo_depths, pipeline_depths, intervals, *waits, blocked, *times, ends)),
        )
        if cycles < 0:
            raise DeadlockError(self._deadlock(phase, depths, [int(index) for index in blocked]))
        timed = {name: ProcessTiming(*(int(v) for v in times[:, i])) for i, name in enumerate(processes)}
        return PhaseTiming(
            tuple(int(end) + PHASE_OVERHEAD for end in ends),
            {name: FifoUse(*(int(value) for value in waits[:, index])) for index, name in enumerate(names)},
            timed,
        )

    def _with_dram(self, phase: int, timing: PhaseTiming) -> PhaseTiming:
        """The timing of a phase with what DRAM adds: no iteration depends on that, so it can be put in here."""
        machine, processes = self.machine, dict(timing.processes)
        loaded = machine.loaded_words[phase] if machine.loaded_words else 0
        fetched = processes["Prefetch"].iterations if machine.first else 0
        if fetched:
            processes["Prefetch"] = replace(processes["Prefetch"], ended=self._dram.weights(fetched))
        use = machine.dram[phase]
        dram = self._dram.time(use.words, use.waits, loaded, fetched)
        return replace(timing, processes=processes, dram=dram)

    def _deadlock(self, phase: int, depths: Mapping[str, int], blocked: Sequence[int]) -> str:
        """The processes that wait for one another, in a cycle, and the FIFOs between them."""
        ends: dict[str, list[int]] = {}
        for number, process in enumerate(self.machine.processes):  # writers come before readers
            for argument in process.arguments:
                ends.setdefault(argument, []).append(number)
        way: list[int] = []
        waits: list[str] = []
        number = next(number for number, stream in enumerate(blocked) if stream >= 0)
        while number not in way and blocked[number] >= 0:
            name = self.machine.streams[blocked[number]].name
            writer, reader = ends[name]
            full = number == writer
            other = reader if full else writer
            state = f"full at depth {depths[name]}, read by" if full else "empty, written by"
            way.append(number)
            waits.append(f"{self._config(number)} waits for {name!r} ({state} {self._config(other)})")
            number = other
        cycle = waits[way.index(number) :] if number in way else waits
        return (
            f"phase {phase} ({self.machine.phase_names[phase]}) deadlocks: {'; '.join(cycle)}. "
            "Deepen the FIFOs that are full; `intarsia compile` sizes them so that none waits for ever"
        )

    def _config(self, number: int) -> str:
        return self.machine.processes[number].config


def launch_cycles(machine: Machine, timings: Sequence[PhaseTiming]) -> int:
    """Cycles of a launch of as many samples as the machine takes."""
    return sum(timing.launch(machine.batch) for timing in timings)


def size_fifos(simulation: TimedSimulation) -> tuple[Machine, tuple[PhaseTiming, ...]]:
    """The machine with the smallest power-of-two FIFO depths that cost a launch no cycle, and the timing of its phases.

    One FIFO after the other is shrunk as far as the latency allows, deepest first; each keeps what the ones
    before it were given, so the result holds for all of them together.
    """
    machine = simulation.machine
    unbounded = {name: 1 << 30 for name in simulation.depths()}
    timings = simulation.time(unbounded)
    best = launch_cycles(machine, timings)
    high_water = {name: max(timing.fifos[name].high_water for timing in timings) for name in unbounded}
    depths = {name: _power_of_two(mark) for name, mark in high_water.items()}
    while (
        simulation.cycles(depths) > best
    ):  # a full FIFO stalls its writer even if the mark is never exceeded
        depths = {name: 2 * depth for name, depth in depths.items()}
    for name in sorted(depths, key=lambda name: -depths[name]):
        while depths[name] > 2:
            smaller = depths | {name: depths[name] // 2}
            try:
                if simulation.cycles(smaller) > best:
                    break
            except DeadlockError:
                break
            depths = smaller
    streams = tuple(replace(stream, depth=depths[stream.name]) for stream in machine.streams)
    return replace(machine, streams=streams), simulation.time(depths)


def _power_of_two(value: int) -> int:
    return max(2, 1 << (value - 1).bit_length())


def _ints(values: Sequence[int]) -> Any:
    return np.array(values, dtype=np.int32)


def _pointer(values: Any) -> ctypes.c_void_p:
    return ctypes.c_void_p(values.ctypes.data)
