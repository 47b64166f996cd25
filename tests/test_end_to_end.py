"""The whole path, from ONNX files to the verdict of the verifier: nothing here is faked but the board's silicon."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from graphs import quantised, small_cnn
from typer.testing import CliRunner

import intarsia
from intarsia.__main__ import app
from intarsia.board import load_board
from intarsia.boards import environment
from intarsia.graph_file import load_graph
from intarsia.schedule.search import decide
from intarsia.simulation.timed_choice import MODEL_ERROR, count_best
from intarsia.verify import Report, assert_agrees, run
from intarsia.verify.csim_runner import CsimRunner
from intarsia.verify.stimuli import stress

DATA = Path(__file__).parents[2] / "shared" / "data"
SCHEDULES = ("dataflow", "sequential", "auto")


def require_board_client() -> None:
    try:
        environment.find()
    except environment.BoardClientError as error:
        pytest.skip(str(error))


def assert_exact(report: Report) -> None:
    """Passed; not one mismatch at an exact edge; accuracy within half a point of the float model's."""
    assert_agrees(report)
    assert all(comparison.mismatches == 0 for layer in report.layers for comparison in layer.exact)
    accuracy = report.accuracy
    if accuracy is not None:
        assert accuracy.float_model is not None and accuracy.accelerator is not None
        assert abs(accuracy.accelerator - accuracy.float_model) <= 0.005 * accuracy.samples


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("board", ["kv260", "pynq-z2"])
def test_lenet(lenet_model: Path, lenet_images: Path, board: str, schedule: str, tmp_path: Path) -> None:
    design = intarsia.compile(lenet_model, board=board, calibration=lenet_images, schedule=schedule)
    project = design.write(tmp_path / "out")
    report = run(project, lenet_images, board="none")
    assert_exact(report)
    assert report.samples == 200
    assert report.accuracy is not None and report.accuracy.accelerator is not None
    assert report.accuracy.accelerator >= 0.97 * 200
    about = design.description["schedule"]
    if schedule == "auto":
        pure = [cycles for cycles in about["baselines"].values() if cycles is not None]
        assert design.decision.chosen.cycles <= min(pure)
    else:
        assert about["kind"] == schedule
        assert about["baselines"][schedule] == design.decision.chosen.cycles


def test_emulated_board(compiled_lenet: Path, lenet_images: Path) -> None:
    require_board_client()
    report = run(compiled_lenet, lenet_images, samples=20)
    assert_exact(report)
    assert [str(edge) for edge in report.edges] == ["quantisation", "lowering", "mapping", "deployment"]
    assert report.verdict.startswith("PASSED")


def test_design_json_has_its_stable_keys(compiled_lenet: Path) -> None:
    about = json.loads((compiled_lenet / "design.json").read_text())
    assert {
        "name", "board", "clock_mhz", "schedule", "resources", "macs", "off_chip_bytes", "tasks",
    } <= about.keys()  # fmt: skip
    schedule = about["schedule"]
    assert {"kind", "latency_cycles", "lower_bound_cycles", "phases", "baselines"} <= schedule.keys()
    assert {"dataflow", "sequential"} <= schedule["baselines"].keys()
    assert all({"pattern", "tasks", "cycles", "lanes"} <= phase.keys() for phase in schedule["phases"])
    assert {"dsp", "bram18", "uram", "lut", "ff"} <= about["resources"].keys()
    assert all({"name", "op", "onnx_nodes", "shape", "cycles"} <= task.keys() for task in about["tasks"])
    assert (about["name"], about["board"], about["macs"]) == ("lenet5", "kv260", 416_520)
    assert sum(phase["cycles"] for phase in schedule["phases"]) == schedule["latency_cycles"]
    assert schedule["lower_bound_cycles"] <= schedule["latency_cycles"]
    assert [name for phase in schedule["phases"] for name in phase["tasks"]] == [
        task["name"] for task in about["tasks"]
    ]


