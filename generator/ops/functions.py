"""All functions of single elements that ONNX has operators for, by families. Each is a table in hardware (table.py)."""

from __future__ import annotations

from .powers import Erf, Exp, Log, Pow, Reciprocal, Sqrt
from .rectifiers import Celu, Elu, LeakyRelu, Selu, ThresholdedRelu
from .sigmoids import Gelu, HardSigmoid, HardSwish, Mish, Sigmoid, Softplus, Softsign, Swish, Tanh
from .signs_and_steps import Abs, Ceil, Floor, Neg, Round, Sign
from .table import Table

FUNCTIONS: tuple[type[Table], ...] = (
    Abs,
    Celu,
    Ceil,
    Elu,
    Erf,
    Exp,
    Floor,
    Gelu,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    Log,
    Mish,
    Neg,
    Pow,
    Reciprocal,
    Round,
    Selu,
    Sigmoid,
    Sign,
    Softplus,
    Softsign,
    Sqrt,
    Swish,
    Tanh,
    ThresholdedRelu,
)
