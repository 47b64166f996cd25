"""Launches of several samples by the unmodified driver: how many there are, what they count, and that results are in order."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from board_session import run_client

from intarsia import golden
from intarsia.compiler import compile_model
from intarsia.simulation.build import build
from intarsia.verify.board_runner import EmulatedServer

SCRIPT = """
import numpy as np
from accelerator import Accelerator
x, wanted = np.load("x.npy"), np.load("wanted.npy")
with Accelerator(BITSTREAM, MANIFEST, host_parts=False) as lenet:
    for samples, launches in ((7, 3), (3, 1), (1, 1), (4, 2)):
        before = lenet.launches
        (found,) = lenet.run(x[:samples]).values()
        assert (found == wanted[:samples]).all()
        assert lenet.launches == before + launches
        print(lenet.cycles)
    from intarsia_driver import kernel
    kernel.CHUNK_BYTES = 1  # a transfer for each launch
    (found,) = lenet.run(x).values()
    assert (found == wanted).all()
    (group,) = {1} & set(lenet.groups)
    before = lenet.launches
    lenet.taps(x[:2], group)
    assert lenet.launches == before + 2  # taps show one sample
"""


def test_a_launch_takes_as_many_samples_as_the_design(
    python: Path, lenet_model: Path, lenet_images: Path, tmp_path: Path
) -> None:
    design = compile_model(lenet_model, calibration=lenet_images, objective="throughput", batch=3)
    project = design.write(tmp_path / "project")
    (name,) = design.graph.inputs
    (output,) = design.graph.outputs
    x = np.random.default_rng(0).integers(-128, 128, (8, *design.graph.tensors[name].shape[1:]))
    np.save(project / "x.npy", x)
    np.save(project / "wanted.npy", golden.run(design.graph, {name: x[:, np.newaxis]})[output][:, 0])
    manifest = project / "deploy" / "manifest.json"
    server = EmulatedServer(python, manifest, build(project), tmp_path)
    try:
        counted = [int(text) for text in run_client(python, server, project, SCRIPT).split()]
    finally:
        server.close()
    about = json.loads(manifest.read_text())
    further = sum(phase["interval"] for phase in about["phases"])
    assert [cycles - about["cycles"] for cycles in counted] == [0, 2 * further, 0, 0]
    assert about["cycles"] + 2 * further == design.launch_cycles
