"""Constants and type aliases of the emitted config structs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Constant:
    """A compile-time constant or type alias of a config struct."""

    name: str
    value: str
    comment: str = ""
    is_type: bool = False

    @classmethod
    def flag(cls, name: str, value: bool, comment: str = "") -> Constant:
        """A bool of C++."""
        return cls(name, str(value).lower(), comment)

    @classmethod
    def alias(cls, name: str, of: str, comment: str = "") -> Constant:
        """Another name of a type."""
        return cls(name, of, comment, is_type=True)

    @classmethod
    def integer(cls, name: str, bits: int, comment: str = "") -> Constant:
        """The type of signed integers of so many bits (hls_kernels/integer.hpp)."""
        return cls.alias(name, f"integer<{bits}>", comment)


LANES = Constant("kLanes", "kWordLanes")
INPUT = Constant.alias("input_t", "element_t")
OUTPUT = Constant.alias("output_t", "element_t")
