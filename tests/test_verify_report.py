"""The forms of a report, and what verification leaves behind."""

from __future__ import annotations

import hashlib
import importlib
import json
import struct
import xml.etree.ElementTree as Xml
import zlib
from dataclasses import asdict, replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from fake_worlds import FaultyRunner, batches, network, one_weight, sound_worlds, with_parameter, wrapped
from rich.console import Console

from intarsia.graph_file import save_graph
from intarsia.samples import Preprocess, load_samples, samples_bytes
from intarsia.verify import assert_agrees, check, reproduction, run
from intarsia.verify.accuracy import Accuracy
from intarsia.verify.check import guesses
from intarsia.verify.compare import compare
from intarsia.verify.edge import Edge, Verdict
from intarsia.verify.png import encode
from intarsia.verify.project_files import ProjectError
from intarsia.verify.report import Report
from intarsia.verify.stimuli import NAMES

GRAPH = network()


@pytest.fixture(scope="module")
def passed() -> Report:
    return check(GRAPH, sound_worlds(GRAPH), batches(GRAPH), notes=["weights.bin was changed"])


@pytest.fixture(scope="module")
def failed() -> Report:
    def hide(trace: dict) -> dict:
        return {name: values for name, values in trace.items() if name != "pool1_out"}

    worlds = replace(
        sound_worlds(GRAPH),
        csim=FaultyRunner(with_parameter(GRAPH, "conv2", "weight", one_weight), taps=hide),
        board=FaultyRunner(with_parameter(GRAPH, "conv2", "weight", one_weight), "emulated", {"fc": wrapped}),
        emulated=True,
    )
    return check(GRAPH, worlds, batches(GRAPH))


def text(report: Report, width: int = 120) -> str:
    stream = StringIO()
    report.print(Console(file=stream, width=width))
    return stream.getvalue()


def test_json_keys_are_stable(failed: Report) -> None:
    result = json.loads(json.dumps(failed.to_json(), allow_nan=False))
    assert {"passed", "first_divergence", "samples", "layers", "accuracy"} <= result.keys()
    assert result["passed"] is False and result["samples"] == 24
    layer = result["layers"][3]
    assert {"name", "op", "shape", "sqnr_db", "cosine", "saturated", "edges"} <= layer.keys()
    assert layer["name"] == "conv2" and layer["shape"] == [1, 4, 4, 4]
    assert list(layer["edges"]) == ["quantisation", "lowering", "mapping", "deployment"]
    assert {"verdict", "mismatches", "elements", "max_lsb"} <= layer["edges"]["mapping"].keys()
    assert layer["edges"]["mapping"]["verdict"] == "fail"
    assert result["layers"][2]["edges"]["mapping"]["verdict"] == "not observed"
    assert result["layers"][2]["edges"]["mapping"]["mismatches"] is None
    assert result["first_divergence"]["layer"] == "conv2" and result["first_divergence"]["edge"] == "mapping"
    assert set(result["accuracy"]) >= {"float", "quantised", "accelerator"}


@pytest.mark.parametrize(
    ("right", "samples", "classes", "doubtful"),
    [(10, 100, 10, True), (14, 100, 10, True), (15, 100, 10, False), (4, 40, 10, False), (50, 100, 2, False)],
)
def test_a_float_model_that_guesses_is_doubted(
    right: int, samples: int, classes: int, doubtful: bool
) -> None:
    assert guesses(Accuracy(samples, right, right, right), classes) is doubtful
    assert not guesses(Accuracy(samples, None, right, right), classes)
    assert not guesses(Accuracy(samples, right, right, right, "own"), classes)


def test_json_without_labels_has_no_accuracy() -> None:
    report = check(GRAPH, sound_worlds(GRAPH), [replace(batch, labels=None) for batch in batches(GRAPH)])
    assert "accuracy" not in report.to_json()


def test_table_has_a_row_per_layer_and_ends_with_the_verdict(passed: Report, failed: Report) -> None:
    lines = text(passed).rstrip().splitlines()
    assert [line.split()[1] for line in lines[1:7]] == ["image", "conv1", "pool1", "conv2", "conv3", "fc"]
    assert lines[-1].startswith("PASSED") and "emulated board" in lines[-1]
    assert "Note: weights.bin was changed" in lines
    assert (
        text(failed)
        .rstrip()
        .splitlines()[-1]
        .startswith("FIRST DIVERGENCE: conv2 or untapped pool1 (mapping)")
    )


