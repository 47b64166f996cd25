"""Faults that the emulated board shows when it is asked to, so that drivers can be tested for what they do then.

`--fault hang:3`: the third launch never ends.
`--fault hang:3:2`: the same, in phase 2: what earlier phases have written is there, later results are not.
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
    """One kind of fault, and the launch or transfer, counted from 1, that it strikes; kind "" is no fault.

    `phase`, counted from 0, is where a launch hangs.
    """

    kind: str = ""
    at: int = 0
    phase: int = 0

    def strikes(self, kind: str, number: int) -> bool:
        """Says whether this launch or transfer is the one."""
        return (self.kind, self.at) == (kind, number)


def parse(text: str) -> Fault:
    """Reads `KIND:NUMBER` or `hang:NUMBER:PHASE`; ValueError if it is neither."""
    kind, *numbers = text.split(":")
    known = kind in KINDS and len(numbers) in ((1, 2) if kind == "hang" else (1,))
    if not known or not all(number.isdigit() for number in numbers) or int(numbers[0]) < 1:
        raise ValueError(
            f"'{text}' is not a fault: give KIND:NUMBER with KIND one of {', '.join(KINDS)}, or hang:NUMBER:PHASE"
        )
    return Fault(kind, *map(int, numbers))
