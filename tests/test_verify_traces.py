"""Recorded traces, worlds of a user's own, budgets and accuracy functions; and all that can be wrong with them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fake_worlds import network
from typer.testing import CliRunner

from intarsia import golden
from intarsia.__main__ import app
from intarsia.boards.driver.arrays import save_arrays
from intarsia.graph_file import load_graph
from intarsia.task_graph import TaskGraph
from intarsia.verify import World, assert_agrees, load_budget, run
from intarsia.verify.accuracy import Accuracy, ScoreError, top, total
from intarsia.verify.budget import Budget, BudgetError
from intarsia.verify.float_reference import float_reference
from intarsia.verify.plugin import GuardedRunner, RunnerError, load_function, load_runner
from intarsia.verify.runner import Array
from intarsia.verify.source import is_trace
from intarsia.verify.stimuli import NAMES
from intarsia.verify.trace_file import About, TraceError, TraceFile, TraceWriter

Arrays = dict[str, Array]


@pytest.fixture(scope="module")
def recorded(compiled_lenet: Path, lenet_images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trace of the C-simulation for three images and the stress vectors."""
    file = tmp_path_factory.mktemp("trace") / "csim.npz"
    project = Path(shutil.copytree(compiled_lenet, file.parent / "lenet5"))
    assert_agrees(run(project, lenet_images, board="none", samples=3, record=file))
    return file


def read(file: Path) -> Arrays:
    with np.load(file) as archive:
        return {name: archive[name] for name in archive.files}


def cli(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["verify", *map(str, arguments)])
    return done.exit_code, " ".join(done.output.split())


class TestTrace:
    def test_a_recorded_trace_stands_for_the_board(self, lenet_project: Path, recorded: Path) -> None:
        report = run(lenet_project, trace=recorded)
        assert_agrees(report)
        assert (report.samples, report.stress) == (3, len(NAMES))
        assert report.worlds[World.BOARD] == "trace csim.npz of csim"

    def test_the_file_is_small_and_numpy_reads_it(self, lenet_project: Path, recorded: Path) -> None:
        graph, arrays = load_graph(lenet_project / "golden.npz"), read(recorded)
        for name, tensor in graph.tensors.items():
            assert arrays[name].dtype == np.int8 and arrays[name].shape == (22, *tensor.shape[1:])
        assert is_trace(recorded)

    def test_its_inputs_serve_again(self, lenet_project: Path, recorded: Path, tmp_path: Path) -> None:
        again = tmp_path / "again.npz"
        assert_agrees(run(lenet_project, recorded, board="none", record=again))
        first, second = read(recorded), read(again)
        assert all(np.array_equal(values, second[name]) for name, values in first.items())

    def test_fewer_samples_of_it(self, lenet_project: Path, recorded: Path) -> None:
        report = run(lenet_project, trace=recorded, samples=2)
        assert report.passed and (report.samples, report.stress) == (2, 0)

    def test_a_fault_in_it_is_the_boards(self, lenet_project: Path, recorded: Path, tmp_path: Path) -> None:
        arrays = read(recorded)
        graph = load_graph(lenet_project / "golden.npz")
        arrays[graph.task("conv2").output][1, 3, 2, 2] ^= 1
        save_arrays(tmp_path / "board.npz", arrays)
        code, output = cli(lenet_project, "--trace", tmp_path / "board.npz")
        assert code == 1 and "FIRST DIVERGENCE: conv2 (deployment) index (0,3,2,2)" in output, output
        assert "sample 1" in output

    def test_what_the_driver_writes(self, lenet_project: Path, recorded: Path, tmp_path: Path) -> None:
        """Without the inputs and without taps, with the samples that the project holds."""
        graph = load_graph(lenet_project / "golden.npz")
        real = np.load(lenet_project / "samples.npz")[f"in:{graph.inputs[0]}"]
        raw = graph.tensors[graph.inputs[0]].number.quantise(real)
        outputs = {name: golden.run(graph, {graph.inputs[0]: raw})[name][:, 0] for name in graph.outputs}
        save_arrays(tmp_path / "board.npz", outputs)
        report = run(lenet_project, trace=tmp_path / "board.npz")
        assert report.passed and report.samples == len(raw) and report.stress == 0
        assert "1 of 7 layers" in report.coverage

    def test_another_build_is_said(self, lenet_project: Path, recorded: Path, tmp_path: Path) -> None:
        graph, arrays = load_graph(lenet_project / "golden.npz"), read(recorded)
        writer = TraceWriter(tmp_path / "other.npz", graph)
        writer.add({name: arrays[name][:, np.newaxis].astype(np.int64) for name in graph.tensors})
        writer.close(About("board", "0" * 64, 3))
        assert "another build" in run(lenet_project, trace=tmp_path / "other.npz").notes[0]


