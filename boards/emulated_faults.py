"""Faults that the emulated board shows when it is asked to, so that drivers can be tested for what they do then.

`--fault hang:3`: the third launch never ends.
`--fault memory-error:3`: nothing that the third launch writes reaches the DRAM (a kernel ignores error responses).
`--fault transfer-error:3`: the third transfer of a buffer fails.
`--fault drop:3`: the third launch takes the board away, connection and all.
`--fault freeze:3`: from the third launch on, the board keeps the connection but answers nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

KINDS = ("hang", "memory-error", "transfer-error", "drop", "freeze")


@dataclass(frozen=True)
class Fault:
    """One kind of fault, and the launch or transfer, counted from 1, that it strikes; kind "" is no fault."""

    kind: str = ""
    at: int = 0

    def strikes(self, kind: str, number: int) -> bool:
        """Says whether this launch or transfer is the one."""
        return (self.kind, self.at) == (kind, number)


def parse(text: str) -> Fault:
    """Reads `KIND:NUMBER`; ValueError if it is not that."""
    kind, _, number = text.partition(":")
    if kind not in KINDS or not number.isdigit() or int(number) < 1:
        raise ValueError(f"'{text}' is not a fault: give KIND:NUMBER with KIND one of {', '.join(KINDS)}")
    return Fault(kind, int(number))