def test_what_differs_within_bounds_is_not_called_equal(passed: Report) -> None:
    layer = passed.layers[1]
    other = layer.edges[Edge.LOWERING]
    apart = replace(
        other, verdict=Verdict.WARN, cumulative=compare(np.zeros((1, 200), int), np.eye(1, 200, dtype=int))
    )
    bounded = replace(layer, edges={**layer.edges, Edge.LOWERING: apart})
    page = replace(passed, layers=(passed.layers[0], bounded, *passed.layers[2:])).to_html()
    assert "1 of 6 within bounds" in page
    assert "0.50% in bounds" in page
    assert "6 of 6 equal" in passed.to_html() and "in bounds" not in passed.to_html()


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_names_are_whole_where_there_is_room(passed: Report, width: int) -> None:
    """Other columns give way first: words of the verdicts, gaps, operators."""
    names = ("image", "conv1", "averagepool1", "dense", "batchnorm", "fc")
    layers = [replace(layer, name=name) for layer, name in zip(passed.layers, names, strict=True)]
    lines = text(replace(passed, layers=tuple(layers)), width).splitlines()
    assert [line.split()[1] for line in lines[1:7]] == list(names)
    assert all(len(line) <= width for line in lines[:7])
    assert lines[7] == ""
    assert ("lowering" in lines[0]) == (width == 120) and ("MaxPool" in lines[3]) == (width > 60)


def test_a_name_that_no_terminal_holds_is_folded(failed: Report) -> None:
    layers = (replace(failed.layers[0], name="a_very_long_name_" * 6), *failed.layers[1:])
    table = text(replace(failed, layers=layers), 80).partition("\n\n")[0].splitlines()
    assert all(len(line) <= 80 for line in table)
    assert len([line for line in table if line[0] != " "]) == 7 and "inherit" in table[-2]
    parts = [line.split()[int(line[0] != " ")] for line in table[1:-5]]
    assert "".join(parts) == "a_very_long_name_" * 6


def test_an_emulated_board_is_called_so_everywhere(passed: Report, failed: Report) -> None:
    for report in (passed, failed):
        assert "emulated board" in text(report)
        assert "emulated board" in report.to_html()
        assert "emulated board" in report.to_junit()
        assert report.to_json()["worlds"]["board"] == "emulated board"


def test_html_is_self_contained(passed: Report, failed: Report) -> None:
    for report in (passed, failed):
        page = report.to_html()
        assert "data:image/png;base64," in page and "<svg" in page and "prefers-color-scheme: dark" in page
        assert "http" not in page and "<script" not in page and "<link" not in page
    assert "FIRST DIVERGENCE" in failed.to_html() and "not observed" in failed.to_html()


def test_html_escapes_names() -> None:
    graph = replace(GRAPH, name="<b>&")
    page = check(graph, sound_worlds(graph), batches(graph, 4, 4)).to_html()
    assert "<b>&" not in page.replace("&amp;", "") and "&lt;b&gt;&amp;" in page


def test_junit_has_a_case_per_layer_and_edge(passed: Report, failed: Report) -> None:
    root = Xml.fromstring(passed.to_junit())
    assert len(root.findall("testsuite")) == 4 and len(root.findall(".//testcase")) == 24
    assert not root.findall(".//failure")
    root = Xml.fromstring(failed.to_junit())
    mapping = root.findall("testsuite")[2]
    assert [case.get("name") for case in mapping if case.find("failure") is not None] == [
        "conv2",
        "conv3",
        "fc",
    ]
    assert [case.get("name") for case in mapping if case.find("skipped") is not None] == ["pool1"]
    assert mapping.get("failures") == "3" and mapping.get("skipped") == "1"


def test_assert_agrees(passed: Report, failed: Report) -> None:
    assert_agrees(passed)
    with pytest.raises(AssertionError, match=r"FIRST DIVERGENCE: conv2 .*\(mapping\)"):
        assert_agrees(failed)


