"""Models of others on boards: whether every edge of verify agrees, accuracy, cycles of each kind of schedule, patterns.

    python tests/benchmarks/models_table.py [--data ../shared/data] [--models NAME ...] [--boards kv260 pynq-z2] [--json F]

Every model is compiled with the samples that belong to it, or with random inputs, and verified with the emulated board. The
answer is the class with the highest score along the last axis: of a language model one for each position. Models that are not there are
skipped.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from schedules import measure, pattern

import intarsia
from intarsia import golden
from intarsia.boards.driver.host_part import HostPart
from intarsia.design import HOST_BEFORE, Design
from intarsia.errors import IntarsiaError
from intarsia.host import samples as host_samples
from intarsia.samples import Preprocess
from intarsia.verify import run
from intarsia.verify.metrics import fidelity
from intarsia.verify.onnxruntime_runner import FloatRunner

CALIBRATION, VERIFICATION = 64, 200
"""Most samples for each; a file gives the first to calibration, and the next to verification."""


@dataclass(frozen=True)
class Case:
    """A model, its samples (array names in a file of the same folder) and how they become inputs."""

    model: str
    file: str = ""
    arrays: Mapping[str, str] = field(default_factory=dict)
    train: str = ""
    """Array to calibrate with; by default the first samples of `arrays`, which then are not verified."""
    scale: float = 1 / 255
    words: Mapping[str, int] = field(default_factory=dict)
    """Token inputs, and how many words there are: random ones are drawn."""
    image: int = 0
    """Height and width to give the input, if not 0."""

    @property
    def name(self) -> str:
        return f"{self.model}_{self.image}" if self.image else self.model


MNIST = {"x": "x", "y": "y"}
CASES = (
    Case("mnist-8", "mnist_test_500.npz", MNIST, scale=1),
    Case("lenet5_jinsoo", "mnist_test_500.npz", MNIST),
    Case(
        "resnet8_cifar10_mlperf_fp32", "cifar10_300.npz", {"x": "x_test_jpg", "y": "y_test_jpg"}, "x_train", 1
    ),
    Case("ad01_autoencoder_fp32"),
    Case("kws_dscnn_int8_qdq", "kws_mfcc_int8_100.npz", {"x": "x_int8", "y": "y"}),
    Case("espcn_subpixel_float"),
    Case("espcn_subpixel_float", image=224),
    Case("sdp_attention", "sdp_attention.npz"),
    Case("makemore_gpt2_op14", words={"idx": 27}),
)


def samples(case: Case, data: Path, folder: Path) -> dict[str, Path]:
    """A sample file for each purpose; empty if inputs are to be random."""
    if case.words:
        shapes = {value.name: value.type.tensor_type.shape.dim for value in _model(case, data).graph.input}
        generator = np.random.default_rng(0)
        found: dict[str, Any] = {
            name: generator.integers(
                0, words, (CALIBRATION + VERIFICATION, *(size.dim_value for size in shapes[name][1:]))
            )
            for name, words in case.words.items()
        }
    elif case.file:
        with np.load(data / case.file) as archive:
            names = case.arrays or {name: name for name in archive.files}
            found = {name: archive[key] for name, key in names.items()}
            if case.train:
                # The verification samples are those behind the calibration's.
                found = {
                    "x": np.concatenate([archive[case.train][:CALIBRATION], found["x"]]),
                    "y": np.concatenate([np.zeros(CALIBRATION, found["y"].dtype), found["y"]]),
                }
        found = {name: values for name, values in found.items() if not name.startswith("out:")}
    else:
        return {}
    files = {}
    parts = {
        "calibration": slice(CALIBRATION),
        "verification": slice(CALIBRATION, CALIBRATION + VERIFICATION),
    }
    for purpose, part in parts.items():
        files[purpose] = folder / f"{purpose}.npz"
        many = bool(case.words or case.arrays)  # else a file holds one sample, for both
        np.savez(files[purpose], **{name: values[part] if many else values for name, values in found.items()})
    return files


def _model(case: Case, data: Path) -> onnx.ModelProto:
    model = onnx.load(data / f"{case.model}.onnx")
    if case.image:
        for value in model.graph.input:
            for axis in value.type.tensor_type.shape.dim[2:]:
                axis.dim_value = case.image
        for value in model.graph.output:
            value.type.tensor_type.ClearField("shape")
        del model.graph.value_info[:]
    return model


def verified(case: Case, data: Path, board: str, folder: Path) -> dict[str, Any]:
    """What compile and verify say of the schedule `auto`."""
    files = samples(case, data, folder)
    design = intarsia.compile(
        _model(case, data),
        board=board,
        calibration=files.get("calibration"),
        preprocess=Preprocess(case.scale),
        fifo_sizing=not case.image,
    )
    project = design.write(folder / "project")
    report = run(project, files.get("verification"), samples=2 if case.image else None)
    schedule = design.description["schedule"]
    result = {
        "passed": report.passed,
        "verdict": report.verdict,
        "auto": schedule["latency_cycles"],
        "counted_by": schedule["counted_by"],
        "lower_bound": schedule["lower_bound_cycles"],
        "microseconds": schedule["latency_cycles"] / design.clock_mhz,
        "pattern": f"{schedule['kind']}: {pattern([phase['pattern'] for phase in schedule['phases']])}",
        "host": design.description["host_ops"],
        **({} if case.image else likeness(design, project, files.get("verification"))),
    }
    if report.accuracy:
        for world in ("float_model", "accelerator"):
            result[f"top1_{world}"] = report.accuracy.share(getattr(report.accuracy, world))
    return result


def likeness(design: Design, project: Path, file: Path | None) -> dict[str, Any]:
    """Of the verification samples: signal to noise of the first output, and how many answers are the float model's."""
    graph = design.graph
    inputs = tuple(graph.tensors[name] for name in graph.inputs)
    host = HostPart.read(project / "deploy" / HOST_BEFORE) if design.host_before else None
    real = host_samples.load(file or project / "samples.npz", inputs, host, design.preprocess)[0].arrays
    wanted = FloatRunner(project / "float.onnx", graph).trace(real)[graph.outputs[0]]
    raw = golden.run(graph, {name: graph.tensors[name].number.quantise(real[name]) for name in real})
    found = graph.tensors[graph.outputs[0]].number.dequantise(raw[graph.outputs[0]])
    same = wanted.argmax(-1) == found.argmax(-1)
    return {
        "sqnr_db": fidelity(wanted, found).sqnr_db,
        "agreement": float(same.mean()),
        "answers": int(same.size),
    }


