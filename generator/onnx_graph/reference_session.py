"""ONNX Runtime as a reference: models run as they stand.

Graph optimisations are always off: optimised int8 kernels saturate on CPUs without VNNI, and a reference must not
depend on the CPU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_FATAL = 4
"""What ONNX Runtime logs from, at least: errors are exceptions as well, and are reported as such."""


def reference_session(model: onnx.ModelProto) -> InferenceSession:
    """A session that runs the model node by node on the CPU.

    Raises:
        Exception: the model cannot be run; ONNX Runtime's exceptions share no other base.
    """
    import onnxruntime  # takes longer to import than most commands to run

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = _FATAL
    return onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