def test_reproduction(failed: Report, tmp_path: Path) -> None:
    divergence = failed.first_divergence
    assert divergence is not None and failed.evidence is not None and divergence.index is not None
    reproduction.write(tmp_path / "reproduction", tmp_path, GRAPH, divergence, failed.evidence, "none")
    files = {path.name for path in (tmp_path / "reproduction").iterdir()}
    assert files == {"inputs.npz", "expected.npz", "got.npz", "isolated.npz", "command.txt"}
    with np.load(tmp_path / "reproduction" / "got.npz") as got:
        assert got["conv2_out"][divergence.index] == divergence.got
    with np.load(tmp_path / "reproduction" / "expected.npz") as expected:
        assert expected["conv2_out"][divergence.index] == divergence.expected
    samples = load_samples(tmp_path / "reproduction" / "inputs.npz", (GRAPH.tensors["image"],))
    raw = GRAPH.tensors["image"].number.quantise(samples.arrays["image"][0])
    assert np.array_equal(raw, failed.evidence.inputs["image"])
    assert "intarsia verify" in (tmp_path / "reproduction" / "command.txt").read_text()


class TestRun:
    """Verification of a project directory, with worlds of our own in place of its compiled ones."""

    @pytest.fixture
    def project(self, tmp_path: Path) -> Path:
        (tmp_path / "deploy").mkdir()
        save_graph(GRAPH, tmp_path / "golden.npz")
        real = np.random.default_rng(0).normal(0, 0.5, (12, 1, 2, 8, 8)).astype(np.float32)
        (tmp_path / "samples.npz").write_bytes(samples_bytes({"image": real}))
        (tmp_path / "design.json").write_text(json.dumps({"preprocess": asdict(Preprocess())}))
        (tmp_path / "weights.bin").write_bytes(b"weights")
        hashes = {"weights.bin": hashlib.sha256(b"weights").hexdigest()}
        (tmp_path / "deploy" / "manifest.json").write_text(json.dumps({"sha256": hashes}))
        return tmp_path

    @pytest.fixture
    def world(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
        changes: dict[str, object] = {}
        module = importlib.import_module("intarsia.verify.run")
        monkeypatch.setattr(module, "open_worlds", lambda *_: replace(sound_worlds(GRAPH), **changes))
        return changes

    def test_a_sound_project(self, project: Path, world: dict[str, object]) -> None:
        steps: list[tuple[int, int]] = []
        report = run(project, progress=lambda text, done, total: steps.append((done, total)))
        assert_agrees(report)
        assert (report.samples, report.stress, report.notes) == (12, len(NAMES), ())
        assert steps[0] == (0, 31) and steps[-1] == (31, 31)
        assert not (project / "verify").exists()

    def test_fewer_samples(self, project: Path, world: dict[str, object]) -> None:
        assert run(project, samples=3).samples == 3

    def test_changed_files_are_noted(self, project: Path, world: dict[str, object]) -> None:
        (project / "weights.bin").write_bytes(b"other")
        report = run(project)
        assert report.passed and "weights.bin was changed" in report.notes[0]

    def test_a_failure_leaves_a_sample_that_fails_again(
        self, project: Path, world: dict[str, object]
    ) -> None:
        world["csim"] = FaultyRunner(GRAPH, compute={"conv1": wrapped})
        first = run(project).first_divergence
        again = run(project, project / "verify" / "reproduction" / "inputs.npz")
        assert first is not None and again.first_divergence is not None and again.samples == 1
        assert (again.first_divergence.index, again.first_divergence.got) == (first.index, first.got)
        del world["csim"]
        run(project)
        assert not (project / "verify" / "reproduction").exists()

    def test_a_directory_that_is_no_project(self, tmp_path: Path) -> None:
        with pytest.raises(ProjectError, match="no project"):
            run(tmp_path)


def test_png_round_trip() -> None:
    pixels = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    data = encode(pixels)
    chunks, position = {}, 8
    while position < len(data):
        (length,), kind = (
            struct.unpack(">I", data[position : position + 4]),
            data[position + 4 : position + 8],
        )
        body = data[position + 8 : position + 8 + length]
        assert struct.unpack(">I", data[position + 8 + length : position + 12 + length])[0] == zlib.crc32(
            kind + body
        )
        chunks[kind], position = body, position + 12 + length
    assert struct.unpack(">II", chunks[b"IHDR"][:8]) == (7, 5)
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(5, 22)
    assert not rows[:, 0].any() and np.array_equal(rows[:, 1:].reshape(5, 7, 3), pixels)
