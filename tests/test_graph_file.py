from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from graphs import quantised, small_cnn, stress_inputs

from intarsia import golden
from intarsia.graph_file import GraphFileError, graph_bytes, load_graph, save_graph
from intarsia.task_graph import TaskGraph


@pytest.mark.parametrize("graph", [small_cnn(), quantised(small_cnn())], ids=["float", "quantised"])
def test_round_trip_is_exact(graph: TaskGraph, tmp_path: Path) -> None:
    save_graph(graph, tmp_path / "g.npz")
    loaded = load_graph(tmp_path / "g.npz")
    assert (loaded.name, loaded.inputs, loaded.outputs) == (graph.name, graph.inputs, graph.outputs)
    assert dict(loaded.tensors) == dict(graph.tensors)
    for got, expected in zip(loaded.tasks, graph.tasks, strict=True):
        assert (got.name, got.operator, got.inputs, got.output, got.clamp, got.onnx_nodes) == (
            expected.name,
            expected.operator,
            expected.inputs,
            expected.output,
            expected.clamp,
            expected.onnx_nodes,
        )
        assert got.parameters.keys() == expected.parameters.keys()
        for role, parameter in expected.parameters.items():
            assert got.parameters[role].format == parameter.format
            assert got.parameters[role].values.dtype == parameter.values.dtype
            np.testing.assert_array_equal(got.parameters[role].values, parameter.values)
    assert graph_bytes(loaded) == graph_bytes(graph)


def test_loaded_graph_computes_the_same(tmp_path: Path) -> None:
    graph = quantised(small_cnn())
    save_graph(graph, tmp_path / "g.npz")
    inputs = stress_inputs(graph)
    expected, got = golden.run(graph, inputs), golden.run(load_graph(tmp_path / "g.npz"), inputs)
    for name in graph.tensors:
        np.testing.assert_array_equal(got[name], expected[name])


def test_files_that_are_no_graph_are_named(tmp_path: Path) -> None:
    path = tmp_path / "g.npz"
    with pytest.raises(GraphFileError, match="no task graph at"):
        load_graph(path)
    path.write_bytes(b"hello")
    with pytest.raises(GraphFileError, match=r"damaged, or no \.npz"):
        load_graph(path)
    np.savez(path, x=np.zeros(3))
    with pytest.raises(GraphFileError, match="no task graph of intarsia: it holds x"):
        load_graph(path)
    np.save(path.with_suffix(".npy"), np.zeros(3))
    with pytest.raises(GraphFileError):
        load_graph(path.with_suffix(".npy"))


def test_damage_anywhere_is_an_intarsia_error(tmp_path: Path) -> None:
    """No byte of the file, changed or cut off, leads to anything but the graph or a clear error."""
    content = graph_bytes(quantised(small_cnn()))
    path = tmp_path / "g.npz"
    rng = np.random.default_rng(0)
    refused = 0
    for position in rng.integers(0, len(content), 150):
        damaged = bytearray(content)
        damaged[position] ^= 0xFF
        for text in (bytes(damaged), content[:position]):
            path.write_bytes(text)
            try:
                load_graph(path)
            except GraphFileError:
                refused += 1
    assert refused > 200


def test_other_versions_and_operators_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "g.npz"
    save_graph(quantised(small_cnn()), path)
    with np.load(path) as file:
        arrays = dict(file)
    text = arrays["header"].tobytes()
    for old, new, message in (
        (b'"version": 2', b'"version": 3', "reads version 2"),
        (b'"operator": "Conv"', b'"operator": "Warp"', "Warp"),
        (b'"output": "t0"', b'"output": "t9"', "t9"),
    ):
        np.savez(path, **{**arrays, "header": np.frombuffer(text.replace(old, new), np.uint8)})
        with pytest.raises(GraphFileError, match=message):
            load_graph(path)
