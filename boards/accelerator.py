"""Drives one intarsia accelerator.

This file, and the one beside it that reaches the board (`pynq_device.py` or `xrt_device.py`), are the whole driver. They
stand beside `manifest.json` and `weights.bin` in the deploy folder of a project. They need NumPy, and PYNQ 3.1 on the
board, PYNQ 4.0 on the board or on another computer (set PYNQ_REMOTE_DEVICES to the address of the board), or XRT's pyxrt.

    from accelerator import Accelerator

    with Accelerator("lenet5.bit") as lenet5:
        lenet5.self_test()       # the golden vectors of the project
        y = lenet5(x)            # a batch of float samples in, float results out
        raw = lenet5.run(q)      # the same with the integers of the hardware
        layers = lenet5.taps(q, group=1)

or, from a shell, with integer arrays in .npz files that are keyed by tensor name:

    python accelerator.py --bitstream lenet5.bit --self-test
    python accelerator.py --bitstream lenet5.bit --inputs in.npz --outputs out.npz [--taps]

Where the first or the last nodes of the model run on the host, `lenet5(x)` runs them too, in ONNX Runtime (the files
`host_before.onnx`, `host_after.onnx` and `host_part.py`); `run` and `taps` are for the hardware alone.

Everything about the design comes from the manifest. A tensor lies in DRAM pixel by pixel: the batch axis is dropped, the
channels come last, and each pixel takes whole words of `lanes` elements, padded with zeros. An element takes the bytes that its
format needs, or more if the words of the design are wider.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.util
import io
import json
import sys
import time
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from typing import Self

# Samples go to the board in chunks whose buffers stay below this, because contiguous memory is scarce on a board.
CHUNK_BYTES = 16 << 20
# What result buffers hold before a launch with taps. A word of results that happens to be just this counts as unwritten.
UNWRITTEN = 0xA5
BUILD_SUMS = "SHA256SUMS"
# The diagnosis after a time-out loads the bitstream once per tap group; it begins no other group after so long.
DIAGNOSIS_S = 20.0
# A launch of the diagnosis may take this, or a hundred times what the schedule says.
DIAGNOSIS_LAUNCH_S = 1.0
NAMES_SHOWN = 4


class AcceleratorError(Exception):
    """The accelerator cannot be used as asked; the message says why and what to do."""


# Numbers: value = (raw - zero) * mantissa * 2**exponent.


def element_type(number: dict[str, Any]) -> np.dtype[Any]:
    """Returns the little-endian NumPy type that holds the raw integers of a number format."""
    size = 1 if number["bits"] <= 8 else 2 if number["bits"] <= 16 else 4
    return np.dtype(f"<{'i' if number['signed'] else 'u'}{size}")


def limits(number: dict[str, Any]) -> tuple[int, int]:
    """Returns the smallest and the largest raw value of a number format."""
    if number["signed"]:
        return number.get("narrow", 0) - (1 << (number["bits"] - 1)), (1 << (number["bits"] - 1)) - 1
    return 0, (1 << number["bits"]) - 1


def quantise(values: Any, number: dict[str, Any]) -> np.ndarray[Any, Any]:
    """Rounds floats to raw integers, half to even unless the format says otherwise, then saturating."""
    scaled = np.asarray(values, dtype=np.float64) / scale(number)
    if np.isnan(scaled).any():
        raise AcceleratorError("the input holds NaN, which has no fixed-point value")
    whole = round_values(scaled, number.get("rounding", "HALF_EVEN")) + number.get("zero", 0)
    raw: np.ndarray[Any, Any] = np.clip(whole, *limits(number)).astype(element_type(number))
    return raw


def to_raw(values: Any, spec: dict[str, Any]) -> np.ndarray[Any, Any]:
    """Returns the raw integers of samples of an input: reals are rounded and saturate, whole numbers must be within the format.

    Raises:
        AcceleratorError: If the model takes integers, and these are none, or beyond what the design was made for.
    """
    if "type" not in spec:
        return quantise(values, spec["format"])
    number, given = spec["format"], np.asarray(values)
    low, high = (bound - number.get("zero", 0) for bound in limits(number))
    low = max(low, 0) if spec["type"] == "bool" else low
    if given.size and (given.dtype.kind not in "iufb" or not np.array_equal(given, np.rint(given))):
        raise AcceleratorError(f"input '{spec['tensor']}' takes {spec['type']}, but was given {given.dtype}")
    if given.size and not (low <= given.min() and given.max() <= high):
        raise AcceleratorError(
            f"input '{spec['tensor']}' was given values from {given.min()} to {given.max()}; this design takes {low} to {high}. "
            f"Compile it again with calibration samples that have them, or with more bits for this tensor (--precision)"
        )
    raw: np.ndarray[Any, Any] = (given.astype(np.int64) + number.get("zero", 0)).astype(element_type(number))
    return raw


def to_values(raw: Any, spec: dict[str, Any]) -> np.ndarray[Any, Any]:
    """Returns the values of raw outputs: reals, or integers of the model's type."""
    values = dequantise(raw, spec["format"])
    return values.astype(spec["type"]) if "type" in spec else values