def _drop(name: str) -> Callable[[Arrays, TaskGraph], Arrays]:
    return lambda arrays, graph: {key: value for key, value in arrays.items() if key != _tensor(graph, name)}


def _tensor(graph: TaskGraph, name: str) -> str:
    return graph.outputs[0] if name == "output" else graph.task(name).output


def _change(name: str, change: Callable[[Array], Array]) -> Callable[[Arrays, TaskGraph], Arrays]:
    return lambda arrays, graph: arrays | {_tensor(graph, name): change(arrays[_tensor(graph, name)])}


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (_drop("output"), "lacks tensor"),
        (_drop("conv2"), "either every tapped tensor or none"),
        (lambda arrays, graph: arrays | {"extra": np.zeros((22, 3), np.int8)}, "holds tensor 'extra'"),
        (_change("conv2", lambda values: values[..., 1:]), "it must be (samples, 16, 10, 10)"),
        (_change("conv2", lambda values: values[1:]), "different numbers of samples"),
        (_change("conv2", lambda values: values.astype(np.float32)), "raw integers are wanted"),
        (_change("conv2", lambda values: values.astype(np.int16) * 256), "its format int8"),
        (_change("conv2", np.asfortranarray), "Fortran order"),
        (
            lambda arrays, graph: arrays | {graph.inputs[0]: arrays[graph.inputs[0]][::-1]},
            "made from other inputs",
        ),
        (
            lambda arrays, graph: {
                name: values[:7] for name, values in arrays.items() if name not in graph.inputs
            },
            "holds 7 samples",
        ),
    ],
    ids=["no output", "half the taps", "extra", "shape", "count", "type", "format", "order", "inputs", "few"],
)
def test_a_trace_that_does_not_fit(
    lenet_project: Path,
    recorded: Path,
    tmp_path: Path,
    break_it: Callable[[Arrays, TaskGraph], Arrays],
    message: str,
) -> None:
    arrays = read(recorded)
    given = ["--inputs", recorded] if message == "made from other inputs" else []
    arrays.pop("intarsia trace")
    file = tmp_path / "board.npz"
    with np.errstate(all="ignore"):
        arrays = break_it(arrays, load_graph(lenet_project / "golden.npz"))
    if message == "Fortran order":
        np.savez(file, **arrays)
    else:
        save_arrays(file, arrays)
    code, output = cli(lenet_project, "--trace", file, *given)
    assert code == 2 and message in output and "Traceback" not in output, output


