"""A board that shows outputs only and gets one layer wrong: the command that finds it, in one go and step by step."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from fake_worlds import network
from typer.testing import CliRunner

from intarsia.__main__ import app
from intarsia.verify.cut import ancestors, bisect, next_cut, suspects

GRAPH = network()
NAMES = [task.name for task in GRAPH.tasks]
BOARD = """
import sys
import numpy as np
from intarsia import golden
from intarsia.graph_file import load_graph

culprit, project, inputs, trace = sys.argv[1:]
graph = load_graph(project + "/golden.npz")
found = {name: values for name, values in np.load(inputs).items() if name in graph.inputs}
samples = len(next(iter(found.values())))
known = {name: values.reshape(samples, *graph.tensors[name].shape).astype(np.int64) for name, values in found.items()}
for task in graph.tasks:
    known[task.output] = golden.run_task(graph, task, [known[name] for name in task.inputs])
    if task.name == culprit:
        known[task.output] ^= 1
np.savez(trace, **found, **{name: known[name].reshape(samples, *known[name].shape[2:]) for name in graph.outputs})
"""


@pytest.fixture
def command(tmp_path: Path) -> str:
    """A board; its first argument is the layer that it gets wrong."""
    script = tmp_path / "board.py"
    script.write_text(BOARD)
    return f"{sys.executable} {script} CULPRIT {{project}} {{inputs}} {{trace}}"


def cli(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["bisect", *map(str, arguments)])
    return done.exit_code, " ".join(done.output.split())


@pytest.mark.parametrize("culprit", [*NAMES, None])
def test_few_questions_on_any_graph(culprit: str | None) -> None:
    asked: list[str] = []

    def fails(task: str) -> bool:
        asked.append(task)
        return culprit is not None and culprit in ancestors(GRAPH, task)

    assert bisect(GRAPH, fails) == culprit
    assert len(asked) == len(set(asked)) <= 5


def test_answers_leave_suspects() -> None:
    assert next_cut(GRAPH, {}) == GRAPH.producers[GRAPH.outputs[-1]].name
    assert set(suspects(GRAPH, {"conv2": False})) == set(ancestors(GRAPH, "conv2"))
    assert not set(suspects(GRAPH, {"conv2": True})) & set(ancestors(GRAPH, "conv2"))


def test_one_command(lenet_project: Path, tmp_path: Path, command: str) -> None:
    code, text = cli(lenet_project, "-o", tmp_path / "work", "--run", command.replace("CULPRIT", "fc2"))
    assert code == 1, text
    assert "FIRST WRONG LAYER: fc2; fc2" in text
    assert "(deployment)" in text and "csim=" in text


def test_a_board_that_is_right(lenet_project: Path, tmp_path: Path, command: str) -> None:
    code, text = cli(lenet_project, "-o", tmp_path / "work", "--run", command.replace("CULPRIT", "none"))
    assert code == 0, text
    assert "The board is right" in text


def test_step_by_step(lenet_project: Path, tmp_path: Path, command: str) -> None:
    work = tmp_path / "work"
    code, text = cli(lenet_project, "-o", work)
    assert code == 2 and f"Next: build {lenet_project}" in text, text
    (question,) = work.iterdir()
    assert (question / "vectors.npz").is_file() and not (question / "board.npz").exists()
    code, text = cli(lenet_project, "-o", work, "--run", "exit 3")
    assert code == 2 and "ended with exit code 3" in text, text
    (question / "board.npz").write_bytes(b"garbage")
    code, text = cli(lenet_project, "-o", work)
    assert code == 2 and "board.npz" in text, text
    (question / "board.npz").unlink()
    code, text = cli(lenet_project, "-o", work, "--run", command.replace("CULPRIT", "pool1"))
    assert code == 1 and "FIRST WRONG LAYER: pool1" in text, text
    again, text_again = cli(lenet_project, "-o", work)
    assert (again, text_again) == (code, text), "the answers are there: no command is needed any more"
