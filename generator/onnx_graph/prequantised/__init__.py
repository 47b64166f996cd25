"""Models that come quantised: QDQ and QOperator of ONNX, and QONNX; from them a float model and the numbers to keep."""

from .kept_steps import with_steps
from .unpack import Unpacked, is_prequantised, unpack

__all__ = ["Unpacked", "is_prequantised", "unpack", "with_steps"]
