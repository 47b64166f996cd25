"""Where the arguments of a kernel stand in its s_axilite control bundle.

Vitis HLS lays the registers out by a fixed rule, so the driver, the manifest and the emulated board can be made before
any synthesis. The rule was checked against `control.h` files that Vitis itself had written (tests/test_register_map.py).
After a real run the same file, `<component>/.autopilot/db/coregen/control.h`, confirms the prediction.

    0x00 CTRL   bit 0 ap_start, 1 ap_done (cleared by reading), 2 ap_idle, 3 ap_ready (cleared by reading), 7 auto_restart
    0x04 GIER   bit 0, global interrupt enable
    0x08 IP_IER bit 0 done, 1 ready
    0x0c IP_ISR bit 0 done, 1 ready
    0x10        the arguments, in the order of the signature
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

FIRST_ARGUMENT = 0x10


@dataclass(frozen=True)
class Argument:
    """One argument of the top function, as the control bundle sees it.

    `bits` is the width of a scalar, or of the address behind a pointer: 64, even on Zynq-7000, unless the design says
    otherwise. `bytes` is how much memory the kernel may touch behind a pointer, and `bundle` the m_axi bundle it uses.
    `offset` stays None until `assign_offsets` has placed the argument.
    """

    name: str
    kind: Literal["pointer", "scalar"]
    direction: Literal["in", "out", "inout"] = "in"
    bits: int = 64
    bytes: int = 0
    bundle: str = ""
    offset: int | None = None

    def manifest(self) -> dict[str, str | int]:
        """Returns the entry of this argument in `manifest.json`."""
        if self.offset is None:
            raise ValueError(f"argument '{self.name}' has no offset yet: call assign_offsets first")
        entry: dict[str, str | int] = {
            "name": self.name,
            "kind": self.kind,
            "direction": self.direction,
            "bits": self.bits,
            "offset": self.offset,
        }
        if self.kind == "pointer":
            entry |= {"bytes": self.bytes, "bundle": self.bundle}
        return entry


def assign_offsets(arguments: Iterable[Argument]) -> tuple[Argument, ...]:
    """Places arguments, in order, in the control bundle.

    Args:
        arguments: The arguments of the top function, in the order of its signature.

    Returns:
        The same arguments with their `offset` set.

    Raises:
        ValueError: If a width or direction has no known layout.
    """
    placed = []
    offset = FIRST_ARGUMENT
    for argument in arguments:
        placed.append(replace(argument, offset=offset))
        offset += _span(argument)
    return tuple(placed)


def _span(argument: Argument) -> int:
    """Bytes from this argument to the next: its data words and the reserved or control words after them."""
    if not 1 <= argument.bits <= 64:
        raise ValueError(f"argument '{argument.name}': {argument.bits} bits have no known layout (1 to 64)")
    if argument.kind == "pointer" or argument.direction == "in":
        return 8 if argument.bits <= 32 else 12  # the data, then one reserved word
    if argument.direction == "out" and argument.bits <= 32:
        return 16  # the data, ap_vld (bit 0, cleared by reading), then two reserved words
    raise ValueError(
        f"argument '{argument.name}': a {argument.bits}-bit '{argument.direction}' scalar has no checked layout; "
        "use an output of at most 32 bits"
    )
