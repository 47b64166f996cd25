"""What a divergence leaves behind: one failing sample, and the command that shows it again."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from intarsia.samples import samples_bytes
from intarsia.task_graph import TaskGraph

from .findings import Evidence
from .localise import Divergence

INPUTS = "inputs.npz"
TEXT = """\
{divergence}

Run again with this sample only:
    {command}

inputs.npz    the sample's graph inputs, as real values (exact multiples of the input's step)
expected.npz  raw integers of every tensor in {expected}
got.npz       raw integers of every tensor in {got}
isolated.npz  raw integers that each task should give for the inputs it got
"""


def write(
    directory: Path, project: Path, graph: TaskGraph, divergence: Divergence, evidence: Evidence, options: str
) -> None:
    """Write the failing sample into a directory, replacing an earlier one.

    Args:
        directory: where to write; made if missing.
        project: the project directory, for the command line.
        graph: the quantised task graph.
        divergence: what was found.
        evidence: the traces of the failing sample.
        options: which board took part, for the command line.
    """
    directory.mkdir(parents=True, exist_ok=True)
    real = {name: graph.tensors[name].number.dequantise(raw) for name, raw in evidence.inputs.items()}
    (directory / INPUTS).write_bytes(samples_bytes(real))
    for name, arrays in (
        ("expected", evidence.expected),
        ("got", evidence.got),
        ("isolated", evidence.isolated),
    ):
        in_order = {tensor: np.ascontiguousarray(values) for tensor, values in arrays.items()}
        np.savez_compressed(directory / f"{name}.npz", allow_pickle=False, **in_order)
    command = f"intarsia verify {project} --inputs {directory / INPUTS} {options}"
    text = TEXT.format(
        divergence=divergence,
        command=command,
        expected=divergence.expected_world,
        got=divergence.got_world,
    )
    (directory / "command.txt").write_text(text)