def scale(number: dict[str, Any]) -> float:
    """Returns the value of one step of a number format."""
    return float(number.get("mantissa", 1.0) * 2.0 ** number["exponent"])


def round_values(values: np.ndarray[Any, Any], mode: str) -> np.ndarray[Any, Any]:
    """Rounds floats to whole numbers in one of the modes of generator/arithmetic/rounding.py."""
    size = np.abs(values)
    by_mode: dict[str, Callable[[], Any]] = {
        "HALF_EVEN": lambda: np.rint(values),
        "HALF_ODD": lambda: np.rint(values + 1) - 1,
        "FLOOR": lambda: np.floor(values),
        "CEIL": lambda: np.ceil(values),
        "DOWN": lambda: np.trunc(values),
        "UP": lambda: np.copysign(np.ceil(size), values),
        "HALF_DOWN": lambda: np.copysign(np.ceil(size - 0.5), values),
        "HALF_UP": lambda: np.copysign(np.floor(size + 0.5), values),
        "SIGN": lambda: np.where(values < 0, -1.0, 1.0),
    }
    rounded: np.ndarray[Any, Any] = by_mode[mode]()
    return rounded


def dequantise(raw: Any, number: dict[str, Any]) -> np.ndarray[Any, Any]:
    """Returns the exact values of raw integers."""
    steps = np.asarray(raw, dtype=np.float64) - number.get("zero", 0)
    values: np.ndarray[Any, Any] = steps * scale(number)
    return values


# Layout of tensors in DRAM.


def storage_type(spec: dict[str, Any]) -> np.dtype[Any]:
    """Returns the NumPy type of an element in DRAM: that of its format, unless the design stores it wider."""
    kind = element_type(spec["format"])
    return np.dtype(f"<{kind.kind}{spec.get('element_bytes', kind.itemsize)}")


def sample_bytes(spec: dict[str, Any]) -> int:
    """Returns how many bytes one sample of a tensor takes in DRAM."""
    return int(spec["words"]) * int(spec["lanes"]) * storage_type(spec).itemsize


