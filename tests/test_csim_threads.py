"""A batch on several copies of the C-simulation gives what one sample after the other gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from intarsia import golden
from intarsia.graph_file import load_graph
from intarsia.verify import csim_runner
from intarsia.verify.csim_runner import CsimRunner


def test_a_batch_is_shared_out(compiled_lenet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csim_runner.os, "sched_getaffinity", lambda _: {0, 1, 2})
    graph = load_graph(compiled_lenet / "golden.npz")
    (name,) = graph.inputs
    number = graph.tensors[name].number
    shape = (7, *graph.tensors[name].shape)
    raw = np.random.default_rng(0).integers(number.minimum, number.maximum + 1, shape)
    expected = golden.run(graph, {name: raw})
    runner = CsimRunner.of_project(compiled_lenet)
    trace, outputs = runner.trace({name: raw[:, 0]}), runner.outputs({name: raw[:, 0]})
    assert set(outputs) == set(graph.outputs)
    assert len(trace) > len(outputs)
    for found in (trace, outputs):
        for tensor, values in found.items():
            np.testing.assert_array_equal(values, expected[tensor].reshape(values.shape))
    assert not runner.fault
