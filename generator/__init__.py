"""intarsia: from a trained ONNX model to an FPGA accelerator in Vitis HLS C++, verified layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .compiler import compile_model as compile

    __version__: str

__all__ = ["__version__", "compile"]


def __getattr__(name: str) -> Any:
    """Load `compile` and `__version__` when they are first used: `intarsia --help` needs neither."""
    if name == "compile":
        from .compiler import compile_model as compile

        return compile
    if name == "__version__":
        from importlib.metadata import version

        return version("intarsia")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
