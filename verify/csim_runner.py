"""The C-simulation as a world: the emitted C++, compiled natively and called through ctypes.

The same taps serve here and on the board, selected at run time: no second build is needed to see a layer.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from intarsia.boards.driver.dram_layout import pack, sample_bytes, unpack
from intarsia.boards.driver.errors import AcceleratorError
from intarsia.boards.driver.manifest import read_manifest, samples_per_launch
from intarsia.fixed_point import Integers
from intarsia.operator import Array
from intarsia.simulation.build import build

from .csim_kernel import CsimKernel, SimulationError

__all__ = ["CsimRunner", "SimulationError"]

MOST_THREADS = 8
"""Each has its own copy of the program's memories and of the weights."""


def parts_of(project: Path, extra_flags: tuple[str, ...] = ()) -> tuple[dict[str, Any], Path, bytes]:
    """Manifest, compiled library and weights of a project, which is compiled unless it is already.

    Raises:
        BuildError: the sources do not compile.
        SimulationError: the project is incomplete.
    """
    try:
        manifest = read_manifest(project / "deploy" / "manifest.json")
        weights = (project / "weights.bin").read_bytes()
    except AcceleratorError as error:
        raise SimulationError(f"{error}. Compile the project again") from error
    except OSError as error:
        raise SimulationError(
            f"cannot read {project / 'weights.bin'}: {error.strerror}. Compile the project again"
        ) from error
    return manifest, build(project, extra_flags), weights


class CsimRunner:
    """Maps raw inputs to the trace of the C-simulation; a batch is shared out among the processors.

    `fault` is what the streams complained about first: a process that moves a wrong number of words, which would hang
    hardware. The simulation goes on after it, so that the trace shows where.
    """

    name = "csim"

    def __init__(self, manifest: Mapping[str, Any], library: Path, weights: bytes) -> None:
        """Loads the library.

        Args:
            manifest: how to call the kernel, and where tensors lie.
            library: the compiled sources.
            weights: content of weights.bin.

        Raises:
            SimulationError: library, weights and manifest do not belong together.
        """
        self._manifest = manifest
        self.library = library
        self._weights = weights
        self._kernels = [CsimKernel(manifest, library, weights)]

    @classmethod
    def of_project(cls, project: Path, extra_flags: tuple[str, ...] = ()) -> CsimRunner:
        """Compiles the sources of a project, unless they are compiled already.

        Raises:
            BuildError: the sources do not compile.
            SimulationError: the project is incomplete.
        """
        return cls(*parts_of(project, extra_flags))

    def trace(self, inputs: Mapping[str, Array]) -> dict[str, Integers]:
        """Raw integers of the outputs and of every task's result, for inputs of shape (samples, *tensor shape[1:]).

        Raises:
            SimulationError: an input does not fit.
        """
        return self._run(inputs, self._manifest["taps"])

    def outputs(self, inputs: Mapping[str, Array]) -> dict[str, Integers]:
        """Raw integers of the outputs alone, in launches of as many samples as the kernel takes.

        Raises:
            SimulationError: an input does not fit.
        """
        return self._run(inputs, [])

    def _run(self, inputs: Mapping[str, Array], taps: list[dict[str, Any]]) -> dict[str, Integers]:
        try:
            packed = {spec["tensor"]: pack(inputs[spec["tensor"]], spec) for spec in self._manifest["inputs"]}
            specs = [*self._manifest["outputs"], *taps]
            samples = len(next(iter(inputs.values())))
            rows = {spec["tensor"]: np.empty((samples, sample_bytes(spec)), np.uint8) for spec in specs}
            kernels = self._enough_kernels(samples)

            def work(first: int) -> None:
                numbers = range(first, samples, len(kernels))
                if taps:
                    self._tapped(kernels[first], numbers, packed, taps, rows)
                if not taps or samples_per_launch(self._manifest) > 1:  # such launches show no taps
                    self._untapped(kernels[first], numbers, packed, rows)

            with ThreadPoolExecutor(len(kernels)) as threads:
                list(threads.map(work, range(len(kernels))))
            return {
                spec["tensor"]: unpack(rows[spec["tensor"]].reshape(-1), spec).astype(np.int64)
                for spec in specs
            }
        except AcceleratorError as error:
            raise SimulationError(f"C-simulation: {error}") from error

    def _tapped(
        self,
        kernel: CsimKernel,
        numbers: Iterable[int],
        packed: Mapping[str, Array],
        taps: list[dict[str, Any]],
        rows: Mapping[str, Array],
    ) -> None:
        """Some samples on one kernel, in one launch for each group of taps."""
        groups = sorted({spec["select"] for spec in taps})
        for number in numbers:
            self._fill(kernel, (number,), packed)
            for group in groups:
                kernel.launch(group)
                for spec in taps:
                    if spec["select"] == group:
                        rows[spec["tensor"]][number] = kernel.view(spec)
            for spec in self._manifest["outputs"]:
                rows[spec["tensor"]][number] = kernel.view(spec)

    def _untapped(
        self,
        kernel: CsimKernel,
        numbers: Sequence[int],
        packed: Mapping[str, Array],
        rows: Mapping[str, Array],
    ) -> None:
        """Some samples on one kernel, as many in a launch as it takes."""
        batch = samples_per_launch(self._manifest)
        for first in range(0, len(numbers), batch):
            together = numbers[first : first + batch]
            self._fill(kernel, together, packed)
            kernel.launch(0, len(together))
            for spec in self._manifest["outputs"]:
                for place, number in enumerate(together):
                    rows[spec["tensor"]][number] = kernel.view(spec, place)

    def _fill(self, kernel: CsimKernel, numbers: Iterable[int], packed: Mapping[str, Array]) -> None:
        """Puts inputs where the next launch reads them."""
        for spec in self._manifest["inputs"]:
            size = sample_bytes(spec)
            for place, number in enumerate(numbers):
                kernel.view(spec, place)[:] = packed[spec["tensor"]][number * size : (number + 1) * size]

    def _enough_kernels(self, samples: int) -> list[CsimKernel]:
        """One for each processor, if there are samples for it."""
        count = max(1, min(samples, len(os.sched_getaffinity(0)), MOST_THREADS))
        while len(self._kernels) < count:
            self._kernels.append(CsimKernel.copy(self._manifest, self.library, self._weights))
        return self._kernels[:count]

    @property
    def fault(self) -> str:
        """The first fault of the program so far, or an empty text."""
        text = next((kernel.fault for kernel in self._kernels if kernel.fault), "")
        return f"C-simulation: {text}: a process moves a wrong number of words" if text else ""
