"""The operators. To add one: its own file here, its class in `OPERATORS`, a case in tests/test_frontend.py."""

from ..operator import Operator
from .affine import Affine
from .average_pool import AveragePool
from .clamp import Clamp
from .combine import Add, Max, Min, Mul, Sub
from .conv import Conv
from .dense import Dense
from .depthwise_conv import DepthwiseConv
from .function import Function
from .functions import FUNCTIONS
from .layer_norm import LayerNormalization, RMSNormalization
from .log_softmax import LogSoftmax
from .mask import Mask
from .matmul import MatMul
from .max_pool import MaxPool
from .move import Move
from .reshape import Reshape
from .softmax import Softmax
from .transpose import Transpose

OPERATORS: tuple[type[Operator], ...] = (
    # With hardware
    Conv,
    DepthwiseConv,
    Dense,
    MatMul,
    Move,
    MaxPool,
    AveragePool,
    Add,
    Sub,
    Mul,
    Max,
    Min,
    *FUNCTIONS,
    Function,
    Softmax,
    LogSoftmax,
    LayerNormalization,
    RMSNormalization,
    # Removed by passes
    Affine,
    Clamp,
    Mask,
    Reshape,
    Transpose,
)

BY_ONNX_TYPE: dict[str, type[Operator]] = {
    onnx_type: operator for operator in OPERATORS for onnx_type in operator.onnx_types
}