def pack(values: Any, spec: dict[str, Any]) -> np.ndarray[Any, Any]:
    """Lays raw integers out as the words of DRAM.

    Args:
        values: One sample of the shape in `spec`, or several along the first axis.
        spec: The entry of the tensor in the manifest.

    Returns:
        The bytes, sample after sample, as one flat array of uint8.
    """
    samples = _as_samples(values, spec)
    low, high = limits(spec["format"])
    if samples.size and (int(samples.min()) < low or int(samples.max()) > high):
        raise AcceleratorError(
            f"tensor '{spec['tensor']}' holds values from {samples.min()} to {samples.max()}, "
            f"its format allows {low} to {high}"
        )
    pixels = np.moveaxis(samples, spec["channel_axis"], -1)
    channels = pixels.shape[-1]
    words = -(-channels // spec["lanes"])  # of one pixel
    count = int(np.prod(pixels.shape[1:-1]))
    packed = np.zeros((len(samples), count, words * spec["lanes"]), storage_type(spec))
    packed[..., :channels] = pixels.reshape(len(samples), count, channels)
    return packed.reshape(-1).view(np.uint8)


def unpack(buffer: Any, spec: dict[str, Any]) -> np.ndarray[Any, Any]:
    """Reads raw integers back from the words of DRAM.

    Args:
        buffer: The bytes of one sample, or of several in a row.
        spec: The entry of the tensor in the manifest.

    Returns:
        A new array of the shape in `spec`, with the number of samples as its first axis.
    """
    flat = np.ascontiguousarray(buffer).reshape(-1).view(np.uint8)
    if flat.nbytes == 0 or flat.nbytes % sample_bytes(spec):
        raise AcceleratorError(
            f"tensor '{spec['tensor']}': {flat.nbytes} bytes are not a number of samples of {sample_bytes(spec)} bytes"
        )
    shape, axis = list(spec["shape"][1:]), spec["channel_axis"] - 1
    channels = shape.pop(axis)
    words = -(-channels // spec["lanes"])
    elements = flat.view(storage_type(spec)).reshape(-1, *shape, words * spec["lanes"])
    return np.moveaxis(elements[..., :channels], -1, axis + 1).copy()


def _as_samples(values: Any, spec: dict[str, Any]) -> np.ndarray[Any, Any]:
    raw, shape = np.asarray(values), tuple(spec["shape"])
    if raw.shape == shape[1:]:
        raw = raw[np.newaxis]
    if raw.shape[1:] != shape[1:] or raw.ndim != len(shape) or len(raw) == 0:
        wanted = ", ".join(["samples", *map(str, shape[1:])])
        raise AcceleratorError(f"tensor '{spec['tensor']}' has shape {raw.shape}, it must be ({wanted})")
    if raw.dtype.kind not in "iu":
        raise AcceleratorError(
            f"tensor '{spec['tensor']}' is {raw.dtype}; raw integers are wanted here: quantise it first"
        )
    return raw


# The manifest.


def read_manifest(path: str | Path) -> dict[str, Any]:
    """Reads a manifest and checks that its parts agree.

    Returns:
        The manifest; each tensor also says its `element_bytes`, which follow from the size of a word.

    Raises:
        AcceleratorError: If it cannot be read or contradicts itself.
    """
    try:
        manifest: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise AcceleratorError(f"cannot read manifest {path}: {error.strerror}") from error
    except ValueError as error:
        raise AcceleratorError(f"manifest {path} is not valid JSON: {error}") from error
    if manifest.get("format") != 1:
        raise AcceleratorError(
            f"manifest {path} has format {manifest.get('format')!r}, this driver knows format 1"
        )
    try:
        _check_manifest(manifest)
    except KeyError as error:
        raise AcceleratorError(f"manifest {path}: key {error} is missing") from error
    except AcceleratorError as error:
        raise AcceleratorError(f"manifest {path}: {error}") from error
    return manifest


def _check_manifest(manifest: dict[str, Any]) -> None:
    arguments = {argument["name"]: argument for argument in manifest["arguments"]}
    manifest["instance"], manifest["kernel"]
    for spec in (*manifest["inputs"], *manifest["outputs"], *manifest["taps"]):
        argument = arguments.get(spec["argument"], {})
        if argument.get("kind") != "pointer":
            raise AcceleratorError(
                f"tensor '{spec['tensor']}' names '{spec['argument']}', which is no pointer argument"
            )
        shape = list(spec["shape"])
        channels = shape[spec["channel_axis"]]
        words = int(np.prod(shape)) // shape[0] // channels * -(-channels // spec["lanes"])
        if words != spec["words"]:
            raise AcceleratorError(f"tensor '{spec['tensor']}' takes {words} words, not {spec['words']}")
        spec.setdefault("element_bytes", manifest["word_bytes"] // spec["lanes"])
        if (
            spec["lanes"] * spec["element_bytes"] != manifest["word_bytes"]
            or spec["element_bytes"] < element_type(spec["format"]).itemsize
        ):
            raise AcceleratorError(
                f"tensor '{spec['tensor']}': {spec['lanes']} lanes of {spec['format']['bits']} bits do not make a word "
                f"of {manifest['word_bytes']} bytes"
            )
        if (spec["word_offset"] + words) * manifest["word_bytes"] > argument["bytes"]:
            raise AcceleratorError(
                f"tensor '{spec['tensor']}' does not fit into argument '{spec['argument']}'"
            )
    if manifest["taps"] and "tap" not in arguments:
        raise AcceleratorError("there are taps, but no scalar argument 'tap' selects them")
    weights = manifest.get("weights")
    if weights and weights["argument"] not in arguments:
        raise AcceleratorError(f"the weights name '{weights['argument']}', which is no argument")


# The accelerator.


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
            manifest: The manifest; by default the one beside the bitstream, else the one beside this file.
            timeout_s: How long one launch may take.
            device: Which board, where there are several: its number, or a device object of PYNQ or pyxrt. By default the
                first.
            host_parts: Whether a call runs the nodes of the model that are left to the host. If not, or if there is no
                onnxruntime, it takes and gives tensors of the hardware.

        Raises:
            AcceleratorError: If a file is missing, was changed, or belongs to another build, or the board refuses.
        """
        self.bitstream = Path(bitstream)
        self.manifest_path = _find_manifest(self.bitstream) if manifest is None else Path(manifest)
        self.manifest = read_manifest(self.manifest_path)
        self.timeout_s = timeout_s
        self.launches = 0
        self.seconds = 0.0
        """How long the last launch took, by the clock of the computer that this driver runs on; see `cycles`."""
        self._arguments = {argument["name"]: argument for argument in self.manifest["arguments"]}
        self._buffers: dict[str, Any] = {}
        self._unusable = ""
        self._check_files()
        self._weights = self._read_weights()
        self._host, self._no_host = self._load_host_parts() if host_parts else ({}, "host_parts is False")
        self._module = _driver_module(f"{self.manifest.get('runtime', 'pynq')}_device")
        self._which = device
        self._device: Any = None
        self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Frees the buffers on the board; the accelerator cannot be used afterwards."""
        for buffer in self._buffers.values():
            with contextlib.suppress(Exception):  # a lost board must not hide why it was lost
                buffer.free()
        self._buffers.clear()
        self._unusable = self._unusable or "it was closed"

    def reload(self) -> None:
        """Loads the bitstream again, which frees a stuck kernel; buffers and weights are set up anew."""
        self.close()
        self._unusable = ""
        self.launches = 0
        self._open()

    @property
    def groups(self) -> list[int]:
        """The tap groups: one launch writes the tensors of one group."""
        return sorted({spec["select"] for spec in self.manifest["taps"]})

    @property
    def expected_seconds(self) -> float:
        """How long the kernel should take for one sample, from the cycles in the manifest; 0 if they are unknown."""
        return float(self.manifest.get("cycles", 0)) / self._clock_hz

    @property
    def cycles(self) -> int:
        """Clock cycles of the last launch, as the kernel counted them: from its start until its result was on the way.

        The first launch loads the weights too. 0 before that, and with a kernel that does not count.

        Raises:
            AcceleratorError: If the accelerator cannot be used, or lost the board.
        """
        counter = self._arguments.get("cycles")
        if counter is None or not self.launches:
            return 0
        self._check_usable()
        try:
            if counter["kind"] == "pointer":
                buffer = self._buffers["cycles"]
                buffer.from_device()
                return int(buffer.bytes[:4].view("<u4")[0])
            return int(self._device.read("cycles"))
        except Exception as error:
            self._unusable = "it lost the board"
            raise AcceleratorError(_reason(error)) from error

    @property
    def kernel_seconds(self) -> float:
        """How long the last launch took in the kernel: its cycles at the clock of the design."""
        return self.cycles / self._clock_hz

    @property
    def _clock_hz(self) -> float:
        return float(self.manifest["clock_mhz"]) * 1e6

    def __call__(self, x: Any) -> Any:
        """Runs samples of the model: its first nodes on the host, if any, the accelerator, and its last nodes on the host.

        Args:
            x: One sample or a batch along the first axis; for a model with several inputs, a dict by name. Where the model's
                first nodes run on the host, its own inputs, or the real tensors that these nodes make of them.

        Returns:
            The results, real or of the model's integer type; for a model with several outputs, a dict by name. If the host's nodes cannot be run because
            there is no onnxruntime, a warning says so, and the results are those before them.
        """
        values = self._real_inputs(x)
        raw = {spec["tensor"]: to_raw(values[spec["tensor"]], spec) for spec in self.manifest["inputs"]}
        results = self.run(raw)
        found = {
            spec["tensor"]: to_values(results[spec["tensor"]], spec) for spec in self.manifest["outputs"]
        }
        found = self._after(found)
        return found if len(found) > 1 else next(iter(found.values()))

    def run(self, raw: Any) -> dict[str, np.ndarray[Any, Any]]:
        """Runs raw integer samples.

        Args:
            raw: One sample or a batch along the first axis; for a design with several inputs, a dict by tensor name.

        Returns:
            The raw output tensors by name, with the samples along the first axis.
        """
        return self._launch(self._by_name(raw), 0, self.manifest["outputs"])

    def taps(self, raw: Any, group: int) -> dict[str, np.ndarray[Any, Any]]:
        """Runs raw integer samples and reads the inner tensors of one tap group as well as the outputs."""
        if group not in self.groups:
            raise AcceleratorError(f"there is no tap group {group}; the groups are {self.groups}")
        return self._launch(self._by_name(raw), group, [*self.manifest["outputs"], *self._tapped(group)])

    def trace(self, raw: Any) -> dict[str, np.ndarray[Any, Any]]:
        """Runs raw integer samples once per tap group and returns every tensor the hardware can show.

        Raises:
            AcceleratorError: If the outputs differ between the groups: the same inputs must give the same results.
        """
        results: dict[str, np.ndarray[Any, Any]] = {}
        outputs = {spec["tensor"] for spec in self.manifest["outputs"]}
        for group in self.groups or [0]:
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
            AcceleratorError: If there are no golden vectors, or an output is wrong; says the first wrong element.
        """
        inputs, expected = self._golden()
        found = self.run(inputs)
        for name, wanted in expected.items():
            wrong = np.argwhere(found[name] != wanted)
            if len(wrong):
                where = tuple(int(i) for i in wrong[0])
                raise AcceleratorError(
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
        sample = {name: np.asarray(value) for name, value in self._by_name(raw).items()}
        done: dict[str, str] = {}
        kept, start = self.timeout_s, time.monotonic()
        self.timeout_s = min(kept, max(DIAGNOSIS_LAUNCH_S, 100 * self.expected_seconds))
        finished = True
        try:
            for group in self.groups:
                if time.monotonic() - start > within_s:
                    break
                self.reload()
                try:
                    self.taps(sample, group)
                    done |= {spec["tensor"]: "complete" for spec in self._tapped(group)}
                except AcceleratorError:
                    finished = False
                    done |= self._progress(group)
            self.reload()
        finally:
            self.timeout_s = kept
        if finished:
            return "every launch ended there: the hang depends on what runs before, or does not always come"
        return self._where(done)

    # The rest is how.

    def _open(self) -> None:
        try:
            self._device = self._module.Device(self.bitstream, self.manifest, self._which)
            if self._weights is not None:
                self._allocate(self.manifest["weights"]["argument"], self._weights)
        except self._module.DeviceError as error:
            raise AcceleratorError(str(error)) from error
        except Exception as error:
            raise AcceleratorError(f"cannot set up the board: {_reason(error)}") from error

    def _load_host_parts(self) -> tuple[dict[str, Any], str]:
        """The host's parts of the model by role, and why there are none although the manifest names some."""
        parts: dict[str, Any] = {}
        for role, about in self.manifest.get("host", {}).items():
            path = self.manifest_path.parent / about["file"]
            if not path.is_file():
                raise AcceleratorError(f"there is no file {path}: copy the whole deploy folder again")
            _check_hash(path, path.read_bytes(), about["sha256"])
            module = _driver_module("host_part")
            try:
                parts[role] = module.HostPart.read(path)
            except module.HostPartError as error:
                return {}, str(error)
        return parts, ""

    def _real_inputs(self, x: Any) -> dict[str, Any]:
        """What the hardware takes as real numbers, of the model's own inputs or of these tensors themselves."""
        before = self.manifest.get("host", {}).get("before")
        names = [spec["tensor"] for spec in self.manifest["inputs"]]
        if before is None or (isinstance(x, dict) and all(name in x for name in names)):
            return self._by_name(x)
        own = [spec["tensor"] for spec in before["inputs"]]
        made = [spec["tensor"] for spec in before["outputs"]]
        own += [name for name in names if name not in made and name not in own]
        if "before" not in self._host:
            if isinstance(x, dict) or len(names) > 1 or not self._is_of(x, self.manifest["inputs"][0]):
                raise AcceleratorError(
                    f"the model's first nodes run on the host, and cannot: {self._no_host}. Without them, give the tensors "
                    f"{', '.join(names)} that they make of {', '.join(own)}, as real numbers in a dict by name"
                )
            return {names[0]: x}
        values = x if isinstance(x, dict) else {own[0]: x}
        if missing := [name for name in own if name not in values]:
            raise AcceleratorError(
                f"input '{missing[0]}' is missing; the model has the inputs {', '.join(own)}: give a dict by name"
            )
        values = {name: np.asarray(value) for name, value in values.items()}
        for spec in before["inputs"]:
            name = spec["tensor"]
            if values[name].size == np.prod(spec["shape"], dtype=int):
                values[name] = values[name].reshape(1, *spec["shape"])
        return {**values, **self._run_host("before", values)}

    def _is_of(self, x: Any, spec: dict[str, Any]) -> bool:
        """Whether an array is real samples of a tensor, or one sample."""
        array, shape = np.asarray(x), tuple(spec["shape"])
        return array.dtype.kind == "f" and shape[1:] in (array.shape, array.shape[1:])

    def _after(self, results: dict[str, Any]) -> dict[str, Any]:
        """The model's outputs: the results of the hardware, through the host's last nodes."""
        after = self.manifest.get("host", {}).get("after")
        if after is None:
            return results
        read = [spec["tensor"] for spec in after["inputs"]]
        if "after" not in self._host:
            if self._no_host != "host_parts is False":
                warnings.warn(
                    f"the model's last nodes run on the host, and cannot: {self._no_host}. The results are those of the "
                    f"hardware, {', '.join(read)}",
                    stacklevel=3,
                )
            return results
        kept = {name: values for name, values in results.items() if name not in read}
        return {**kept, **self._run_host("after", results)}

    def _run_host(self, role: str, values: dict[str, Any]) -> dict[str, Any]:
        """Samples through a part of the model, without the batch axis of 1."""
        part = self._host[role]
        try:
            results = part.run(values)
        except Exception as error:
            raise AcceleratorError(str(error)) from error
        return {name: array.reshape(len(array), *array.shape[2:]) for name, array in results.items()}

    def _by_name(self, values: Any) -> dict[str, Any]:
        names = [spec["tensor"] for spec in self.manifest["inputs"]]
        if not isinstance(values, dict):
            if len(names) > 1:
                raise AcceleratorError(
                    f"the design has the inputs {', '.join(names)}: give a dict by tensor name"
                )
            return {names[0]: values}
        missing = [name for name in names if name not in values]
        if missing:
            raise AcceleratorError(f"input '{missing[0]}' is missing; given: {', '.join(values) or 'none'}")
        return values

    def _check_files(self) -> None:
        files = [self.bitstream]
        if self.manifest.get("runtime", "pynq") == "pynq":
            files.append(self.bitstream.with_suffix(".hwh"))
        for path in files:
            if not path.is_file():
                raise AcceleratorError(
                    f"there is no file {path}"
                    + ("; the .bit and its .hwh must stand side by side" if len(files) > 1 else "")
                )
        folder = self.manifest_path.parent
        for name, wanted in self.manifest.get("sha256", {}).items():
            path = folder / name
            if path.is_file():
                _check_hash(path, path.read_bytes(), wanted)
        self._check_build()

    def _check_build(self) -> None:
        """Compares the files with the list that the build wrote beside them, if there is one.

        The list holds the manifest too, so it also tells a bitstream that was built before the last compilation.
        """
        sums = self.bitstream.with_name(BUILD_SUMS)
        if not sums.is_file():
            return
        names = {"manifest.json": self.manifest_path}
        for line in sums.read_text(encoding="utf-8").splitlines():
            wanted, _, name = line.partition("  ")
            path = names.get(name, self.bitstream.with_name(name))
            if not path.is_file():
                raise AcceleratorError(
                    f"there is no file {path}, which {sums} lists: copy the deploy folder again"
                )
            if hashlib.sha256(path.read_bytes()).hexdigest() != wanted:
                raise AcceleratorError(
                    f"{path} is not the file that {sums} lists: the files are not of one build. Build the bitstream "
                    "again, or copy the whole deploy folder again"
                )

    def _read_weights(self) -> np.ndarray[Any, Any] | None:
        weights = self.manifest.get("weights")
        if not weights:
            return None
        path = self.manifest_path.parent / weights["file"]
        try:
            data = path.read_bytes()
        except OSError as error:
            raise AcceleratorError(f"cannot read weights {path}: {error.strerror}") from error
        if len(data) != weights["bytes"]:
            raise AcceleratorError(
                f"{path} has {len(data)} bytes, the manifest says {weights['bytes']}: copy it again"
            )
        _check_hash(path, data, weights["sha256"])
        return np.frombuffer(data, np.uint8)

    def _golden(self) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, np.ndarray[Any, Any]]]:
        golden = self.manifest.get("golden")
        if not golden:
            raise AcceleratorError(f"{self.manifest_path} names no golden vectors")
        path = self.manifest_path.parent / golden["file"]
        try:
            data = path.read_bytes()
        except OSError as error:
            raise AcceleratorError(f"cannot read the golden vectors {path}: {error.strerror}") from error
        _check_hash(path, data, golden["sha256"])
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        inputs = {name.removeprefix("in:"): array for name, array in arrays.items() if name[:3] == "in:"}
        expected = {name.removeprefix("out:"): array for name, array in arrays.items() if name[:4] == "out:"}
        return inputs, expected

    def _tapped(self, group: int) -> list[dict[str, Any]]:
        return [spec for spec in self.manifest["taps"] if spec["select"] == group]

    def _launch(
        self, raw: dict[str, Any], tap: int, wanted: list[dict[str, Any]]
    ) -> dict[str, np.ndarray[Any, Any]]:
        """Runs every sample with one tap selection and returns the wanted tensors.

        The samples of a chunk lie one after the other in each buffer, so a chunk costs one transfer per buffer, and a
        launch only moves the pointers on.
        """
        self._check_usable()
        packed, samples = {}, {}
        for spec in self.manifest["inputs"]:
            name = spec["tensor"]
            samples[name] = _as_samples(raw[name], spec)
            packed[name] = pack(samples[name], spec).reshape(len(samples[name]), -1)
        counts = {name: len(rows) for name, rows in packed.items()}
        count = next(iter(counts.values()))
        if len(set(counts.values())) > 1:
            raise AcceleratorError(f"the inputs must have as many samples as each other, not {counts}")

        moving = {spec["argument"] for spec in (*self.manifest["inputs"], *wanted)}
        step = self._device.alignment
        strides = {name: -(-self._arguments[name]["bytes"] // step) * step for name in moving}
        chunk = min(count, max(1, CHUNK_BYTES // sum(strides.values())))
        parts: dict[str, list[np.ndarray[Any, Any]]] = {spec["tensor"]: [] for spec in wanted}
        try:
            self._device.check()
            for name, argument in self._arguments.items():
                if argument["kind"] == "pointer" and _buffer(argument) == name:
                    self._reserve(name, strides[name] * chunk if name in moving else argument["bytes"])
            for first in range(0, count, chunk):
                rows = min(chunk, count - first)
                self._send(packed, strides, first, rows)
                if tap:
                    self._mark({spec["argument"] for spec in wanted})
                for row in range(rows):
                    if state := self._run_once({name: row * strides[name] for name in moving}, tap):
                        self._unusable = "its kernel is stuck"
                        sample = {name: values[first + row] for name, values in samples.items()}
                        raise AcceleratorError(self._timeout_text(state, tap, sample))
                self._receive(wanted, strides, rows, parts)
        except AcceleratorError:
            raise
        except self._module.DeviceError as error:
            self._unusable = "it lost the board"
            raise AcceleratorError(str(error)) from error
        except Exception as error:
            self._unusable = "it lost the board"
            raise AcceleratorError(
                f"lost the board after {self.launches} launches: {_reason(error)}"
            ) from error
        return {name: np.concatenate(found) for name, found in parts.items()}

    def _send(self, packed: dict[str, Any], strides: dict[str, int], first: int, rows: int) -> None:
        for spec in self.manifest["inputs"]:
            view = self._rows(spec, strides, rows)
            view[...] = packed[spec["tensor"]][first : first + rows]
        for name in {spec["argument"] for spec in self.manifest["inputs"]}:
            self._buffers[name].to_device()

    def _mark(self, names: set[str]) -> None:
        """Fills result buffers with a pattern, so that a stuck launch shows how far it came."""
        for name in names:
            self._buffers[name].bytes[:] = UNWRITTEN
            self._buffers[name].to_device()

    def _receive(
        self, wanted: list[dict[str, Any]], strides: dict[str, int], rows: int, parts: dict[str, list[Any]]
    ) -> None:
        for name in {spec["argument"] for spec in wanted}:
            self._buffers[name].from_device()
        for spec in wanted:
            parts[spec["tensor"]].append(unpack(self._rows(spec, strides, rows), spec))

    def _rows(self, spec: dict[str, Any], strides: dict[str, int], rows: int) -> np.ndarray[Any, Any]:
        """A view of one tensor in the buffer of its argument, one row per sample."""
        stride = strides[spec["argument"]]
        whole = self._buffers[spec["argument"]].bytes[: rows * stride].reshape(rows, stride)
        start = spec["word_offset"] * self.manifest["word_bytes"]
        view: np.ndarray[Any, Any] = whole[:, start : start + sample_bytes(spec)]
        return view

    def _run_once(self, offsets: dict[str, int], tap: int) -> str:
        """Launches the kernel; returns an empty text, or what the device says of it when the time has run out."""
        values: dict[str, Any] = {}
        for name, argument in self._arguments.items():
            if argument["kind"] == "pointer":
                values[name] = (self._buffers[_buffer(argument)], offsets.get(name, 0))
            elif argument.get("direction", "in") == "in":
                roles = {"load_weights": int(self.launches == 0), "tap": tap}
                values[name] = roles.get(name, int(argument.get("value", 0)))
        start = time.monotonic()
        state: str = self._device.launch(values, self.timeout_s)
        self.seconds = time.monotonic() - start
        self.launches += not state
        return state

    def _timeout_text(self, state: str, tap: int, sample: dict[str, Any]) -> str:
        """What a launch that did not end tells the user: the registers, the phase, and which tensors are not written."""
        expected = self.expected_seconds
        text = (
            f"{self.manifest['instance']} did not finish launch {self.launches + 1} in {self.timeout_s:g} s"
        )
        text += f" (the schedule says {expected * 1e3:.3g} ms)" if expected else ""
        text += f". {state}"
        with contextlib.suppress(Exception):
            text += self._phase_text()
        with contextlib.suppress(Exception):
            if tap:
                text += ". By what the taps show, " + self._where(self._progress(tap))
            elif self.groups and self._device.loading_frees_kernel:
                found = self.diagnose(sample, DIAGNOSIS_S)
                text += f". Run once more on a freshly loaded bitstream, with taps: {found}"
        return text

    def _phase_text(self) -> str:
        """What the phase register of a stuck kernel says, if it has one that can be read."""
        phases = self.manifest.get("phases", [])
        if self._arguments.get("phase", {}).get("kind") != "scalar" or not self._device.reads_registers:
            return ""
        phase = self._device.read("phase")
        if phase >= len(phases):
            return ""
        names = phases[phase].get("tasks") or phases[phase]["tensors"]
        shown = ", ".join(names[:NAMES_SHOWN]) + (", ..." if len(names) > NAMES_SHOWN else "")
        return f". The phase register says phase {phase} of {len(phases)} ({shown})"

    def _check_usable(self) -> None:
        if self._unusable:
            raise AcceleratorError(
                f"the accelerator cannot be used, {self._unusable}: make a new one, or call reload()"
            )

    def _progress(self, group: int) -> dict[str, str]:
        """How much of each tensor of a group and each output is written in the sample that stuck: the first with gaps."""
        result = {}
        specs = [*self._tapped(group), *self.manifest["outputs"]]
        for name in {spec["argument"] for spec in specs}:
            self._buffers[name].from_device()
        for spec in specs:
            size, stride = sample_bytes(spec), self._arguments[spec["argument"]]["bytes"]
            stride = -(-stride // self._device.alignment) * self._device.alignment
            whole = self._buffers[spec["argument"]].bytes
            start = spec["word_offset"] * self.manifest["word_bytes"]
            rows = whole[: len(whole) // stride * stride].reshape(-1, stride)[:, start : start + size]
            words = (rows != UNWRITTEN).reshape(len(rows), -1, self.manifest["word_bytes"]).any(axis=2)
            short = np.flatnonzero(~words.all(axis=1))
            written = int(words[short[0]].sum()) if short.size else words.shape[1]
            result[spec["tensor"]] = (
                "complete" if written == words.shape[1] else f"{written} of {words.shape[1]} words"
            )
        return result

    def _where(self, done: dict[str, str]) -> str:
        phases = self.manifest.get("phases") or [{"tensors": list(done)}]
        for number, phase in enumerate(phases):
            makers = [f"{task} makes " for task in phase.get("tasks", [])] or [""] * len(phase["tensors"])
            short = [
                (maker, name, done[name])
                for maker, name in zip(makers, phase["tensors"], strict=True)
                if done.get(name, "complete") != "complete"
            ]
            if short:
                written = ", ".join(f"{maker}'{name}' ({share} written)" for maker, name, share in short)
                return f"it stands in phase {number} of {len(phases)}: {written}"
        return f"all {len(done)} tensors that the taps show were written"

    def _reserve(self, name: str, size: int) -> None:
        """Makes sure that a pointer argument has a buffer of at least `size` bytes."""
        if name not in self._buffers or self._buffers[name].bytes.nbytes < size:
            self._allocate(name, np.zeros(size, np.uint8))

    def _allocate(self, name: str, content: np.ndarray[Any, Any]) -> None:
        if name in self._buffers:
            self._buffers.pop(name).free()
        buffer = self._device.allocate(name, content.nbytes)
        buffer.bytes[:] = content
        buffer.to_device()
        self._buffers[name] = buffer


def _buffer(argument: dict[str, Any]) -> str:
    """Name of the buffer whose address an argument takes: its own, or one that several share."""
    return str(argument.get("buffer", argument["name"]))


def _driver_module(name: str) -> Any:
    """A module of the driver: the file beside this one, wherever this one was copied to."""
    path = Path(__file__).resolve().with_name(f"{name}.py")
    specification = importlib.util.spec_from_file_location(f"{__name__}_{name}", path)
    if specification is None or specification.loader is None or not path.is_file():
        raise AcceleratorError(f"there is no file {path}: copy the whole deploy folder again")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def _find_manifest(bitstream: Path) -> Path:
    beside = bitstream.parent / "manifest.json"
    return beside if beside.is_file() else Path(__file__).resolve().parent / "manifest.json"


def _check_hash(path: Path, data: bytes, wanted: str) -> None:
    found = hashlib.sha256(data).hexdigest()
    if found != wanted:
        raise AcceleratorError(
            f"{path} is not the file the manifest was made with (sha256 {found[:12]}..., wanted {wanted[:12]}...): "
            "copy the whole deploy folder again"
        )


def _reason(error: Exception) -> str:
    """One line that says what went wrong, also for errors of gRPC, whose text is a page."""
    details = getattr(error, "details", None)
    text = str(details() if callable(details) else f"{type(error).__name__}: {error}").strip()
    return text.splitlines()[0] if text else type(error).__name__


def save_arrays(path: Path, arrays: dict[str, np.ndarray[Any, Any]]) -> None:
    """Writes an .npz; unlike `numpy.savez`, any tensor name will do."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)


def main(arguments: list[str] | None = None) -> int:
    """The command line: 0 if all went well, 1 if the self-test found a wrong result, 2 if the accelerator could not run."""
    parser = argparse.ArgumentParser(description="Run raw integer samples on an intarsia accelerator.")
    parser.add_argument("--bitstream", required=True, type=Path, help=".bit (with its .hwh) or .xclbin file")
    parser.add_argument("--self-test", action="store_true", help="run the golden vectors and compare")
    parser.add_argument("--inputs", type=Path, help=".npz with one array per input tensor")
    parser.add_argument("--outputs", type=Path, help=".npz to write, with one array per tensor")
    parser.add_argument("--taps", action="store_true", help="also write every tensor that can be tapped")
    parser.add_argument(
        "--manifest", type=Path, help="default: manifest.json beside the bitstream or this file"
    )
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds that one launch may take (10)")
    parser.add_argument(
        "--device", type=int, default=None, help="number of the board, where there are several"
    )
    options = parser.parse_args(arguments)
    if (options.inputs is None) != (options.outputs is None) or not (options.self_test or options.inputs):
        parser.error("give --self-test, or --inputs and --outputs")
    try:
        raw = {}
        if options.inputs:
            with np.load(options.inputs) as archive:
                raw = {name: archive[name] for name in archive.files}
        place = (options.bitstream, options.manifest, options.timeout, options.device)
        with Accelerator(*place) as accelerator:
            if options.self_test:
                print(f"self-test passed: {accelerator.self_test()} samples, every integer right")
            if options.inputs:
                results = accelerator.trace(raw) if options.taps else accelerator.run(raw)
                given = {spec["tensor"]: raw[spec["tensor"]] for spec in accelerator.manifest["inputs"]}
                save_arrays(options.outputs, {**given, **results})  # with its inputs, a trace to be verified
    except AcceleratorError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1 if str(error).startswith("self-test:") else 2
    except Exception as error:  # noqa: BLE001 (a command line says it in one line, whatever it is)
        print(f"error: {_reason(error)}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
