"""The smallest failing piece, and parts of models as projects of their own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from fake_worlds import network
from hypothesis import given
from hypothesis import strategies as st
from test_faults import replace_once
from typer.testing import CliRunner

import intarsia.emit
from intarsia import golden
from intarsia.__main__ import app
from intarsia.graph_file import load_graph
from intarsia.verify import assert_agrees, run
from intarsia.verify.cut import CutError, ancestors, between, prefix
from intarsia.verify.runner import Array
from intarsia.verify.shrink import fewer_elements

GRAPH = network()


def test_a_cut_computes_the_same() -> None:
    cut = between(GRAPH, ["pool1", "conv2"])
    assert (cut.inputs, cut.outputs) == (("conv1_out",), ("conv2_out",))
    raw = np.random.default_rng(0).integers(-128, 128, (3, *GRAPH.tensors["image"].shape))
    whole = golden.run(GRAPH, {"image": raw})
    part = golden.run(cut, {"conv1_out": whole["conv1_out"]})
    assert np.array_equal(part["conv2_out"], whole["conv2_out"])


def test_ancestors_are_in_order() -> None:
    assert list(ancestors(GRAPH, "conv3")) == ["conv1", "pool1", "conv2", "conv3"]
    with pytest.raises(CutError, match="the layers are conv1"):
        prefix(GRAPH, "conv99")


@given(st.sets(st.integers(0, 29), min_size=1, max_size=3))
def test_only_what_fails_is_left(needed: set[int]) -> None:
    raw = {"a": np.full((1, 4, 5), 7), "b": np.full((1, 10), -3)}

    def fails(candidate: Mapping[str, Array]) -> bool:
        flat = np.concatenate([candidate["a"].reshape(-1), candidate["b"].reshape(-1)])
        return all(flat[place] for place in needed)

    left = fewer_elements(raw, fails, trials=1000)
    assert fails(left) and sum(np.count_nonzero(values) for values in left.values()) == len(needed)
    assert fails(fewer_elements(raw, fails, trials=2))


def test_a_changed_file_is_told_from_a_fault_of_the_compiler(lenet_project: Path) -> None:
    content = bytearray((lenet_project / "weights.bin").read_bytes())
    for place in range(0, len(content), 7):
        content[place] ^= 0x20
    (lenet_project / "weights.bin").write_bytes(content)
    report = run(lenet_project, board="none", samples=2, smallest=True)
    assert report.first_divergence is not None
    note = next(note for note in report.notes if note.startswith("shrunk"))
    assert "1 of 7 layers" in note and "the project's files were changed" in note
    folder = lenet_project / "verify" / "shrunk"
    assert (folder / "model.onnx").is_file() and "intarsia verify" in (folder / "command.txt").read_text()
    again = run(lenet_project, folder / "sample.npz", board="none")
    assert again.first_divergence is not None
    assert again.first_divergence.layer == report.first_divergence.layer
    assert_agrees(run(folder / "project", board="none"))


def test_a_fault_of_the_kernels_fails_alone(lenet_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every design is emitted with it. Rounding down shows for a sample of zeros already, on the biases."""
    old, new = "Wide(value + half - Wide(1) + odd)", "value"
    headers = dict(intarsia.emit.kernel_headers())
    headers["requantise.hpp"] = headers["requantise.hpp"].replace(old, new)
    monkeypatch.setattr(intarsia.emit, "kernel_headers", lambda: MappingProxyType(headers))
    replace_once(lenet_project / "src" / "intarsia" / "requantise.hpp", old, new)
    report = run(lenet_project, board="none", samples=2, smallest=True)
    note = next(note for note in report.notes if note.startswith("shrunk"))
    assert "1 of 7 layers" in note and "alone, they fail as well" in note, note
    kept = int(note.split("layers, ")[1].split(" of ")[0])
    assert kept == 0
    with np.load(lenet_project / "verify" / "shrunk" / "got.npz") as got:
        assert set(got.files) >= {load_graph(lenet_project / "golden.npz").task("conv1").output}


def test_a_recorded_trace_is_not_shrunk(lenet_project: Path, tmp_path: Path) -> None:
    run(lenet_project, board="none", samples=2, record=tmp_path / "trace.npz")
    with np.load(tmp_path / "trace.npz") as archive:
        arrays = {name: archive[name] for name in archive.files}
    arrays[load_graph(lenet_project / "golden.npz").task("conv2").output][0] ^= 1
    np.savez(tmp_path / "board.npz", **arrays)
    report = run(lenet_project, trace=tmp_path / "board.npz", smallest=True)
    assert not report.passed and any("not shrunk: a recorded trace" in note for note in report.notes)


def test_a_model_that_ends_early_is_a_project(lenet_project: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["cut", str(lenet_project), "--after", "conv2", "-o", str(tmp_path / "cut")]
    )
    assert done.exit_code == 0, done.output
    report = run(tmp_path / "cut", board="none")
    assert_agrees(report)
    assert report.layers[-1].name == "conv2" and report.samples == 16
