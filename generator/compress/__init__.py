"""Block-circulant compression: `compress_model`, and PyTorch layers for training loops of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .compress import Compression, Measure, compress_model
from .training import Recipe

if TYPE_CHECKING:
    from .torch_layers import CirculantConv2d, CirculantLinear

__all__ = ["CirculantConv2d", "CirculantLinear", "Compression", "Measure", "Recipe", "compress_model"]

_TORCH = ("CirculantConv2d", "CirculantLinear")


def __getattr__(name: str) -> Any:
    """Load PyTorch when its layers are first used."""
    if name in _TORCH:
        from .training import require_torch

        require_torch()
        from . import torch_layers

        return getattr(torch_layers, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
