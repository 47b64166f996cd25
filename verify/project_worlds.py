"""The worlds of a project."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from intarsia.task_graph import TaskGraph

from .board_runner import EMULATED, BoardRunner
from .csim_process import CsimProcess
from .float_reference import float_reference
from .golden_runner import GoldenRunner
from .hardware_runner import HardwareRunner
from .onnxruntime_runner import DenseRunner, FloatRunner, QuantisedRunner
from .worlds import Worlds

NONE = "none"
"""In place of a board's address: no board."""
BATCH_TIMEOUT_S, LAUNCH_TIMEOUT_S = 600.0, 30.0


def open_worlds(
    project: Path, graph: TaskGraph, board: str, stack: ExitStack, timeout_s: float | None = None
) -> Worlds:
    """All worlds of a project; the stack ends the C-simulation and the board."""
    limit = timeout_s or BATCH_TIMEOUT_S
    csim = stack.enter_context(CsimProcess(project, limit))
    target = None
    if board != NONE:
        launch = min(LAUNCH_TIMEOUT_S, limit)
        runner = BoardRunner(project, csim.library, board, timeout_s=limit, launch_timeout_s=launch)
        target = stack.enter_context(runner)
    dense = project / "dense.onnx"
    return Worlds(
        golden=GoldenRunner(graph),
        dense=DenseRunner(dense, graph) if dense.is_file() else None,
        float_model=FloatRunner(project / "float.onnx", graph),
        quantised=QuantisedRunner(project / "quantised.onnx", graph),
        csim=HardwareRunner(csim, graph),
        board=None if target is None else HardwareRunner(target, graph),
        emulated=board == EMULATED,
        float_reference=float_reference(project, graph),
    )