def row(name: str, board: str, found: Mapping[str, Any]) -> str:
    """One line of the table."""
    if "error" in found:
        return f"| {name} | {board} | {found['error']} |"
    cycles = [
        f"{found[kind]:,}" if found.get(kind) else "impossible" for kind in ("auto", "dataflow", "sequential")
    ]
    top1 = [f"{found[key]:.1%}" if key in found else "" for key in ("top1_float_model", "top1_accelerator")]
    cells = [
        name,
        board,
        "pass" if found["passed"] else "FAIL",
        *top1,
        f"{found['agreement']:.1%} of {found['answers']}" if "agreement" in found else "",
        f"{found['sqnr_db']:.1f}" if "sqnr_db" in found else "",
        *cycles,
        f"{found['microseconds']:.1f}",
        found["pattern"],
    ]
    return f"| {' | '.join(cells)} |"


def main() -> int:
    """Measures all models on all boards; 1 if a verification failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[3] / "shared" / "data")
    parser.add_argument("--boards", nargs="+", default=["kv260", "pynq-z2"])
    parser.add_argument("--models", nargs="+", help="names; all if not given")
    parser.add_argument("--json", type=Path, metavar="F", help="also write everything measured to this file")
    options = parser.parse_args()
    print(
        "| model | board | verify | float top-1 | accelerator top-1 | answers as float | SQNR dB | auto | dataflow | "
        "sequential | us | pattern of auto |"
    )
    print("|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---|")
    results: dict[str, dict[str, Any]] = {}
    for case in CASES:
        if options.models and case.name not in options.models:
            continue
        if not (options.data / f"{case.model}.onnx").is_file():
            print(f"skipped {case.name}: there is no {options.data / case.model}.onnx", file=sys.stderr)
            continue
        for board in options.boards:
            with tempfile.TemporaryDirectory() as folder:
                try:
                    found = verified(case, options.data, board, Path(folder))
                    for kind in () if case.image else ("dataflow", "sequential"):
                        found[kind] = measure(options.data / f"{case.model}.onnx", board, kind).get("cycles")
                except IntarsiaError as error:
                    found = {"error": str(error)}
            results.setdefault(case.name, {})[board] = found
            print(row(case.name, board, found), flush=True)
            if options.json:
                options.json.write_text(json.dumps(results, indent=2) + "\n")
    return int(any(not one.get("passed", True) for boards in results.values() for one in boards.values()))


if __name__ == "__main__":
    sys.exit(main())
