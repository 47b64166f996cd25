"""One accelerator on one board, as a program uses it.

Everything about the design comes from the manifest. The parts: number_formats.py and dram_layout.py turn values into the
bytes of DRAM and back, kernel.py launches, pynq_device.py or xrt_device.py reaches the board, diagnosis.py says where a
stuck kernel stands, host_nodes.py runs what the model leaves to the host.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .deploy_files import check_files, find_manifest, read_golden_vectors, read_weights
from .diagnosis import diagnose, timeout_text
from .errors import AcceleratorError, LaunchTimeoutError, SelfTestError
from .host_nodes import HostNodes
from .kernel import Kernel
from .manifest import (
    clock_hz,
    expected_seconds,
    inputs_by_name,
    read_manifest,
    samples_per_launch,
    tap_groups,
    tapped,
)
from .number_formats import to_raw, to_values

if TYPE_CHECKING:
    from typing import Self


class Accelerator:
    """One accelerator on one board.

    The constructor loads the bitstream; the first launch loads the weights. Results are copies, so they stay as they are
    when the accelerator runs again. Use it in a `with` statement, or call `close`, to give the board its memory back.
    """

    def __init__(
        self,
        bitstream: str | Path,
        manifest: str | Path | None = None,
        timeout_s: float = 10.0,
        device: Any = None,
        host_parts: bool = True,
    ) -> None:
        """Checks the files and configures the board.

        Args:
            bitstream: The .bit file, with its .hwh beside it; for XRT the .xclbin file.
            manifest: The manifest; by default the one beside the bitstream, else the one of this deploy folder.
            timeout_s: How long one launch may take.
            device: Which board, where there are several: its number, or a device object of PYNQ or pyxrt. By default the
                first.
            host_parts: Whether a call runs the nodes of the model that are left to the host. If not, or if there is no
                onnxruntime, it takes and gives tensors of the hardware.

        Raises:
            AcceleratorError: If a file is missing, was changed, or belongs to another build, or the board refuses.
        """
        self.bitstream = Path(bitstream)
        self.manifest_path = find_manifest(self.bitstream) if manifest is None else Path(manifest)
        self.manifest = read_manifest(self.manifest_path)
        self.timeout_s = timeout_s
        folder = self.manifest_path.parent
        check_files(self.bitstream, self.manifest_path, self.manifest)
        weights = read_weights(folder, self.manifest)
        self._host = HostNodes(self.manifest, folder, host_parts)
        self._kernel = Kernel(self.bitstream, self.manifest, weights, device)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Frees the buffers on the board; the accelerator cannot be used afterwards."""
        self._kernel.close()

    def reload(self) -> None:
        """Loads the bitstream again, which frees a stuck kernel; buffers and weights are set up anew."""
        self._kernel.reload()

    @property
    def launches(self) -> int:
        """How many launches have ended since the bitstream was loaded."""
        return self._kernel.launches

    @property
    def seconds(self) -> float:
        """How long the last launch took, by the clock of the computer that this driver runs on; see `cycles`."""
        return self._kernel.seconds

    @property
    def groups(self) -> list[int]:
        """The tap groups: one launch writes the tensors of one group."""
        return tap_groups(self.manifest)

    @property
    def expected_seconds(self) -> float:
        """How long the kernel should take for one sample, from the cycles in the manifest; 0 if they are unknown."""
        return expected_seconds(self.manifest)

    @property
    def cycles(self) -> int:
        """Clock cycles of the last launch, as the kernel counted them: from its start until its result was on the way.

        The first launch loads the weights too. 0 before that, and with a kernel that does not count.

        Raises:
            AcceleratorError: If the accelerator cannot be used, or lost the board.
        """
        return self._kernel.cycles()

    @property
    def kernel_seconds(self) -> float:
        """How long the last launch took in the kernel: its cycles at the clock of the design."""
        return self.cycles / clock_hz(self.manifest)

    def __call__(self, x: Any) -> Any:
        """Runs samples of the model: its first nodes on the host, if any, the accelerator, and its last nodes on the host.

        Args:
            x: One sample or a batch along the first axis; for a model with several inputs, a dict by name. Where the model's
                first nodes run on the host, its own inputs, or the real tensors that these nodes make of them.

        Returns:
            The results, real or of the model's integer type; for a model with several outputs, a dict by name. If the host's
            nodes cannot be run because there is no onnxruntime, a warning says so, and the results are those before them.
        """
        values = self._host.before(x)
        raw = {spec["tensor"]: to_raw(values[spec["tensor"]], spec) for spec in self.manifest["inputs"]}
        results = self.run(raw)
        found = {
            spec["tensor"]: to_values(results[spec["tensor"]], spec) for spec in self.manifest["outputs"]
        }
        found = self._host.after(found)
        return found if len(found) > 1 else next(iter(found.values()))

    def run(self, raw: Any) -> dict[str, np.ndarray[Any, Any]]:
        """Runs raw integer samples.

        Args:
            raw: One sample or a batch along the first axis; for a design with several inputs, a dict by tensor name.

        Returns:
            The raw output tensors by name, with the samples along the first axis.
        """
        return self._launch(raw, 0)

    def taps(self, raw: Any, group: int) -> dict[str, np.ndarray[Any, Any]]:
        """Runs raw integer samples and reads the inner tensors of one tap group as well as the outputs."""
        if group not in self.groups:
            raise AcceleratorError(f"there is no tap group {group}; the groups are {self.groups}")
        return self._launch(raw, group)

    def trace(self, raw: Any) -> dict[str, np.ndarray[Any, Any]]:
        """Runs raw integer samples once per tap group and returns every tensor the hardware can show.

        A launch that takes several samples shows no taps: then outputs come from such launches first.

        Raises:
            AcceleratorError: If the outputs differ between the groups: the same inputs must give the same results.
        """
        results: dict[str, np.ndarray[Any, Any]] = {}
        outputs = {spec["tensor"] for spec in self.manifest["outputs"]}
        several = samples_per_launch(self.manifest) > 1
        for group in [*([0] if several or not self.groups else []), *self.groups]:
            found = self.taps(raw, group) if group else self.run(raw)
            for name in outputs & results.keys():
                differing = np.flatnonzero(
                    (found[name] != results[name]).reshape(len(found[name]), -1).any(axis=1)
                )
                if differing.size:
                    raise AcceleratorError(
                        f"output '{name}' of sample {differing[0]} changed when tap group {group} was read: the hardware "
                        "does not repeat its results; check the timing report of the bitstream"
                    )
            results.update(found)
        return results

    def self_test(self) -> int:
        """Runs the golden vectors of the project and compares every integer.

        Returns:
            How many samples were compared.

        Raises:
            SelfTestError: If an output is wrong; says the first wrong element.
            AcceleratorError: If there are no golden vectors.
        """
        inputs, expected = read_golden_vectors(self.manifest_path, self.manifest)
        found = self.run(inputs)
        for name, wanted in expected.items():
            wrong = np.argwhere(found[name] != wanted)
            if len(wrong):
                where = tuple(int(i) for i in wrong[0])
                raise SelfTestError(
                    f"self-test: {len(wrong)} of {wanted.size} elements of output '{name}' are wrong, the first at "
                    f"{where}: {found[name][where]}, not {wanted[where]}. `intarsia verify` with the address of this "
                    "board says which layer is the first to differ"
                )
        return len(next(iter(expected.values())))

    def diagnose(self, raw: Any, within_s: float = float("inf")) -> str:
        """Says how far a stuck kernel gets with one sample.

        Every tap group is run on a freshly loaded bitstream, with a time limit; what the kernel has written by then
        shows where it stands. The accelerator is loaded once more at the end, and can be used again.

        Args:
            raw: Raw integers of one sample.
            within_s: After so long no other group is begun.
        """
        return diagnose(self._kernel, inputs_by_name(raw, self.manifest), self.timeout_s, within_s)

    def _launch(self, raw: Any, group: int) -> dict[str, np.ndarray[Any, Any]]:
        """Runs raw samples; with a tap group other than 0, also returns its tensors."""
        named = inputs_by_name(raw, self.manifest)
        wanted = [*self.manifest["outputs"], *tapped(self.manifest, group)]
        try:
            return self._kernel.run(named, group, wanted, self.timeout_s)
        except LaunchTimeoutError as stuck:
            raise AcceleratorError(timeout_text(self._kernel, stuck, named, group, self.timeout_s)) from None
