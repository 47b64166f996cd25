"""The compression edge of verify: dense float model ~ compressed one, by accuracy."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

import onnx
import pytest
from test_compress import parsed

import intarsia
from intarsia.compress import compress_model
from intarsia.errors import IntarsiaError
from intarsia.verify.edge import Edge, Verdict
from intarsia.verify.report import Report
from intarsia.verify.run import run


@pytest.fixture(scope="module")
def untuned() -> onnx.ModelProto:
    with as_file(files("intarsia.demo") / "lenet5.onnx") as path:
        return compress_model(path, 8, allow_untuned=True).model


def verified(model: onnx.ModelProto, dense: onnx.ModelProto, folder: Path) -> Report:
    with as_file(files("intarsia.demo") / "mnist.npz") as samples:
        design = intarsia.compile(model, dense=dense, schedule="dataflow", fifo_sizing=False)
        return run(design.write(folder / "project"), inputs=samples, board="none", samples=60)


def test_what_compression_lost_is_seen_at_its_own_edge(untuned: onnx.ModelProto, tmp_path: Path) -> None:
    """A projection without training: every other edge agrees."""
    with as_file(files("intarsia.demo") / "lenet5.onnx") as path:
        report = verified(untuned, onnx.load(path), tmp_path)
    (divergence,) = report.divergences
    assert (divergence.edge, divergence.layer) == (Edge.COMPRESSION, "fc3")
    assert "dense ->" in report.verdict
    by_name = {layer.name: layer.edges[Edge.COMPRESSION] for layer in report.layers}
    assert by_name["conv2"].verdict is Verdict.PASS
    assert "SQNR" in by_name["fc1"].reason
    accuracy = report.to_json()["accuracy"]
    assert accuracy["dense"] > 0.9 > accuracy["float"]
    assert "compression" in report.to_html()
    assert "compression" in report.to_junit()


def test_a_model_that_lost_nothing_passes(untuned: onnx.ModelProto, tmp_path: Path) -> None:
    """Compressed once more, circulant weights stay what they are."""
    report = verified(compress_model(untuned, 8, allow_untuned=True).model, untuned, tmp_path)
    assert report.passed
    assert {layer.edges[Edge.COMPRESSION].verdict for layer in report.layers} == {Verdict.PASS}


def test_without_the_dense_model_there_is_no_such_edge(untuned: onnx.ModelProto, tmp_path: Path) -> None:
    design = intarsia.compile(untuned, schedule="dataflow", fifo_sizing=False)
    project = design.write(tmp_path / "project")
    assert not (project / "dense.onnx").exists()
    assert Edge.COMPRESSION not in run(project, board="none", samples=1).edges


def test_other_models_are_refused(untuned: onnx.ModelProto) -> None:
    other = parsed("y = Relu(x)", {}, "float[N,4] x", "float[N,4] y")
    with pytest.raises(IntarsiaError, match="not the model that was compressed"):
        intarsia.compile(untuned, dense=other, fifo_sizing=False)
    with pytest.raises(IntarsiaError, match="says nothing of a compression"):
        intarsia.compile(other, dense=other, fifo_sizing=False)