@pytest.mark.parametrize("content", [b"", b"no archive", None], ids=["empty", "garbage", "cut"])
def test_a_damaged_trace(lenet_project: Path, recorded: Path, tmp_path: Path, content: bytes | None) -> None:
    whole = recorded.read_bytes()
    (tmp_path / "board.npz").write_bytes(whole[: len(whole) // 2] if content is None else content)
    code, output = cli(lenet_project, "--trace", tmp_path / "board.npz")
    assert code == 2 and "damaged" in output, output


def test_a_flipped_bit_in_a_trace_is_damage(lenet_project: Path, recorded: Path, tmp_path: Path) -> None:
    content = bytearray(recorded.read_bytes())
    content[len(content) // 2] ^= 0x10
    (tmp_path / "board.npz").write_bytes(content)
    code, output = cli(lenet_project, "--trace", tmp_path / "board.npz")
    assert code == 2 and "damaged" in output, output


def test_a_recording_that_fails_leaves_nothing(tmp_path: Path) -> None:
    graph = network()
    writer = TraceWriter(tmp_path / "trace.npz", graph)
    writer.add({"scores": np.zeros((2, 1, 10), np.int64)})
    with pytest.raises(TraceError, match="came with shape"):
        writer.add({"scores": np.zeros((2, 1, 9), np.int64)})
    writer.discard()
    assert not list(tmp_path.iterdir())


def test_a_trace_is_read_in_parts(tmp_path: Path) -> None:
    graph = network()
    values = np.arange(70, dtype=np.int64).reshape(7, 1, 10)
    writer = TraceWriter(tmp_path / "trace.npz", graph)
    writer.add({"scores": values[:3]})
    writer.add({"scores": values[3:]})
    writer.close(About())
    file = TraceFile(tmp_path / "trace.npz", graph)
    assert np.array_equal(np.concatenate([file.read(n)["scores"] for n in (1, 5, 1)]), values)
    with pytest.raises(TraceError, match="holds 7 samples"):
        file.read(1)


OWN = """
import numpy as np
from intarsia import golden
WORLD = "board"
class Own:
    name = "co-simulation"
    def __init__(self, graph): self.graph = graph
    def trace(self, inputs):
        found = golden.run(self.graph, inputs)
        {change}
        return {{name: values[:, 0] for name, values in found.items()}}
def runner(project, graph):
    return Own(graph)
"""


class TestOwnWorlds:
    @pytest.mark.parametrize(
        ("change", "code", "message"),
        [
            ("pass", 0, "PASSED: ONNX Runtime = golden = csim = co-simulation"),
            ("found[graph_output(self)] += 1", 2, "failed: NameError"),
            (
                "found[self.graph.outputs[0]] = found[self.graph.outputs[0]] ^ 1",
                1,
                "FIRST DIVERGENCE: fc3 (deployment)",
            ),
            ("found['x'] = found[self.graph.outputs[0]]", 2, "gives tensor 'x'"),
            ("found[self.graph.outputs[0]] = np.zeros((1, 1, 3), int)", 2, "has shape"),
            (
                "found = {name: values.astype(float) for name, values in found.items()}",
                2,
                "raw integers are wanted",
            ),
            ("return 3", 2, "must give a mapping"),
        ],
    )
    def test_in_one_small_file(
        self, lenet_project: Path, tmp_path: Path, change: str, code: int, message: str
    ) -> None:
        file = tmp_path / "own.py"
        file.write_text(OWN.format(change=change))
        found, output = cli(lenet_project, "--runner", file, "--samples", 2)
        assert (found, message in output) == (code, True), output

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "must define WORLD"),
            ("WORLD = 'moon'\ndef runner(p, g): ...", "must define WORLD"),
            ("WORLD = 'golden'\ndef runner(p, g): ...", "must be one of"),
            ("WORLD = 'csim'\ndef runner(p, g): ...", "no `name`"),
            ("WORLD = 'csim'\ndef runner(p, g): raise OSError('x')", "failed: OSError: x"),
            ("import nothing_of_that_name", "cannot be imported"),
        ],
    )
    def test_files_that_are_none(self, tmp_path: Path, text: str, message: str) -> None:
        (tmp_path / "own.py").write_text(text)
        with pytest.raises(RunnerError, match=message):
            load_runner(tmp_path / "own.py", tmp_path, network())

    def test_a_float_world_by_the_library(self, lenet_project: Path) -> None:
        class Double:
            """The float graph by its own operators, in float64."""

            name = "NumPy"

            def __init__(self, graph: TaskGraph) -> None:
                self.graph = graph

            def trace(self, inputs: Arrays) -> Arrays:
                return golden.run_float(self.graph, inputs)

        tasks = float_reference(lenet_project, load_graph(lenet_project / "golden.npz"))
        assert tasks is not None
        report = run(lenet_project, board="none", runners={World.FLOAT: Double(tasks.graph)})
        assert_agrees(report)
        assert report.worlds[World.FLOAT] == "NumPy"

    def test_a_float_world_that_rounds_is_none(self, lenet_project: Path) -> None:
        class Rounding:
            """The quantised model, dequantised: every layer is 30 to 40 dB from the float one."""

            name = "rounding"

            def trace(self, inputs: Arrays) -> Arrays:
                raw = {name: graph.tensors[name].number.quantise(x) for name, x in inputs.items()}
                return {
                    name: graph.tensors[name].number.dequantise(x)
                    for name, x in golden.run(graph, raw).items()
                }

        graph = load_graph(lenet_project / "golden.npz")
        report = run(lenet_project, board="none", runners={World.FLOAT: Rounding()})
        assert report.first_divergence is not None
        assert "(quantisation); the float model does not compute this layer" in str(report.first_divergence)
        kinder = run(
            lenet_project, None, "none", budget=Budget(float_sqnr_db=20), runners={World.FLOAT: Rounding()}
        )
        assert_agrees(kinder)

    def test_the_golden_cannot_be_replaced(self, lenet_project: Path) -> None:
        with pytest.raises(RunnerError, match="cannot take the place"):
            run(lenet_project, board="none", runners={World.GOLDEN: GuardedRunner})  # type: ignore[dict-item]