def test_verify_json_has_its_stable_keys(lenet_project: Path, lenet_images: Path, tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    arguments = ["verify", lenet_project, "--inputs", lenet_images, "--samples", 9, "--board", "none"]
    done = CliRunner().invoke(app, [*map(str, arguments), "--json", str(file)])
    assert done.exit_code == 0, done.output
    result = json.loads(file.read_text())
    assert {"passed", "first_divergence", "samples", "layers", "accuracy"} <= result.keys()
    assert (result["passed"], result["first_divergence"], result["samples"]) == (True, None, 9)
    for layer in result["layers"]:
        assert {"name", "op", "shape", "sqnr_db", "cosine", "saturated", "edges"} <= layer.keys()
        for edge in layer["edges"].values():
            assert {"verdict", "mismatches", "elements", "max_lsb"} <= edge.keys()
    assert list(result["layers"][1]["edges"]) == ["quantisation", "lowering", "mapping"]


def test_project_is_complete(compiled_lenet: Path) -> None:
    for name in (
        "README.md", "Makefile", "design.json", "quantised.onnx", "weights.bin", "src/top.cpp", "src/program.hpp",
        "src/config.hpp", "src/intarsia/mac.hpp", "tb/tb.cpp", "tb/Makefile", "vitis/hls_config.cfg",
        "vivado/build.tcl", "deploy/accelerator.py", "deploy/intarsia_driver/kernel.py", "deploy/manifest.json",
        "deploy/weights.bin",
    ):  # fmt: skip
        assert (compiled_lenet / name).stat().st_size > 0, name


def test_compilation_is_deterministic(compiled_lenet: Path, lenet_model: Path, lenet_images: Path) -> None:
    design = intarsia.compile(lenet_model, board="kv260", calibration=lenet_images, schedule="sequential")
    again = design.write(compiled_lenet.parent / "again")
    files = {path.relative_to(again) for path in again.rglob("*") if path.is_file()}
    assert files == {path.relative_to(compiled_lenet) for path in compiled_lenet.rglob("*") if path.is_file()}
    assert [
        path for path in files if (again / path).read_bytes() != (compiled_lenet / path).read_bytes()
    ] == []


def test_testbench_passes_and_can_fail(lenet_project: Path) -> None:
    bench = ["make", "--no-print-directory", "-C", str(lenet_project / "tb")]
    passed = subprocess.run(bench, capture_output=True, text=True, check=False)
    assert passed.returncode == 0, passed.stderr
    assert "PASSED: 4 of 4 vectors agree" in passed.stdout
    assert "warning" not in passed.stderr
    expected = lenet_project / "tb" / "expected.bin"
    content = bytearray(expected.read_bytes())
    content[0] ^= 1
    expected.write_bytes(content)
    failed = subprocess.run(bench, capture_output=True, text=True, check=False)
    assert failed.returncode != 0
    assert "vector 0: outputs differ" in failed.stdout
    expected.write_bytes(content[:-1])
    cut = subprocess.run(bench, capture_output=True, text=True, check=False)
    assert cut.returncode != 0
    assert "wrong size" in cut.stdout


def ap_int_headers() -> Path:
    """The ap_int headers that the package da4ml carries; the package itself is not imported."""
    spec = importlib.util.find_spec("da4ml")
    for folder in spec.submodule_search_locations or () if spec else ():
        for header in Path(folder).rglob("ap_int.h"):
            return header.parent
    pytest.skip("no ap_int headers: the package da4ml is not installed")


@pytest.mark.parametrize("bits", [(8, 8), (5, 11)], ids=["8 bits", "odd widths"])
def test_ap_int_gives_the_same(
    lenet_model: Path, lenet_images: Path, bits: tuple[int, int], tmp_path: Path
) -> None:
    headers = ap_int_headers()
    design = intarsia.compile(
        lenet_model, calibration=lenet_images, weight_bits=bits[0], activation_bits=bits[1], fifo_sizing=False
    )
    project = design.write(tmp_path / "out")
    graph = load_graph(project / "golden.npz")
    vectors = stress(graph.tensors[name] for name in graph.inputs)
    inputs = {name: raw.reshape(len(raw), *raw.shape[2:])[::4] for name, raw in vectors.items()}
    native = CsimRunner.of_project(project).trace(inputs)
    exact = CsimRunner.of_project(project, ("-DINTARSIA_AP_INT", f"-I{headers}", "-w")).trace(inputs)
    assert native.keys() == exact.keys()
    for name in native:
        assert np.array_equal(native[name], exact[name]), name


@pytest.mark.parametrize(
    ("model", "board", "schedule"),
    [
        ("mnist-8", "kv260", "dataflow"),
        ("lenet5_jinsoo", "pynq-z2", "sequential"),
        *(
            pytest.param(model, board, schedule, marks=pytest.mark.slow)
            for model, board, schedule in (
                ("mnist-8", "kv260", "sequential"),
                ("mnist-8", "pynq-z2", "dataflow"),
                ("mnist-8", "pynq-z2", "sequential"),
                ("lenet5_jinsoo", "kv260", "dataflow"),
                ("lenet5_jinsoo", "kv260", "sequential"),
                ("lenet5_jinsoo", "pynq-z2", "dataflow"),
            )
        ),
    ],
)
def test_models_of_others(model: str, board: str, schedule: str, tmp_path: Path) -> None:
    source, images = DATA / f"{model}.onnx", DATA / "mnist_train_500.npz"
    if not source.is_file():
        pytest.skip(f"there is no {source}")
    project = intarsia.compile(source, board=board, calibration=images, schedule=schedule).write(
        tmp_path / "out"
    )
    assert_exact(run(project, DATA / "mnist_test_500.npz", board="none", samples=200))


def test_where_the_cost_model_cannot_tell_counting_decides() -> None:
    graph, board = quantised(small_cnn()), load_board("pynq-z2")
    found = decide(graph, board).found
    counted = count_best(graph, found, "small", board)
    near = [e for e in found if e.cycles <= (1 + MODEL_ERROR) * min(f.cycles for f in found)]
    each = [count_best(graph, [evaluation], "small", board) for evaluation in near]
    assert len(found) > 1
    assert counted.interval == min(one.interval for one in each)
