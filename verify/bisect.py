"""Which layer a board gets wrong that shows nothing but its outputs: models that end earlier and earlier, and its answers.

Every question is a project of its own, whose bitstream may take hours. So answers are files, and the search goes on from
what it finds: after an interruption, on another day, or on another computer.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from intarsia.design import Design
from intarsia.errors import IntarsiaError
from intarsia.graph_file import load_graph
from intarsia.machine.identifiers import identifier
from intarsia.progress import Progress, silent

from .cut import compile_prefix, next_cut, prefix, suspects
from .edge import Edge
from .project_files import require_project
from .project_worlds import NONE
from .report import Report
from .run import run

VECTORS, ANSWER = "vectors.npz", "board.npz"


class BisectError(IntarsiaError):
    """The search cannot go on; says nothing about the board."""


@dataclass(frozen=True)
class Question:
    """A project to run on the board, the inputs to run it with, and where the trace of its outputs has to go."""

    project: Path
    inputs: Path
    trace: Path


@dataclass(frozen=True)
class Found:
    """What is known so far: whether the board is right after a layer, by layer, and what follows.

    `layer` is the first that is wrong, None if there is none or it is not known yet; `waiting` is the question whose answer
    is missing, None if the search is over.
    """

    right: Mapping[str, bool]
    suspects: tuple[str, ...]
    layer: str | None = None
    waiting: Question | None = None
    report: Report | None = None


def bisect(project: Path, work: Path, command: str = "", progress: Progress = silent) -> Found:
    """Ask for as many answers as are needed, about the logarithm of the number of layers.

    Args:
        project: the project whose outputs are wrong on the board.
        work: folder of the questions, made if it is not there: WORK/NN_LAYER/ has a project that ends with a layer, its
            inputs in vectors.npz, and the answer in board.npz. The whole model needs no other project.
        command: shell command that gets an answer; {project}, {inputs} and {trace} stand for the question's paths. Without
            it, the search ends at the first answer that is not there.
        progress: told how many layers are left.

    Raises:
        BisectError: the command fails or gives no trace, or a shorter model is wrong without the board.
        IntarsiaError: a shorter model cannot be compiled, or its trace is damaged.
    """
    require_project(project)
    graph = load_graph(project / "golden.npz")
    names = [task.name for task in graph.tasks]
    right: dict[str, bool] = {}
    wrong_report: Report | None = None
    while True:
        left = suspects(graph, right)
        layer = next_cut(graph, right)
        progress("Bisecting", len(names) - len(left), len(names))
        if layer is None:
            found = left[0] if left else None
            return Found(right, left, found, None, wrong_report if found else None)
        folder = work / f"{names.index(layer):02}_{identifier(layer)}"
        whole = prefix(graph, layer).tasks == graph.tasks
        asked = Question(project if whole else folder / "project", folder / VECTORS, folder / ANSWER)
        if not asked.inputs.is_file():
            _ask(asked, None if whole else compile_prefix(project, layer))
        if not asked.trace.is_file() and command:
            _run(command, asked)
        if not asked.trace.is_file():
            return Found(right, left, None, asked)
        report = run(asked.project, board=NONE, trace=asked.trace)
        first = report.first_divergence
        if first is not None and first.edge is not Edge.DEPLOYMENT:
            raise BisectError(
                f"{asked.project} is wrong without the board: {first}. Mend that first: intarsia verify {project} --board none"
            )
        if first is None and not report.passed:
            raise BisectError(f"{asked.trace} does not show the outputs: record it again")
        right[layer] = report.passed
        wrong_report = report if first else wrong_report


def _ask(question: Question, design: Design | None) -> None:
    """Write a question's project, if it needs one, and its inputs; they come last and say that all is there."""
    if design is not None:
        design.write(question.project, replace=question.project.exists())
    question.inputs.parent.mkdir(parents=True, exist_ok=True)
    run(question.project, board=NONE, record=question.inputs)


def _run(command: str, question: Question) -> None:
    line = command
    for name, path in (
        ("project", question.project),
        ("inputs", question.inputs),
        ("trace", question.trace),
    ):
        line = line.replace(f"{{{name}}}", shlex.quote(str(path.resolve())))
    code = subprocess.run(line, shell=True, check=False).returncode
    if code or not question.trace.is_file():
        why = f"ended with exit code {code}" if code else f"wrote no {question.trace}"
        raise BisectError(f"the command {why}: {line}")
