"""The operators. To add one: its own file here, its class in `OPERATORS`, a case in tests/test_frontend.py."""

from ..operator import Operator
from .affine import Affine
from .average_pool import AveragePool
from .clamp import Clamp
from .combine import Add, Max, Min, Mul, Sub
from .constant import ConstantTensor
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
from .spectral import SpectralConv, SpectralDense
from .stencil import Stencil
from .transpose import Transpose
from .with_constant import WithConstant

OPERATORS: tuple[type[Operator], ...] = (
    # With hardware
    Conv,
    DepthwiseConv,
    Dense,
    MatMul,
    Move,
    ConstantTensor,
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
    # Put in by the compiler (passes/pixels_in_words.py, spectral.py)
    Stencil,
    SpectralConv,
    SpectralDense,
    # Removed by passes
    Affine,
    Clamp,
    Mask,
    Reshape,
    Transpose,
    WithConstant,
)

BY_ONNX_TYPE: dict[str, type[Operator]] = {
    onnx_type: operator for operator in OPERATORS for onnx_type in operator.onnx_types
}
