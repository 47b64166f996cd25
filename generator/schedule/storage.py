"""Which large memories go to UltraRAM: as few as let the rest fit the block RAM.

Block RAM comes in more shapes, so it is the first choice; where it is short, the memories that free most of it for each
UltraRAM block move, until the rest fits. `Schedule.uram` names them, and the emitted code binds them (BIND_STORAGE).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ..board import Resources


@dataclass(frozen=True)
class LargeMemory:
    """A memory that may go to UltraRAM: what it is called, the part that it counts for, and its blocks of either kind."""

    name: str
    part: str
    bram18: int
    uram: int


def move_to_uram(
    parts: Mapping[str, Resources], memories: Iterable[LargeMemory], bram18: float, uram: float
) -> tuple[tuple[str, ...], dict[str, Resources]]:
    """Moves memories until the block RAM suffices or nothing more can move.

    Args:
        parts: resources by part, all memories in block RAM.
        memories: that may move.
        bram18: blocks that the design may take.
        uram: blocks that it may take.

    Returns:
        Names of the memories that moved, sorted, and the resources after that.
    """
    result = dict(parts)
    moved: list[str] = []
    need = sum(part.bram18 for part in parts.values())
    for memory in sorted(memories, key=lambda m: (-m.bram18 / max(m.uram, 1), m.name)):
        if need <= bram18:
            break
        if memory.bram18 and memory.uram <= uram:
            part = result[memory.part]
            freed = min(memory.bram18, part.bram18)
            result[memory.part] = replace(part, bram18=part.bram18 - freed, uram=part.uram + memory.uram)
            need -= freed
            uram -= memory.uram
            moved.append(memory.name)
    return tuple(sorted(moved)), result