class TestBudget:
    def test_of_a_layer(self, lenet_project: Path, tmp_path: Path) -> None:
        (tmp_path / "budget.toml").write_text("layer_sqnr_db = 15\n[layers]\nconv2 = 90\n")
        code, output = cli(lenet_project, "--board", "none", "--budget", tmp_path / "budget.toml")
        assert code == 1 and "(quantisation)" in output and "below the 90 dB of its budget" in output, output

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("colour = 3", "'colour' is not known"),
            ("layer_sqnr_db = 'much'", "must be a finite number"),
            ("accuracy_drop = 30", "0 to 1"),
            ("layers = 3", "must be a table"),
            ("[layers]\nconv1 = true", "'layers.conv1'"),
            ("=", "no valid TOML"),
        ],
    )
    def test_files_that_make_no_sense(self, tmp_path: Path, text: str, message: str) -> None:
        (tmp_path / "budget.toml").write_text(text)
        with pytest.raises(BudgetError, match=message):
            load_budget(tmp_path / "budget.toml")

    def test_an_unknown_layer(self, lenet_project: Path, tmp_path: Path) -> None:
        (tmp_path / "budget.toml").write_text("[layers]\nconv99 = 20\n")
        code, output = cli(lenet_project, "--budget", tmp_path / "budget.toml")
        assert code == 2 and "layer 'conv99'" in output


class TestAccuracy:
    def test_top_5(self) -> None:
        values = np.array([[0, 1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1, 0], [1, 1, 1, 1, 1, 1, 1]])[:, None]
        labels = np.array([2, 5, 4])
        assert top(5)({"y": values}, labels).tolist() == [True, False, True]
        assert top(1)({"y": values}, np.array([6, 0, 0])).all()
        assert not top(5)({"y": values}, np.array([-1, 7, 99])).any()

    def test_a_function_of_the_users_own(
        self, lenet_project: Path, lenet_images: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "own.py").write_text(
            "import numpy as np\n"
            "def nearly(outputs, labels):\n"
            "    (scores,) = outputs.values()\n"
            "    return 1 - np.abs(scores.reshape(len(labels), -1).argmax(axis=1) - labels) / 9\n"
        )
        report = run(
            lenet_project,
            lenet_images,
            board="none",
            samples=60,
            scorer=load_function(f"{tmp_path}/own.py:nearly"),
        )
        assert report.passed and report.accuracy is not None and report.top5 is None
        assert report.to_json()["accuracy"]["metric"] == "nearly"
        assert 0.9 < (report.accuracy.share(report.accuracy.accelerator) or 0) <= 1

    def test_a_function_that_fails(self) -> None:
        with pytest.raises(ScoreError, match="one finite score"):
            total(lambda outputs, labels: np.zeros(3), {}, np.zeros(2), "mine")
        with pytest.raises(ScoreError, match="KeyError"):
            total(lambda outputs, labels: outputs["y"], {}, np.zeros(2), "mine")
        with pytest.raises(RunnerError, match="must be FILE"):
            load_function("mine")

    def test_both_are_reported(self, lenet_project: Path, lenet_images: Path) -> None:
        report = run(lenet_project, lenet_images, board="none", samples=20)
        result = report.to_json()
        assert result["accuracy"]["metric"] == "top-1" and result["top5"]["accelerator"] == 1.0
        assert isinstance(report.accuracy, Accuracy)
